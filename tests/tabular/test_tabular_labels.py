"""The model of a classifier holds labels as they are, unless a table reads them as others."""

import numpy as np
import polars as pl
import pytest

from fastbp import TableModel, TabularClassifier, train

X = np.random.default_rng(3).normal(size=(150, 2))
THIRD = np.digitize(X[:, 0], [-0.5, 0.5])  # 0, 1 or 2

ORDINARY = [
    [">50K", "<=50K"],
    ["1st", "2nd", "3rd"],
    ["0-10", "10+"],
    ["A", "a", "b"],
    ["yes", "Yes", "no"],
    ["True", "False"],
    ["5 kg", "6 kg"],
    ["1.5", "2,5"],
    ["$1", "50%"],
    ["2020-01-01", "2021-01-01"],
    ["001", "1"],
    ["#", "*", "\u4e00"],
    ["T", "F"],
    ["1", "2", "unknown"],
    ["10", "9", "1"],
    [7, -1],
    [2.0, 0.0],
    [True, False],
]


@pytest.mark.parametrize("labels", ORDINARY, ids=str)
def test_a_model_knows_labels_as_a_table_reads_them_and_is_that_of_train(labels, tmp_path):
    y = np.array(labels)[THIRD % len(labels)]
    options = {"epochs": 3, "preset": "fast"}
    fitted = TabularClassifier(random_state=0, **options).fit(X, y)
    frame = {"x0": X[:, 0], "x1": X[:, 1], "y": y}
    known = train(frame, "y", seed=0, task="classification", **options)
    assert fitted.model_.fingerprint == known.fingerprint
    fitted.model_.save(tmp_path / "model.safetensors")
    pl.DataFrame(frame).write_csv(tmp_path / "table.csv")
    model = TableModel.load(tmp_path / "model.safetensors")
    score = pytest.approx(fitted.score(X, y))
    assert model.evaluate(frame)["accuracy"] == score
    assert model.evaluate(tmp_path / "table.csv")["accuracy"] == score
    heavy = TabularClassifier(random_state=0, class_weight={labels[0]: 9}, **options).fit(X, y)
    assert (heavy.predict_proba(X) != fitted.predict_proba(X)).any()


@pytest.mark.parametrize(
    "labels",
    [
        ["1", "2", "NA"],
        ["1e5", "2"],
        ["0.0", "1.0"],
        ["-0", "0"],
        ["true", "True", "False"],
        ["+", "-"],
        [".", ".."],
        ["a", "a\0"],
        ["\xa0a", "a"],
        ["None", "Some"],
    ],
    ids=str,
)
def test_labels_that_a_table_takes_for_others_are_numbered(labels):
    y = np.array(labels, object)[THIRD % len(labels)]
    fitted = TabularClassifier(epochs=1, preset="fast").fit(X, y)
    assert fitted.classes_.tolist() == sorted(labels)
    numbers = [f"class {place}" for place in range(len(labels))]
    assert list(fitted.model_.schema.target.classes) == numbers
