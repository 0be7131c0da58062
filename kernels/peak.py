"""The processor's peak rate of fused multiply-adds, measured with the main tile of `gemm`."""

import time

import numpy as np
from numba import from_dtype, prange

from ..quoted import quoted
from .compiler.jit import kernel
from .compiler.threads import Threads, choose_threads, twin
from .simd.gemm import MAIN_ROWS, VECS
from .simd.intrinsics import pointer, width
from .simd.tile import rank1, row_pointers, tile_store, tile_zeros
from .simd.vector import lanes as lanes_of
from .simd.view import matrix, strided
from .tuning import MULTIPLY_ADD_FLOPS

_STEPS = 200_000
_ROUNDS = 5


@kernel
def multiply_add(steps, tasks, operands, sums):
    """Run `steps` rank-1 updates of the main tile on operands in the first-level cache."""
    for task in prange(tasks):
        a, out = pointer(operands), pointer(sums)
        one = strided(a, 1, 0)
        tile = tile_zeros(a, MAIN_ROWS, VECS)
        starts = row_pointers(one, MAIN_ROWS)
        for _ in range(steps):
            tile = rank1(tile, starts, one, 0, one)
        place = task * MAIN_ROWS * VECS * width(a)
        tile_store(tile, matrix(out + place, VECS * width(a)), None)


def measure_peak(dtype: str = "float32", n_threads: Threads = 1) -> float:
    """Return the peak rate of fused multiply-adds, of two operations each.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        The dtype of the operands.
    n_threads : int or "auto", default 1
        Threads that compute at the same time.

    Returns
    -------
    float
        Floating-point operations per second, the best of five rounds.

    Raises
    ------
    ValueError
        If `dtype` or `n_threads` has another value.
    """
    if not isinstance(dtype, (str, type, np.dtype)) or dtype not in (
        "float32",
        "float64",
        np.float32,
        np.float64,
    ):
        raise ValueError(f"dtype={quoted(dtype)}: expected float32 or float64")
    threads = choose_threads(n_threads, np.inf, 1)
    lanes = lanes_of(from_dtype(np.dtype(dtype)))
    operands = np.full(MAIN_ROWS + VECS * lanes, 1e-3, np.dtype(dtype))
    sums = np.empty(threads * MAIN_ROWS * VECS * lanes, operands.dtype)
    run = twin(multiply_add, threads)
    run(1, threads, operands, sums)
    seconds = np.inf
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        run(_STEPS, threads, operands, sums)
        seconds = min(seconds, time.perf_counter() - start)
    return MULTIPLY_ADD_FLOPS * MAIN_ROWS * VECS * lanes * _STEPS * threads / seconds
