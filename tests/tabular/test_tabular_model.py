"""The model of a fit is a TableModel: it is saved, exported, scored and reported."""

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from fastbp import TableModel, TabularClassifier, TabularRegressor, to_onnx, train
from fastbp.ensemble import members_of
from fastbp.report.build import build_report
from tabular_data import INCOME, PEOPLE, RICH

QUICK = {
    "epochs": 8,
    "hidden": (16,),
    "learning_rate": 0.01,
    "random_state": 0,
    "ensemble": 1,
    "ensemble_by": "seeds",
}
FOLDS = {"ensemble": 3, "ensemble_by": "folds"}
NUMBERS = PEOPLE[["age"]].to_numpy()


def test_a_saved_model_predicts_and_scores_tables(tmp_path):
    frame = PEOPLE.assign(floor=PEOPLE["floor"].astype(int))
    fitted = TabularClassifier(**QUICK).fit(PEOPLE, RICH)
    fitted.model_.save(tmp_path / "rich.safetensors")
    frame.assign(y=RICH).to_csv(tmp_path / "people.csv", index=False)
    model = TableModel.load(tmp_path / "rich.safetensors")
    found = model.predict(tmp_path / "people.csv")
    assert found["prediction"].to_list() == fitted.predict(PEOPLE).tolist()
    score = model.evaluate(tmp_path / "people.csv")["accuracy"]
    assert score == pytest.approx(fitted.score(PEOPLE, RICH))


def test_of_folds_it_has_the_predictions_of_each_row_by_a_network_that_has_not_seen_it():
    fitted = TabularClassifier(**{**QUICK, **FOLDS}).fit(PEOPLE, RICH)
    held = fitted.model_.out_of_fold
    assert isinstance(held, pl.DataFrame) and held["row"].to_list() == [*range(1, len(PEOPLE) + 1)]
    members = fitted.model_.network.members
    for fold, network in enumerate(members, 1):
        rows = np.flatnonzero(held["fold"] == fold)
        alone = TabularClassifier(**{**QUICK, **FOLDS}).fit(PEOPLE, RICH)
        alone.model_.network = network
        assert (alone.predict(PEOPLE.iloc[rows]) == held["prediction"].to_numpy()[rows]).all()


def test_it_is_exported_and_reported():
    runtime = pytest.importorskip("onnxruntime")
    fitted = TabularRegressor(**QUICK).fit(NUMBERS, INCOME)
    content = to_onnx(fitted.model_).SerializeToString()
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run(["prediction"], {"x0": NUMBERS})
    np.testing.assert_allclose(found, fitted.predict(NUMBERS), rtol=1e-5)
    page = build_report(fitted.model_)
    assert "x0" in page and f"{fitted.model_.record['metrics']['valid']['r2']:.3f}" in page


@pytest.mark.parametrize("preset, networks", [(None, 5), ("fast", 1), ("accurate", 8)])
def test_a_preset_chooses_the_networks_as_of_train(preset, networks):
    frame = pl.from_pandas(PEOPLE.drop(columns=["floor", "size"]))
    estimator = clone(TabularClassifier(epochs=2, random_state=0)).set_params(preset=preset)
    groups = np.arange(len(PEOPLE)) // 6
    for given, column in ((None, None), (groups, "who")):
        fitted = estimator.fit(frame, RICH, groups=given)
        table = frame.with_columns(y=RICH, who=groups)
        drop = [] if column else ["who"]
        model = train(table, "y", preset=preset, epochs=2, seed=0, group=column, drop=drop)
        assert len(members_of(fitted.model_.network)) == networks
        assert (fitted.model_.network.parameters == model.network.parameters).all()
        assert fitted.feature_importances_.shape == (4,)
        assert fitted.predict(frame).tolist() == model.predict(table)["prediction"].to_list()
    found = cross_val_score(estimator, frame, RICH, cv=2)
    assert found.min() > 0.5
