"""What the benchmarks share: shortest times, rates, and shares of the measured peak."""

import os
import subprocess
import sys
import time

from fastbp import measure_peak

DTYPES = ("float32", "float64")
# a busy machine hides its peak from a single measurement
_PEAK_ROUNDS = 3

# one digits epoch from a bare interpreter, at the data's real size
FIRST_FIT = """
import numpy as np
from fastbp import Network
rng = np.random.default_rng(0)
X, y = rng.random((1797, 64), dtype="float32"), rng.integers(0, 10, 1797)
Network([64, 100, 10], loss="cross_entropy").fit(X, y, epochs=1, batch_size=200)
"""


def shortest_seconds(function, budget=0.2):
    """Return the shortest time of a call of `function`, of calls for `budget` seconds."""
    shortest, end = float("inf"), time.perf_counter() + budget
    while True:
        start = time.perf_counter()
        function()
        now = time.perf_counter()
        shortest = min(shortest, now - start)
        if now > end:
            return shortest


def gflops(flops, seconds):
    """Return a rate in GFLOP/s."""
    return flops / seconds / 1e9


def share_of_peak(flops, seconds, dtype, n_threads):
    """Return a rate as a share of the peak of as many threads, measured now."""
    peak = max(measure_peak(dtype, n_threads) for _ in range(_PEAK_ROUNDS))
    return flops / seconds / peak


def run_python(code):
    """Run `code` in an interpreter of its own; it fills the disk cache of kernels on its way."""
    # not in the checkout, where `import fastbp` would find sources that lack their kernels
    subprocess.run([sys.executable, "-c", code], check=True, cwd=os.path.dirname(__file__))
