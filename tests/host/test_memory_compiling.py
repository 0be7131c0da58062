"""Where few addresses are left, kernels are compiled and threads started, or neither is begun."""

import json
import sys

import pytest

if sys.platform != "linux":
    pytest.skip("Linux tells what a process has taken", allow_module_level=True)

pytestmark = pytest.mark.slow
# leave(m) leaves m MiB of addresses to the process, beside those that it has
LEAVE = """
import json, resource, sys
import numpy as np
from fastbp import Network, kernels

def leave(megabytes):
    lines = open("/proc/self/status").read().splitlines()
    taken = next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmSize:"))
    most = (taken + (megabytes << 20), resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_AS, most)

def outputs(n_threads):
    net = Network([64, 100, 10], seed=0)
    X, y = np.ones((2000, 64), "float32"), np.ones((2000, 10), "float32")
    net.fit(X, y, epochs=2, batch_size=1000, n_threads=n_threads)
    return net.predict(X[:1], n_threads=n_threads).tolist()
"""
COLD = """
ended = []
for megabytes in (20, 100, 180, 300):
    leave(megabytes)
    try:
        ended.append(outputs(1))
    except MemoryError as error:
        ended.append(str(error))
print(json.dumps(ended))
"""
WARM = """
leave({megabytes})
try:
    print(json.dumps(outputs(2)))
except MemoryError:
    print("refused")
"""
STACKS = """
A = np.ones((512, 512), "float32")
with_one = kernels.matmul(A, A, n_threads=1)
leave(200)
print(json.dumps(bool((kernels.matmul(A, A, n_threads=2) == with_one).all())))
"""


@pytest.fixture(scope="module")
def right(run_python):
    """Return the outputs without a limit; kernels are compiled before the tests."""
    return json.loads(run_python(LEAVE + "print(json.dumps(outputs(2)))"))


def test_kernels_are_compiled_where_there_are_addresses_and_refused_before_else(
    run_python, tmp_path, right
):
    """LLVM ended the process with 160 MiB left, and waited without end with 80."""
    # a thread of OpenBLAS takes 40 MiB, and there is one on each processor
    few = {"FASTBP_CACHE_DIR": tmp_path, "OPENBLAS_NUM_THREADS": 1}
    *refused, done = json.loads(run_python(LEAVE + COLD, **few))
    for message in refused:
        assert message.startswith("compiling kernels needs about "), message
        assert "of addresses, and `ulimit -v`, " in message
        assert message.endswith(": give it more, or compile ahead without the limit: fastbp warmup")
    assert done == right


@pytest.mark.parametrize("megabytes", [0, 4, 8, 16, 32])
def test_a_warm_process_is_right_or_refuses_whatever_is_left(run_python, right, megabytes):
    printed = run_python(LEAVE + WARM.format(megabytes=megabytes)).strip()
    assert printed == json.dumps(right) or (printed == "refused" and megabytes < 32)


def test_threads_whose_stacks_do_not_fit_are_not_started(run_python):
    """OpenMP ends a process in which it cannot start a thread."""
    large = {"OMP_STACKSIZE": "300M", "NUMBA_NUM_THREADS": 2}
    assert run_python(LEAVE + STACKS, **large) == "true\n"
    warned = {**large, "PYTHONWARNINGS": "error::RuntimeWarning"}
    with pytest.raises(pytest.fail.Exception, match=r"leaves \d+ MiB of addresses, too few for 2"):
        run_python(LEAVE + STACKS, **warned)
