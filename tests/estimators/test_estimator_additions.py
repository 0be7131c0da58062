"""What scikit-learn refuses: losses, layers, dropout, weights, optimizers, callbacks, time."""

import pickle
import time
import warnings
from copy import deepcopy

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import balanced_accuracy_score, log_loss, make_scorer

from fastbp import (
    LOSSES,
    AdamW,
    Cosine,
    Dense,
    MLPClassifier,
    MLPRegressor,
    Network,
    Optimizer,
    Step,
)

rng = np.random.default_rng(5)
X = rng.normal(size=(150, 6))
Y = np.c_[X[:, 0] * X[:, 1], np.sin(X[:, 2])]
LABELS = (X[:, 0] + X[:, 1] ** 2 > 0.7).astype(int)
IRIS = load_iris(return_X_y=True)
FEW = {"hidden_layer_sizes": (8,), "max_iter": 8, "random_state": 0}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def as_network(estimator, loss, **options):
    """A network of the estimator's weights, to train or score by the engine's own front."""
    layers = [Dense(spec.n_out, spec.activation) for spec in estimator.network_.layers]
    network = Network(
        inputs=estimator.n_features_in_, layers=layers, loss=loss, dtype="float64", **options
    )
    for own, value in zip(network.weights, estimator.coefs_, strict=True):
        own[:] = value
    for own, value in zip(network.biases, estimator.intercepts_, strict=True):
        own[:] = value
    return network


def unfitted(estimator, X, y):
    """The weights that a fit begins with: those of an epoch at a rate of nearly nothing."""
    start = type(estimator)(
        **{**estimator.get_params(deep=False), "max_iter": 1, "optimizer": "sgd"}
    )
    start.set_params(optimizer=Optimizer("sgd", learning_rate=1e-300), schedule=None)
    return start.fit(X, y)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_loss_of_the_engine_trains_a_regressor(loss):
    # targets that every loss accepts: rows of probabilities
    y = np.abs(Y) / np.abs(Y).sum(axis=1, keepdims=True)
    reg = MLPRegressor(loss, alpha=0.0, tol=0, **{**FEW, "max_iter": 60}).fit(X, y)
    assert reg.loss_curve_[-1] < reg.loss_curve_[0]
    assert reg.out_activation_ == LOSSES[loss].partner
    shown = as_network(reg, loss).evaluate(X, y)["loss"]
    reg.set_params(max_iter=1, warm_start=True, batch_size=150).fit(X, y)
    share = 0.5 if loss == "squared_error" else 1.0
    assert reg.loss_curve_[-1] == pytest.approx(shown * share, rel=1e-12)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
@pytest.mark.parametrize("y", [LABELS, LABELS + (X[:, 2] > 0.5), np.c_[LABELS, 1 - LABELS]])
def test_a_classifier_takes_other_losses_of_its_probabilities(loss, y):
    clf = MLPClassifier(
        (16,), max_iter=150, loss=loss, tol=0, learning_rate_init=0.02, random_state=0
    ).fit(X, y)
    assert clf.loss_curve_[-1] < 0.7 * clf.loss_curve_[0]
    assert clf.score(X, y) > 0.75


def test_the_parameter_of_a_loss_is_passed_on():
    y = Y[:, 0]
    low, high = (
        MLPRegressor(
            "quantile",
            (8,),
            loss_parameter=q,
            learning_rate_init=0.01,
            max_iter=300,
            random_state=0,
        ).fit(X, y)
        for q in (0.1, 0.9)
    )
    assert (y < low.predict(X)).mean() < 0.3
    assert (y < high.predict(X)).mean() > 0.7
    with pytest.raises(ValueError, match="squared_error has no parameter"):
        MLPRegressor(loss_parameter=0.5).fit(X, y)


def test_targets_that_a_loss_cannot_have_are_named():
    with pytest.raises(ValueError, match=r"y holds -.*poisson expects targets of at least 0"):
        MLPRegressor("poisson", **FEW).fit(X, Y)


def test_every_layer_may_have_an_activation_of_its_own():
    clf = MLPClassifier((7, 5), ["gelu", "sigmoid"], max_iter=3, random_state=0).fit(*IRIS)
    specs = clf.network_.layers
    assert [spec.activation for spec in specs] == ["gelu", "logistic", "softmax"]
    same = MLPClassifier((7, 5), ["relu", "relu"], max_iter=3, random_state=0).fit(*IRIS)
    one = MLPClassifier((7, 5), "relu", max_iter=3, random_state=0).fit(*IRIS)
    assert np.array_equal(same.predict_proba(IRIS[0]), one.predict_proba(IRIS[0]))
    with pytest.raises(ValueError, match=r"activation=\['relu'\]: expected one value, or 2"):
        MLPClassifier((7, 5), ["relu"]).fit(*IRIS)


def test_dropout_acts_in_training_alone_and_follows_the_random_state():
    plain = MLPClassifier(**FEW).fit(X, LABELS)
    dropped = MLPClassifier(dropout=0.5, **FEW).fit(X, LABELS)
    again = MLPClassifier(dropout=[0.5], **FEW).fit(X, LABELS)
    other = MLPClassifier(dropout=0.5, **{**FEW, "random_state": 1}).fit(X, LABELS)
    proba = dropped.predict_proba(X)
    assert np.array_equal(proba, again.predict_proba(X))
    assert np.array_equal(proba, dropped.predict_proba(X))
    for clf in (plain, other):
        assert not np.allclose(proba, clf.predict_proba(X))
    with pytest.raises(ValueError, match=r"dropout=0\.5: only solvers"):
        MLPClassifier(dropout=0.5, solver="lbfgs").fit(X, LABELS)


def test_class_weights_are_sample_weights():
    weights = {0: 1.0, 1: 3.0}
    by_class = MLPClassifier(class_weight=weights, **FEW).fit(X, LABELS)
    by_sample = MLPClassifier(**FEW).fit(X, LABELS, sample_weight=np.where(LABELS, 3.0, 1.0))
    assert np.array_equal(by_class.predict_proba(X), by_sample.predict_proba(X))
    balanced = MLPClassifier(class_weight="balanced", **FEW).fit(X, LABELS)
    share = len(LABELS) / (2 * np.bincount(LABELS))
    expected = MLPClassifier(**FEW).fit(X, LABELS, sample_weight=share[LABELS])
    np.testing.assert_allclose(balanced.predict_proba(X), expected.predict_proba(X), rtol=1e-10)
    both = MLPClassifier(class_weight=weights, **FEW).fit(X, LABELS, np.full(150, 2.0))
    assert both.loss_curve_[0] == pytest.approx(by_sample.loss_curve_[0], rel=1e-3)
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        MLPClassifier(class_weight="balanced").partial_fit(X, LABELS, classes=[0, 1])


@pytest.mark.parametrize(
    "optimizer", [AdamW(3e-3, clip_norm=0.1, schedule=Cosine(5)), "rmsprop", "momentum"]
)
def test_an_optimizer_trains_as_it_trains_a_network(optimizer):
    options = {"alpha": 0.0, "shuffle": False, "batch_size": 32, "tol": 0}
    reg = MLPRegressor(hidden_layer_sizes=(8,), optimizer=optimizer, random_state=0, max_iter=5)
    reg.set_params(**options)
    network = as_network(unfitted(reg, X, Y), "squared_error", optimizer=optimizer)
    reg.fit(X, Y)
    history = network.fit(X, Y, epochs=5, batch_size=32, shuffle=False)
    for own, value in zip(network.weights, reg.coefs_, strict=True):
        assert np.array_equal(own, value)
    # the network's loss is a sum over the outputs
    np.testing.assert_allclose(np.array(reg.loss_curve_) * 2, history["loss"], rtol=1e-14)


def test_a_schedule_multiplies_the_rate_of_a_solver():
    steps = {"schedule": Step(every=2, factor=0.5), "solver": "sgd", "tol": 0}
    reg = MLPRegressor("squared_error", **steps, **FEW).fit(X, Y)
    half = MLPRegressor("squared_error", solver="sgd", tol=0, **{**FEW, "max_iter": 2}).fit(X, Y)
    assert reg.loss_curve_[:2] == half.loss_curve_
    plain = MLPRegressor("squared_error", solver="sgd", tol=0, **FEW).fit(X, Y)
    assert reg.loss_curve_[:3] == plain.loss_curve_[:3]  # the third is of weights before it
    assert reg.loss_curve_[3] != plain.loss_curve_[3]
    with pytest.raises(ValueError, match="schedule='cosine': give it to the optimizer instead"):
        MLPRegressor(optimizer="adam", schedule="cosine").fit(X, Y)


def test_gradients_are_clipped():
    free = MLPRegressor(solver="sgd", **FEW).fit(X, 100 * Y)
    clipped = MLPRegressor(solver="sgd", clip_norm=1e-3, **FEW).fit(X, 100 * Y)
    moved = [abs(a - b).max() for a, b in zip(free.coefs_, clipped.coefs_, strict=True)]
    assert max(moved) > 0.01
    start = unfitted(MLPRegressor(solver="sgd", **FEW), X, 100 * Y)
    # 8 epochs of one step of at most rate times norm, which momentum makes 10 times as long
    gone = sum(((a - b) ** 2).sum() for a, b in zip(start.coefs_, clipped.coefs_, strict=True))
    assert np.sqrt(gone) <= 8 * 1e-3 * 1e-3 * 10


def test_the_loss_of_an_eval_set_is_kept():
    held = slice(100, None)
    clf = MLPClassifier(**FEW).fit(X[:100], LABELS[:100], eval_set=(X[held], LABELS[held]))
    assert len(clf.validation_loss_curve_) == clf.n_iter_ == 8
    expected = log_loss(LABELS[held], clf.predict_proba(X[held]))
    assert clf.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-12)
    assert clf.loss_curve_ == MLPClassifier(**FEW).fit(X[:100], LABELS[:100]).loss_curve_
    lbfgs = MLPClassifier(solver="lbfgs", **FEW)
    lbfgs.fit(X[:100], LABELS[:100], eval_set=(X[held], LABELS[held]))
    expected = log_loss(LABELS[held], lbfgs.predict_proba(X[held]))
    assert len(lbfgs.validation_loss_curve_) == lbfgs.n_iter_
    assert lbfgs.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-10)
    for wrong in ((X[held],), (X[held, :3], LABELS[held]), (X[held], LABELS[held] + 5)):
        with pytest.raises(ValueError, match=r"eval_set|features|classes not in"):
            MLPClassifier(**FEW).fit(X, LABELS, eval_set=wrong)


def test_early_stopping_looks_at_the_eval_set_and_holds_nothing_back():
    digits, numbers = load_digits(return_X_y=True)
    digits = digits / 16
    clf = MLPClassifier((30,), early_stopping=True, random_state=0, n_iter_no_change=3)
    clf.fit(digits[:1200], numbers[:1200], eval_set=(digits[1200:], numbers[1200:]))
    assert clf.t_ == 1200 * clf.n_iter_
    assert clf.score(digits[1200:], numbers[1200:]) == clf.best_validation_score_
    assert max(clf.validation_scores_) == clf.best_validation_score_


@pytest.mark.parametrize(
    "scoring", ["balanced_accuracy", make_scorer(balanced_accuracy_score), lambda e, X, y: 0.5]
)
def test_early_stopping_looks_at_the_score_that_is_asked_for(scoring):
    pandas_free = MLPClassifier(early_stopping=True, scoring=scoring, **FEW).fit(X, LABELS)
    assert len(pandas_free.validation_scores_) == pandas_free.n_iter_
    if callable(scoring) and not hasattr(scoring, "_score_func"):
        assert set(pandas_free.validation_scores_) == {0.5}
    else:
        _, held = pandas_free._run.split
        expected = balanced_accuracy_score(LABELS[held], pandas_free.predict(X[held]))
        assert pandas_free.best_validation_score_ == expected


def test_callables_hear_of_every_epoch_and_may_stop():
    heard = []

    def listen(entry):
        heard.append(entry)
        return entry["epoch"] == 4

    clf = MLPClassifier(callbacks=listen, **FEW).fit(X, LABELS)
    assert [entry["epoch"] for entry in heard] == [0, 1, 2, 3, 4]
    assert [entry["loss"] for entry in heard] == clf.loss_curve_
    assert clf.n_iter_ == 5
    heard.clear()
    MLPClassifier(solver="lbfgs", callbacks=[listen], **FEW).fit(X, LABELS)
    assert [entry["epoch"] for entry in heard] == [0, 1, 2, 3, 4]
    with pytest.raises(TypeError, match="callbacks: 3 is not callable"):
        MLPClassifier(callbacks=[3]).fit(X, LABELS)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_budget_of_time_is_kept_and_told(solver):
    wide = np.tile(X, (20, 30))
    many = np.tile(LABELS, 20)
    clf = MLPClassifier((400,), max_iter=10**6, max_fun=10**9, tol=0, solver=solver, max_time=0.3)
    clf.set_params(n_iter_no_change=10**9)
    started = time.perf_counter()
    with pytest.warns(ConvergenceWarning, match="Maximum time"):
        clf.fit(wide, many)
    assert time.perf_counter() - started < 20
    assert clf.predict(wide).shape == many.shape


@pytest.mark.parametrize("activation", ["tanh", "gelu", "logistic", ["softplus"]])
def test_the_gradient_by_the_inputs_is_that_of_finite_differences(activation):
    for estimator, y, output in [
        (MLPRegressor, Y, lambda e, x: e.predict(x)),
        (MLPRegressor, Y[:, 0], lambda e, x: e.predict(x)[:, None]),
        (MLPClassifier, LABELS, lambda e, x: e.predict_proba(x)[:, 1:]),
        (MLPClassifier, LABELS + (X[:, 2] > 0), lambda e, x: e.predict_proba(x)),
    ]:
        fitted = estimator(activation=activation, **FEW).fit(X, y)
        found = fitted.input_gradient(X[:9])
        expected = np.empty((9, output(fitted, X[:1]).shape[1], 6))
        for j in range(6):
            step = np.zeros(6)
            step[j] = 1e-5
            after, before = output(fitted, X[:9] + step), output(fitted, X[:9] - step)
            expected[:, :, j] = (after - before) / 2e-5
        if expected.shape[1] == 1:
            expected = expected[:, 0]
        np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize(
    "options",
    [{}, {"early_stopping": True}, {"solver": "sgd"}, {"random_state": np.random.RandomState(3)}],
)
def test_an_exact_warm_start_is_one_fit_in_two_parts(options):
    options = {**FEW, **options, "n_iter_no_change": 100, "dropout": 0.1}
    if options.get("solver"):
        options["learning_rate"] = "invscaling"
    whole = MLPClassifier(**deepcopy({**options, "max_iter": 16})).fit(X, LABELS)
    parts = MLPClassifier(warm_start="exact", **deepcopy(options)).fit(X, LABELS)
    parts = pickle.loads(pickle.dumps(parts))
    parts.fit(X, LABELS)
    assert parts.loss_curve_ == whole.loss_curve_
    assert parts.validation_scores_ == whole.validation_scores_
    for a, b in zip(whole.coefs_, parts.coefs_, strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("dtype", ["float32", np.float64, None])
def test_the_dtype_is_asked_for_or_that_of_the_data(dtype):
    for given in (np.float32, np.float64, int):
        clf = MLPClassifier(dtype=dtype, **FEW).fit((10 * X).astype(given), LABELS)
        follows = np.dtype(np.float32 if given is np.float32 else np.float64)
        expected = follows if dtype is None else np.dtype(dtype)
        assert {array.dtype for array in [*clf.coefs_, *clf.intercepts_]} == {expected}
        assert clf.network_.dtype == expected


def test_weights_that_run_away_are_an_error_and_leave_finite_ones():
    reg = MLPRegressor(solver="sgd", learning_rate_init=1e6, **FEW)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        reg.fit(1e3 * X, Y)
    assert all(np.isfinite(w).all() for w in reg.coefs_)


def test_a_changed_architecture_cannot_go_on():
    clf = MLPClassifier(warm_start=True, **FEW).fit(X, LABELS)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(9,\).*has \[8\]"):
        clf.set_params(hidden_layer_sizes=(9,)).fit(X, LABELS)


def test_nothing_warns_where_nothing_is_wrong():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MLPClassifier((8,), max_iter=500, tol=0.1, random_state=0).fit(X, LABELS).predict(X)
