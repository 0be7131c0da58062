"""The first layer of rows with ramps: ``Z = X W + b``, X never made dense.

z(1) = W(1) x + b(1)

A number whose position is p = k + f, k whole and 0 <= f < 1, has the ramps h, ..., h, h f, 0, ...,
0, k of them whole. With C_k the sum of the first k rows of its part of W, times h, they add

    (1 - f) C_k + f C_(k+1)

to z. The sums are made once for a batch, so that a number costs two multiply-adds for each unit,
however many ramps it has.
"""

from typing import Any

import numpy as np
from numba import prange, types

from .compiler.jit import Task, inner, kernel
from .compiler.threads import Threads, choose_threads, twin
from .simd.dispatch import by_address
from .simd.gemm import NO_GATE, RELU_GATE
from .simd.intrinsics import aligned, float_of, integers_at, pointer, pointer_at, width
from .simd.tile import tile_load, tile_multiply_add, tile_relu, tile_store, tile_zeros
from .simd.vector import Pointer
from .simd.view import View, matrix, moved, shifted
from .support import arrays
from .support.ramp_rows import MOST_RAMPS, ramp_rows, ramp_work
from .tuning import CACHE_LINE, RAMP_VECTORS

# floats of the table of the sums of one number, one more than it has ramps
TABLE_FLOATS = RAMP_VECTORS * CACHE_LINE // 4 * (MOST_RAMPS + 1)


@inner
def bin_of(position, ramps):
    """Return the bin that a position is in; the last ends with its end."""
    return min(int(position), ramps - 1)


def _panel_product(vecs):
    """Return the product of X with a panel of W, `vecs` vectors wide.

    It writes `count` lanes of the last vector of a row; None means all.
    """

    @inner
    def add_feature(rows, x, w, z, count):
        # Z += x w: x (rows, 1), w (1, panel), Z (rows, panel)
        weights = tile_load(w, 1, vecs, count)
        for i in range(rows):
            value = x.first[i * x.row]
            if value != 0:
                here = moved(z, i, 0)
                total = tile_multiply_add(value, weights, tile_load(here, 1, vecs, count))
                tile_store(total, here, count)

    @inner
    def add_ramps(rows, ramps, height, x, w, z, count, table):
        # Z += (1 - f) C[k] + f C[k + 1]: w (ramps, panel), C (ramps + 1, panel)
        sums = matrix(table, vecs * width(table))
        total = tile_zeros(table, 1, vecs)
        tile_store(total, sums, None)
        for k in range(ramps):
            total = tile_multiply_add(height, tile_load(moved(w, k, 0), 1, vecs, count), total)
            tile_store(total, moved(sums, k + 1, 0), None)
        for i in range(rows):
            position = x.first[i * x.row]
            k = bin_of(position, ramps)
            part = position - float_of(table, k)
            rest = float_of(table, 1) - part
            here = moved(z, i, 0)
            total = tile_load(here, 1, vecs, count)
            total = tile_multiply_add(rest, tile_load(moved(sums, k, 0), 1, vecs, None), total)
            total = tile_multiply_add(part, tile_load(moved(sums, k + 1, 0), 1, vecs, None), total)
            tile_store(total, here, count)

    @inner
    def panel_product(rows, columns, starts, height, start, x, w, z, gate, count, table):
        zero = start.row < 0
        for i in range(rows):
            first = tile_zeros(table, 1, vecs) if zero else tile_load(start, 1, vecs, count)
            tile_store(first, moved(z, i, 0), count)
        for c in range(columns):
            ramps = starts[c + 1] - starts[c]
            values, weights = moved(x, 0, c), moved(w, starts[c], 0)
            if ramps > 1:
                add_ramps(rows, ramps, height, values, weights, z, count, table)
            else:
                add_feature(rows, values, weights, z, count)
        if gate == RELU_GATE:
            for i in range(rows):
                here = moved(z, i, 0)
                tile_store(tile_relu(tile_load(here, 1, vecs, count)), here, count)

    return panel_product


_wide, _middle, _narrow = (_panel_product(vecs) for vecs in (RAMP_VECTORS, 2, 1))


def _types(kind):
    size, layout = types.intp, types.Tuple((types.intp, types.intp, types.float64))
    return size, size, layout, View(kind), View(kind), View(kind), View(kind), size, Pointer(kind)


@Task.taking(_types)
def ramp_product(rows, N, layout, start, x, w, z, gate, table):
    """Write ``Z = start + X W`` for X of `rows` rows; W (any, N).

    `layout` is ``(columns, starts, height)`` of `RampRows`, `starts` an address; `start`, `z` and
    `gate` are as for `gemm`, `start` a bias or zeros, `table` memory of `TABLE_FLOATS`.
    """
    columns, address, height = layout
    starts, n = integers_at(address), width(table)
    j = 0
    while j < N:
        left = N - j
        parts = (shifted(start, j), x, shifted(w, j), shifted(z, j))
        if left >= RAMP_VECTORS * n:
            _wide(rows, columns, starts, height, *parts, gate, None, table)
            j += RAMP_VECTORS * n
        elif left > n:
            _middle(rows, columns, starts, height, *parts, gate, min(left - n, n), table)
            j += 2 * n
        else:
            _narrow(rows, columns, starts, height, *parts, gate, left, table)
            j += n


run_ramp_product = by_address(ramp_product)


@kernel
def ramp_forward(product, rows, N, columns, starts, height, x, bias, w, z, tables, tasks):
    """Write ``Z = X W + b``; rows shared by the tasks; X, its starts and the bias by address."""
    for task in prange(tasks):
        lo, hi = task * rows // tasks, (task + 1) * rows // tasks
        like = pointer(w)
        table = aligned(pointer(tables)) + task * TABLE_FLOATS
        start = matrix(pointer_at(like, bias), 0 if bias != 0 else -1)
        source = moved(matrix(pointer_at(like, x), columns), lo, 0)
        target = matrix(pointer(z) + lo * N, N)
        layout = (columns, starts, height)
        weights = matrix(like, N)
        run_ramp_product(
            product, hi - lo, N, layout, start, source, weights, target, NO_GATE, table
        )


def ramp_matmul(
    X: arrays.Floats,
    starts: Any,
    W: arrays.Floats,
    bias: arrays.Floats | None = None,
    *,
    height: float = 1.0,
    n_threads: Threads = "auto",
) -> arrays.Floats:
    """Return ``Z = F W + b``, F the features that short rows X with ramps stand for.

    Column c of X stands for the features from ``starts[c]`` to ``starts[c + 1]``: for itself if
    that is one, else for B ramps, ``height clip(x - i, 0, 1)`` for i from 0 to B - 1.

    Parameters
    ----------
    X : array (batch, columns)
        float32 or float64; from 0 to B where it stands for B ramps.
    starts : array (columns + 1,) of int
        Ascending from 0 to n_in.
    W : array (n_in, n_out)
        Of the dtype of X.
    bias : array (n_out,), optional
        Of the same dtype.
    height : float
        The largest value of a ramp.
    n_threads : int or "auto"
        Threads to share the rows.

    Returns
    -------
    array (batch, n_out)
        A new array.

    Raises
    ------
    TypeError, ValueError
        If an argument has another dtype, rank or shape, or a position is out of range.
    """
    rows = ramp_rows("X", X, starts, height)
    W, bias = arrays.layer(W, bias, rows.shape[1], like=rows.values)
    out = np.empty((len(rows), W.shape[1]), W.dtype)
    tasks = choose_threads(n_threads, ramp_work(rows, W.shape[1]), 1)
    layout = rows.values.shape[1], arrays.address(rows.starts), rows.height
    parts = (arrays.address(rows.values), arrays.address(bias), W.reshape(-1), out.reshape(-1))
    tables = arrays.scratch(tasks * TABLE_FLOATS, W.dtype)
    product = ramp_product.address(W.dtype)
    twin(ramp_forward, tasks)(product, *out.shape, *layout, *parts, tables, tasks)
    return out
