"""The schedule of `partial_fit`: its time is told, or it is not followed."""

import threading
import time
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from fastbp import SGD, Cosine, Exponential, MLPClassifier, MLPRegressor, OneCycle, Step, WarmUp
from fastbp.data import ArraySource
from source_blocks import wait_for_readers

X, Y = load_iris(return_X_y=True)
CLASSES = [0, 1, 2]
SCHEDULES = [Cosine(30), WarmUp(5), OneCycle(10), Step(3), Exponential(0.5), "cosine"]


def classifier(**options):
    options = {"learning_rate_init": 0.01, "random_state": 0, **options}
    return MLPClassifier((8,), **options)


def batches(count, size=64):
    for n in range(count):
        rows = np.arange(n * size, (n + 1) * size) * 7 % 150
        yield X[rows], Y[rows]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_mini_batches_use_up_no_epochs_and_a_warning_says_so_once(schedule):
    clf = classifier(schedule=schedule)
    plain = classifier()
    with pytest.warns(UserWarning, match=r"^schedule=.*give epoch=, the time in epochs") as told:
        for x, y in batches(200):
            clf.partial_fit(x, y, classes=CLASSES)
    assert len(told) == 1 and told[0].filename == __file__
    for x, y in batches(200):
        plain.partial_fit(x, y, classes=CLASSES)
    assert np.array_equal(clf.predict_proba(X), plain.predict_proba(X))
    assert clf.score(X, Y) > 0.9


def test_epoch_tells_the_time_of_the_schedule():
    options = {"solver": "sgd", "momentum": 0.0, "alpha": 0.0, "learning_rate_init": 0.5}
    # the rate of a step is what it moves, by gradient descent
    moved = []
    clf, plain = classifier(schedule=Cosine(2), **options), classifier(**options)
    for step, (x, y) in enumerate(batches(8)):
        clf.partial_fit(x, y, classes=CLASSES, epoch=step / 4)
        plain.partial_fit(x, y, classes=CLASSES)
        plain.network_.parameters[:] = clf.network_.parameters
        moved.append(clf.network_.parameters.copy())
    rates = []
    for step, (x, y) in enumerate(batches(8)):
        if step:
            plain.network_.parameters[:] = moved[step - 1]
            plain.partial_fit(x, y)
            whole = plain.network_.parameters - moved[step - 1]
            rates.append(np.vdot(moved[step] - moved[step - 1], whole) / np.vdot(whole, whole))
    expected = (1 + np.cos(np.pi * np.arange(1, 8) / 4 / 2)) / 2
    np.testing.assert_allclose(rates, expected, atol=1e-9)
    assert clf.network_.epochs == 1


def test_a_call_for_each_epoch_is_a_fit():
    # steps of whole epochs are those of single calls, whose rate is that of their beginning
    options = {"solver": "sgd", "batch_size": 150, "shuffle": False, "tol": 0.0, "max_iter": 6}
    fitted = classifier(schedule=Cosine(6), **options)
    with pytest.warns(ConvergenceWarning):
        fitted.fit(X, Y)
    clf = classifier(schedule=Cosine(6), **options)
    for epoch in range(6):
        clf.partial_fit(X, Y, classes=CLASSES, epoch=epoch)
    np.testing.assert_allclose(clf.predict_proba(X), fitted.predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize("window_rows", [150, 50, 60])
def test_a_pass_over_a_source_is_an_epoch(window_rows):
    options = {"batch_size": 10, "shuffle": False}
    source = ArraySource(X, Y, block_rows=10, window_rows=window_rows)
    clf = classifier(schedule=Cosine(4), **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in range(3):
            clf.partial_fit(source, classes=CLASSES)
            assert clf.network_.epochs == n + 1
    fitted = classifier(schedule=Cosine(4), max_iter=3, n_iter_no_change=100, **options)
    with pytest.warns(ConvergenceWarning):
        fitted.fit(X, Y)
    np.testing.assert_allclose(clf.predict_proba(X), fitted.predict_proba(X), rtol=1e-9)
    clf.partial_fit(source, epoch=7)
    assert clf.network_.epochs == 8


def test_a_schedule_of_the_optimizer_and_one_of_a_regressor_are_the_same():
    x, y = X[:, :3], X[:, 3]
    for options in ({"optimizer": SGD(0.01, schedule=WarmUp(3))}, {"schedule": WarmUp(3)}):
        reg = MLPRegressor(hidden_layer_sizes=(8,), random_state=0, **options)
        with pytest.warns(UserWarning, match="schedule=WarmUp"):
            reg.partial_fit(x, y)
        before = reg.coefs_[0].copy()
        reg.partial_fit(x, y, epoch=0.0)
        if "optimizer" in options:  # without momentum
            rest = reg.coefs_[0] - before
            assert abs(rest).max() < 0.01, "its first step has no rate"
        reg.partial_fit(x, y, epoch=3)
        assert not np.array_equal(reg.coefs_[0], before)


@pytest.mark.parametrize("wrong", [-1, np.nan, "1"])
def test_a_wrong_time_is_named(wrong):
    with pytest.raises((ValueError, TypeError), match="epoch="):
        classifier(schedule=Cosine(3)).partial_fit(X, Y, classes=CLASSES, epoch=wrong)


def test_max_time_ends_an_endless_stream():
    def endless():
        while True:
            yield X, Y

    def asleep():
        yield X, Y
        assert go_on.wait(60)
        yield X, Y

    classifier().partial_fit(X, Y, classes=CLASSES)  # which compiles
    go_on = threading.Event()
    for blocks in (endless(), asleep()):
        clf = classifier(max_time=0.3)
        started = time.perf_counter()
        with pytest.warns(ConvergenceWarning, match=r"Maximum time \(0.3 s\)"):
            clf.partial_fit(blocks, classes=CLASSES)
        assert 0.25 < time.perf_counter() - started < 30  # half of what the block takes
        assert clf.t_ >= 150
    go_on.set()
    wait_for_readers()


def test_another_learning_rate_of_the_network_counts():
    still, plain = (MLPRegressor(hidden_layer_sizes=(4,), random_state=0) for _ in range(2))
    for net in (still, plain):
        net.partial_fit(X, X[:, 0])
    before = still.coefs_[0].copy()
    still.network_.set_learning_rate(1e-30)
    for net in (still, plain):
        net.partial_fit(X, X[:, 0])
    np.testing.assert_array_equal(still.coefs_[0], before)
    assert (plain.coefs_[0] != before).any()
