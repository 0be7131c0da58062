"""Callers beside each other under each of Numba's threading layers: no abort, the same bits."""

import json
from importlib.metadata import files
from pathlib import Path

import pytest

from threading_layers import LAYERS, need

pytestmark = pytest.mark.slow

# every operation gives a digest; 8 callers at once must give those of one caller on one thread
_MATRIX = """
import asyncio, hashlib, json, logging, os, sys, tempfile, threading, warnings
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
import numba
import numpy as np
import fastbp.kernels
from fastbp import MLPClassifier, Network

warnings.simplefilter("ignore")
CALLERS = 8
rng = np.random.default_rng(0)
X = rng.normal(size=(900, 20)).astype("float32")
y = (X[:, 0] > 0).astype(int)
folder = tempfile.mkdtemp()

def digest(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()

def trained(threads):
    net = Network([20, 90, 3], seed=1)
    net.fit(X, X[:, :3], epochs=2, batch_size=300, n_threads=threads)
    return net

shared = trained(1)

def fit(threads, caller):
    return digest(trained(threads).parameters)

def predict(threads, caller):
    return digest(shared.predict(X, n_threads=threads))

def save(threads, caller):
    path = os.path.join(folder, f"{caller}.safetensors")
    shared.save(path)
    return digest(Network.load(path).predict(X, n_threads=threads))

def estimators(threads, caller):
    model = MLPClassifier((30,), max_iter=2, random_state=0, n_threads=threads).fit(X, y)
    return digest(model.predict_proba(X), *model.coefs_)

def kernels(threads, caller):
    Z = fastbp.kernels.matmul(X, shared.weights[0], shared.biases[0], n_threads=threads)
    return digest(Z, fastbp.kernels.outer(X, Z, n_threads=threads)[0])

OPERATIONS = (fit, predict, save, estimators, kernels)

def main_thread(work):
    return [work(caller) for caller in range(2)]

def threads(work):
    found = []
    callers = [
        threading.Thread(target=lambda n=n: found.append(work(n))) for n in range(CALLERS)
    ]
    for caller in callers: caller.start()
    for caller in callers: caller.join()
    return found

def thread_pool(work):
    with ThreadPool(CALLERS) as pool:
        return pool.map(work, range(CALLERS))

def executor(work):
    async def all_of_them():
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(CALLERS) as pool:
            asked = [loop.run_in_executor(pool, work, caller) for caller in range(CALLERS)]
            return await asyncio.gather(*asked)
    return asyncio.run(all_of_them())

expected = {operation.__name__: operation(1, 0) for operation in OPERATIONS}
wrong = []
for caller in (main_thread, threads, thread_pool, executor):
    for operation in OPERATIONS:
        found = caller(lambda n: operation(2, n))
        if set(found) != {expected[operation.__name__]} or len(found) < 2:
            wrong.append(f"{caller.__name__}, {operation.__name__}")
    # all operations at once
    found = caller(lambda n: [operation(2, n) == expected[operation.__name__]
                              for operation in OPERATIONS])
    if not np.all(found):
        wrong.append(f"{caller.__name__}, all")

# one network for 8 callers: those beside the first are refused, and none crashes
refused = []
one = Network([20, 90, 3], seed=1)
def shares(caller):
    try:
        one.fit(X, X[:, :3], epochs=1, n_threads=2)
    except RuntimeError as error:
        refused.append(str(error))
    return np.isfinite(one.predict(X)).all()
if not all(threads(shares)) or any("another thread" not in each for each in refused):
    wrong.append("one network")
numba.get_num_threads()
print(json.dumps({"layer": numba.threading_layer(), "wrong": wrong}))
"""


@pytest.mark.parametrize("layer", LAYERS)
def test_callers_beside_each_other_get_the_bits_of_one(run_python, layer):
    need(layer)
    out = run_python(_MATRIX, timeout=600, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS=2)
    assert json.loads(out) == {"layer": layer, "wrong": []}


@pytest.mark.parametrize("remedy", [True, False])
def test_without_openmp_the_tbb_of_pip_is_used_as_the_warning_promises(run_python, remedy):
    if remedy:
        need("tbb")
    hidden = "" if remedy else 'sys.modules["numba.np.ufunc.tbbpool"] = None'
    out = run_python(
        f"""
import sys, warnings
sys.modules["numba.np.ufunc.omppool"] = None  # as where libgomp is missing
{hidden}
import numba
import numpy as np
from fastbp import Network
X = np.random.default_rng(0).normal(size=(600, 20))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    threads = Network([20, 70, 3]).fit(X, X[:, :3], epochs=1, n_threads=2).n_threads
print(threads, numba.threading_layer(), any("pip install tbb" in str(w.message) for w in caught))
""",
        NUMBA_NUM_THREADS=2,
    )
    assert out.split() == (["2", "tbb", "False"] if remedy else ["1", "workqueue", "True"])


@pytest.mark.parametrize("layer", ["omp", "tbb", "safe", "nonsense", "workqueue"])
def test_a_layer_that_is_named_but_not_there_is_told_once(run_python, layer):
    out = run_python(
        """
import sys, warnings
sys.modules["numba.np.ufunc.omppool"] = sys.modules["numba.np.ufunc.tbbpool"] = None
import numpy as np
from fastbp import Network
X = np.random.default_rng(0).normal(size=(600, 20))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(2):
        net = Network([20, 70, 3])
        threads = net.fit(X, X[:, :3], epochs=1, n_threads=2).n_threads
    net.predict(X, n_threads=2)
ours = [str(w.message) for w in caught if "fastbp" in str(w.message)]
assert len(ours) == 1 and "nset NUMBA_THREADING_LAYER" in ours[0], ours
assert "\\n" not in ours[0]
print(threads)
""",
        NUMBA_THREADING_LAYER=layer,
        NUMBA_NUM_THREADS=2,
    )
    assert out.split() == ["1"]


def test_what_tbb_loads_stays_when_its_last_thread_closes_it(run_python):
    need("tbb")
    (tbb,) = (file.locate() for file in files("tbb") if file.name == "libtbb.so.12")
    out = run_python(
        """
import ctypes, os, sys
from pathlib import Path
from _ctypes import dlclose
import numpy as np
from fastbp import Network

def is_loaded():
    return "libtcm.so" in Path("/proc/self/maps").read_text()

X = np.random.default_rng(0).normal(size=(600, 20))
Network([20, 70, 3]).fit(X, X[:, :3], epochs=1, n_threads=2)
was_loaded = is_loaded()
if was_loaded:
    handle = ctypes.CDLL("libtcm.so.1")._handle
    dlclose(handle)  # what was just opened
    dlclose(handle)  # what TBB opened
print(was_loaded, is_loaded())
sys.stdout.flush()
os._exit(0)
""",
        NUMBA_THREADING_LAYER="tbb",
        NUMBA_NUM_THREADS=2,
        LD_LIBRARY_PATH=str(Path(tbb).resolve().parent),  # as mpiexec of Open MPI sets it
    )
    was_loaded, is_loaded = out.split()
    if was_loaded == "False":
        pytest.skip("this TBB loads no other library")
    assert is_loaded == "True"
