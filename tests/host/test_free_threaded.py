"""Python without the GIL, where there is one: fastbp turns it on nowhere, and threads are safe."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import fastbp
import fastbp.kernels
from forked_children import CHILDREN

pytestmark = pytest.mark.slow

# the packages may turn the GIL on when they are imported; fastbp leaves it as they do
_STATE = """
import sys
import PACKAGES
before = sys._is_gil_enabled()
"""
_TRAIN = """
begin, found = threading.Barrier(8), []

def trains(number):
    begin.wait()
    found.append(digest(threads=1 + number % 2))

callers = [threading.Thread(target=trains, args=(number,)) for number in range(8)]
for caller in callers: caller.start()
for caller in callers: caller.join()
assert found == 8 * [digest(threads=1)], found
assert sys._is_gil_enabled() == before
"""


@pytest.fixture(params=["python3.13t", "python3.14t"])
def run(request, run_python, tmp_path):
    """Return ``run(packages, code)``, which runs in a Python without the GIL."""
    free = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    own = f"python{sysconfig.get_python_version()}{free}"
    python = sys.executable if request.param == own else shutil.which(request.param)
    if python is None:
        pytest.skip(f"there is no {request.param}")
    for package in (fastbp, fastbp.kernels):
        folder = tmp_path.joinpath(*package.__name__.split("."))
        shutil.copytree(Path(package.__file__).parent, folder, dirs_exist_ok=True)

    def run(packages, code):
        needs = [python, "-c", f"import {packages}"]
        missing = subprocess.run(needs, capture_output=True, text=True, check=False)
        if missing.returncode:
            pytest.skip(f"{request.param}: {missing.stderr.splitlines()[-1]}")
        code = _STATE.replace("PACKAGES", packages) + code
        run_python(code, python=python, PYTHONPATH=tmp_path, NUMBA_NUM_THREADS=2)

    return run


def test_an_import_leaves_the_gil_as_it_was(run):
    run("numpy", "import fastbp; assert sys._is_gil_enabled() == before")


def test_threads_that_load_the_kernels_and_train_at_once_get_the_bits_of_one(run):
    run("numpy, numba, safetensors", CHILDREN + _TRAIN)
