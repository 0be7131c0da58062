"""Inverted dropout ``A . M / (1 - rate)``; M is 0 where an element is dropped, else 1.

Reference: Srivastava et al., Dropout, JMLR 15, 2014, section 10.
"""

import numpy as np
from numba import prange

from .compiler.jit import inner, kernel
from .compiler.threads import Threads, choose_threads, twin
from .random import DROPOUT, a_key, key_of, random_bits, stream
from .simd.intrinsics import pointer
from .support import arrays
from .support.scalars import a_number
from .tuning import DROPOUT_FLOPS


@inner
def drop_row(key, rate, columns, a):
    """Set each of `columns` floats to 0 with probability `rate`, divide the others by 1 - rate.

    One key drops the same columns at every call, so that the backward pass needs no mask.
    """
    threshold = np.uint64(rate * 2.0**53)
    for j in range(columns):
        kept = random_bits(key, j) >> np.uint64(11) >= threshold
        a[j] = a[j] / (1 - rate) if kept else 0.0


@kernel
def drop_rows(seed, place, rate, a):
    """Apply dropout to the rows of `a` (batch, n), in place."""
    key = key_of(seed, DROPOUT, place)
    for r in prange(a.shape[0]):
        drop_row(stream(key, r), rate, a.shape[1], pointer(a) + r * a.shape[1])


def dropout(
    A: arrays.Floats, rate: float, seed: int, place: int = 0, *, n_threads: Threads = "auto"
) -> arrays.Floats:
    """Return ``A . M / (1 - rate)``: each element is dropped with probability `rate`.

    Parameters
    ----------
    A : array (batch, n)
        float32 or float64; not written.
    rate : float
        In [0, 1).
    seed, place : int
        The key of the mask M, each at least 0: one key drops the same elements.
    n_threads : int or "auto"
        Threads to share the rows.

    Returns
    -------
    array (batch, n)
        A new array.

    Raises
    ------
    TypeError, ValueError
        If A has another dtype or rank, or a number is out of range.
    """
    rate = a_number("rate", rate, low=0, below=1)
    key = a_key(seed=seed, place=place)
    out = arrays.floats("A", A, 2).copy(order="C")
    twin(drop_rows, choose_threads(n_threads, DROPOUT_FLOPS * out.size, 1))(*key, rate, out)
    return out
