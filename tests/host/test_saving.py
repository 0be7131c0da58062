"""Copies of a network that another thread trains: each is of one moment between two steps."""

import copy
import os
import pickle
import signal
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

import fastbp
from fastbp import Adam, Ensemble, MLPRegressor, Network, fit_many
from fastbp.engine.gate import Gate

# all rows are alike: after k steps the parameters have the same bits whatever the rows of each
N_IN, BATCH = 50_000, 2
ROWS = np.ones((BATCH, N_IN), np.float32)
TARGETS = np.full(BATCH, 1e6, np.float32)
X, Y = np.repeat(ROWS, 8, axis=0), np.repeat(TARGETS, 8)
FIT = {"epochs": 1000, "batch_size": BATCH, "n_threads": 1}
MOST_SECONDS = 60  # far more than anything here takes


def network(seed=0):
    return Network([N_IN, 4, 1], "identity", optimizer=Adam(0.25), seed=seed)


@contextmanager
def training(train, steps):
    """Call `train(ends)` in another thread within; `ends` is a callback that ends it after."""
    over = threading.Event()
    thread = threading.Thread(target=train, args=(lambda entry: over.is_set(),))
    thread.start()
    deadline = time.monotonic() + MOST_SECONDS
    while steps() < 2 and time.monotonic() < deadline:  # it compiles first
        time.sleep(0.001)
    try:
        yield
    finally:
        over.set()
        thread.join(MOST_SECONDS)
        assert not thread.is_alive()


def states_of(make, seconds=0.4):
    """Return the parameters, moments and steps of the networks that `make` gives meanwhile.

    It goes on until steps are made between two of them: on a busy machine that takes longer.
    """
    states, begun = [], time.monotonic()
    while time.monotonic() < begun + (seconds if _of_moments(states) else MOST_SECONDS):
        states.append(make().engine.progress()[:3])
    return states


def _of_moments(states):
    """Return whether the states are of several moments: taken while the network trained."""
    return len({steps for *_, steps in states}) > 1


def check(states, seed=0):
    """Check that each state is that of a training of so many steps."""
    assert _of_moments(states)
    net = network(seed)
    for params, moments, steps in sorted(states, key=lambda state: state[2]):
        for _ in range(steps - net.steps):
            net.fit(ROWS, TARGETS, epochs=1, batch_size=BATCH, n_threads=1)
        assert np.array_equal(params, net.parameters)
        assert np.array_equal(moments, net.engine.moments)


def loaded(net, path):
    net.save(path)
    return Network.load(path)


COPIES = {
    "to_model": lambda net, path: Network.from_model(net.to_model()),
    "copy": lambda net, path: copy.copy(net),
    "deepcopy": lambda net, path: copy.deepcopy(net),
    "pickle": lambda net, path: pickle.loads(pickle.dumps(net)),
    "save": loaded,
}


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_is_of_one_moment(way, tmp_path):
    net, path = network(), tmp_path / "net.safetensors"
    with training(lambda ends: net.fit(X, Y, callbacks=ends, **FIT), lambda: net.steps):
        states = states_of(lambda: COPIES[way](net, path))
    check(states)


def test_a_member_of_an_ensemble_is_of_one_moment(tmp_path):
    nets = [network(seed) for seed in (0, 1)]
    ensemble, path = Ensemble(nets), tmp_path / "ensemble.safetensors"

    def second():
        ensemble.save(path)
        return Ensemble.load(path).members[1]

    with training(lambda ends: nets[1].fit(X, Y, callbacks=ends, **FIT), lambda: nets[1].steps):
        states = states_of(second)
    check(states, seed=1)


def test_a_network_of_many_is_of_one_moment():
    nets = [Network([3, 2, 1], "identity", optimizer=Adam(0.25), seed=s) for s in range(4)]
    rows, targets = np.ones((4096, 3), np.float32), np.full(4096, 1e6, np.float32)
    given = {"epochs": 200, "batch_size": 2, "n_threads": 1}
    states = []
    with fit_many(nets, rows, targets, **given) as results:
        while len(states) < 30 or len({steps for *_, steps in states}) < 3:
            states.append(pickle.loads(pickle.dumps(nets[0])).engine.progress()[:3])
            if nets[0].steps == 200 * 2048:
                break
        results.stop()
        results.wait()
    assert len({steps for *_, steps in states}) > 1
    twin = Network([3, 2, 1], "identity", optimizer=Adam(0.25), seed=0)
    for params, moments, steps in sorted(states, key=lambda state: state[2]):
        while twin.steps < steps:
            part = slice(2 * min(2048, steps - twin.steps))
            twin.fit(rows[part], targets[part], epochs=1, batch_size=2, n_threads=1)
        assert np.array_equal(params, twin.parameters)
        assert np.array_equal(moments, twin.engine.moments)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.filterwarnings("ignore:.*(Maximum|TOTAL NO|lbfgs failed)")
def test_a_pickled_estimator_is_of_one_moment(solver):
    # all columns are alike, so the weights of a unit are, whatever the step
    rows = np.repeat(np.linspace(-1, 1, 40)[:, None], N_IN, axis=1)
    targets = np.sin(7 * rows[:, 0])
    reg = MLPRegressor(hidden_layer_sizes=3, max_iter=1, random_state=0, n_threads=1)
    reg.fit(rows, targets)
    reg.network_.weights[0][:] = [1e-4, -1e-4, 2e-4]
    reg.set_params(
        warm_start=True, solver=solver, max_iter=10**6, max_fun=10**6, max_time=1.0, tol=1e-300
    )
    thread = threading.Thread(target=reg.fit, args=(rows, targets))
    thread.start()
    made = []
    while thread.is_alive():
        made.append(pickle.loads(pickle.dumps(reg)).coefs_[0][:, 0])
    assert len({float(column[0]) for column in made}) > 2
    assert all((column == column[0]).all() for column in made)


EXPORTS = {
    "state_dict": lambda net: fastbp.state_dict(net)["0.weight"][0],
    "to_sklearn": lambda net: fastbp.to_sklearn(net).coefs_[0][:, 0],
}


@pytest.mark.parametrize("way", EXPORTS)
def test_an_export_is_of_one_moment(way):
    net = Network([N_IN, 1], "identity", optimizer=Adam(0.25), seed=0)
    net.weights[0][:] = 0
    made = []
    with training(lambda ends: net.fit(X, Y, callbacks=ends, **FIT), lambda: net.steps):
        end = time.monotonic() + 0.4
        while time.monotonic() < end:
            made.append(EXPORTS[way](net))
    assert len({float(weights[0]) for weights in made}) > 1
    assert all((weights == weights[0]).all() for weights in made)


def test_whoever_copies_waits_for_one_change_only():
    gate, order, over, matrix = Gate(), [], threading.Event(), np.ones((400, 400))

    def change():
        order.append("change")
        matrix @ matrix  # without the lock of Python's interpreter

    def train():
        while not over.is_set():
            gate.change(change)

    thread = threading.Thread(target=train, daemon=True)
    thread.start()
    for _ in range(50):
        time.sleep(0.002)
        before = len(order)
        gate.copy(lambda: order.append("copy"))
        # the change that ran, and one that had looked just before
        assert order[before:].index("copy") <= 2
    over.set()
    thread.join(MOST_SECONDS)


def test_predictions_of_a_network_in_training_are_of_its_weights_meanwhile():
    net = network()
    with training(lambda ends: net.fit(X, Y, callbacks=ends, **FIT), lambda: net.steps):
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            assert np.isfinite(net.forward(X)).all()


def test_a_handler_of_signals_may_save_the_network_that_is_trained(tmp_path):
    network().fit(ROWS, TARGETS, epochs=1, batch_size=BATCH, n_threads=1)  # compiled before
    net, path, before = network(), tmp_path / "net.safetensors", signal.getsignal(signal.SIGALRM)
    calls = []

    def note(states, network):
        state = network.engine.progress()[:3]
        if not states or state[2] > states[-1][2]:
            states.append(state)

    def handle(number, frame):
        net.save(path)
        note(calls, Network.load(path))
        signal.setitimer(signal.ITIMER_REAL, 0.003)

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.003)
    others, over = [], threading.Event()

    def copies():  # another thread waits for its turn meanwhile
        while not over.is_set():
            note(others, copy.copy(net))

    def is_enough(entry):
        return min(len(calls), len(others)) >= 20 or time.monotonic() > deadline

    thread = threading.Thread(target=copies, daemon=True)
    thread.start()
    deadline = time.monotonic() + MOST_SECONDS
    try:
        net.fit(X, Y, callbacks=is_enough, **{**FIT, "epochs": 100_000})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        over.set()
    thread.join(MOST_SECONDS)
    assert not thread.is_alive()
    check(calls[:20])
    check(others[:20])


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there")
@pytest.mark.filterwarnings("ignore:This process .*multi-threaded:DeprecationWarning")
def test_a_child_that_is_forked_during_a_training_may_use_the_network(run_python):
    code = f"""
    import os, threading, time, numpy as np, warnings
    from fastbp import Network
    warnings.simplefilter("ignore", DeprecationWarning)
    rows, targets = np.ones((16, {N_IN}), "f4"), np.ones(16, "f4")
    net, over = Network([{N_IN}, 4, 1], seed=0), threading.Event()
    net.fit(rows, targets, epochs=1, batch_size=2, n_threads=1)
    given = dict(epochs=10**6, batch_size=2, n_threads=1, callbacks=lambda e: over.is_set())
    threads = [threading.Thread(target=net.fit, args=(rows, targets), kwargs=given)]
    threads += [threading.Thread(target=lambda: [net.to_model() for _ in iter(over.is_set, True)])]
    for thread in threads:
        thread.start()
    for _ in range(20):
        time.sleep(0.01)
        child = os.fork()
        if not child:
            net.to_model()
            net.fit(rows, targets, epochs=1, batch_size=2, n_threads=1)
            os._exit(0)
        end = time.monotonic() + {MOST_SECONDS}
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < end:
            time.sleep(0.01)
        assert ended[0], "a child hangs"
        assert ended[1] == 0
    over.set()
    """
    run_python(code)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there")
def test_the_locks_of_a_network_are_free_in_a_forked_child():
    net, ready, over = Network([2, 1]), threading.Event(), threading.Event()

    def hold():
        with net.engine.gate.in_use:
            net.engine.gate.change(lambda: (ready.set(), over.wait(MOST_SECONDS)))

    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait(MOST_SECONDS)
    child = os.fork()
    if not child:
        signal.alarm(20)  # ends it if it hangs
        net.to_model()
        free = net.engine.gate.in_use.acquire(blocking=False)
        os._exit(0 if free else 1)
    try:
        assert os.waitpid(child, 0)[1] == 0
    finally:
        over.set()
        thread.join(MOST_SECONDS)
