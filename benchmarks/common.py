"""Shared by the benchmarks: shortest times, and times relative to an ideal one."""

import os
import subprocess
import sys
import time
from importlib.util import find_spec

import numpy as np

from fastbp import measure_peak

DTYPES = ("float32", "float64")
# the shortest round, before the other function's turn
_ROUND_SECONDS = 0.02
# seconds of all rounds of one kernel
_BUDGET = 0.3
# elements of the copy that passes over arrays are compared with; the speed of smaller copies
# differs by half between processes
_COPIED = 200_000

# one digits epoch from a bare interpreter, at the data's real size
FIRST_FIT = """
import numpy as np
from fastbp import Network
rng = np.random.default_rng(0)
X, y = rng.random((1797, 64), dtype="float32"), rng.integers(0, 10, 1797)
Network([64, 100, 10], loss="cross_entropy").fit(X, y, epochs=1, batch_size=200)
"""


def shortest_seconds(function, budget=0.2):
    """Call `function` for `budget` seconds; return the shortest time of a call."""
    shortest, end = float("inf"), time.perf_counter() + budget
    while True:
        start = time.perf_counter()
        function()
        now = time.perf_counter()
        shortest = min(shortest, now - start)
        if now > end:
            return shortest


def best_in_turn(function, rate, budget):
    """Return the shortest time of `function` and the highest `rate()` within `budget` seconds.

    Short rounds of both alternate. Other processes slow both, and one quiet moment shows both at
    their best.
    """
    shortest, highest, end = float("inf"), 0.0, time.perf_counter() + budget
    while time.perf_counter() < end:
        highest = max(highest, rate())
        shortest = min(shortest, shortest_seconds(function, _ROUND_SECONDS))
    return shortest, highest


def times_ideal(flops, function, dtype, n_threads, budget=_BUDGET):
    """Return the time of `function` over that of its operations at the peak of all threads."""
    seconds, peak = best_in_turn(function, lambda: measure_peak(dtype, n_threads), budget)
    return seconds * peak / flops


def times_copy(array, function, *arguments):
    """Return the time of a pass over an array over the time of a plain copy of it.

    A copy slows down with the machine as a kernel does, and no commit of fastbp changes it.
    """
    source, target = np.ones((2, _COPIED), array.dtype)

    def rate():
        return _COPIED / shortest_seconds(lambda: np.copyto(target, source), _ROUND_SECONDS / 2)

    seconds, copied = best_in_turn(lambda: function(*arguments), rate, _BUDGET)
    return seconds * copied / array.size


def needs(module, name, *packages):
    """Tell asv that there is nothing to measure if a commit or the environment lacks something."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing or not hasattr(module, name):
        raise NotImplementedError(f"missing: {', '.join(missing) or name}")


def run_python(code):
    """Run `code` in a new interpreter, which also fills the disk cache of kernels."""
    _run("-c", code)


def run_command(*arguments):
    """Run the command ``fastbp`` in a process of its own."""
    _run("-m", "fastbp", *map(str, arguments), stdout=subprocess.DEVNULL)


def _run(*arguments, **options):
    # not in the checkout: there `import fastbp` finds sources without their kernels
    folder = os.path.dirname(__file__)
    subprocess.run([sys.executable, *arguments], check=True, cwd=folder, **options)
