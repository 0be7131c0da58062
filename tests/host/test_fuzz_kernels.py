"""20,000 random calls of the kernels and of networks, in processes that a wrong access ends."""

import sys
from pathlib import Path

import pytest

from fastbp import kernels

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="no mprotect there"),
]
CASES, PROCESSES = 20_000, 4


@pytest.mark.parametrize("part", range(PROCESSES))
def test_random_calls_give_the_oracles_result_or_a_clear_error(run_python, part):
    count = CASES // PROCESSES
    support = Path(__file__).parent.parent / "support"
    run_python(
        f"import kernel_cases; kernel_cases.run({part * count}, {count})", PYTHONPATH=support
    )


def test_every_public_kernel_is_called():
    calls = (Path(__file__).parent.parent / "support" / "kernel_cases.py").read_text()
    left = {name for name in kernels.__all__ if f"kernels.{name}" not in calls}
    assert left == {"measure_peak"}  # which takes no array


def test_a_wrong_access_ends_the_process(run_python):
    # or the test above would see nothing
    support = Path(__file__).parent.parent / "support"
    code = """
    import numpy as np, kernel_cases, subprocess, sys, os
    array = kernel_cases.guarded(np.ones(5, "f4"))
    child = os.fork()
    if not child:
        np.lib.stride_tricks.as_strided(array, (6,)).sum()
        os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    """
    run_python(code, PYTHONPATH=support)
