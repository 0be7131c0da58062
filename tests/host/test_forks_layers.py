"""Children of a parent that used OpenMP: each ends, with the bits of one thread, in any layer.

They are forked, or started, before the parent trains, after it did, and while its threads do.
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
FORKS = int(os.environ.get("FASTBP_FORKS", "1"))  # in each of the three moments

_CODE = """
import multiprocessing
METHODS = ("fork", "forkserver", "spawn")
over = threading.Event()

def work(method, number):
    assert method != "forkserver" or "used" in sys.modules
    if number % 2 == 0:
        threading.Thread(target=time.sleep, args=(9999,), daemon=True).start()
    assert [digest(), digest(40)] == EXPECTED

def start(moment, first=0, last=FORKS):
    for number in range(first, last):
        children = [
            multiprocessing.get_context(method).Process(target=work, args=(method, number))
            for method in (METHODS if number % 10 == 0 else METHODS[:2])  # few are slow to start
        ]
        for child in children: child.start()
        for child in children: child.join(SECONDS)
        found = [child.exitcode for child in children]
        for child in children: child.kill()
        print(moment, *found, flush=True)
        assert not any(found) and None not in found, (moment, number, found)

def trains(units):
    while not over.is_set(): digest(units)

if __name__ == "__main__":
    import used
    multiprocessing.set_forkserver_preload(["used", "fastbp.network"])
    start("before", last=1)  # it imports fastbp
    import fastbp.network
    start("before", first=1)
    digest()
    start("after")
    callers = [threading.Thread(target=trains, args=(units,)) for units in (70, 30)]
    for caller in callers: caller.start()
    start("during")
    over.set()
    for caller in callers: caller.join()
    assert digest() == EXPECTED[0]
"""


@pytest.fixture(scope="module")
def expected(run_python):
    """Return what a process that no other disturbs gets on one thread, for 70 and for 40 units."""
    return run_python(CHILDREN + "print(digest(threads=1), digest(40, threads=1))").split()


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("layer", LAYERS)
def test_children_fit_and_predict(run_python, expected, tmp_path, layer, name):
    need(layer)
    # the parent imports it, and the server that forks, which would have no threads otherwise
    (tmp_path / "used.py").write_text("import numpy as np\n" + parent(name, tmp_path))
    run_python(
        f"{CHILDREN}\nEXPECTED, FORKS, SECONDS = {expected}, {FORKS}, {HANGS}\n{_CODE}",
        timeout=600 + 60 * FORKS,
        PYTHONPATH=tmp_path,
        NUMBA_NUM_THREADS=2,
        NUMBA_THREADING_LAYER=layer,
    )
