"""Code for scripts whose children are forked: what their parents do, and how they are watched."""

import shutil
import subprocess

import pytest

HANGS = 120  # seconds after which a child certainly waits without end, on a busy machine too

OPENMP = """
#include <omp.h>
int total(void) {
    int sum = 0;
    #pragma omp parallel reduction(+:sum) num_threads(2)
    sum += omp_get_thread_num() + 1;
    return sum;
}
"""
NUMBA = """
import numba
@numba.njit(parallel=True)
def total(n):
    s = 0
    for i in numba.prange(n): s += i
    return s
total(1000)
"""
FOREST = """
from sklearn.ensemble import HistGradientBoostingRegressor
HistGradientBoostingRegressor(max_iter=3).fit(np.arange(4000.0).reshape(-1, 2), np.arange(2000.0))
"""
LIGHTGBM = """
import lightgbm
rows = lightgbm.Dataset(np.arange(8000.0).reshape(-1, 2), np.arange(4000.0))
lightgbm.train({"num_threads": 2, "verbose": -1}, rows, 3)
"""
TORCH = """
import torch
torch.set_num_threads(2)
(torch.randn(800, 800) @ torch.randn(800, 800) + 1).sum()
"""
OURS = "digest()"
PARENTS = {
    "nothing": "",
    "numba": NUMBA,
    "scikit-learn": FOREST,
    "lightgbm": LIGHTGBM,
    "torch": TORCH,
    "libgomp": 'import ctypes; assert ctypes.CDLL("LIBRARY").total() == 3',
    "fastbp": OURS,
}

# the children are forked one after the other; each prints what it got
CHILDREN = """
import hashlib, logging, os, sys, threading, time, warnings
import numpy as np
warnings.simplefilter("ignore")  # Python warns of any fork beside threads
logging.getLogger("fastbp").addHandler(logging.NullHandler())

def digest(units=70, threads=2):
    from fastbp import Network
    X = np.random.default_rng(0).normal(size=(600, 20)).astype("float32")
    net = Network([20, units, 3], seed=0)
    net.fit(X, X[:, :3], epochs=2, batch_size=96, n_threads=threads)
    # a fit of few short steps stays on one thread; these run on all that are asked for
    net.update(net.backward(X, X[:, :3], n_threads=threads)[1], n_threads=threads)
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


def openmp_library(folder):
    """Return a library that has nothing to do with Numba, and runs a parallel loop of OpenMP."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    (folder / "total.c").write_text(OPENMP)
    library = folder / "libtotal.so"
    command = [compiler, "-fopenmp", "-shared", "-fPIC", "-o", library, folder / "total.c"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("the compiler has no OpenMP")
    return library


def parent(name, folder):
    """Return the code by which a parent uses threads; a library is made in `folder`."""
    if name in ("lightgbm", "torch"):
        pytest.importorskip(name)
    code = PARENTS[name]
    return code.replace("LIBRARY", str(openmp_library(folder))) if "LIBRARY" in code else code
