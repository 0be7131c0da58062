"""Tasks that meet inside a parallel region, and schedulers that do not run them together."""

import numba
import numpy as np
import pytest

import fastbp.engine.engine
from fastbp import DivergenceError, Network
from fastbp.training.stopped import Stopped


def fit(n_threads, **options):
    """Train a net on data whose middle has no weights; return its parameters and losses."""
    X = np.random.default_rng(0).normal(size=(640, 20)).astype("float32")
    weight = np.where(np.arange(640) // 32 % 3 == 1, 0.0, 1.0)
    net = Network([20, 33, 3], "tanh", seed=3, **options)
    data = (X, X[:, :3])
    history = net.fit(
        *data, epochs=5, batch_size=32, sample_weight=weight, shuffle=False, n_threads=n_threads
    )
    return net.parameters.copy(), [entry["loss"] for entry in history.epochs]


def test_batches_without_weights_are_passed_over_by_all_tasks():
    for alone, together in zip(fit(1), fit(2), strict=True):
        np.testing.assert_array_equal(together, alone)


def test_tasks_that_run_one_after_the_other_leave_the_training_to_one_thread(monkeypatch):
    alone = fit(1)
    asked = []

    def one_after_the_other(kernel, threads):
        asked.append(threads)
        if threads == 1:
            return kernel.serial

        def call(*arguments):
            before = numba.get_num_threads()
            numba.set_num_threads(1)
            try:
                return kernel.parallel(*arguments)
            finally:
                numba.set_num_threads(before)

        return call

    monkeypatch.setattr(fastbp.engine.engine, "choose_threads", lambda *arguments: 2)
    monkeypatch.setattr(fastbp.engine.engine, "twin", one_after_the_other)
    with pytest.warns(RuntimeWarning, match="one thread"):
        apart = fit(2)
    assert asked.count(2) == 1  # to compile: then it is known
    for ours, theirs in zip(apart, alone, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_all_tasks_stop_at_a_loss_that_is_not_finite(n_threads):
    X = np.full((64, 4), 1e30, "float32")
    net = Network([4, 5, 1], seed=0)
    with pytest.raises(DivergenceError):
        net.fit(X, X[:, :1], epochs=2, batch_size=16, n_threads=n_threads)
    assert net.history.stopped is Stopped.DIVERGED
