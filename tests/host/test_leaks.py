"""A process that fits, saves and loads for long: no more memory, threads or open files."""

import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]

CODE = """
import ctypes, gc, os, pickle, threading
from pathlib import Path
import numpy as np
from fastbp import Adam, MLPClassifier, Network, fit_many

rng = np.random.default_rng(0)
X, y = rng.normal(size=(100, 8)), rng.integers(0, 3, 100)
kept = [Network([8, 16, 3], loss="cross_entropy", seed=0)]
trim = getattr(ctypes.CDLL(None), "malloc_trim", lambda pad: None)

def state():
    gc.collect()
    trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = len(os.listdir("/proc/self/fd"))
    tasks = len(os.listdir("/proc/self/task"))
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, files, tasks, threading.active_count()

def rounds(count):
    for number in range(count):
        net = kept[0]
        net.fit(X, y, epochs=2, validation_data=(X, y), early_stopping=True)
        net.save("net.safetensors")
        kept[0] = pickle.loads(pickle.dumps(Network.load("net.safetensors")))
        sizes = [8, *(int(n) for n in rng.integers(1, 90, 2)), 3]
        other = Network(sizes, ("relu", "tanh")[number % 2], loss="cross_entropy", seed=number)
        other.fit(X, y, epochs=1, batch_size=int(rng.integers(1, 60)))
        other.predict(X)
        Network(sizes, seed=number).forward(X)
        if number % 20 == 0:
            MLPClassifier((5,), max_iter=3, tol=1e9, n_iter_no_change=1, random_state=0).fit(X, y)
            fit_many([{"sizes": [8, 4, 3], "loss": "cross_entropy"}] * 3, X, y, epochs=1).wait()

rounds(200)  # what is made once
before = state()
rounds(1000)
after = state()
print(before, after)
assert after[0] - before[0] < 5, (before, after)
assert after[1:] == before[1:], (before, after)
"""


def test_a_thousand_fits_saves_and_loads_leave_nothing_behind(run_python):
    run_python(CODE)
