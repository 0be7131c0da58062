"""Weights that are finite, and outputs that are not: training has diverged, and says so."""

import copy
import logging
import pickle

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fastbp import (
    SGD,
    DataError,
    DivergenceError,
    Ensemble,
    MLPClassifier,
    MLPRegressor,
    ModelFileError,
    Network,
    fit_many,
)
from fastbp.tables.columns.values import ColumnError
from fastbp.tables.read.delimited import Unfit
from fastbp.training.overflow import may_overflow
from fastbp.training.stopped import Stopped

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 6))
Y = X[:, :2].copy()
LABELS = rng.integers(0, 3, 60)


class Burst:
    """Rates that learn, and in one epoch a rate that is far too high."""

    def __init__(self, epoch, rate=1e160):
        self.epoch, self.rate = epoch, rate

    def factors(self, t):
        return np.where(np.floor(t) == self.epoch, self.rate, 1.0)


def network(schedule=None, seed=0, **given):
    rates = {"optimizer": SGD(0.01, schedule=schedule), "dtype": "float64", "seed": seed}
    return Network([6, 16, 2], "relu", **{**rates, **given})


def test_a_fit_whose_last_step_overflows_has_diverged():
    net = network(Burst(3))
    with pytest.raises(DivergenceError, match="outputs became not finite in epoch 4, batch 1 of 1"):
        net.fit(X, Y, epochs=4, batch_size=60)
    assert net.history.stopped == Stopped.DIVERGED
    best = network()
    best.fit(X, Y, epochs=3, batch_size=60)
    assert np.array_equal(net.parameters, best.parameters)  # not those of the lowest loss
    assert net.steps == 0 and not net.engine.moments.any()


@pytest.mark.parametrize("epochs", [4, 9])
def test_weights_that_overflow_do_not_become_the_best(epochs):
    # the loss of the epoch that ruins them is the lowest: it is of the weights before
    net = network(Burst(3))
    with pytest.raises(DivergenceError):
        net.fit(X, Y, epochs=epochs, batch_size=60, early_stopping=5)
    assert np.isfinite(net.forward(X)).all()
    assert net.evaluate(X, Y)["loss"] < 10


def test_the_epoch_that_is_cut_short_is_looked_at(monkeypatch):
    monkeypatch.setattr("fastbp.engine.pace.FIRST_SLICE_STEPS", 1)
    net = network(Burst(0))
    with pytest.raises(DivergenceError, match=r"outputs became .* in epoch 1, batch 1 of 60"):
        net.fit(X, Y, epochs=9, batch_size=1, max_time=1e-9)
    assert np.isfinite(net.forward(X)).all()


def test_a_resumed_training_has_diverged_as_well(tmp_path):
    given = {"epochs": 1, "batch_size": 60, "checkpoints": tmp_path}
    for resume in (False, True):
        net = network(optimizer=SGD(1e160))
        with pytest.raises(DivergenceError, match="outputs"):
            net.fit(X, Y, resume=resume, **given)
        assert np.array_equal(net.parameters, network().parameters)


def test_large_inputs_and_a_large_rate_are_told_of():
    for seed in range(8):
        net = Network([6, 16, 3], loss="cross_entropy", optimizer=SGD(1e3), seed=seed)
        try:
            net.fit(X * 100, LABELS, epochs=5, batch_size=16)
        except DivergenceError as error:
            assert "X reaches" in str(error) or "learning rate" in str(error)
        assert np.isfinite(net.forward(X * 100)).all()


def test_one_of_many_that_overflows_has_an_error_and_the_others_go_on():
    nets = [network(seed=seed, optimizer=SGD(rate)) for seed, rate in ((0, 1e-2), (1, 1e160))]
    given = {"epochs": 1, "batch_size": 60}
    good, bad = fit_many(nets, X, Y, **given).wait()
    assert isinstance(bad.error, DivergenceError) and bad.stopped == Stopped.DIVERGED
    assert good.error is None
    twin = network(seed=0, optimizer=SGD(1e-2))
    twin.fit(X, Y, **given)
    assert np.array_equal(nets[0].parameters, twin.parameters)
    assert np.isfinite(nets[1].forward(X)).all()


OPTIONS = {"hidden_layer_sizes": (8,), "solver": "sgd", "batch_size": 60, "random_state": 0}


@pytest.mark.parametrize(("kind", "y"), [(MLPRegressor, Y), (MLPClassifier, LABELS)])
def test_an_estimator_warns(kind, y):
    estimator = kind(schedule=Burst(3), learning_rate_init=0.01, max_iter=4, **OPTIONS)
    with pytest.warns(ConvergenceWarning, match=r"outputs became infinite in epoch 4\. Scale X"):
        estimator.fit(X, y)
    assert np.isfinite(estimator.coefs_[0]).all()  # as scikit-learn's, it keeps them


def test_an_estimator_that_stops_early_has_the_best_weights():
    estimator = MLPRegressor(
        schedule=Burst(3), learning_rate_init=0.01, max_iter=4, early_stopping=True, **OPTIONS
    )
    estimator.set_params(batch_size="auto")
    with pytest.warns(ConvergenceWarning, match="in epoch 4; the network has the weights of"):
        estimator.fit(X, Y)
    assert np.isfinite(estimator.predict(X)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(40))
def test_the_bound_of_outputs_holds(dtype, seed):
    draw = np.random.default_rng(seed)
    sizes = [int(n) for n in draw.integers(1, 40, draw.integers(3, 8))]
    activation = ["relu", "identity", "elu", "gelu_tanh", "silu", "selu", "softplus"][seed % 7]
    net = Network(sizes, activation, output_activation="identity", dtype=dtype, seed=seed)
    most = np.log10(np.finfo(dtype).max)
    rows = np.where(draw.random((20, sizes[0])) < 0.5, -1e6, 1e6)
    found = set()
    for power in np.linspace(0, most - 1, 12):
        net.parameters[:] = 10.0**power * np.sign(draw.normal(size=net.parameters.size))
        found.add(may_overflow(net.engine))
        assert may_overflow(net.engine) or np.isfinite(net.forward(rows)).all()
    assert activation == "softplus" or found == {False, True}


def test_what_overflows_is_seen():
    net = network()
    net.parameters[:] = 1e160
    data = np.ones((3, 6))
    assert may_overflow(net.engine) and not np.isfinite(net.forward(data)).all()
    net.parameters[:] = np.nan
    assert may_overflow(net.engine)


def test_nothing_is_said_of_an_ensemble_that_is_sound(caplog):
    with caplog.at_level(logging.WARNING, "fastbp"):
        nets = [network(seed=seed) for seed in (0, 1)]
        results = fit_many(nets, X, Y, epochs=2).wait()
    assert [result.error for result in results] == [None, None] and caplog.text == ""
    assert np.isfinite(Ensemble(nets).forward(X)).all()


def test_large_inputs_that_make_large_weights_are_looked_at():
    net = Network([1, 1], loss="absolute_error", optimizer=SGD(1.0), seed=0)
    rows = np.full((8, 1), 1e20)
    with pytest.raises(DivergenceError, match="outputs became not finite"):
        net.fit(rows, -rows, epochs=1, batch_size=8)


def test_the_outputs_are_computed_on_the_threads_that_are_asked_for(monkeypatch):
    asked = []
    net = network()
    monkeypatch.setattr(type(net.engine), "largest_sound", 0.0, raising=False)
    monkeypatch.setattr("fastbp.training.fit.may_overflow", lambda engine: True)
    evaluate = net.engine.evaluate
    monkeypatch.setattr(
        net.engine, "evaluate", lambda *data: asked.append(data[1]) or evaluate(*data)
    )
    net.fit(X, Y, epochs=2, batch_size=60, n_threads=1)
    assert asked and set(asked) == {1}


def test_many_networks_keep_no_workspace():
    nets = [Network([6, 5, 1], loss="poisson", seed=seed) for seed in range(4)]
    results = fit_many(nets, X, np.abs(Y[:, :1]), epochs=2).wait()
    assert [result.error for result in results] == [None] * 4
    assert not any(result.network.engine._idle for result in results)


@pytest.mark.slow
def test_a_pool_of_processes_gets_the_error_with_all_it_says(run_python):
    run_python(
        """
import multiprocessing
import numpy as np
from concurrent.futures import ProcessPoolExecutor
from fastbp import SGD, DivergenceError, Network

def fails():
    net = Network([6, 16, 2], optimizer=SGD(1e30), seed=0)
    net.fit(np.ones((60, 6)), np.ones((60, 2)), epochs=6, batch_size=20)

def caught(call):
    try:
        call()
    except DivergenceError as error:
        return str(error), error.epoch, error.step, len(error.history)

if __name__ == "__main__":
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found = caught(pool.submit(fails).result)
    assert found == caught(fails) and found is not None, found
"""
    )


@pytest.mark.parametrize(
    "error",
    [
        DivergenceError("a", 3, 5),
        ModelFileError("b"),
        DataError("c"),
        ColumnError("d"),
        Unfit("e", 7, loose=True),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_pickled_and_copied(error):
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is type(error)
        assert (str(twin), vars(twin)) == (str(error), vars(error))


def test_a_last_batch_without_weights_divides_nothing():
    net = Network([1, 1], optimizer=SGD(1e-30), seed=0)
    net.parameters[:] = 1e18  # which asks whether outputs overflow
    weights = [1, 1, 1, 1, 0, 0]
    options = {"sample_weight": weights, "batch_size": 2, "shuffle": False, "epochs": 2}
    net.fit(np.full((6, 1), 1e-18), np.ones(6), **options)
    assert len(net.history) == 2
