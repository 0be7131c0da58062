"""MLPSearchCV beside scikit-learn's searches over the same estimator: the same bits."""

import os
import signal
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.datasets import load_diabetes, load_digits, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    LeaveOneGroupOut,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import Cosine, MLPClassifier, MLPRegressor, MLPSearchCV

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge"),
]
X, y = load_digits(return_X_y=True)
X, y = X[:240] / 16, y[:240]
X_NUMBERS, NUMBERS = load_diabetes(return_X_y=True)
X_NUMBERS, NUMBERS = X_NUMBERS[:200] * 10, NUMBERS[:200] / 100
X_BITS, BITS = make_multilabel_classification(200, 8, n_classes=3, random_state=0)
WEIGHT = np.random.default_rng(0).uniform(0.1, 2, 240)
GROUPS = np.arange(240) % 7
GIVEN = {"hidden_layer_sizes": (10,), "max_iter": 5, "random_state": 0, "batch_size": 40}
GRID = {"alpha": [1e-4, 1.0], "learning_rate_init": [1e-3, 1e-1]}


def assert_same(ours, theirs, rows):
    """Compare all that a search tells, but the times."""
    assert list(ours.cv_results_) == list(theirs.cv_results_)
    for name, expected in theirs.cv_results_.items():
        if name == "params":
            assert repr(ours.cv_results_[name]) == repr(expected)
        elif "time" not in name:
            found = ours.cv_results_[name]
            assert type(found) is type(expected) and found.dtype == expected.dtype, name
            np.testing.assert_array_equal(found, expected, err_msg=name)
    for name in ("best_params_", "best_index_", "n_splits_", "multimetric_"):
        assert repr(getattr(ours, name, None)) == repr(getattr(theirs, name, None)), name
    if hasattr(theirs, "best_score_"):
        np.testing.assert_equal(ours.best_score_, theirs.best_score_)
    if hasattr(theirs, "best_estimator_"):
        np.testing.assert_array_equal(ours.predict(rows), theirs.predict(rows))
    named = getattr(theirs, "feature_names_in_", None)
    np.testing.assert_array_equal(getattr(ours, "feature_names_in_", None), named)


def several(estimator, rows, targets):
    return {"hits": estimator.score(rows, targets), "bias": estimator.intercepts_[0].sum()}


def simplest(results):
    return int(np.argmax(results["param_alpha"]))


CASES = {
    "train scores": ({}, {"return_train_score": True}, {}),
    "float32": ({}, {}, {"X": X.astype(np.float32)}),
    "float32 nets": ({"dtype": "float32"}, {"return_train_score": True}, {}),
    "sparse": ({}, {}, {"X": csr_matrix(X)}),
    "frame": ({}, {}, {"X": pd.DataFrame(X, columns=[f"p{n}" for n in range(64)])}),
    "names": ({}, {}, {"y": np.array([f"digit {n}" for n in y])}),
    "two classes": ({}, {"return_train_score": True}, {"y": y > 4}),
    "weights": ({}, {"return_train_score": True}, {"sample_weight": WEIGHT}),
    "weights of classes": (
        {},
        {"param_grid": {"class_weight": [None, "balanced", {0: 3.0}]}},
        {"sample_weight": WEIGHT},
    ),
    "groups": ({}, {"cv": GroupKFold(3)}, {"groups": GROUPS}),
    "one group out": ({}, {"cv": LeaveOneGroupOut()}, {"groups": GROUPS % 3}),
    "iterable": (
        {},
        {"cv": [(np.arange(200), np.arange(200, 240)), (np.arange(40, 240), [1])]},
        {},
    ),
    "classes that only the test has": ({}, {"cv": KFold(2)}, {"y": np.sort(y)}),
    "early stopping": ({"early_stopping": True, "scoring": "f1_macro", "max_iter": 9}, {}, {}),
    "several grids": ({}, {"param_grid": [{"alpha": [1.0]}, {"solver": ["lbfgs", "sgd"]}]}, {}),
    "sizes": ({}, {"param_grid": {"hidden_layer_sizes": [5, (4, 3)], "dropout": [0, 0.3]}}, {}),
    "generator": ({"random_state": np.random.RandomState(3)}, {}, {}),
    "scoring": ({}, {"scoring": "neg_log_loss", "return_train_score": True}, {}),
    "scorer of weights": ({}, {"scoring": "balanced_accuracy"}, {"sample_weight": WEIGHT}),
    "scores": ({}, {"scoring": ["accuracy", "f1_macro"], "refit": "f1_macro"}, {}),
    "dict of scores": ({}, {"scoring": {"a": make_scorer(accuracy_score)}, "refit": False}, {}),
    "callable scoring": ({}, {"scoring": several, "refit": "bias"}, {}),
    "callable refit": ({}, {"refit": simplest}, {}),
    "no refit": ({}, {"refit": False}, {}),
    "verbose": ({}, {"verbose": 3}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_results_are_those_of_grid_search(case):
    parameters, options, data = CASES[case]
    estimator = MLPClassifier(**{**GIVEN, "dtype": "float64", **parameters})
    data = {"X": X, "y": y, **data}
    options = {"param_grid": GRID, "cv": 3, **options}
    theirs = GridSearchCV(estimator, **options).fit(**data)
    assert_same(MLPSearchCV(estimator, **options, n_threads=2).fit(**data), theirs, data["X"])


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "huber"])
@pytest.mark.parametrize("data", ["float64", "float32", "two columns"])
def test_regressors(loss, data):
    targets = np.c_[NUMBERS, NUMBERS[::-1]] if data == "two columns" else NUMBERS.astype(data)
    options = {"param_grid": GRID, "cv": 3, "return_train_score": True}
    rows = X_NUMBERS.astype("float64" if data == "two columns" else data)
    searches = [
        search(MLPRegressor(loss, **GIVEN), **options).fit(rows, targets)
        for search in (MLPSearchCV, GridSearchCV)
    ]
    assert_same(*searches, rows)


def test_several_labels_and_a_pipeline():
    for estimator, grid in (
        (MLPClassifier(**GIVEN), GRID),
        (
            make_pipeline(StandardScaler(), MLPClassifier(**GIVEN)),
            {"mlpclassifier__alpha": [1e-4, 9.0], "standardscaler__with_mean": [True, False]},
        ),
    ):
        searches = [
            search(estimator, grid, cv=3, return_train_score=True).fit(X_BITS, BITS)
            for search in (MLPSearchCV, GridSearchCV)
        ]
        assert_same(*searches, X_BITS)


@pytest.mark.filterwarnings("ignore:One or more of the t")
@pytest.mark.parametrize("error_score", [np.nan, -7.0])
@pytest.mark.parametrize("scoring", [None, "f1_macro", ["accuracy", "f1_macro"], several])
def test_fits_that_fail(error_score, scoring):
    # the second diverges while it trains, the third has a wrong parameter
    grid = [{"alpha": [1e-4]}, {"solver": ["sgd"], "learning_rate_init": [1e200]}, {"beta_1": [2]}]
    options = {"cv": 3, "error_score": error_score, "scoring": scoring, "refit": False}
    found = []
    for search in (MLPSearchCV, GridSearchCV):
        with pytest.warns(FitFailedWarning, match="6 fits failed out of a total of 9"):
            found.append(
                search(MLPClassifier(**GIVEN), grid, **options, return_train_score=True).fit(X, y)
            )
    assert_same(*found, X)


def test_a_score_that_fails_is_said_and_kept_apart():
    def fails(estimator, rows, targets):
        if estimator.alpha == 1.0:
            raise ValueError("no score of this one")
        return estimator.score(rows, targets)

    found = []
    for search in (MLPSearchCV, GridSearchCV):
        with pytest.warns(UserWarning) as told:
            found.append(search(MLPClassifier(**GIVEN), GRID, cv=3, scoring=fails).fit(X, y))
        assert any("no score of this one" in str(each.message) for each in told)
    assert_same(*found, X)


def test_a_scorer_may_keep_the_estimators_that_it_scores():
    kept = []

    def keeps(estimator, rows, targets):
        kept.append((estimator, rows, estimator.predict(rows)))
        return estimator.score(rows, targets)

    MLPSearchCV(MLPClassifier(**GIVEN), GRID, cv=3, scoring=keeps, refit=False).fit(X, y)
    assert len({id(estimator.network_) for estimator, _, _ in kept}) == 12
    for estimator, rows, before in kept:
        assert (estimator.predict(rows) == before).all()


def test_estimators_with_callbacks_are_called():
    seen = []
    estimator = MLPClassifier(**GIVEN, callbacks=lambda epoch: seen.append(epoch["loss"]))
    options = {"param_grid": GRID, "cv": 3, "refit": False}
    assert_same(
        MLPSearchCV(estimator, **options).fit(X, y), GridSearchCV(estimator, **options).fit(X, y), X
    )
    assert len(seen) == 2 * 4 * 3 * 5


def test_ctrl_c_ends_the_running_fits_and_is_raised():
    def interrupts(estimator, rows, targets):
        os.kill(os.getpid(), signal.SIGINT)  # when others are running: the main thread gets it
        return 0.0

    endless = {"max_iter": [10**9], "n_iter_no_change": [10**9]}
    search = MLPSearchCV(
        MLPClassifier(**GIVEN),
        [endless, {"max_iter": [9]}],
        cv=[(np.arange(200), np.arange(200, 240))],
        scoring=interrupts,
        n_threads=2,
    )
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, y)
    assert threading.active_count() == before and not hasattr(search, "cv_results_")


OF_EPOCHS = {
    "plain": {},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 2, "tol": 1e-3},
    "converges": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 1},
    "falling rate": {"solver": "sgd", "learning_rate": "invscaling"},
    "dropout": {"dropout": 0.3, "random_state": np.random.RandomState(1)},
    "schedule": {"optimizer": "adamw", "batch_size": 33},
    "cosine": {"schedule": Cosine(18), "clip_norm": 1.0},
    "lbfgs": {"solver": "lbfgs"},
}
HALVING = [
    ("n_resources_", "n_candidates_", "n_remaining_candidates_", "n_iterations_"),
    ("n_required_iterations_", "n_possible_iterations_", "min_resources_", "max_resources_"),
]


@pytest.mark.parametrize("case", OF_EPOCHS)
def test_survivors_of_halving_have_the_bits_of_candidates_trained_alone(case):
    estimator = MLPClassifier(**{**GIVEN, "max_iter": 18, **OF_EPOCHS[case]})
    grid = {"alpha": [1e-4, 1e-2, 1.0], "beta_1": [0.5, 0.9, 0.99]}
    options = {"cv": 3, "return_train_score": True, "factor": 2.5}
    theirs = HalvingGridSearchCV(
        estimator, grid, resource="max_iter", max_resources=18, **options
    ).fit(X, y)
    ours = MLPSearchCV(estimator, grid, pruning="halving", n_threads=2, **options).fit(X, y)
    assert_same(ours, theirs, X)
    for name in sum(HALVING, ()):
        assert getattr(ours, name) == getattr(theirs, name), name


def test_survivors_of_halving_go_on_instead_of_starting_anew(monkeypatch):
    trained = []
    original = MLPClassifier._fit_stochastic

    def counts(self, *arguments):
        finite = original(self, *arguments)
        trained.append(self.n_iter_)
        return finite

    monkeypatch.setattr(MLPClassifier, "_fit_stochastic", counts)
    estimator = MLPClassifier(**{**GIVEN, "max_iter": 9})
    grid = {"alpha": np.logspace(-5, 1, 9)}
    search = MLPSearchCV(estimator, grid, cv=2, pruning="halving", min_epochs=1, refit=False)
    search.fit(X, y)
    assert search.n_resources_ == [1, 3, 9] and search.n_candidates_ == [9, 3, 1]
    assert sum(trained) == 2 * (9 * 1 + 3 * 2 + 1 * 6)


def test_the_median_rule_stops_those_that_fall_behind():
    grid = {"learning_rate_init": [1e-9, 1e-8, 1e-3, 1e-2, 3e-2]}
    estimator = MLPClassifier(**{**GIVEN, "max_iter": 12})
    search = MLPSearchCV(estimator, grid, cv=3, pruning="median", min_epochs=4).fit(X, y)
    assert search.n_resources_ == [4, 8, 12]
    results = search.cv_results_
    alone = {
        epochs: GridSearchCV(estimator.set_params(max_iter=epochs), grid, cv=3, refit=False)
        .fit(X, y)
        .cv_results_["mean_test_score"]
        for epochs in (4, 8, 12)
    }
    rates, left = np.array(grid["learning_rate_init"]), np.arange(5)
    curves = np.zeros((5, 0))
    for place, epochs in enumerate(alone):
        of_rung = results["iter"] == place
        assert (results["param_learning_rate_init"][of_rung] == rates[left]).all()
        np.testing.assert_array_equal(results["mean_test_score"][of_rung], alone[epochs][left])
        curves = np.c_[curves, alone[epochs]]
        median = np.median(curves[left].mean(axis=1))
        left = left[curves[left].max(axis=1) >= median]
    assert search.n_candidates_[0] == 5 > search.n_candidates_[-1] >= 1
    assert search.best_params_["learning_rate_init"] >= 1e-3


@pytest.mark.filterwarnings("ignore:One or more of the t")
def test_candidates_that_fail_do_not_go_on():
    grid = [{"alpha": [1e-4, 1e-2]}, {"solver": ["sgd"], "learning_rate_init": [1e200]}]
    with pytest.warns(FitFailedWarning):
        search = MLPSearchCV(
            MLPClassifier(**GIVEN), grid, cv=3, pruning="median", min_epochs=2
        ).fit(X, y)
    failed = [params.get("solver") == "sgd" for params in search.cv_results_["params"]]
    assert failed == [False, False, True] + [False] * (len(failed) - 3) and len(failed) > 3
    assert np.isfinite(search.best_score_)


def test_rungs_do_not_tell_that_epochs_were_too_few():
    search = MLPSearchCV(MLPClassifier(**GIVEN), GRID, cv=2, pruning="halving", refit=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(search.fit(X, y).cv_results_["mean_test_score"]).all()
        with pytest.raises(ConvergenceWarning, match="Maximum iterations"):
            search.set_params(refit=True).fit(X, y)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"pruning": "hyperband"}, "pruning"),
        ({"pruning": "halving", "factor": 1}, "factor=1"),
        ({"pruning": "halving", "min_epochs": 0}, "min_epochs=0"),
        ({"pruning": "median", "min_epochs": 6}, "min_epochs=6: expected at most 5"),
        ({"pruning": "halving", "param_grid": {"max_iter": [3, 4]}}, "sets max_iter"),
        ({"pruning": "median", "scoring": ["accuracy", "f1_macro"], "refit": False}, "refit=False"),
        (
            {"pruning": "median", "estimator": make_pipeline(MLPClassifier(**GIVEN))}
            | {"param_grid": {"mlpclassifier__alpha": [1.0]}},
            "cannot go on training",
        ),
    ],
)
def test_what_pruning_cannot_do_is_said(options, words):
    options = {"estimator": MLPClassifier(**GIVEN), "param_grid": GRID, "cv": 3, **options}
    with pytest.raises(ValueError, match=words):
        MLPSearchCV(**options).fit(X, y)
