"""Children of a parent that used OpenMP: each ends, with the bits of one thread, in any layer.

Every child is forked, or started, before the parent trains, after it did, or while its threads do.
"""

import os

import pytest

from forked_children import CHILDREN, HANGS, parent
from threading_layers import LAYERS, need

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]
LIBRARIES = ("scikit-learn", "lightgbm", "torch", "libgomp")  # what the parent used before
FORKS = 8  # of each of two kinds, in each of the three moments

# threads of the parent that train while more children are forked
_TRAIN = """
over = threading.Event()

def trains(units):
    while not over.is_set(): digest(units)

callers = [threading.Thread(target=trains, args=(units,)) for units in (70, 30, 31)]
"""


@pytest.fixture(scope="module")
def expected(run_python):
    """Return what a process that no other disturbs gets on one thread, for 70 and for 40 units."""
    return run_python(CHILDREN + "print(digest(threads=1), digest(40, threads=1))").split()


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("layer", LAYERS)
def test_forked_children_fit_and_predict(run_python, expected, tmp_path, layer, name):
    need(layer)
    code = f"""
{CHILDREN}
{parent(name, tmp_path)}
{_TRAIN}

def work():
    assert digest() == "{expected[0]}"

def begins_a_thread_first():
    threading.Thread(target=time.sleep, args=(90,), daemon=True).start()
    work()

def of_a_new_shape():
    assert digest(40) == "{expected[1]}"
    work()

def fork(number, *works):
    for _ in range(number):
        for each in works:
            found = ends(each)
            assert found == 0, (each.__name__, found)

fork(1, begins_a_thread_first)  # it imports fastbp
import fastbp.network
fork({FORKS}, work, begins_a_thread_first)
work()
fork({FORKS}, work, of_a_new_shape)
for caller in callers: caller.start()
fork({FORKS}, work, of_a_new_shape)
over.set()
for caller in callers: caller.join()
work()
"""
    run_python(code, timeout=600, NUMBA_NUM_THREADS=2, NUMBA_THREADING_LAYER=layer)


@pytest.mark.parametrize("layer", LAYERS)
def test_started_children_fit_and_predict(run_python, expected, tmp_path, layer):
    need(layer)
    code = f"""
{CHILDREN}
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
{_TRAIN}

def start():
    for method in ("forkserver", "spawn"):
        with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
            assert pool.submit(digest).result({2 * HANGS}) == "{expected[0]}"

if __name__ == "__main__":
    {parent("libgomp", tmp_path)}
    multiprocessing.set_forkserver_preload(["fastbp.network"])  # the server imports it once
    start()
    digest()
    start()
    for caller in callers: caller.start()
    start()
    over.set()
    for caller in callers: caller.join()
"""
    run_python(code, timeout=600, NUMBA_NUM_THREADS=2, NUMBA_THREADING_LAYER=layer)
