"""Forked children: they end, with the right bits, whatever threads their parent had."""

import os

import pytest

from fastbp.kernels.compiler import threads
from fastbp.kernels.support import forks
from forked_children import CHILDREN, FOREST, HANGS, OURS, PARENTS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]


@pytest.mark.parametrize("name", ["nothing", "numba", "fastbp"])
def test_a_child_that_imports_fastbp_first_trains_whatever_its_parent_did(run_python, name):
    run_python(
        f"""
{CHILDREN}
{PARENTS[name]}

def work():
    assert digest() == digest(threads=1)

def begins_a_thread_first():
    threading.Thread(target=time.sleep, args=(90,), daemon=True).start()
    work()

found = [ends(each) for each in (work, begins_a_thread_first) for _ in range(3)]
assert found == 6 * [0], found
""",
        timeout=10 * HANGS,
        NUMBA_NUM_THREADS=2,
    )


def test_children_of_a_parent_whose_threads_train_end(run_python):
    # each has networks of new shapes, and trains that of another thread of the parent too
    run_python(
        CHILDREN
        + """
from fastbp import Network
X = np.random.default_rng(0).normal(size=(600, 20)).astype("float32")
over = threading.Event()

def train():
    while not over.is_set(): digest(threads=1)

def train_one():
    while not over.is_set(): digest(30, threads=1)

callers = [threading.Thread(target=each) for each in (train, train, train_one)]
for caller in callers: caller.start()
expected = digest(70, 1)

def work():
    assert digest(70) == expected
    digest(40 + number)

found = set()
for number in range(50):  # the first while the kernels are loaded
    found.add(ends(work))
over.set()
for caller in callers: caller.join()
assert found == {0}, found
""",
        timeout=600,
        NUMBA_NUM_THREADS=2,
    )


def test_children_are_forked_while_kernels_are_compiled(run_python, tmp_path):
    run_python(
        CHILDREN
        + """
import fastbp.network  # Python itself hangs where a thread imports at the fork
from fastbp.kernels import hadamard, matmul

def compiles():
    for dtype in ("float32", "float64"):
        square = np.ones((9, 9), dtype)
        for kernel in (hadamard, matmul):
            assert kernel(square, square)[0, 0] == (9 if kernel is matmul else 1)

caller = threading.Thread(target=compiles)
caller.start()
found = set()
for _ in range(4):
    found.add(ends(lambda: compiles()))
caller.join()
assert found == {0}, found
""",
        timeout=600,
        FASTBP_CACHE_DIR=tmp_path,
    )


def test_a_child_says_once_why_it_runs_on_one_thread(run_python):
    run_python(
        CHILDREN
        + """
lines = []
class Kept(logging.Handler):
    def emit(self, record): lines.append(record.getMessage())
logging.getLogger("fastbp").addHandler(Kept())
digest()
assert lines == [], lines

def work():
    digest(); digest()
    assert len(lines) == 1 and f"process {os.getpid()}" in lines[0] and "spawn" in lines[0], lines
    lines.clear()
    assert ends(lambda: None if digest() and len(lines) == 1 else 3) == 0  # a child of the child
assert ends(work) == 0
""",
        NUMBA_NUM_THREADS=2,
    )


def test_a_child_of_a_parent_without_parallel_libraries_uses_threads(run_python):
    code = """
import os, sys
assert "numba" not in sys.modules
child = os.fork()
if child == 0:
    import numpy as np
    from fastbp import Network
    X = np.random.default_rng(0).normal(size=(600, 20))
    threads = Network([20, 70, 3]).fit(X, X[:, :3], epochs=1, n_threads=2).n_threads
    os._exit(100 + threads)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) - 100)
"""
    alone = run_python(
        "import numpy as np; from fastbp import Network; X = np.ones((600, 20));"
        "print(Network([20, 70, 3]).fit(X, X[:, :3], epochs=1, n_threads=2).n_threads)",
        NUMBA_NUM_THREADS=2,
    )
    assert run_python(code, NUMBA_NUM_THREADS=2) == alone


@pytest.mark.skipif(not os.path.exists("/proc/self/auxv"), reason="this system does not tell")
def test_a_process_whose_parent_has_ended_knows_that_it_was_forked(run_python):
    run_python(
        """
import logging, os, time
from fastbp.kernels.support.forks import began_forked
assert not began_forked()
reader, writer = os.pipe()
time.sleep(0.2)
parent = os.fork()
if parent == 0:
    parent = os.getpid()
    if os.fork():
        os._exit(0)
    while os.getppid() == parent:
        time.sleep(0.01)
    os.write(writer, b"yes" if began_forked() else b"no")
    os._exit(0)
os.waitpid(parent, 0)
assert os.read(reader, 10) == b"yes"
"""
    )


def test_a_process_that_was_started_is_no_fork(run_python):
    code = """
import subprocess, sys
test = "from fastbp.kernels.support.forks import began_forked; print(began_forked())"
import logging, time
time.sleep(0.2)
print(subprocess.run([sys.executable, "-c", test], capture_output=True, text=True).stdout)
"""
    assert run_python(code).split() == ["False"]


def test_tables_are_refused_where_polars_would_wait_without_end(run_python):
    out = run_python(
        CHILDREN
        + """
import fastbp
a = np.arange(300.0)
X, y = np.stack([a, a % 7], axis=1), a + a % 7
rows = {"a": a, "b": a % 7, "y": y}

def trains():
    fastbp.train(rows, "y", preset="fast", epochs=1)

def refused(work):
    try:
        work()
    except RuntimeError as error:
        assert "spawn" in str(error), error
        return 7

assert ends(trains) == 0  # polars had no threads yet
model = fastbp.train(rows, "y", preset="fast", epochs=1)
estimator = fastbp.TabularRegressor(preset="fast", epochs=1)

def both():  # in one child, which asks polars once, for 10 s
    return refused(lambda: model.predict(rows)) + refused(lambda: estimator.fit(X, y))
print(ends(both))
""",
        timeout=600,
    )
    assert out.strip() == "14"


def _forget():
    threads._is_safe_in.cache_clear()
    threads._decided.cache_clear()


def test_what_a_child_must_know_is_asked_for_once(monkeypatch):
    asked = []
    monkeypatch.setattr(threads, "may_lack_threads", lambda: asked.append(1))
    _forget()
    try:
        for _ in range(3):
            threads.choose_threads(2, 1e12, 1)
        assert asked == [1]
    finally:
        _forget()


def test_this_process_was_not_forked():
    assert not forks.was_forked() and not forks.began_forked()


@pytest.mark.parametrize("when", ["before", "after"])
def test_workers_of_joblib_fit_estimators(run_python, when):
    # `n_threads` is that of the workers; joblib's multiprocessing forks, and its threading
    # trains in this process
    code = CHILDREN + "from fastbp import MLPRegressor\n"
    if when == "after":
        code += FOREST + OURS
    code += f"""
from joblib import Parallel, delayed
X = np.random.default_rng(0).normal(size=(600, 9))

def fit(seed):
    net = MLPRegressor(hidden_layer_sizes=(40,), max_iter=3, random_state=seed, n_threads=2)
    return net.fit(X, X[:, 0]).coefs_[0]

expected = [fit(seed) for seed in range(4)] if "{when}" == "after" else None
found = {{
    backend: Parallel(n_jobs=2, backend=backend, timeout={HANGS})(
        delayed(fit)(seed) for seed in range(4)
    )
    for backend in ("multiprocessing", "loky", "threading")
}}
expected = expected or [fit(seed) for seed in range(4)]
for backend, coefficients in found.items():
    for one, other in zip(expected, coefficients, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=backend)
"""
    run_python(code, timeout=600, NUMBA_NUM_THREADS=2)
