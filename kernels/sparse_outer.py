"""The first layer's gradient from sparse rows: ``G_W = X^T D`` (n_in, n_out).

dL/dW(1) = delta(1) x^T, summed over the batch in the order of `gemm`; see `sparse_matmul`.
"""

from typing import Any

import numpy as np
from numba import prange, types

from .compiler.jit import Task, inner, kernel
from .compiler.threads import Threads, choose_threads, twin
from .simd.dispatch import by_address
from .simd.intrinsics import (
    broadcast,
    fma,
    integers_at,
    load_part,
    pointer,
    pointer_at,
    short_integers_at,
    store_part,
    width,
)
from .simd.order import source_row
from .simd.vector import Pointer
from .simd.view import View, matrix, moved
from .sparse_matmul import numbers_of_row, sparse_types
from .support import arrays
from .support.sparse_rows import sparse_addresses, sparse_rows, sparse_work


@inner
def _first_from(columns, begin, end, column):
    """Return the first place from `begin` to `end` whose column is at least `column`."""
    while begin < end:
        middle = (begin + end) // 2
        if columns[middle] < column:
            begin = middle + 1
        else:
            end = middle
    return begin


def _types(kind):
    X = sparse_types(kind)
    size, batch, cursors = types.intp, types.UniTuple(types.intp, 3), Pointer(types.int64)
    return X, batch, size, size, types.boolean, cursors, size, View(kind), Pointer(kind)


@Task.taking(_types)
def sparse_outer_rows(X, batch, lo, hi, begins, cursors, N, d, g):
    """Write rows lo to hi of ``G = X^T D`` to `g`, for a batch of X and its D (rows, N).

    `X` is as for `numbers_of_row`; `batch` is ``(order, first, rows)``, the
    rows of X from place `first` of the order. On entry `cursors` holds, for each row of the batch,
    the place of its first number in column `lo` or later; on return that for `hi`. With `begins`
    the places are searched for.
    """
    _, columns, starts, _ = X
    order, first, rows = batch
    n = width(d)
    for place in range(0, (hi - lo) * N, n):
        store_part(g + place, broadcast(d, 0.0), (hi - lo) * N - place)
    for i in range(rows):
        source = source_row(order, first + i)
        x = numbers_of_row(X, i, source)
        delta = moved(d, i, 0).first
        end = starts[source + 1]
        k = _first_from(columns, starts[source], end, lo) if begins else cursors[i]
        while k < end and columns[k] < hi:
            target = g + (columns[k] - lo) * N
            value = broadcast(d, x[k])
            for j in range(0, N, n):
                left = N - j
                here = target + j
                total = fma(value, load_part(delta + j, left), load_part(here, left))
                store_part(here, total, left)
            k += 1
        cursors[i] = k


run_outer = by_address(sparse_outer_rows)


@kernel
def sparse_gradient(outer, rows, n_in, N, x, columns, starts, d, g, cursors, tasks):
    """Write ``G = X^T D``; X by three addresses, rows of G shared by the tasks."""
    for task in prange(tasks):
        lo, hi = task * n_in // tasks, (task + 1) * n_in // tasks
        like = pointer(g)
        places = pointer(cursors) + task * rows
        X = (pointer_at(like, x), short_integers_at(columns), integers_at(starts), 0)
        delta = matrix(pointer_at(like, d), N)
        batch = (0, 0, rows)
        begins = rows >= 0  # true, and no literal: literals have types of their own
        run_outer(outer, X, batch, lo, hi, begins, places, N, delta, like + lo * N)


def sparse_outer(X: Any, D: arrays.Floats, *, n_threads: Threads = "auto") -> arrays.Floats:
    """Return ``G_W = X^T D`` for a sparse X: the sum of the outer products of the rows.

    Parameters
    ----------
    X : scipy.sparse matrix or array (batch, n_in)
        float32 or float64; CSR is read in place, other formats are converted.
    D : array (batch, n_out)
        The layer's deltas, of the same dtype.
    n_threads : int or "auto"
        Threads to share the rows of the result.

    Returns
    -------
    array (n_in, n_out)
        A new array.

    Raises
    ------
    TypeError, ValueError
        If an argument has another dtype, rank or shape.
    """
    X = sparse_rows("X", X)
    D = np.ascontiguousarray(arrays.floats("D", D, 2, like=X.data))
    arrays.expect("D", D, (len(X), D.shape[1]))
    out = np.empty((X.shape[1], D.shape[1]), D.dtype)
    tasks = choose_threads(n_threads, sparse_work(X, D.shape[1]), 1)
    x = sparse_addresses(X)
    d = arrays.address(D)
    cursors = np.empty(tasks * len(X), np.int64)
    outer = sparse_outer_rows.address(D.dtype)
    twin(sparse_gradient, tasks)(outer, len(X), *out.shape, *x, d, out.reshape(-1), cursors, tasks)
    return out
