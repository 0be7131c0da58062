"""MLPSearchCV beside scikit-learn's searches over scikit-learn's estimators: the same numbers."""

import warnings

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import GridSearchCV, KFold, RandomizedSearchCV
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import MLPClassifier, MLPRegressor, MLPSearchCV

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
X, y = load_digits(return_X_y=True)
X, y = X[:300] / 16, y[:300]
GIVEN = {"hidden_layer_sizes": (12,), "max_iter": 8, "random_state": 0, "batch_size": 50}
# scikit-learn computes in the dtype of X: float64 here
OURS = {**GIVEN, "dtype": "float64"}
GRID = {"alpha": [1e-4, 1.0], "learning_rate_init": [1e-3, 1e-2]}


def theirs(search, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return search(*arguments, **options).fit(X, y)


def assert_same(ours, other):
    assert ours.best_params_ == other.best_params_ and ours.best_index_ == other.best_index_
    assert ours.cv_results_["params"] == other.cv_results_["params"]
    assert ours.cv_results_.keys() == other.cv_results_.keys()
    for name, values in other.cv_results_.items():
        if "score" in name and "time" not in name:
            np.testing.assert_allclose(ours.cv_results_[name], values, atol=1e-8)
    assert ours.best_score_ == pytest.approx(other.best_score_, abs=1e-8)
    assert (ours.predict(X) == other.predict(X)).all()


@pytest.mark.parametrize("cv", [None, 3, KFold(4, shuffle=True, random_state=1)])
@pytest.mark.parametrize("scoring", [None, "neg_log_loss"])
def test_a_grid_has_the_scores_of_scikit_learn(cv, scoring):
    options = {"cv": cv, "scoring": scoring, "return_train_score": True}
    ours = MLPSearchCV(MLPClassifier(**OURS), GRID, **options, n_threads=3).fit(X, y)
    assert_same(ours, theirs(GridSearchCV, TheirClassifier(**GIVEN), GRID, **options))


def test_draws_are_those_of_scikit_learn():
    drawn = {"alpha": loguniform(1e-5, 10), "hidden_layer_sizes": [(5,), (12,), (8, 8)]}
    ours = MLPSearchCV(
        MLPClassifier(**OURS), param_distributions=drawn, n_iter=6, random_state=3, cv=3
    ).fit(X, y)
    options = {"n_iter": 6, "random_state": 3, "cv": 3}
    assert_same(ours, theirs(RandomizedSearchCV, TheirClassifier(**GIVEN), drawn, **options))


def test_a_pipeline_and_several_scores():
    grid = {"mlpregressor__alpha": [1e-4, 3.0]}
    options = {"cv": 3, "scoring": ["r2", "neg_mean_absolute_error"], "refit": "r2"}
    pipelines = [
        make_pipeline(StandardScaler(), mlp)
        for mlp in (MLPRegressor(**OURS), TheirRegressor(**GIVEN))
    ]
    ours = MLPSearchCV(pipelines[0], grid, **options).fit(X, y)
    other = theirs(GridSearchCV, pipelines[1], grid, **options)
    assert ours.best_params_ == other.best_params_
    for name in ("mean_test_r2", "mean_test_neg_mean_absolute_error"):
        np.testing.assert_allclose(ours.cv_results_[name], other.cv_results_[name], atol=1e-8)
    assert ours.best_estimator_[-1].n_threads == "auto"
    assert not hasattr(pipelines[0][-1], "coefs_")


def test_the_number_of_threads_changes_no_score():
    searches = [
        MLPSearchCV(MLPClassifier(**GIVEN), GRID, cv=3, n_threads=threads).fit(X, y)
        for threads in (1, 2, 5)
    ]
    for each in searches[1:]:
        found, first = (s.cv_results_["mean_test_score"] for s in (each, searches[0]))
        assert (found == first).all()


def test_it_is_an_estimator_of_scikit_learn():
    search = MLPSearchCV(MLPClassifier(**GIVEN), GRID, cv=3, n_threads=2)
    again = clone(search).set_params(estimator__alpha=0.5, cv=2)
    assert again.get_params()["cv"] == 2 and search.cv == 3
    with pytest.raises(ValueError, match="MLPSearchCV"):
        search.set_params(n_jobs=2)
    assert clone(search).fit(X, y).score(X, y) > 0.5
    weighted = clone(search).fit(X, y, sample_weight=np.ones(len(y)))
    assert weighted.best_params_ == clone(search).fit(X, y).best_params_


def test_without_a_refit_there_is_no_best_estimator():
    search = MLPSearchCV(MLPClassifier(**GIVEN), GRID, cv=3, refit=False).fit(X, y)
    assert not hasattr(search, "best_estimator_") and search.best_params_ in [
        *search.cv_results_["params"]
    ]


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_fits_that_fail_have_no_score():
    grid = {"alpha": [1e-4, -1.0]}
    with pytest.warns(FitFailedWarning, match="3 fits failed"):
        search = MLPSearchCV(MLPClassifier(**GIVEN), grid, cv=3).fit(X, y)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]
    with pytest.raises(ValueError, match="alpha"):
        MLPSearchCV(MLPClassifier(**GIVEN), grid, cv=3, error_score="raise").fit(X, y)


@pytest.mark.parametrize(
    "options, words",
    [
        ({}, "neither is given"),
        ({"param_grid": GRID, "param_distributions": GRID}, "both are given"),
        ({"param_grid": {"width": [3]}}, "width"),
        ({"param_grid": {"alpha": []}}, "alpha"),
        ({"param_grid": GRID, "n_threads": 0}, "n_threads=0"),
        ({"param_distributions": GRID, "n_iter": 0}, "n_iter=0"),
        ({"param_grid": GRID, "cv": 1}, "n_splits"),
        ({"param_grid": GRID, "scoring": "accurracy"}, "accurracy"),
    ],
)
def test_what_is_wrong_is_said(options, words):
    with pytest.raises(ValueError, match=words):
        MLPSearchCV(MLPClassifier(**GIVEN), **options).fit(X, y)


@pytest.mark.parametrize("estimator", [None, "mlp", MLPClassifier])
def test_what_is_no_estimator_is_refused(estimator):
    with pytest.raises(TypeError, match="estimator="):
        MLPSearchCV(estimator, GRID).fit(X, y)


def test_threads_that_are_searched_are_those_of_the_best():
    search = MLPSearchCV(MLPClassifier(**GIVEN, n_threads=2), {"n_threads": [1]}, cv=2).fit(X, y)
    assert search.best_estimator_.n_threads == 1
