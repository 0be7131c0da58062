"""What a process knows of its parents: how it was forked, what they used, and who held a lock."""

import os
import sys

import pytest

from forked_children import CHILDREN, FOREST, HANGS, openmp_library
from threading_layers import need

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it")

# tells on how many threads a network trains if two are asked for: in one write, as print's two,
# where Python does not buffer, mix with those of another process
_THREADS = f"""
import faulthandler, os
faulthandler.dump_traceback_later({HANGS}, exit=True)
import numpy as np
from fastbp import Network
X = np.random.default_rng(0).normal(size=(600, 20))
net = Network([20, 70, 3]).fit(X, X[:, :3], epochs=1, n_threads=2)
os.write(1, f"{{net.n_threads}}\\n".encode())
"""


@pytest.fixture(scope="module")
def two(run_python):
    """Skip a test where no process trains on two threads."""
    if run_python(_THREADS, NUMBA_NUM_THREADS=2).strip() != "2":
        pytest.skip("Numba found neither OpenMP nor TBB: everything runs on one thread here")


@on_linux
def test_an_orphan_of_a_parent_that_used_openmp_trains_on_one_thread(run_python, two, tmp_path):
    # the parent has ended, and imported nothing that could tell of it
    code = f"""
import ctypes, os, time
assert ctypes.CDLL("{openmp_library(tmp_path)}").total() == 3
parent = os.fork()
if parent == 0:
    parent = os.getpid()
    if os.fork():
        os._exit(0)
    while os.getppid() == parent:
        time.sleep(0.01)
    {_THREADS.replace(chr(10), chr(10) + "    ")}
    os._exit(0)
os.waitpid(parent, 0)
"""
    # the output ends when all that could write to it have ended
    assert run_python(code, NUMBA_NUM_THREADS=2).strip() == "1"


@on_linux
def test_a_worker_that_loads_openmp_itself_uses_threads_and_its_own_child_does_not(run_python, two):
    # as servers and queues do that fork before they import
    code = f"""
import os
worker = os.fork()
if worker == 0:
    import numpy as np
    {FOREST.replace(chr(10), chr(10) + "    ")}
    child = os.fork()
    {_THREADS.replace(chr(10), chr(10) + "    ")}
    if child:
        assert os.waitpid(child, 0)[1] == 0
    os._exit(0)
assert os.waitpid(worker, 0)[1] == 0
"""
    assert sorted(run_python(code, NUMBA_NUM_THREADS=2).split()) == ["1", "2"]


def test_a_child_that_c_code_forks_trains_on_one_thread(run_python, two):
    # R and other hosts of Python fork without its hooks
    code = f"""
import ctypes, os
{_THREADS}
faulthandler.cancel_dump_traceback_later()  # it has a thread, which a child would wait for
child = ctypes.PyDLL(None).fork()
{_THREADS}
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    found = run_python(code, NUMBA_NUM_THREADS=2).split()
    assert found[0] == "2" and sorted(found[1:]) == ["1", "2"]


@pytest.mark.parametrize("layer", ["omp", "tbb"])
def test_a_training_goes_on_in_a_child_that_its_callback_forks(run_python, two, layer):
    need(layer)
    run_python(
        CHILDREN
        + """
import faulthandler
faulthandler.dump_traceback_later(SECONDS, exit=True)
from fastbp import Network
X = np.random.default_rng(0).normal(size=(600, 20)).astype("float32")
children = []

def forks(entry):
    if not children:
        children.append(os.fork())

def train(threads, callbacks=()):
    net = Network([20, 600, 600, 3], seed=0)  # steps that begin on all threads
    net.fit(X, X[:, :3], epochs=3, batch_size=600, n_threads=threads, callbacks=callbacks)
    return net.predict(X, n_threads=threads).tobytes()

expected = train(1)
found = train(2, [forks])
if children == [0]:
    os._exit(7 if found == expected else 8)
assert found == expected
assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 7
""".replace("SECONDS", str(HANGS)),
        NUMBA_NUM_THREADS=2,
        NUMBA_THREADING_LAYER=layer,
    )


def test_a_caller_may_compile_code_that_calls_kernels_while_another_thread_first_fits(
    run_python, tmp_path
):
    run_python(
        f"""
import faulthandler, threading
faulthandler.dump_traceback_later({4 * HANGS}, exit=True)
import numba
import numpy as np
from fastbp import Network
from fastbp.kernels import forward_row
X = np.random.default_rng(0).normal(size=(300, 9)).astype("float32")
net = Network([9, 20, 3], seed=0)
state = net.row_state()

@numba.njit
def rows(state, X, out):
    for i in range(len(X)):
        forward_row(state, X[i], out[i])

def compiles():
    out = np.empty((300, 3), "float32")
    rows(state, X, out)
    done.append(np.array_equal(out, net.predict(X)))

def fits():
    other = Network([9, 20, 3], activation="tanh")
    done.append(other.fit(X, X[:, :3], epochs=1, n_threads=1).stopped is not None)

done = []
callers = [threading.Thread(target=work) for work in (compiles, fits)]
for caller in callers: caller.start()
for caller in callers: caller.join()
assert done == [True, True], done
""",
        timeout=600,
        FASTBP_CACHE_DIR=tmp_path,
    )


def test_a_child_reads_a_source_that_another_thread_was_reading_at_the_fork(run_python):
    run_python(
        CHILDREN
        + """
from fastbp import Network
from fastbp.data import Source
reads, go_on = threading.Event(), threading.Event()

class Slow(Source):
    def read(self, block):
        reads.set()
        assert go_on.wait(60)
        return np.ones((50, 4), "float32"), np.ones((50, 1), "float32")

source = Slow([50, 50], 4)

def train():
    return Network([4, 3, 1]).fit(source, epochs=1, n_threads=1)

caller = threading.Thread(target=train)
caller.start()
assert reads.wait(60)

def work():
    go_on.set()
    train()

status = ends(work)
go_on.set()
caller.join()
assert status == 0, status
"""
    )


def test_a_fork_waits_for_numbas_compiler_and_its_child_compiles(run_python, tmp_path):
    # the caller's own code, not a kernel, is compiled at the fork
    run_python(
        CHILDREN
        + """
import numba
from numba.core.compiler_lock import global_compiler_lock
import fastbp.network  # Python itself hangs where a thread imports at the fork
from fastbp.kernels import hadamard
begun, over = threading.Event(), threading.Event()

def compiles():
    number = 0
    while not over.is_set():
        number += 1
        numba.njit(eval(f"lambda x: x + {number}"))(1)
        begun.set()

caller = threading.Thread(target=compiles)
caller.start()
assert begun.wait(60)
square = np.ones((9, 9), "float32")
found = {ends(lambda: 0 if hadamard(square, square).all() else 3) for _ in range(5)}
over.set()
caller.join()
assert found == {0}, found
""",
        timeout=600,
        FASTBP_CACHE_DIR=tmp_path,
    )


def test_a_child_gets_a_public_name_while_another_thread_imports_its_module(run_python):
    # Python 3.10 waits in `import_module` for the lock of a module that is there already
    run_python(
        CHILDREN
        + """
import importlib
import fastbp
assert "Network" not in vars(fastbp)
assert fastbp.Network is vars(fastbp)["Network"]
held, over = threading.Event(), threading.Event()

def imports():
    with importlib._bootstrap._ModuleLockManager("fastbp.network"):
        held.set()
        over.wait()

caller = threading.Thread(target=imports)
caller.start()
held.wait()
status = ends(lambda: None if digest() else 3)
over.set()
caller.join()
assert status == 0, status
"""
    )
