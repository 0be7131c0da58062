"""Importances are those of scikit-learn, on samples that the networks have not been trained on."""

import pickle
import re

import numpy as np
import polars as pl
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectFromModel
from sklearn.inspection import permutation_importance
from sklearn.pipeline import make_pipeline

from fastbp import TabularClassifier, TabularRegressor
from fastbp.tables.job import Job
from fastbp.tables.members import parts_of
from fastbp.tables.options import TrainOptions
from tabular_data import INCOME, PEOPLE, RICH, ROWS

QUICK = {"epochs": 6, "hidden": (16,), "learning_rate": 0.01, "ensemble": 1, "ensemble_by": "seeds"}
CASES = [(TabularClassifier, RICH), (TabularRegressor, INCOME)]


def job_of(y, **options):
    """Return a job on the same rows in the same order, which is split alike."""
    frame = pl.from_pandas(PEOPLE.assign(floor=PEOPLE["floor"].astype(int)))
    return Job(frame.with_columns(y=y), TrainOptions(target="y", **{**QUICK, **options}))


def known_of(estimator, rows, y, weight=None):
    """Return scikit-learn's importances on rows of the frame."""
    rest = {"random_state": estimator.random_state, "sample_weight": weight}
    return permutation_importance(estimator, PEOPLE.iloc[rows], y[rows], n_repeats=5, **rest)


@pytest.mark.parametrize("cls, y", CASES)
@pytest.mark.parametrize("options", [{}, {"ensemble": 3}, {"valid_share": 0.5}])
def test_they_are_scikit_learns_on_the_rows_held_back(cls, y, options):
    fitted = cls(random_state=4, **{**QUICK, **options}).fit(PEOPLE, y)
    (rows,) = job_of(y, seed=4, **options).split.validates.nonzero()
    known = known_of(fitted, rows, y).importances_mean
    np.testing.assert_allclose(fitted.feature_importances_, known, atol=1e-6)
    assert fitted.feature_importances_.argmax() in (0, 1)
    assert fitted.feature_importances_ is fitted.feature_importances_


@pytest.mark.parametrize("cls, y", CASES)
def test_of_folds_each_network_is_permuted_on_the_rows_it_has_not_seen(cls, y):
    options = {"ensemble": 4, "ensemble_by": "folds"}
    fitted = cls(random_state=4, **{**QUICK, **options}).fit(PEOPLE, y)
    job = job_of(y, seed=4, **options)
    alone = cls(random_state=4, **{**QUICK, **options}).fit(PEOPLE, y)
    total = np.zeros(6)
    for network, part in zip(fitted.model_.network.members, parts_of(job), strict=True):
        alone.model_.network = network
        total += len(part.tests) * known_of(alone, part.tests, y).importances_mean
    np.testing.assert_allclose(fitted.feature_importances_, total / ROWS, atol=1e-6)


def test_they_count_the_weights_of_samples():
    weight = np.linspace(1, 5, ROWS)
    fitted = TabularRegressor(random_state=4, **QUICK).fit(PEOPLE, INCOME, weight)
    (rows,) = job_of(INCOME, seed=4).split.validates.nonzero()
    known = known_of(fitted, rows, INCOME, weight[rows]).importances_mean
    np.testing.assert_allclose(fitted.feature_importances_, known, atol=1e-6)


def test_they_are_of_the_rows_held_back_by_group_and_by_time():
    groups = np.arange(ROWS) % 12
    fitted = TabularRegressor(random_state=4, **QUICK).fit(PEOPLE, INCOME, groups=groups)
    again = TabularRegressor(random_state=4, time="born", **QUICK).fit(PEOPLE, INCOME)
    (rows,) = job_of(INCOME, seed=4, time="born").split.validates.nonzero()
    assert PEOPLE["born"][rows].min() > PEOPLE["born"].drop(rows).max()
    known = known_of(again, rows, INCOME).importances_mean
    np.testing.assert_allclose(again.feature_importances_, known, atol=1e-6)
    assert (fitted.feature_importances_ != again.feature_importances_).any()


def test_of_many_rows_10_000_are_drawn():
    X = np.random.default_rng(0).normal(size=(60_000, 2))
    fitted = TabularRegressor(random_state=0, **{**QUICK, "epochs": 1}).fit(X, X[:, 0])
    held = fitted.model_.record["data"]["valid"]
    assert held == 12_000
    first, second = fitted.feature_importances_
    assert first > 0.5 and abs(second) < 0.1
    # of 12,000 rows it would be the same to two digits, and not to the bit
    table = {"x0": X[:, 0], "x1": X[:, 1], "y": X[:, 0]}
    (rows,) = Job(table, TrainOptions("y", **QUICK)).split.validates.nonzero()
    known = permutation_importance(fitted, X[rows], X[rows, 0], random_state=0).importances_mean
    np.testing.assert_allclose(fitted.feature_importances_, known, atol=0.05)
    assert (fitted.feature_importances_ != known).any()


def test_a_pickle_has_them_once_they_are_computed_and_never_the_samples():
    fitted = TabularClassifier(random_state=0, **QUICK).fit(PEOPLE, RICH)
    without = pickle.loads(pickle.dumps(fitted))
    assert not hasattr(without, "feature_importances_")
    with pytest.raises(AttributeError, match=re.escape("are not in a pickle; use model_.explain")):
        _ = without.feature_importances_
    known = fitted.feature_importances_
    assert (pickle.loads(pickle.dumps(fitted)).feature_importances_ == known).all()
    assert len(pickle.dumps(fitted)) < len(pickle.dumps(without)) + 1000


def test_to_show_an_estimator_does_not_compute_them():
    fitted = TabularClassifier(random_state=0, **QUICK).fit(PEOPLE, RICH)
    assert "classes_" in dir(fitted) and "feature_importances_" not in dir(fitted)
    assert "TabularClassifier" in fitted._repr_html_() and "feature_importances_" not in dir(fitted)
    assert hasattr(fitted, "feature_importances_") and "feature_importances_" in dir(fitted)
    assert "feature_importances_" in dir(TabularClassifier)


def test_without_rows_held_back_there_are_none():
    fitted = TabularClassifier(random_state=0, valid_share=0, **QUICK).fit(PEOPLE, RICH)
    with pytest.raises(AttributeError, match="not held back with valid_share=0"):
        _ = fitted.feature_importances_
    with pytest.raises(NotFittedError):
        _ = TabularClassifier().feature_importances_


def test_features_are_selected_by_them():
    model = TabularRegressor(random_state=0, **QUICK)
    best = np.sort(model.fit(PEOPLE, INCOME).feature_importances_.argsort()[-2:])
    chosen = SelectFromModel(model, max_features=2, threshold=-np.inf).fit(PEOPLE, INCOME)
    assert chosen.get_support(indices=True).tolist() == best.tolist()
    chosen.set_output(transform="pandas")
    piped = make_pipeline(chosen, model).fit(PEOPLE, INCOME)
    alone = model.fit(PEOPLE.iloc[:, best], INCOME)
    assert (piped.predict(PEOPLE) == alone.predict(PEOPLE.iloc[:, best])).all()
