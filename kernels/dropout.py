"""Inverted dropout ``A . M / (1 - rate)``; M is 0 where an element is dropped, else 1.

The mask of a row is drawn 64 columns at a time and kept as bits for the backward pass. The rate is
rounded to a multiple of 2^-16 below 1, in the mask and in the factor, so that the mean stays.

Reference: Srivastava et al., Dropout, JMLR 15, 2014, section 10.
"""

from numba import prange

from .compiler.jit import inner, kernel
from .compiler.threads import Threads, choose_threads, twin
from .random import DROPOUT, a_key, key_of, stream
from .simd.bits import DRAW_BITS, WORD, keep_where, kept_bits
from .simd.intrinsics import broadcast, integers_at, load_part, pointer, store_part, width
from .support import arrays
from .support.scalars import a_number
from .tuning import DROPOUT_FLOPS

_DRAWS = 2**DRAW_BITS


def mask_words(columns):
    """Return the 64-bit words that the mask of a row takes."""
    return -(-columns // WORD)


@inner
def drop_row(key, rate, columns, source, target, mask):
    """Write ``A . M / (1 - rate)`` of one row; the target may be the source.

    The words of M are written to the address `mask` unless it is 0.
    """
    threshold = _threshold(rate)
    for word in range((columns + WORD - 1) // WORD):
        bits = kept_bits(key, word, threshold)
        if mask != 0:
            integers_at(mask)[word] = bits
        _keep(bits, threshold, word * WORD, columns, source, target)


@inner
def drop_sparse_row(key, rate, x, columns, first, end, target):
    """Write the numbers ``x[first:end]`` of a row, dropped as `drop_row` drops their columns."""
    threshold, at, bits = _threshold(rate), -1, 0
    scale = _DRAWS / (_DRAWS - threshold)
    for k in range(first, end):
        if columns[k] // WORD != at:
            at = columns[k] // WORD
            bits = kept_bits(key, at, threshold)
        kept = keep_where(broadcast(x, x[k]) * scale, bits >> (columns[k] % WORD), 0)
        store_part(target + (k - first), kept, 1)


@inner
def drop_row_again(mask, rate, columns, target):
    """Apply to a row, in place, the dropout whose mask is at the address `mask`."""
    for word in range((columns + WORD - 1) // WORD):
        _keep(integers_at(mask)[word], _threshold(rate), word * WORD, columns, target, target)


@inner
def _threshold(rate):
    """Return the draws, of 2^16, that drop an element."""
    return min(int(rate * _DRAWS + 0.5), _DRAWS - 1)


@inner
def _keep(bits, threshold, first, columns, source, target):
    scale = _DRAWS / (_DRAWS - threshold)
    for j in range(first, min(first + WORD, columns), width(source)):
        kept = keep_where(load_part(source + j, columns - j) * scale, bits, j - first)
        store_part(target + j, kept, columns - j)


@kernel
def drop_rows(seed, place, rate, a):
    """Apply dropout to the rows of `a` (batch, n), in place."""
    key = key_of(seed, DROPOUT, place)
    for r in prange(a.shape[0]):
        row = pointer(a) + r * a.shape[1]
        drop_row(stream(key, r), rate, a.shape[1], row, row, 0)


def dropout(
    A: arrays.Floats, rate: float, seed: int, place: int = 0, *, n_threads: Threads = "auto"
) -> arrays.Floats:
    """Return ``A . M / (1 - rate)``: each element is dropped with probability `rate`.

    The rate is rounded to a multiple of 2^-16 below 1.

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
