"""Labels come back as they were given, and numbers are numbers; of several targets too."""

import logging
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fastbp import DataError, TableModel, TabularClassifier, TabularRegressor
from tabular_data import INCOME, PEOPLE, RICH, ROWS

RNG = np.random.default_rng(2)
X = RNG.normal(size=(150, 2))
THIRD = np.digitize(X[:, 0], [-0.5, 0.5])  # 0, 1 or 2
QUICK = {
    "epochs": 20,
    "hidden": (16,),
    "random_state": 0,
    "learning_rate": 0.01,
    "ensemble": 1,
    "ensemble_by": "seeds",
}


def classifier(**options):
    return TabularClassifier(**{**QUICK, **options})


def regressor(**options):
    return TabularRegressor(**{**QUICK, **options})


def accuracy_of(fitted, y):
    """Return the accuracy, computed by hand, after checking how labels and probabilities agree."""
    labels, probabilities = fitted.predict(X), fitted.predict_proba(X)
    assert labels.dtype == fitted.classes_.dtype
    assert (fitted.classes_[probabilities.argmax(axis=1)] == labels).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.exp(fitted.predict_log_proba(X)), probabilities, rtol=1e-5)
    return np.mean([a == b for a, b in zip(labels, y, strict=True)])


LABELS = {
    "integers": np.array([3, -1, 20]),
    "bytes": np.array([3, 1, 200], np.uint8),
    "large": np.array([2**60, 2**60 + 1, 5]),
    "unsigned": np.array([2**63, 2**63 + 3, 5], np.uint64),
    "floats": np.array([0.0, 1.0, 7.0]),
    "singles": np.array([-3.0, 1.0, 7.0], np.float32),
    "words": np.array(["low", "high", "mid"]),
    "objects": np.array(["low", "high", "mid"], object),
    "digits": np.array(["10", "9", "1"]),
    "numbers in text": np.array(["1.0", "1", "01"]),
    "missing words": np.array(["NA", "None", ""]),
    "blanks": np.array([" a", "a", "a "]),
    "cases": np.array(["a", "A", "b"]),
    "yes": np.array(["yes", "Yes", "no"]),
    "booleans in text": np.array(["true", "False", "True"]),
    "units": np.array(["5 kg", "6 kg", "USD 5"]),
    "dates": np.array(["2020-01-01", "2020-01-02", "Jan 3 2020"]),
    "infinite": np.array(["inf", "nan", "1e5"]),
    "many lines": np.array(["a\nb", "a\nc", "a,b"]),
    "signs": np.array(["+", "-", "?"]),
    "others": np.array(["\u4e00", "\u00df", "\u00e9"]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_come_back_as_they_were_given(kind):
    y = LABELS[kind][THIRD]
    fitted = classifier().fit(X, y)
    assert fitted.classes_.dtype == y.dtype
    assert fitted.classes_.tolist() == sorted(LABELS[kind].tolist())
    assert accuracy_of(fitted, y) > 0.85
    # it learned the classes themselves: the same as of their places
    known = classifier().fit(X, np.searchsorted(fitted.classes_, y))
    order = [fitted.model_.schema.target.class_named(str(c)) for c in range(3)]
    if None not in order:
        assert (fitted.predict_proba(X) == known.predict_proba(X)).all()


@pytest.mark.parametrize(
    "labels", [[False, True], [0, 1], [0.0, 1.0], ["no", "yes"], ["True", "False"], ["0", "1"]]
)
@pytest.mark.parametrize("form", [list, np.array, pd.Series, pl.Series, pd.Categorical])
def test_two_labels_in_any_form_come_back(labels, form):
    y = np.array(labels)[(X[:, 0] > 0).astype(int)]
    fitted = classifier().fit(X, form(y.tolist()))
    assert fitted.classes_.tolist() == sorted(labels)
    assert accuracy_of(fitted, y) > 0.9
    positive = fitted.predict_proba(X)[:, 1]
    assert ((positive > 0.5) == (fitted.predict(X) == max(labels))).all()


OF_PANDAS = {
    "Int64": (np.int64, [1, 2]),
    "UInt8": (np.uint8, [1, 2]),
    "boolean": (bool, [False, True]),
    "Float32": (np.float32, [0.0, 1.0]),
    "string": (object, ["high", "low"]),
    "int32[pyarrow]": (np.int32, [1, 2]),
    "bool[pyarrow]": (bool, [False, True]),
}


@pytest.mark.parametrize("dtype", OF_PANDAS)
@pytest.mark.parametrize("form", ["series", "array", "categories", "frame"])
@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_labels_of_pandas_own_types_come_back_as_numpys(dtype, form):
    kind, labels = OF_PANDAS[dtype]
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    places = (X[:, 0] > 0).astype(int)
    y = pd.Series(np.array(labels, kind)[places], index=places).astype(dtype)
    forms = {"array": y.array, "categories": y.astype("category"), "frame": y.to_frame()}
    fitted = classifier().fit(X, forms.get(form, y))
    assert fitted.classes_.dtype == kind and fitted.classes_.tolist() == labels
    assert accuracy_of(fitted, np.array(labels, kind)[places]) > 0.9
    known = classifier().fit(X, np.array(labels, kind)[places])
    assert (fitted.predict_proba(X) == known.predict_proba(X)).all()


@pytest.mark.parametrize("dtype", OF_PANDAS)
def test_a_missing_label_of_pandas_own_types_is_refused(dtype):
    kind, labels = OF_PANDAS[dtype]
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    y = pd.Series(np.array(labels, kind)[THIRD % 2]).astype(dtype)
    y[3] = None
    words = "y has no label in row 4" if kind is object else "Input y contains NaN"
    with pytest.raises(ValueError, match=words):
        classifier().fit(X, y)
    with pytest.raises(ValueError, match="y has no label in row 4"):
        classifier().fit(X, y.astype(object))


def test_the_model_knows_labels_by_their_names(tmp_path, caplog):
    named = classifier().fit(X, LABELS["words"][THIRD])
    assert named.model_.schema.target.classes == ("high", "low", "mid")
    named.model_.save(tmp_path / "model.safetensors")
    frame = {"x0": X[:, 0], "x1": X[:, 1]}
    found = TableModel.load(tmp_path / "model.safetensors").predict(frame)
    assert found["prediction"].to_list() == named.predict(X).tolist()
    with caplog.at_level(logging.INFO, "fastbp"):
        numbered = classifier().fit(X, LABELS["blanks"][THIRD])
    named = "'class 0' is ' a', 'class 1' is 'a', 'class 2' is 'a '"
    assert f"the model has other names of classes: {named}\n" in caplog.text
    assert numbered.model_.schema.target.classes == ("class 0", "class 1", "class 2")


def test_words_for_missing_values_leave_no_label_and_no_number_out():
    rows = np.where(RNG.random(X.shape) < 0.2, -1, X)
    for labels in ([-1, 0, 5], [False, True, True], ["-1", "true", "b"]):
        y = np.array(labels)[THIRD]
        fitted = classifier(missing=["-1.0", "true", "0"]).fit(rows, y)
        assert fitted.classes_.tolist() == sorted(set(labels))
        assert fitted.model_.record["data"]["no_target"] == 0
        assert all(column.missing for column in fitted.model_.schema.columns)
    for y, weight in ((np.round(X[:, 0]), None), (X[:, 0], np.ones(150))):
        with pytest.raises(ValueError, match=re.escape("missing=('-1.0', '1'): ")):
            regressor(missing=["-1.0", "1"]).fit(rows, y, weight)
    one = classifier(missing="-1").fit(rows, np.array(["1", "-", "NA"])[THIRD])
    assert all(column.missing for column in one.model_.schema.columns)
    groups = np.array(["NA", "", "None", "?", "a"])[np.arange(150) % 5]
    kept = regressor().fit(rows, X[:, 0], groups=groups)
    assert kept.model_.record["data"]["valid"] == 30


def test_many_whole_numbers_are_classes_of_a_classifier_and_numbers_of_a_regressor():
    places = np.tile(np.arange(50), 3)
    y = 7 * places
    rows = np.column_stack([places, RNG.normal(size=150)]).astype(float)
    fitted = classifier(valid_share=0, categorical=[0], epochs=60).fit(rows, y)
    assert fitted.classes_.tolist() == (7 * np.arange(50)).tolist()
    assert fitted.predict_proba(rows).shape == (150, 50)
    assert fitted.score(rows, y) > 0.9
    few = regressor().fit(rows, y % 3)
    assert few.model_.schema.target.task == "regression"
    assert few.predict(rows).dtype == np.float64


@pytest.mark.parametrize(
    "y, error, words",
    [
        (np.zeros(150), DataError, "has one class only, '0'"),
        (X[:, 0], ValueError, "Unknown label type: continuous"),
        (np.where(X[:, 0] > 0, 1, np.nan), ValueError, "Input y contains NaN"),
        (np.where(X[:, 0] > 9, "a", None), ValueError, "y has no label in row 1"),
        (np.arange(300).reshape(150, 2) % 3, ValueError, "y should be a 1d array"),
        (np.arange(1500) // 1, ValueError, "inconsistent numbers of samples: [150, 1500]"),
        (None, ValueError, "requires y to be passed, but the target y is None"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(y, error, words):
    with pytest.raises(error, match=re.escape(words)):
        classifier().fit(X, y)


def test_more_classes_than_a_table_has_are_refused():
    rows = np.arange(2400.0)[:, None]
    with pytest.raises(DataError, match="has more than 1,000 classes"):
        classifier().fit(rows, np.arange(2400) // 2)


# ------------------------------------------------------------------ weights of classes


def test_classes_are_weighed_by_their_labels():
    for labels in (LABELS["words"], LABELS["blanks"], LABELS["floats"], LABELS["integers"]):
        y = labels[THIRD]
        plain = classifier(epochs=3).fit(X, y)
        rare = labels.tolist()[1]
        heavy = classifier(epochs=3, class_weight={rare: 50}).fit(X, y)
        counts = [np.mean(each.predict(X) == labels[1]) for each in (plain, heavy)]
        assert counts[1] > counts[0]
        with pytest.raises(ValueError, match=re.escape("'none such' is no class; expected some")):
            classifier(class_weight={"none such": 2}).fit(X, y)
    with pytest.raises(ValueError, match="class_weight='heavy'"):
        classifier(class_weight="heavy").fit(X, y)


# ------------------------------------------------------------------ numbers


@pytest.mark.parametrize("dtype", [int, bool, np.float32, np.uint8])
def test_numbers_of_any_type_are_learned(dtype):
    y = (np.abs(X[:, 0]) * 2).astype(int).astype(dtype)
    fitted = regressor(epochs=40).fit(X, y)
    predicted = fitted.predict(X)
    assert predicted.shape == (150,) and predicted.dtype == np.float64
    assert fitted.score(X, y) == pytest.approx(
        1 - np.mean((y - predicted) ** 2) / np.var(y.astype(float))
    )
    assert fitted.score(X, y) > 0.5


@pytest.mark.parametrize(
    "y, words",
    [
        (np.where(X[:, 0] > 0, 1, np.nan), "Input y contains NaN"),
        (np.where(X[:, 0] > 0, 1, np.inf), "Input y contains infinity"),
        (np.full(150, "a"), "dtype='numeric' is not compatible with arrays of bytes/strings"),
        (np.full(150, 3.5), "the target 'y' is 3.5 in all rows: there is nothing to learn"),
        (X[:100, 0], "inconsistent numbers of samples: [150, 100]"),
        (None, "requires y to be passed, but the target y is None"),
    ],
)
def test_numbers_that_cannot_be_learned_are_refused(y, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        regressor().fit(X, y)


def test_quantiles_are_predicted_in_their_order():
    fitted = regressor(quantile=[0.9, 0.1]).fit(X, X[:, 0])
    predicted = fitted.predict(X)
    assert predicted.shape == (150, 2) and (predicted[:, 0] <= predicted[:, 1]).all()
    assert regressor(quantile=0.5).fit(X, X[:, 0]).predict(X).shape == (150,)


def test_intervals_hold_the_share_that_was_asked_for():
    rng = np.random.default_rng(0)  # of its own: 100 rows give the share to 0.05
    rows = rng.uniform(-1, 1, (2000, 2))
    y = 3 * rows[:, 0] + rng.normal(size=2000)
    fitted = regressor().fit(rows[:1000], y[:1000])
    for level, quantile in [(0.5, 0.674), (0.9, 1.645)]:  # of the normal distribution
        low, high = fitted.predict_interval(rows[1000:], level).T
        predicted = fitted.predict(rows[1000:])
        np.testing.assert_allclose(high - predicted, predicted - low)
        assert np.mean((low <= y[1000:]) & (y[1000:] <= high)) == pytest.approx(level, abs=0.06)
        assert (high - low).mean() == pytest.approx(2 * quantile, rel=0.15)
    both = regressor().fit(rows[:1000], np.column_stack([y, 9 * y])[:1000])
    bounds = both.predict_interval(rows)
    assert bounds.shape == (2000, 2, 2)
    widths = (bounds[..., 1] - bounds[..., 0]).mean(axis=0)
    assert widths[1] / widths[0] == pytest.approx(9, rel=0.2)
    assert regressor().fit(rows, y[:, None]).predict_interval(rows).shape == (2000, 1, 2)
    few = regressor(quantile=(0.1, 0.9)).fit(rows, y)
    assert few.predict_interval(rows).shape == (2000, 2)
    for level, error in ((1.5, ValueError), (90, ValueError), (0, ValueError), (None, TypeError)):
        with pytest.raises(error, match=rf"^level={level}: expected a number"):
            fitted.predict_interval(rows, level)
    with pytest.raises(ValueError, match=r"^level=0\.9999: it takes 9,999 or more rows"):
        fitted.predict_interval(rows, 0.9999)
    with pytest.raises(ValueError, match=r"^level=0\.9: "):
        regressor(valid_share=0).fit(rows, y).predict_interval(rows)


# ------------------------------------------------------------------ several targets


@pytest.mark.parametrize("form", [np.asarray, pd.DataFrame, lambda y: pl.DataFrame(y, list("ab"))])
def test_several_numbers_are_predicted_together(form):
    y = np.column_stack([X[:, 0], 3 * X[:, 1] + 5])
    fitted = regressor().fit(X, form(y))
    assert fitted.n_outputs_ == 2
    predicted = fitted.predict(X)
    assert predicted.shape == (150, 2)
    shares = 1 - ((y - predicted) ** 2).mean(axis=0) / y.var(axis=0)
    assert fitted.score(X, y) == pytest.approx(shares.mean()) and shares.min() > 0.8


def test_one_column_of_numbers_stays_a_column():
    fitted = regressor().fit(X, X[:, :1])
    assert fitted.predict(X).shape == (150, 1) and fitted.n_outputs_ == 1
    assert (fitted.predict(X)[:, 0] == regressor().fit(X, X[:, 0]).predict(X)).all()


def test_several_labels_are_an_indicator_matrix():
    y = np.column_stack([X[:, 0] > 0, X[:, 1] > 0, X.sum(axis=1) > 0]).astype(int)
    fitted = classifier(epochs=40).fit(X, y)
    assert fitted.classes_.tolist() == [0, 1, 2] and fitted.n_outputs_ == 3
    labels, probabilities = fitted.predict(X), fitted.predict_proba(X)
    assert labels.shape == probabilities.shape == (150, 3)
    assert (labels == (probabilities > 0.5)).all()
    assert fitted.score(X, y) == (labels == y).all(axis=1).mean() > 0.7
    assert fitted.feature_importances_.argmin() in (0, 1)
    with pytest.raises(DataError, match="one class only"):
        classifier().fit(X, y * [1, 1, 0])


@pytest.mark.parametrize("names", [[1, "1"], ["a", "a"], [0, 1], ["", "b"], ["q", "p"]])
def test_columns_of_targets_may_have_any_names(names):
    numbers = np.column_stack([X[:, 0], 3 * X[:, 1] + 5])
    known = regressor().fit(X, numbers)
    fitted = regressor().fit(X, pd.DataFrame(numbers, columns=names))
    own = list(map(str, names)) if names in ([0, 1], ["q", "p"]) else ["y0", "y1"]
    assert fitted.n_outputs_ == 2 and list(fitted.model_.schema.target_names) == own
    assert (fitted.predict(X) == known.predict(X)).all()
    flags = numbers > [0, 5]
    known = classifier().fit(X, flags.astype(int))
    for dtype in (int, "Int64", "boolean"):
        y = pd.DataFrame(flags, columns=names).astype(dtype)
        fitted = classifier().fit(X, y)
        assert fitted.n_outputs_ == 2 and (fitted.predict(X) == known.predict(X)).all()


def test_targets_of_any_library_keep_their_names():
    table = pytest.importorskip("pyarrow").table({"q": X[:, 0], "p": X[:, 1]})
    subclass = type("Sub", (pd.DataFrame,), {})
    wrapped = pytest.importorskip("narwhals").from_native(table)
    for y in (table, table.to_batches()[0], wrapped, subclass(table.to_pandas())):
        fitted = regressor(epochs=1).fit(X, y)
        assert fitted.model_.schema.target_names == ["q", "p"]


# ------------------------------------------------------------------ weights and groups


def test_samples_of_weight_0_are_as_if_they_were_not_there():
    kept = RNG.random(ROWS) < 0.8
    for estimator, y in ((classifier(), RICH), (regressor(), INCOME)):
        weighted = estimator.fit(PEOPLE, y, 2.0 * kept).predict(PEOPLE)
        without = estimator.fit(PEOPLE[kept], y[kept], np.full(kept.sum(), 2)).predict(PEOPLE)
        assert (weighted == without).all()
    for weights, words in [
        (np.arange(ROWS) == 7, "1 sample(s) of weight while a minimum of 2"),
        (np.arange(ROWS) - 1.0, "Negative values in data passed to `sample_weight`"),
        (np.ones(3), "sample_weight.shape == (3,), expected (120,)"),
    ]:
        with pytest.raises(ValueError, match=re.escape(words)):
            regressor().fit(PEOPLE, INCOME, weights)


def test_a_heavy_sample_draws_the_prediction_to_it():
    y = RNG.normal(size=150)
    sides = RNG.random(150) < 0.5
    weights = np.where(y > 0, 9.0, 1.0)
    fitted = regressor(valid_share=0, epochs=200).fit(sides[:, None], y, weights)
    for side in (False, True):
        own = sides == side
        known = np.average(y[own], weights=weights[own])
        assert known > np.mean(y[own]) + 0.3
        assert fitted.predict([[side]]) == pytest.approx(known, abs=0.05)


def test_groups_stay_on_one_side_of_the_split():
    groups = np.repeat([f"patient {i}" for i in range(15)], 10)
    given = regressor().fit(X, X[:, 0], groups=groups)
    column = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "who": groups})
    named = regressor(group="who").fit(column, X[:, 0])
    assert given.model_.record["data"]["valid"] == named.model_.record["data"]["valid"] == 30
    assert (given.predict(X) == named.predict(column)).all()
    assert [c.name for c in named.model_.schema.columns] == ["a", "b"]
    plain = regressor().fit(X, X[:, 0])
    assert (plain.predict(X) != given.predict(X)).any()
    with pytest.raises(ValueError, match="group='who': fit has `groups` too"):
        regressor(group="who").fit(column, X[:, 0], groups=groups)
    with pytest.raises(ValueError, match=re.escape("inconsistent numbers of samples: [150, 3]")):
        regressor().fit(X, X[:, 0], groups=[1, 2, 3])
