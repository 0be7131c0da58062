"""The first layer's gradient from rows with ramps: ``G_W = X^T D`` (n_in, n_out).

dL/dW(1) = delta(1) x^T, summed over the batch. Of a number with ramps, feature k is h f in the
rows whose position is in bin k, and h in those whose position is in a later bin. So the gradient
of its row of W is

    h (sum of f delta over the rows in bin k + sum of delta over the rows in later bins)

and the second sum runs over the bins from the last to the first. The rows of a batch are sorted by
their bins, so that both sums stay in registers.
"""

from typing import Any

import numpy as np
from numba import prange, types

from .compiler.jit import Task, inner, kernel
from .compiler.threads import Threads, choose_threads, twin
from .ramp_matmul import bin_of
from .simd.dispatch import by_address
from .simd.intrinsics import address_of, float_of, integers_at, pointer, pointer_at, width
from .simd.tile import tile_load, tile_multiply_add, tile_store, tile_zeros
from .simd.vector import Pointer
from .simd.view import View, matrix, moved, shifted
from .support import arrays
from .support.ramp_rows import MOST_RAMPS, ramp_rows, ramp_work
from .tuning import RAMP_VECTORS


def place_integers(rows):
    """Return the number of 64-bit integers that the gradient of `rows` rows needs as scratch."""
    return MOST_RAMPS + rows


@inner
def column_of(starts, columns, feature):
    """Return the column of X that stands for a feature; `columns` for the number of features."""
    begin, end = 0, columns + 1
    while begin < end:
        middle = (begin + end) // 2
        if starts[middle] <= feature:
            begin = middle + 1
        else:
            end = middle
    return begin - 1


def _panel_outer(vecs):
    """Return the gradient of a panel of W, `vecs` vectors wide.

    It writes `count` lanes of the last vector of a row; None means all.
    """

    @inner
    def of_feature(rows, x, d, g, count):
        # g = sum x D: x (rows,) strided, D (rows, panel), g (1, panel)
        total = tile_zeros(d, 1, vecs)
        for i in range(rows):
            value = x.first[i * x.row]
            if value != 0:
                total = tile_multiply_add(value, tile_load(moved(d, i, 0), 1, vecs, count), total)
        tile_store(total, g, count)

    @inner
    def of_ramps(rows, ramps, height, x, d, g, count, ends, sorted_rows):
        # G (ramps, panel), `behind` the sum of D over the rows in later bins
        behind = tile_zeros(d, 1, vecs)
        end = rows
        for k in range(ramps - 1, -1, -1):
            total = behind
            begin = ends[k - 1] if k > 0 else 0
            for place in range(begin, end):
                i = sorted_rows[place]
                delta = tile_load(moved(d, i, 0), 1, vecs, count)
                part = x.first[i * x.row] - float_of(d, k)
                total = tile_multiply_add(part, delta, total)
                behind = tile_multiply_add(1, delta, behind)
            end = begin
            total = tile_multiply_add(height, total, tile_zeros(d, 1, vecs))
            tile_store(total, moved(g, k, 0), count)

    @inner
    def panel_outer(rows, ramps, height, x, d, g, count, ends, sorted_rows):
        if ramps > 1:
            of_ramps(rows, ramps, height, x, d, g, count, ends, sorted_rows)
        else:
            of_feature(rows, x, d, g, count)

    return panel_outer


_wide, _middle, _narrow = (_panel_outer(vecs) for vecs in (RAMP_VECTORS, 2, 1))


@inner
def _sort(rows, ramps, x, ends, sorted_rows):
    """Write the numbers of the rows in the order of their bins, and where each bin ends."""
    for k in range(ramps):
        ends[k] = 0
    for i in range(rows):
        ends[bin_of(x.first[i * x.row], ramps)] += 1
    end = 0
    for k in range(ramps):
        count = ends[k]
        ends[k] = end
        end += count
    for i in range(rows):
        k = bin_of(x.first[i * x.row], ramps)
        sorted_rows[ends[k]] = i
        ends[k] += 1


def _types(kind):
    size, layout = types.intp, types.Tuple((types.intp, types.float64))
    return size, size, size, size, layout, View(kind), View(kind), Pointer(kind), size


@Task.taking(_types)
def ramp_outer_rows(rows, lo, hi, N, layout, x, d, g, places):
    """Write the rows of ``G = X^T D`` of columns lo to hi of X to `g`; D (rows, N).

    `layout` is ``(starts, height)`` of `RampRows`, `starts` an address; `places` is the address
    of `place_integers` of the rows.
    """
    address, height = layout
    starts, n = integers_at(address), width(g)
    ends, sorted_rows = integers_at(places), integers_at(places) + MOST_RAMPS
    for c in range(lo, hi):
        ramps, values = starts[c + 1] - starts[c], moved(x, 0, c)
        target = matrix(g + (starts[c] - starts[lo]) * N, N)
        if ramps > 1:
            _sort(rows, ramps, values, ends, sorted_rows)
        j = 0
        while j < N:
            left = N - j
            parts = (values, shifted(d, j), shifted(target, j))
            if left >= RAMP_VECTORS * n:
                _wide(rows, ramps, height, *parts, None, ends, sorted_rows)
                j += RAMP_VECTORS * n
            elif left > n:
                _middle(rows, ramps, height, *parts, min(left - n, n), ends, sorted_rows)
                j += 2 * n
            else:
                _narrow(rows, ramps, height, *parts, left, ends, sorted_rows)
                j += n


run_ramp_outer = by_address(ramp_outer_rows)


@kernel
def ramp_gradient(outer, rows, columns, N, starts, height, x, d, g, places, tasks):
    """Write ``G = X^T D``; columns of X shared by the tasks; X, its starts and D by address."""
    for task in prange(tasks):
        like = pointer(g)
        first = integers_at(starts)
        n_in = first[columns]
        lo = column_of(first, columns, task * n_in // tasks)
        hi = column_of(first, columns, (task + 1) * n_in // tasks)
        own = address_of(pointer(places) + task * (places.size // tasks))
        source, delta = matrix(pointer_at(like, x), columns), matrix(pointer_at(like, d), N)
        layout, target = (starts, height), like + first[lo] * N
        run_ramp_outer(outer, rows, lo, hi, N, layout, source, delta, target, own)


def ramp_outer(
    X: arrays.Floats,
    starts: Any,
    D: arrays.Floats,
    *,
    height: float = 1.0,
    n_threads: Threads = "auto",
) -> arrays.Floats:
    """Return ``G_W = F^T D``, F the features that short rows X with ramps stand for.

    Parameters
    ----------
    X : array (batch, columns)
        float32 or float64, as for `ramp_matmul`.
    starts : array (columns + 1,) of int
        Ascending from 0 to n_in.
    D : array (batch, n_out)
        The layer's deltas, of the dtype of X.
    height : float
        The largest value of a ramp.
    n_threads : int or "auto"
        Threads to share the columns of X.

    Returns
    -------
    array (n_in, n_out)
        A new array.

    Raises
    ------
    TypeError, ValueError
        If an argument has another dtype, rank or shape, or a position is out of range.
    """
    rows = ramp_rows("X", X, starts, height)
    D = np.ascontiguousarray(arrays.floats("D", D, 2, like=rows.values))
    arrays.expect("D", D, (len(rows), D.shape[1]))
    out = np.empty((rows.shape[1], D.shape[1]), D.dtype)
    tasks = choose_threads(n_threads, ramp_work(rows, D.shape[1]), 1)
    layout = arrays.address(rows.starts), rows.height
    parts = (arrays.address(rows.values), arrays.address(D), out.reshape(-1))
    places = np.empty(tasks * place_integers(len(rows)), np.int64)
    sizes = (len(rows), rows.values.shape[1], D.shape[1])
    outer = ramp_outer_rows.address(D.dtype)
    twin(ramp_gradient, tasks)(outer, *sizes, *layout, *parts, places, tasks)
    return out
