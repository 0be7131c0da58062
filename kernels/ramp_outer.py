"""The first layer's gradient from rows with ramps: ``G_W = X^T D`` (n_in, n_out).

dL/dW(1) = delta(1) x^T, summed over the batch. What `ramp_matmul` adds to z makes the gradient of
the sum C_k

    E_k = sum (1 - f) delta over the rows in bin k, and sum f delta over those in bin k - 1

and that of row i of a number's part of W is h (E_(i+1) + E_(i+2) + ... + E_B).
"""

from typing import Any

import numpy as np
from numba import prange, types

from .compiler.jit import Task, inner, kernel
from .compiler.threads import Threads, choose_threads, twin
from .ramp_matmul import PANEL, TABLE_FLOATS, bin_of
from .simd.dispatch import by_address
from .simd.intrinsics import aligned, integers_at, pointer, pointer_at, width
from .simd.tile import tile_load, tile_multiply_add, tile_store, tile_zeros
from .simd.vector import Pointer
from .simd.view import View, matrix, moved, shifted
from .support import arrays
from .support.ramp_rows import ramp_rows, ramp_work


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
    def of_ramps(rows, ramps, height, x, d, g, count, table):
        # E (ramps + 1, panel), G (ramps, panel)
        span = vecs * width(table)
        parts = matrix(table, span)
        for k in range(ramps + 1):
            tile_store(tile_zeros(table, 1, vecs), moved(parts, k, 0), None)
        for i in range(rows):
            k, rest, part = bin_of(x.first[i * x.row], ramps, table)
            delta = tile_load(moved(d, i, 0), 1, vecs, count)
            low, high = moved(parts, k, 0), moved(parts, k + 1, 0)
            tile_store(tile_multiply_add(rest, delta, tile_load(low, 1, vecs, None)), low, None)
            tile_store(tile_multiply_add(part, delta, tile_load(high, 1, vecs, None)), high, None)
        total = tile_zeros(d, 1, vecs)
        for i in range(ramps - 1, -1, -1):
            part_here = tile_load(moved(parts, i + 1, 0), 1, vecs, None)
            total = tile_multiply_add(height, part_here, total)
            tile_store(total, moved(g, i, 0), count)

    @inner
    def panel_outer(rows, lo, hi, starts, height, x, d, g, count, table):
        for c in range(lo, hi):
            ramps = starts[c + 1] - starts[c]
            values, target = moved(x, 0, c), moved(g, starts[c] - starts[lo], 0)
            if ramps > 1:
                of_ramps(rows, ramps, height, values, d, target, count, table)
            else:
                of_feature(rows, values, d, target, count)

    return panel_outer


_wide, _narrow = _panel_outer(PANEL), _panel_outer(1)


def _types(kind):
    size, layout = types.intp, types.Tuple((types.intp, types.float64))
    return size, size, size, size, layout, View(kind), View(kind), Pointer(kind), Pointer(kind)


@Task.taking(_types)
def ramp_outer_rows(rows, lo, hi, N, layout, x, d, g, table):
    """Write the rows of ``G = X^T D`` of columns lo to hi of X to `g`; D (rows, N).

    `layout` is ``(starts, height)`` of `RampRows`, `starts` an address; `table` is memory of
    `TABLE_FLOATS`.
    """
    address, height = layout
    starts, n = integers_at(address), width(g)
    target = matrix(g, N)
    j = 0
    while N - j >= PANEL * n:
        parts = (x, shifted(d, j), shifted(target, j))
        _wide(rows, lo, hi, starts, height, *parts, None, table)
        j += PANEL * n
    while j < N:
        parts = (x, shifted(d, j), shifted(target, j))
        _narrow(rows, lo, hi, starts, height, *parts, min(n, N - j), table)
        j += n


run_ramp_outer = by_address(ramp_outer_rows)


@kernel
def ramp_gradient(outer, rows, columns, N, starts, height, x, d, g, tables, tasks):
    """Write ``G = X^T D``; columns of X shared by the tasks; X, its starts and D by address."""
    for task in prange(tasks):
        like = pointer(g)
        places = integers_at(starts)
        n_in = places[columns]
        lo = column_of(places, columns, task * n_in // tasks)
        hi = column_of(places, columns, (task + 1) * n_in // tasks)
        table = aligned(pointer(tables)) + task * TABLE_FLOATS
        source, delta = matrix(pointer_at(like, x), columns), matrix(pointer_at(like, d), N)
        layout, target = (starts, height), like + places[lo] * N
        run_ramp_outer(outer, rows, lo, hi, N, layout, source, delta, target, table)


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
    tables = arrays.scratch(tasks * TABLE_FLOATS, D.dtype)
    sizes = (len(rows), rows.values.shape[1], D.shape[1])
    outer = ramp_outer_rows.address(D.dtype)
    twin(ramp_gradient, tasks)(outer, *sizes, *layout, *parts, tables, tasks)
    return out
