"""Tasks that meet inside a parallel region, and schedulers that do not run them together."""

import threading

import numba
import numpy as np
import pytest

import fastbp.engine.engine
from fastbp import DivergenceError, Network
from fastbp.kernels.compiler import threads
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

    together = threads.together

    def one_after_the_other(kernel, n_threads):
        if together(kernel, n_threads) is None:
            return None
        asked.append(n_threads)

        def call(*arguments):
            before = numba.get_num_threads()
            numba.set_num_threads(1)
            try:
                return kernel.parallel(*arguments)
            finally:
                numba.set_num_threads(before)

        return call

    for module in (fastbp.engine.engine, fastbp.engine.steps):
        monkeypatch.setattr(module, "choose_threads", lambda *arguments: 2)
    monkeypatch.setattr("fastbp.engine.pace.is_crowded", lambda: False)
    monkeypatch.setattr(threads, "_APART", threading.Event())
    monkeypatch.setattr(fastbp.engine.engine, "together", one_after_the_other)
    with pytest.warns(RuntimeWarning, match="one thread"):
        apart = fit(2)
    again = fit(2)
    assert asked.count(2) == 1  # the first try: then it is known, to other nets too
    for nets in zip(apart, again, alone, strict=True):
        np.testing.assert_array_equal(nets[0], nets[2])
        np.testing.assert_array_equal(nets[1], nets[2])


def test_a_limit_of_openmp_is_no_reason_to_wait(run_python):
    code = """
    import warnings
    import numpy as np
    from fastbp import Network
    from fastbp.engine import pace
    from fastbp.kernels.compiler.processors import available_threads

    assert available_threads() == 1
    pace.is_crowded = lambda: False
    X = np.ones((640, 256), "float32")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for n_threads in ("auto", 2, 2):
            Network([256, 256, 1]).fit(X, X[:, :1], epochs=9, n_threads=n_threads)
    print([str(warning.message)[:29] for warning in seen])
    """
    said = run_python(code, OMP_THREAD_LIMIT=1, NUMBA_NUM_THREADS=2, NUMBA_THREADING_LAYER="omp")
    assert said.strip() == "['fastbp trains on one thread f']"


def test_a_task_waits_for_seconds_only_however_slow_its_looks_are(run_python):
    code = """
    import numpy as np
    from numba import njit
    from fastbp.kernels import tuning

    tuning.SPINS_TO_START = 1 << 62  # as if every look took long

    from fastbp.kernels.simd import meeting
    from fastbp.kernels.simd.intrinsics import pointer

    @njit
    def comes_alone(cells):
        return meeting.all_present(pointer(cells), 2)

    cells = np.zeros(meeting.CELLS, np.int64)
    print(comes_alone(cells))
    cells[:] = 0
    cells[meeting._PRESENT] = 1
    print(comes_alone(cells))
    """
    assert run_python(code, timeout=60).split() == ["False", "True"]


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("batch", [0, 3])
def test_all_tasks_stop_at_a_loss_that_is_not_finite(n_threads, batch):
    X = np.ones((80, 4), "float32")
    X[16 * batch :] = 1e30
    weight = np.where(np.arange(80) // 16 == 1, 0.0, 1.0)  # none in the second batch
    net = Network([4, 5, 1], seed=0)
    options = {"epochs": 2, "batch_size": 16, "shuffle": False, "n_threads": n_threads}
    with pytest.raises(DivergenceError, match=f"epoch 1, batch {batch + 1} of 5"):
        net.fit(X, X[:, :1], sample_weight=weight, **options)
    assert net.history.stopped is Stopped.DIVERGED
