"""Fits that diverge: with early stopping the best weights come back, without it is an error."""

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from fastbp import SGD, MLPClassifier, MLPRegressor

X, Y = load_iris(return_X_y=True)
rng = np.random.default_rng(4)
NOISY = X[:, 0] + 0.1 * rng.normal(size=150)
FEW = {"solver": "sgd", "early_stopping": True, "random_state": 0, "max_iter": 20}
FEW["batch_size"] = 30
# three epochs that learn, and a fourth one whose rate is far too high
BURSTS = type("Bursts", (), {"factors": lambda self, t: np.where(t < 3, 1.0, 1e200)})()
RUNS_AWAY = {"activation": "identity", "learning_rate_init": 1.0, "hidden_layer_sizes": 100}
IN_EPOCH = r"the loss became (inf|nan) in epoch \d+, batch \d+ of \d+; the network has the weights"


def finite(estimator):
    return all(np.isfinite(w).all() for w in (*estimator.coefs_, *estimator.intercepts_))


def test_the_last_score_is_nan_as_scikit_learns():
    reg = MLPRegressor(**FEW, **RUNS_AWAY)
    theirs = neural_network.MLPRegressor(**FEW, **RUNS_AWAY)
    with pytest.warns(ConvergenceWarning, match=IN_EPOCH):
        reg.fit(X, Y)
    with pytest.warns():
        theirs.fit(X, Y)
    assert np.isnan([reg.validation_scores_[-1], theirs.validation_scores_[-1]]).all()
    assert type(reg.validation_scores_[-1]) is type(theirs.validation_scores_[-1]) is float
    count = reg.n_iter_
    assert count == len(reg.loss_curve_) == len(reg.validation_scores_) < theirs.n_iter_
    assert np.isnan(reg.loss_) and np.isnan(theirs.loss_)
    scores = theirs.validation_scores_[: count - 1]
    np.testing.assert_allclose(reg.validation_scores_[:-1], scores, rtol=1e-6)
    assert finite(reg) and np.isfinite(reg.predict(X)).all()


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("scoring", [None, "r2", "neg_mean_absolute_error"])
def test_the_best_weights_come_back_and_the_warning_tells_where(own, scoring):
    options = {"hidden_layer_sizes": (8,), "schedule": BURSTS, "scoring": scoring}
    options["learning_rate_init"] = 0.01
    held = {"X_val": X[::5], "y_val": NOISY[::5]} if own else {}
    reg = MLPRegressor(**{**FEW, **options})
    with pytest.warns(ConvergenceWarning, match="in epoch 4, batch") as told:
        reg.fit(X, NOISY, **held)
    assert len(told) == 1
    assert f"the best validation score, {reg.best_validation_score_:g}" in str(told[0].message)
    assert np.isnan(reg.validation_scores_[-1]) and np.isfinite(reg.validation_scores_[:3]).all()
    if own:
        assert len(reg.validation_loss_curve_) == reg.n_iter_
    short = MLPRegressor(**{**FEW, **options, "max_iter": 3})
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        short.fit(X, NOISY, **held)
    for one, other in zip(reg.coefs_, short.coefs_, strict=True):
        assert np.array_equal(one, other)
    assert reg.best_validation_score_ == max(short.validation_scores_)


def test_a_classifier_comes_back_too():
    clf = MLPClassifier((8,), schedule=BURSTS, learning_rate_init=0.05, **FEW)
    with pytest.warns(ConvergenceWarning, match=IN_EPOCH):
        clf.fit(X * 1e150, Y)
    assert finite(clf)
    assert set(clf.predict(X)) <= {0, 1, 2}


def test_where_no_epoch_had_a_score_the_first_weights_come_back():
    reg = MLPRegressor(hidden_layer_sizes=(8,), **{**FEW, "learning_rate_init": 1e150, "tol": 0})
    with pytest.warns(ConvergenceWarning, match="in epoch 1, batch .* the weights it began with"):
        reg.set_params(batch_size=10).fit(X, NOISY)
    assert reg.best_validation_score_ == -np.inf and finite(reg)
    start = MLPRegressor(
        hidden_layer_sizes=(8,), **{**FEW, "learning_rate_init": 1e-300, "max_iter": 1}
    )
    with pytest.warns(ConvergenceWarning):
        start.fit(X, NOISY)
    assert np.array_equal(reg.predict(X), start.predict(X))


def test_weights_that_the_last_update_ruins_are_told_of():
    # the only step of the only epoch: its loss is that of the weights before
    options = {**FEW, "learning_rate_init": 1e300, "max_iter": 1, "batch_size": "auto"}
    reg = MLPRegressor(hidden_layer_sizes=(8,), **options)
    with pytest.warns(ConvergenceWarning, match="the outputs became infinite in epoch 1"):
        reg.fit(X, NOISY)
    assert np.isnan(reg.validation_scores_).all() and finite(reg)


@pytest.mark.parametrize("warm_start", [True, "exact"])
def test_after_divergence_training_goes_on_from_the_best_weights(warm_start):
    options = {"hidden_layer_sizes": (8,), "warm_start": warm_start, "momentum": 0.9}
    reg = MLPRegressor(optimizer=SGD(0.01, 0.9, schedule=BURSTS), **{**FEW, **options})
    with pytest.warns(ConvergenceWarning, match="in epoch 4"):
        reg.fit(X, NOISY)
    best = reg.best_validation_score_
    reg.set_params(optimizer=SGD(0.01, 0.9), max_iter=5)
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        reg.fit(X, NOISY)
    assert np.isfinite(reg.validation_scores_[-5:]).all()
    assert reg.best_validation_score_ >= best and finite(reg)


def test_a_score_that_is_not_defined_is_no_divergence():
    def undefined(estimator, X, y):
        return np.nan

    clf = MLPClassifier((8,), scoring=undefined, **{**FEW, "max_iter": 3})
    with pytest.warns(ConvergenceWarning, match="Maximum iterations") as told:
        clf.fit(X, Y)
    assert len(told) == 1 and len(clf.validation_scores_) == 3


def test_without_early_stopping_it_is_an_error_still():
    reg = MLPRegressor(**{**FEW, **RUNS_AWAY, "early_stopping": False})
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        reg.fit(X, Y)
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        MLPRegressor(
            hidden_layer_sizes=(8,), **{**FEW, "early_stopping": False, "learning_rate_init": 1e300}
        ).fit(X, NOISY)


def test_a_fit_that_does_not_diverge_is_not_told_of():
    reg = MLPRegressor(hidden_layer_sizes=(8,), **{**FEW, "max_iter": 500, "tol": 0.1})
    reg.fit(X, NOISY)  # any warning would be an error
    assert reg.best_validation_score_ == max(reg.validation_scores_) > 0
