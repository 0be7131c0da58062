"""Threads: the same bits from any number of them, and a host that survives."""

import hashlib
import json
import os
import threading
import time

import numba
import numpy as np
import pytest

from fastbp import Network
from fastbp.kernels.compiler import jit, threads
from fastbp.kernels.compiler.cache import DiskCache
from fastbp.kernels.compiler.processors import available_threads

# every case is trained on 1, 2 and 3 threads; widths and batches leave tails everywhere
CASES = {
    "one unit": {"sizes": [1, 1, 1], "rows": 5, "batch": 1},
    "narrow": {"sizes": [7, 7, 7, 1], "rows": 71, "batch": 5},
    "odd": {"sizes": [33, 7, 33, 3], "rows": 211, "batch": 70},
    "one row left": {"sizes": [4, 100, 33, 1], "rows": 129, "batch": 128},
    "batch of one": {"sizes": [100, 33, 7], "rows": 9, "batch": 1},
    "wide": {"sizes": [33, 100, 100, 10], "rows": 300, "batch": 128},
    # weights beyond 2 MiB are packed, but only for enough rows: 130 rows in one part are,
    # in three parts they are not
    "packed": {"sizes": [700, 900, 2], "rows": 130, "batch": 130},
    # gradients that are applied block by block, the last in blocks of many rows
    "relu": {"sizes": [300, 33, 45, 3], "rows": 211, "batch": 70, "hidden": "relu", "clip": None},
    "large blocks": {"sizes": [1100, 257, 2], "rows": 2100, "batch": 2100, "clip": None},
}
DTYPES = ("float32", "float64")

_TRAIN = """
import hashlib, json, sys
import numba
import numpy as np
from fastbp import Adam, Dense, Dropout, Network

def digest(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()

def results(sizes, rows, batch, dtype, threads, hidden="tanh", clip=0.5):
    rng = np.random.default_rng(7)
    X, y = rng.normal(size=(rows, sizes[0])), rng.normal(size=(rows, sizes[-1]))
    weight = rng.uniform(0.1, 2, rows)
    layers = [Dropout(0.1)]
    for units in sizes[1:-1]:
        layers += [Dense(units, hidden), Dropout(0.3)]
    net = Network(
        inputs=sizes[0], layers=[*layers, Dense(sizes[-1])], dtype=dtype, seed=3,
        optimizer=Adam(1e-2, clip_norm=clip, l2=1e-3),
    )
    history = net.fit(X, y, epochs=2, batch_size=batch, sample_weight=weight, n_threads=threads)
    loss, grads = net.backward(X, y, weight, n_threads=threads)
    many = rng.normal(size=(1000, sizes[0])), rng.normal(size=(1000, sizes[-1]))
    found = {
        "fit": digest(net.parameters),
        "losses": history["loss"],  # nor do they depend on how an epoch is cut into slices
        "backward": digest(np.array(loss), grads.flat),
        "forward": digest(net.forward(many[0], n_threads=threads)),
        "evaluate": list(net.evaluate(*many, n_threads=threads).values()),
    }
    net.update(grads, n_threads=threads)
    found["update"] = digest(net.parameters)
    return {**found, "threads": history.n_threads}

cases, dtypes = json.loads(CASES)
found = {
    f"{name}, {dtype}": [results(**case, dtype=dtype, threads=n) for n in (1, 2, 3)]
    for name, case in cases.items() for dtype in dtypes
}
numba.get_num_threads()
print(json.dumps({"layer": numba.threading_layer(), "found": found}))
"""


@pytest.fixture(scope="module")
def trained(run_python):
    """Return what each case gave on 1, 2 and 3 threads."""
    code = _TRAIN.replace("CASES", repr(json.dumps([CASES, DTYPES])))
    answer = json.loads(run_python(code, NUMBA_NUM_THREADS=3, OMP_NUM_THREADS=None))
    if answer["layer"] == "workqueue":
        pytest.skip("Numba found neither OpenMP nor TBB: everything runs on one thread here")
    return answer["found"]


@pytest.mark.parametrize("what", ["fit", "losses", "forward", "evaluate", "backward", "update"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_same_bits_from_any_number_of_threads(trained, case, dtype, what):
    one, two, three = (result[what] for result in trained[f"{case}, {dtype}"])
    assert one == two
    assert one == three


def test_an_integer_of_threads_is_honoured_up_to_numbas_limit(trained):
    # without this the comparison of bits could compare one thread with itself
    for results in trained.values():
        assert [result["threads"] for result in results] == [1, 2, 3]


def test_workqueue_runs_on_one_thread_with_one_warning_and_survives_two_callers(run_python):
    run_python(
        """
        import threading, warnings
        import numpy as np
        from fastbp import Network
        X = np.random.default_rng(0).normal(size=(200, 9))

        def train():
            histories.append(Network([9, 40, 9]).fit(X, X, epochs=30, batch_size=32, n_threads=2))

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            histories = []
            train()
            callers = [threading.Thread(target=train) for _ in range(2)]
            for caller in callers: caller.start()
            for caller in callers: caller.join()
        assert [history.n_threads for history in histories] == [1, 1, 1], histories
        ours = [str(w.message) for w in caught if w.category is RuntimeWarning]
        assert len(ours) == 1 and "libgomp" in ours[0], ours
        """,
        NUMBA_THREADING_LAYER="workqueue",
        NUMBA_NUM_THREADS=2,
    )


def test_two_python_threads_may_train_at_once(run_python):
    run_python(
        """
        import threading
        import numpy as np
        from fastbp import Network
        X = np.random.default_rng(0).normal(size=(300, 9))

        def train(seed, found):
            net = Network([9, 40, 9], seed=seed)
            net.fit(X, X, epochs=10, batch_size=64, n_threads=2)
            found[seed] = net.parameters.copy()

        alone, together = {}, {}
        for seed in (0, 1): train(seed, alone)
        callers = [threading.Thread(target=train, args=(seed, together)) for seed in (0, 1)]
        for caller in callers: caller.start()
        for caller in callers: caller.join()
        for seed in (0, 1): np.testing.assert_array_equal(together[seed], alone[seed])
        """,
        NUMBA_NUM_THREADS=2,
    )


def test_one_network_may_predict_from_several_python_threads():
    # a server does this; the kernels release the GIL, so shared buffers would mix the rows
    rng = np.random.default_rng(0)
    net = Network([16, 64, 3], dtype="float64")
    inputs = [rng.normal(size=(n, 16)) for n in (3, 37, 411, 1000)]
    expected = [net.forward(X, n_threads=1) for X in inputs]
    wrong = []

    def predict(X, output):
        found = (net.forward(X, n_threads=1) for _ in range(200))
        wrong.extend(len(X) for answer in found if not np.array_equal(answer, output))

    callers = [
        threading.Thread(target=predict, args=pair) for pair in zip(inputs, expected, strict=True)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_python_threads_that_share_a_network_in_training_do_not_crash(run_python):
    # whether one waits or is refused, no kernel may write into buffers that another laid out
    run_python(
        """
        import threading
        import numpy as np
        from fastbp import Network
        X = np.random.default_rng(0).normal(size=(2000, 16))
        net, answers, refusals = Network([16, 64, 16]), [], []

        def use(batch):
            try:
                for _ in range(15):
                    net.fit(X, X, epochs=3, batch_size=batch, n_threads=1)
                    answers.append(np.isfinite(net.predict(X[:batch], n_threads=1)).all())
            except RuntimeError as error:
                refusals.append(str(error))

        callers = [threading.Thread(target=use, args=(batch,)) for batch in (7, 500)]
        for caller in callers: caller.start()
        for caller in callers: caller.join()
        assert all(answers) and np.isfinite(net.parameters).all()
        assert len(answers) == 30 or refusals  # else a thread ended by another error
        assert all("thread" in message for message in refusals), refusals
        """
    )


@pytest.mark.parametrize(
    ("value", "most"), [("1", 1), ("2,1", 2), ("junk", 3), ("", 3), ("0", 1), ("-1", 1)]
)
def test_available_threads_honours_omp_num_threads(monkeypatch, value, most):
    _pretend_to_have_three(monkeypatch)
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert 1 <= available_threads() <= most


@pytest.mark.parametrize("limit", [1, 2])
def test_available_threads_honours_numbas_limit(monkeypatch, limit):
    _pretend_to_have_three(monkeypatch)
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", limit)
    assert available_threads() <= limit


def test_available_threads_honours_the_affinity(monkeypatch):
    _pretend_to_have_three(monkeypatch)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {5}, raising=False)
    assert available_threads() == 1


def _pretend_to_have_three(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 3)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


def test_auto_asks_nothing_of_the_system_for_work_that_is_too_small(monkeypatch):
    monkeypatch.setattr(threads, "physical_threads", lambda: pytest.fail("was asked"))
    assert threads.choose_threads("auto", 1000.0, 1) == 1


def test_a_twin_is_made_once_by_threads_that_want_it_at_once(monkeypatch):
    def slowly(*arguments):
        time.sleep(0.05)
        return DiskCache(*arguments)

    monkeypatch.setattr(jit, "DiskCache", slowly)
    kernel, found = jit.kernel(lambda x: x), []
    callers = [threading.Thread(target=lambda: found.append(kernel.serial)) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(found) == 4 and len({id(twin) for twin in found}) == 1


@pytest.mark.parametrize("bad", [0, -1, 2.0, "two", "AUTO", True, None, [2]])
def test_a_bad_number_of_threads_is_refused_and_nothing_changes(bad):
    X = np.ones((4, 3))
    net = Network([3, 2])
    before = hashlib.sha256(net.parameters.tobytes()).hexdigest()
    for call in (net.fit, net.evaluate, net.backward):
        with pytest.raises((ValueError, TypeError), match="n_threads=") as raised:
            call(X, X[:, :2], n_threads=bad)
        assert repr(bad) in str(raised.value)
    assert hashlib.sha256(net.parameters.tobytes()).hexdigest() == before
    assert net.history is None


def test_a_numpy_integer_is_a_number_of_threads():
    X = np.ones((4, 3))
    assert Network([3, 2]).fit(X, X[:, :2], epochs=1, n_threads=np.int64(1)).n_threads == 1
