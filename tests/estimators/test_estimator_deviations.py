"""Where scikit-learn is wrong: the table of fastbp/estimators/README.md, with its witness."""

import warnings

import numpy as np
import pytest
from sklearn import neural_network

from fastbp import MLPClassifier, MLPRegressor

rng = np.random.default_rng(2)
X = rng.normal(size=(120, 5))
LABELS = (X[:, 0] + 0.5 * rng.normal(size=120) > 0).astype(int)
Y = X[:, 0] - X[:, 1] ** 2

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_a_second_fit_with_early_stopping_gives_back_the_best_weights():
    # a rate so high that the second fit never comes back to the best score of the first
    options = {"early_stopping": True, "warm_start": True, "random_state": 1, "max_iter": 8}
    options["learning_rate_init"] = 0.03
    clf = MLPClassifier((16,), **options).fit(X, LABELS)
    best, weights = clf.best_validation_score_, [w.copy() for w in clf.coefs_]
    _, held = clf._run.split  # the second fit draws other rows
    theirs = neural_network.MLPClassifier((16,), **options).fit(X, LABELS)
    for estimator in (clf, theirs):
        estimator.set_params(learning_rate_init=30.0).fit(X, LABELS)
    assert max(clf.validation_scores_[8:]) <= best == clf.best_validation_score_
    assert clf.score(X[held], LABELS[held]) == best
    for now, then in zip(clf.coefs_, weights, strict=True):
        assert np.array_equal(now, then)
    # scikit-learn says the same of its scores, and keeps other weights
    assert theirs.validation_scores_ == clf.validation_scores_
    assert theirs.best_validation_score_ == best
    assert theirs.score(X[held], LABELS[held]) < best


def test_no_partial_fit_where_there_are_no_epochs():
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")
    assert not hasattr(MLPRegressor(solver="lbfgs"), "partial_fit")
    assert hasattr(neural_network.MLPRegressor(solver="lbfgs"), "partial_fit")
    with pytest.raises(AttributeError, match="no attribute 'partial_fit'"):
        MLPRegressor(solver="lbfgs").partial_fit(X, Y)


def test_a_rate_that_is_set_between_parts_is_followed():
    moved = []
    for kind in (MLPRegressor, neural_network.MLPRegressor):
        reg = kind(hidden_layer_sizes=(8,), solver="sgd", momentum=0.0, random_state=0)
        reg.partial_fit(X, Y)
        before = reg.coefs_[0].copy()
        reg.set_params(learning_rate_init=1e-30).partial_fit(X, Y)
        moved.append(np.abs(reg.coefs_[0] - before).max())
    assert moved[0] == 0 and moved[1] > 1e-6


def test_float32_stays_float32():
    options = {"solver": "lbfgs", "random_state": 0, "max_iter": 10}
    ours = MLPRegressor(**options).fit(X.astype("f4"), Y.astype("f4"))
    theirs = neural_network.MLPRegressor(**options).fit(X.astype("f4"), Y.astype("f4"))
    assert {w.dtype for w in [*ours.coefs_, *ours.intercepts_]} == {np.dtype(np.float32)}
    assert ours.predict(X.astype("f4")).dtype == np.float32
    assert theirs.predict(X.astype("f4")).dtype == np.float64
    np.testing.assert_allclose(
        ours.predict(X.astype("f4")), theirs.predict(X.astype("f4")), atol=1e-2
    )


@pytest.mark.parametrize("estimator, y", [(MLPClassifier, LABELS), (MLPRegressor, Y)])
def test_a_batch_of_no_weight_takes_no_step(estimator, y):
    weight = np.ones(120)
    weight[:30] = 0  # the first of the batches
    options = {"batch_size": 30, "shuffle": False, "random_state": 0, "max_iter": 3, "alpha": 0.0}
    options |= {"solver": "sgd", "momentum": 0.0}
    theirs = getattr(neural_network, estimator.__name__)(**options)
    with pytest.raises(ZeroDivisionError):
        theirs.fit(X, y, sample_weight=weight)
    ours = estimator(**options).fit(X, y, sample_weight=weight)
    rest = estimator(**options).fit(X[30:], y[30:])
    for a, b in zip(ours.coefs_, rest.coefs_, strict=True):
        assert np.array_equal(a, b)
    with pytest.raises(ValueError, match=r"at least one non-zero|sum to zero"):
        estimator(**options).fit(X, y, sample_weight=np.zeros(120))


def test_training_that_runs_away_ends_at_once():
    options = {"solver": "sgd", "learning_rate_init": 1e3, "random_state": 0, "max_iter": 50}
    ours, theirs = MLPRegressor(**options), neural_network.MLPRegressor(**options)
    for estimator in (ours, theirs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            with pytest.raises(ValueError, match="non-finite parameter weights") as caught:
                estimator.fit(1e3 * X, Y)
        assert "need to be preprocessed" in str(caught.value)
    assert not any(np.isfinite(w).all() for w in theirs.coefs_)
    assert all(np.isfinite(w).all() for w in ours.coefs_)
    assert ours.n_iter_ < theirs.n_iter_ == 50


def test_negative_targets_have_no_poisson_loss():
    options = {"loss": "poisson", "random_state": 0, "max_iter": 3}
    with pytest.raises(ValueError, match=r"y holds -\d.*poisson expects targets of at least 0"):
        MLPRegressor(**options).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        theirs = neural_network.MLPRegressor(**options).fit(X, Y)
    assert np.isnan(theirs.loss_)


def test_a_net_cannot_go_on_with_other_layers():
    clf = MLPClassifier((4,), warm_start=True, max_iter=2).fit(X, LABELS)
    theirs = neural_network.MLPClassifier((4,), warm_start=True, max_iter=2).fit(X, LABELS)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(5,\).*\[4\]"):
        clf.set_params(hidden_layer_sizes=(5,)).fit(X, LABELS)
    assert theirs.set_params(hidden_layer_sizes=(5,)).fit(X, LABELS).coefs_[0].shape == (5, 4)
