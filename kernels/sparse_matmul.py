"""The first layer of sparse rows: ``Z = X W + b``, X never made dense.

z(1) = W(1) x + b(1)

X is stored by rows (CSR): row r holds ``data[k]`` in column ``columns[k]`` for k from
``starts[r]`` to ``starts[r + 1]``, columns ascending. Each element of Z is one chain of fused
multiply-adds in the order of `gemm`; zeros add nothing, so the bits are those of the dense product.
Where inputs drop out, the numbers of a batch are read from a copy with a row for each of its rows.
"""

from typing import Any

import numpy as np
from numba import prange, types

from .compiler.jit import Task, inner, kernel
from .compiler.threads import Threads, choose_threads, twin
from .simd.dispatch import by_address
from .simd.gemm import NO_GATE, RELU_GATE
from .simd.intrinsics import (
    broadcast,
    fma,
    integers_at,
    load_part,
    pointer,
    pointer_at,
    select,
    short_integers_at,
    store_part,
    width,
)
from .simd.order import source_row
from .simd.vector import Pointer
from .simd.view import View, matrix, moved
from .support import arrays
from .support.sparse_rows import sparse_addresses, sparse_rows, sparse_work


@inner
def numbers_of_row(X, i, source):
    """Return the pointer p to the numbers of row `i` of a batch, `source` of X: ``p[k]`` as above.

    `X` is ``(data, columns, starts, copied)``: `copied` is 0, or `data` are a batch's own, in rows
    of so many.
    """
    data, _, starts, copied = X
    return data if copied == 0 else data + (i * copied - starts[source])


def sparse_types(kind):
    """Return the Numba type of X: three pointers and a size, see `numbers_of_row`."""
    pointers = Pointer(kind), Pointer(types.int32), Pointer(types.int64)
    return types.Tuple((*pointers, types.intp))


def _types(kind):
    X, size = sparse_types(kind), types.intp
    return X, *[size] * 4, View(kind), Pointer(kind), View(kind), size


@Task.taking(_types)
def sparse_product(X, order, first, rows, N, start, w, z, gate):
    """Write ``Z = start + X W`` for `rows` rows of X from place `first` of the order; W (any, N).

    `X` is as for `numbers_of_row`; `start`, `z` and `gate` are as for `gemm`, `start` a bias or
    zeros.
    """
    _, columns, starts, _ = X
    n = width(w)
    zeros = broadcast(w, 0.0)
    for i in range(rows):
        source = source_row(order, first + i)
        x = numbers_of_row(X, i, source)
        out = moved(z, i, 0).first
        begin, end, j = starts[source], starts[source + 1], 0
        while j < N:
            left = N - j
            here = w + j
            b = start.first + j
            first_sum = load_part(b, left) if start.row >= 0 else zeros
            if left >= 2 * n:
                second_sum = load_part(b + n, n) if start.row >= 0 else zeros
                for k in range(begin, end):
                    value = broadcast(w, x[k])
                    row = here + columns[k] * N
                    first_sum = fma(value, load_part(row, n), first_sum)
                    second_sum = fma(value, load_part(row + n, n), second_sum)
                if gate == RELU_GATE:
                    second_sum = select(second_sum < 0, 0, second_sum)
                store_part(out + j + n, second_sum, n)
                step = 2 * n
            else:
                for k in range(begin, end):
                    row = here + columns[k] * N
                    first_sum = fma(broadcast(w, x[k]), load_part(row, left), first_sum)
                step = n
            if gate == RELU_GATE:
                first_sum = select(first_sum < 0, 0, first_sum)
            store_part(out + j, first_sum, left)
            j += step


run_product = by_address(sparse_product)


@kernel
def sparse_forward(product, rows, N, x, columns, starts, bias, w, z, tasks):
    """Write ``Z = X W + b``; X by three addresses, rows shared by the tasks."""
    for task in prange(tasks):
        lo, hi = task * rows // tasks, (task + 1) * rows // tasks
        like = pointer(w)
        X = (pointer_at(like, x), short_integers_at(columns), integers_at(starts), 0)
        start = matrix(pointer_at(like, bias), 0 if bias != 0 else -1)
        target = matrix(pointer(z) + lo * N, N)
        run_product(product, X, 0, lo, hi - lo, N, start, like, target, NO_GATE)


def sparse_matmul(
    X: Any, W: arrays.Floats, bias: arrays.Floats | None = None, *, n_threads: Threads = "auto"
) -> arrays.Floats:
    """Return ``Z = X W + b`` for a sparse X, which is never made dense.

    Parameters
    ----------
    X : scipy.sparse matrix or array (batch, n_in)
        float32 or float64; CSR is read in place, other formats are converted.
    W : array (n_in, n_out)
        Of the same dtype.
    bias : array (n_out,), optional
        Of the same dtype.
    n_threads : int or "auto"
        Threads to share the rows.

    Returns
    -------
    array (batch, n_out)
        A new array.

    Raises
    ------
    TypeError, ValueError
        If an argument has another dtype, rank or shape.
    """
    X = sparse_rows("X", X)
    W, bias = arrays.layer(W, bias, X.shape[1], like=X.data)
    out = np.empty((len(X), W.shape[1]), W.dtype)
    tasks = choose_threads(n_threads, sparse_work(X, W.shape[1]), 1)
    x = sparse_addresses(X)
    b = arrays.address(bias)
    product = sparse_product.address(W.dtype)
    flat = (W.reshape(-1), out.reshape(-1))
    twin(sparse_forward, tasks)(product, *out.shape, *x, b, *flat, tasks)
    return out
