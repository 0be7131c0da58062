"""Small networks train many to a call, with the bits and the ends that they have alone."""

import copy
import pickle
import time

import numpy as np
import pytest
from scipy import sparse

from fastbp import (
    Adam,
    Cosine,
    Dense,
    DivergenceError,
    Dropout,
    EarlyStopping,
    Exponential,
    Network,
    fit_many,
)
from fastbp.engine import pack
from fastbp.training.interrupt import Stop
from fastbp.training.stopped import Stopped

rng = np.random.default_rng(0)
X = rng.normal(size=(300, 4))
Y = np.stack([X[:, 0] * X[:, 1], np.abs(X[:, 2])], axis=1)
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 1)
WEIGHT = rng.integers(0, 3, size=300).astype(float)
KINDS = {
    "plain": {"sizes": [4, 9, 2]},
    "deep": {"sizes": [4, 7, 5, 2], "activation": ["tanh", "gelu"], "initializer": "orthogonal"},
    "dropout": {"inputs": 4, "layers": [Dropout(0.1), Dense(8), Dropout(0.3), Dense(2)]},
    "double": {"sizes": [4, 6, 2], "dtype": "float64", "loss": "huber", "loss_parameter": 0.5},
    "rectangles": {"sizes": [4, 33, 2], "optimizer": "momentum"},
    "scheduled": {"sizes": [4, 5, 2], "optimizer": Adam(0.01, schedule=Cosine(3), clip_norm=0.5)},
    "penalized": {"sizes": [4, 5, 2], "optimizer": Adam(0.01, l1=1e-3, l2=1e-2)},
    "classes": {"sizes": [4, 6, 3], "loss": "cross_entropy"},
}
TIMES = {"seconds", "samples_per_second", "gflops"}
STEPS = [
    {},
    {"epochs": 3, "batch_size": 32},
    {"epochs": 2, "batch_size": 1000},
    {"epochs": 4, "batch_size": 7, "shuffle": False},
    {"epochs": 3, "validation": None},
    {"epochs": 30, "batch_size": 40, "validation": 2},
    {"epochs": 30, "validation": EarlyStopping(1, min_delta=0.01, restore_best=False)},
]


@pytest.fixture
def calls(monkeypatch):
    """Count the networks of each pack."""
    counts, init = [], pack.Pack.__init__

    def counting(self, fits, *arguments):
        counts.append(len(fits))
        init(self, fits, *arguments)

    monkeypatch.setattr(pack.Pack, "__init__", counting)
    return counts


def assert_equal(network, twin):
    assert (network.parameters == twin.parameters).all()
    assert (network.engine.moments == twin.engine.moments).all()
    assert len(network.history) == len(twin.history)
    assert (network.seed, network.steps, network.epochs) == (twin.seed, twin.steps, twin.epochs)
    names = twin.history.epochs[0].keys() - TIMES if len(twin.history) else ()
    for name in names:
        assert network.history[name] == twin.history[name]
    for name in ("best_epoch", "stopped", "dtype", "n_threads"):
        assert getattr(network.history, name) == getattr(twin.history, name)
    assert [set(one) for one in network.history.epochs] == [set(o) for o in twin.history.epochs]


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("steps", STEPS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_network_of_a_pack_is_the_one_it_would_be_alone(kind, steps, weight, calls):
    y = LABELS if kind == "classes" else Y
    jobs, steps = [{**KINDS[kind], "seed": seed} for seed in range(5)], dict(steps)
    if "validation" in steps:
        weights = () if weight is None else (weight[:90],)
        steps["early_stopping"] = steps.pop("validation")
        steps["validation_data"] = (X[90:180], y[90:180], *weights)
    results = fit_many(jobs, X, y, sample_weight=weight, n_threads=1, **steps).wait()
    assert calls == [5]
    for job, result in zip(jobs, results, strict=True):
        assert result.error is None
        twin = Network(**job)
        history = twin.fit(X, y, sample_weight=weight, n_threads=1, **steps)
        assert_equal(result.network, twin)
        assert result.history is result.network.history and len(history) == len(result.history)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("kind", KINDS)
def test_folds_and_rows_of_a_pack_are_those_of_one(kind, weight, calls):
    y = LABELS if kind == "classes" else Y
    drawn = rng.permutation(300)
    folds = [(np.sort(drawn[:200]), drawn[200:]), (drawn[100:], np.sort(drawn[:100]))]
    given = {"sample_weight": weight, "epochs": 2}
    results = fit_many([KINDS[kind]], X, y, seeds=3, folds=folds, **given).wait()
    for result in results:
        trains, tests = folds[result.fold]
        weights = [None if weight is None else weight[rows] for rows in (trains, tests)]
        twin = Network(**KINDS[kind], seed=result.seed)
        twin.fit(X[trains], y[trains], sample_weight=weights[0], epochs=2)
        assert_equal(result.network, twin)
        assert result.scores == twin.evaluate(X[tests], y[tests], weights[1])
    bags = [rng.integers(0, 300, size=size) for size in (250, 250, 2_500, 2_500)]
    jobs = [{**KINDS[kind], "seed": 1, "rows": bag} for bag in bags]
    for result, bag in zip(fit_many(jobs, X, y, **given).wait(), bags, strict=True):
        twin = Network(**KINDS[kind], seed=1)
        own = None if weight is None else weight[bag]
        twin.fit(X[bag], y[bag], sample_weight=own, epochs=2)
        assert_equal(result.network, twin)
    assert sum(calls) == 3 * 2 + 4


def test_networks_go_on_in_place_with_optimizers_of_their_own(calls):
    optimizers = ["adam", Adam(0.1, clip_norm=0.1), "momentum", "rmsprop", Adam(schedule=Cosine(9))]
    nets = [Network([4, 9, 2], optimizer=optimizer, seed=3) for optimizer in optimizers]
    for number, net in enumerate(nets):
        net.fit(X, Y, epochs=1 + number)
    alone = copy.deepcopy(nets)
    results = fit_many(nets, X, Y, epochs=3, batch_size=50).wait()
    assert sum(calls) == len(nets)
    for result, net, twin in zip(results, nets, alone, strict=True):
        twin.fit(X, Y, epochs=3, batch_size=50)
        assert result.network is net
        assert_equal(net, twin)


@pytest.mark.parametrize("in_place", [False, True])
def test_one_that_diverges_ends_as_it_does_alone(in_place, calls):
    rates = [1e-2, 1e15, 1e-2, 1e12] if in_place else [1e-2, 1e30, 1e-2, 1e20]
    jobs = [{**KINDS["plain"], "optimizer": Adam(rate), "seed": 1} for rate in rates]
    given, before = jobs, [Network(**job) for job in jobs]
    if in_place:
        for network, rate in zip(before, rates, strict=True):
            network.set_learning_rate(1e-3)
            network.fit(X[:64], Y[:64], epochs=1)
            network.set_learning_rate(rate)
        given = copy.deepcopy(before)
    results = fit_many(given, X, Y, n_threads=2).wait()
    assert sum(calls) == 4
    for rate, result, twin in zip(rates, results, before, strict=True):
        if rate < 1:
            twin.fit(X, Y)
            assert result.error is None
        else:
            with pytest.raises(DivergenceError) as alone:
                twin.fit(X, Y)
            assert str(result.error) == str(alone.value) and result.stopped == "diverged"
        assert_equal(result.network, twin)


def test_data_that_do_not_suit_are_told_by_each_job(calls):
    y = Y.copy()
    y[7] = np.nan
    results = fit_many([KINDS["plain"]], X, y, seeds=4).wait()
    assert [str(r.error) for r in results] == [str(results[0].error)] * 4
    assert "y" in str(results[0].error) and not calls
    rows = np.arange(8, 300)  # without it
    results = fit_many([{**KINDS["plain"], "rows": rows}], X, y, seeds=4).wait()
    assert [r.error for r in results] == [None] * 4
    broken = [Network([4, 9, 2], seed=seed) for seed in range(3)]
    broken[1].parameters[0] = np.nan
    results = fit_many(broken, X, Y).wait()
    assert [r.error is None for r in results] == [True, False, True]
    assert "NaN or infinity" in str(results[1].error)


def test_a_network_that_another_thread_trains_is_named():
    nets = [Network([4, 9, 2], seed=seed) for seed in range(3)]
    before = nets[0].parameters.copy()

    def meanwhile(entry):  # called in the thread of `fit`, which holds the network
        if entry["epoch"] == 0:
            results = fit_many(nets, X, Y).wait()
            assert "another thread trains" in str(results[0].error)
            assert [r.error for r in results[1:]] == [None, None]

    nets[0].fit(X, Y, epochs=2, callbacks=meanwhile)
    assert (nets[0].parameters != before).any() and nets[0].epochs == 2


def test_the_time_limit_ends_a_pack_within_a_slice():
    jobs = [{**KINDS["plain"], "seed": seed} for seed in range(4)]
    started = time.perf_counter()
    results = fit_many(jobs, X, Y, epochs=100_000, n_threads=1, max_time=0.5).wait()
    assert time.perf_counter() - started < 30  # of minutes
    assert [str(r.stopped) for r in results] == ["time"] * 4
    begun = [r for r in results if r.history is not None and len(r.history)]
    assert begun and len(begun) < 4  # one after the other
    for result in begun:
        twin = Network(**KINDS["plain"], seed=result.job)
        twin.fit(X, Y, epochs=len(result.history), n_threads=1)
        assert result.history["loss"] == twin.history["loss"]
        assert result.network.epochs == twin.epochs
        assert result.network.steps >= twin.steps


def test_a_history_travels(calls):
    results = fit_many([KINDS["plain"]], X, Y, seeds=2, epochs=2).wait()
    assert sum(calls) == 2
    history = pickle.loads(pickle.dumps(results[0].history))
    assert history.epochs == results[0].history.epochs and len(history) == 2
    assert copy.deepcopy(results[1].network).history.epochs == results[1].history.epochs


def test_what_has_something_to_do_between_epochs_runs_alone(calls):
    seen = []
    others = [
        {"callbacks": seen.append},
        {"early_stopping": True},
        {"validation_data": (sparse.csr_matrix(X[:20]), Y[:20])},
        {"batch_size": 0},
        {"shuffle": 1},
    ]
    results = fit_many([{**KINDS["plain"], **other} for other in others], X, Y, epochs=2).wait()
    assert [r.error is None for r in results] == [True] * 3 + [False] * 2
    assert len(seen) == 2 and not calls


def test_a_pack_ends_within_a_slice_whatever_a_step_or_the_validation_takes():
    many = rng.normal(size=(20_000, 32)).astype(np.float32)
    y = many[:, :1]
    jobs = [{"sizes": [32, 64, 64, 1], "seed": seed} for seed in range(2)]
    steps = {"batch_size": 20_000, "epochs": 400}
    validation = {"validation_data": (np.tile(X, (400, 1)), np.tile(Y, (400, 1))), "epochs": 200}
    small = [{**KINDS["plain"], "seed": seed} for seed in range(2)]
    for given, data, options in ((jobs, (many, y), steps), (small, (X, Y), validation)):
        fit_many(given, *data, **{**options, "epochs": 1}).wait()  # which compiles
        started = time.perf_counter()
        results = fit_many(given, *data, max_time=0.3, n_threads=1, **options).wait()
        assert time.perf_counter() - started < 15  # of a minute
        assert [str(result.stopped) for result in results] == ["time", "time"]


@pytest.mark.parametrize("early", [None, 1], ids=["time", "patience"])
def test_epochs_without_end_take_no_memory(early):
    scheduled = {**KINDS["scheduled"], "optimizer": Adam(0.01, schedule=Cosine(50))}
    given = {"epochs": 10**11, "max_time": 1.0, "early_stopping": early}
    given |= {"validation_data": (X[:50], Y[:50])}
    results = fit_many([KINDS["plain"], scheduled] * 2, X, Y, seeds=2, **given).wait()
    assert [result.error for result in results] == [None] * 8
    assert all(str(result.stopped) in ("time", "early stopping") for result in results)


def test_a_network_keeps_its_own_objective():
    nets = [Network([4, 5, 2], dtype="float64", seed=seed) for seed in range(3)]
    nets[1].engine.set_objective(penalty=10.0)
    alone = [copy.deepcopy(net) for net in nets]
    alone[1].engine.set_objective(penalty=10.0)
    fit_many(nets, X, Y, epochs=2).wait()
    for net, twin in zip(nets, alone, strict=True):
        twin.fit(X, Y, epochs=2)
        assert_equal(net, twin)


class Halving:
    """A schedule of the caller's, which does not print what it holds."""

    def __init__(self, factor):
        self.factor = factor

    def __repr__(self):
        return "Halving()"

    def factors(self, t):
        return self.factor ** np.floor(t)


def test_settings_that_print_alike_are_not_taken_for_each_other():
    levels = [np.array([0.1, 0.9]), np.array([0.1000000001, 0.9])]
    jobs = [{"sizes": [4, 3, 2], "loss": "quantile", "loss_parameter": each} for each in levels]
    jobs += [
        {"sizes": [4, 3, 2], "optimizer": Adam(schedule=Halving(factor))} for factor in (0.5, 0.1)
    ]
    results = fit_many(jobs, X, Y, seeds=[0], epochs=3).wait()
    for result, job in zip(results, jobs, strict=True):
        twin = Network(**job, seed=0)
        twin.fit(X, Y, epochs=3)
        assert result.network.loss_parameter == twin.loss_parameter
        assert_equal(result.network, twin)


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_rate_that_fails_stops_no_other_network(calls):
    schedules = [None, Exponential(1e200), Cosine(3), Halving(0.5)]
    jobs = [{"sizes": [4, 3, 2], "optimizer": Adam(schedule=each)} for each in schedules]
    results = fit_many(jobs, X, Y, seeds=[0], epochs=5).wait()
    assert sum(calls) == 2  # a schedule of the caller's may do anything
    with pytest.raises(DivergenceError) as alone:  # before the rate is infinite
        Network(**jobs[1], seed=0).fit(X, Y, epochs=5)
    assert str(results[1].error) == str(alone.value)
    for place in (0, 2, 3):
        twin = Network(**jobs[place], seed=0)
        twin.fit(X, Y, epochs=5)
        assert_equal(results[place].network, twin)


def test_the_best_of_equal_losses_is_the_first():
    zeros = np.zeros((101, 4))
    jobs = [{"sizes": [4, 3, 2], "optimizer": Adam(1e-300), "dtype": "float64"}]
    y = rng.normal(size=(101, 2))
    for result in fit_many(jobs, zeros, y, seeds=20, epochs=6, batch_size=7).wait():
        twin = Network(**jobs[0], seed=result.seed)
        assert result.history.best_epoch == twin.fit(zeros, y, 6, 7).best_epoch


class Unlike(Network):
    """A network that trains in a way of its own."""

    def fit(self, *arguments, **options):
        self.was_called = True
        return super().fit(*arguments, **options)


def test_a_class_of_the_callers_trains_as_it_does(calls):
    nets = [Unlike([4, 9, 2], seed=seed) for seed in range(2)]
    fit_many(nets, X, Y, epochs=1).wait()
    assert all(net.was_called for net in nets) and not calls


def test_a_limit_around_ends_what_begins_within():
    stop = Stop()
    with stop.applies():
        results = fit_many([KINDS["plain"]] * 3, X, Y, epochs=10**6, n_threads=1)
        alone = fit_many([KINDS["plain"]], X, Y, epochs=10**6)
    stop.now(Stopped.INTERRUPTED)
    for each in (*results.wait(), *alone.wait()):
        assert each.stopped is Stopped.INTERRUPTED
