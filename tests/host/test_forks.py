"""Forked children: they end, with the right bits, whatever threads their parent had."""

import os
import shutil
import subprocess

import pytest

from fastbp.kernels.compiler import threads
from fastbp.kernels.support import forks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]
HANGS = 60  # seconds after which a child certainly waits without end

_OPENMP = """
#include <omp.h>
int total(void) {
    int sum = 0;
    #pragma omp parallel reduction(+:sum) num_threads(2)
    sum += omp_get_thread_num() + 1;
    return sum;
}
"""
_NUMBA = """
import numba
@numba.njit(parallel=True)
def total(n):
    s = 0
    for i in numba.prange(n): s += i
    return s
total(1000)
"""
_FOREST = """
from sklearn.ensemble import HistGradientBoostingRegressor
HistGradientBoostingRegressor(max_iter=3).fit(np.arange(4000.0).reshape(-1, 2), np.arange(2000.0))
"""
_LIGHTGBM = """
import lightgbm
rows = lightgbm.Dataset(np.arange(8000.0).reshape(-1, 2), np.arange(4000.0))
lightgbm.train({"num_threads": 2, "verbose": -1}, rows, 3)
"""
_TORCH = """
import torch
torch.set_num_threads(2)
(torch.randn(800, 800) @ torch.randn(800, 800) + 1).sum()
"""
_OURS = "digest()"
PARENTS = {
    "nothing": "",
    "numba": _NUMBA,
    "scikit-learn": _FOREST,
    "lightgbm": _LIGHTGBM,
    "torch": _TORCH,
    "libgomp": 'import ctypes; assert ctypes.CDLL("LIBRARY").total() == 3',
    "fastbp": _OURS,
}

# the children are forked one after the other; each prints what it got
_CHILDREN = """
import hashlib, logging, os, sys, threading, time, warnings
import numpy as np
warnings.simplefilter("ignore")  # Python warns of any fork beside threads
logging.getLogger("fastbp").addHandler(logging.NullHandler())

def digest(units=70, threads=2):
    from fastbp import Network
    X = np.random.default_rng(0).normal(size=(600, 20)).astype("float32")
    net = Network([20, units, 3], seed=0)
    net.fit(X, X[:, :3], epochs=2, batch_size=96, n_threads=threads)
    outputs = net.predict(X, n_threads=threads)
    return hashlib.sha256(net.parameters.tobytes() + outputs.tobytes()).hexdigest()

def ends(work, seconds=SECONDS):
    "Return the status of a forked child that does the work, after so many seconds at most."
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = work() or 0
        finally:
            os._exit(status)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return "hangs"

""".replace("SECONDS", str(HANGS))


@pytest.fixture(scope="module")
def openmp(tmp_path_factory):
    """Return a library that has nothing to do with Numba, and runs a parallel loop of OpenMP."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("openmp")
    (folder / "total.c").write_text(_OPENMP)
    library = folder / "libtotal.so"
    command = [compiler, "-fopenmp", "-shared", "-fPIC", "-o", library, folder / "total.c"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("the compiler has no OpenMP")
    return library


def parent(name, request):
    """Return the code that uses threads in a parent."""
    if name in ("lightgbm", "torch"):
        pytest.importorskip(name)
    code = PARENTS[name]
    if "LIBRARY" in code:
        code = code.replace("LIBRARY", str(request.getfixturevalue("openmp")))
    return code


@pytest.mark.parametrize("when", ["imported", "not imported", "a thread first"])
@pytest.mark.parametrize("name", PARENTS)
def test_a_child_trains_whatever_threads_its_parent_had(run_python, request, name, when):
    code = _CHILDREN
    if when == "imported":
        code += "import fastbp.network\n"
    code += parent(name, request)
    begins = "threading.Thread(target=time.sleep, args=(90,), daemon=True).start()"
    begins = begins if when == "a thread first" else "pass"
    code += f"""
def work():
    {begins}
    assert digest() == digest(threads=1)
found = {{ends(work) for _ in range(3)}}
assert found == {{0}}, found
"""
    run_python(code, NUMBA_NUM_THREADS=2)


@pytest.mark.parametrize("threads", [1, 2])
def test_children_of_a_parent_whose_threads_train_end(run_python, threads):
    # each has networks of new shapes, and trains that of another thread of the parent too
    run_python(
        _CHILDREN
        + f"""
from fastbp import Network
X = np.random.default_rng(0).normal(size=(600, 20)).astype("float32")
over = threading.Event()

def train():
    while not over.is_set(): digest(threads={threads})

def train_one():
    while not over.is_set(): digest(30, threads={threads})

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
assert found == {{0}}, found
""",
        timeout=600,
        NUMBA_NUM_THREADS=2,
    )


def test_children_are_forked_while_kernels_are_compiled(run_python, tmp_path):
    run_python(
        _CHILDREN
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
        _CHILDREN
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
        _CHILDREN
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
print(ends(lambda: refused(lambda: model.predict(rows))))
estimator = fastbp.TabularRegressor(preset="fast", epochs=1)
print(ends(lambda: refused(lambda: estimator.fit(X, y))))
""",
        timeout=600,
    )
    assert out.split() == ["7", "7"]


@pytest.mark.parametrize("kind", ["fork", "forkserver", "spawn"])
def test_workers_of_multiprocessing_train(run_python, kind):
    run_python(
        f"""
import multiprocessing, warnings
import numpy as np

def work(seed):
    from fastbp import Network
    X = np.random.default_rng(seed).normal(size=(600, 20)).astype("float32")
    net = Network([20, 70, 3], seed=0)
    net.fit(X, X[:, :3], epochs=2, n_threads=2)
    return net.parameters.copy()

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    expected = [work(seed) for seed in range(4)]
    with multiprocessing.get_context("{kind}").Pool(2) as pool:
        found = pool.map_async(work, range(4)).get({HANGS})
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)
""",
        NUMBA_NUM_THREADS=2,
    )


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


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_workers_of_joblib_fit_estimators(run_python, backend, when):
    # `n_threads` is that of the workers; joblib's multiprocessing forks
    code = _CHILDREN + "from fastbp import MLPRegressor\n"
    if when == "after":
        code += _FOREST + _OURS
    code += f"""
from joblib import Parallel, delayed
X = np.random.default_rng(0).normal(size=(600, 9))

def fit(seed):
    net = MLPRegressor(hidden_layer_sizes=(40,), max_iter=3, random_state=seed, n_threads=2)
    return net.fit(X, X[:, 0]).coefs_[0]

expected = [fit(seed) for seed in range(4)] if "{when}" == "after" else None
found = Parallel(n_jobs=2, backend="{backend}", timeout={HANGS})(
    delayed(fit)(seed) for seed in range(4)
)
for one, other in zip(expected or [fit(seed) for seed in range(4)], found, strict=True):
    np.testing.assert_array_equal(one, other)
"""
    run_python(code, NUMBA_NUM_THREADS=2)
