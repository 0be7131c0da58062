"""Products with a sparse matrix of rows, which is never made dense: the first layer's two.

z(1) = W(1) x + b(1)                         Z = X W + b
dL/dW(1) = delta(1) x^T                      G_W = X^T D, in the storage of W (n_in, n_out)

X is stored by rows (CSR): row r holds ``data[k]`` in column ``columns[k]`` for k from
``starts[r]`` to ``starts[r + 1]``, columns ascending. Every element is one chain of fused
multiply-adds in the order that `gemm` has; zeros add nothing, so the bits are those of the
dense product.
"""

import numpy as np
from numba import prange

from .compiler.jit import inner, kernel
from .compiler.threads import choose_threads, twin
from .simd.gemm import RELU_GATE
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
from .support import arrays
from .support.sparse_rows import sparse_addresses, sparse_rows, sparse_work


@inner
def sparse_product(x, columns, starts, order, first, rows, N, bias, has_bias, w, z, z_row, gate):
    """Write ``Z = X W + b`` for `rows` rows of X from place `first` of the order; W (any, N)."""
    n = width(w)
    zeros = broadcast(w, 0.0)
    for i in range(rows):
        source, out = source_row(order, first + i), z + i * z_row
        begin, end, j = starts[source], starts[source + 1], 0
        while j < N:
            left, here, b = N - j, w + j, bias + j
            first_sum = load_part(b, left) if has_bias else zeros
            if left >= 2 * n:
                second_sum = load_part(b + n, n) if has_bias else zeros
                for k in range(begin, end):
                    value, row = broadcast(w, x[k]), here + columns[k] * N
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


@kernel
def sparse_forward(rows, N, x, columns, starts, bias, has_bias, w, z, tasks):
    """``Z = X W + b``; X by addresses, rows shared by the tasks."""
    for task in prange(tasks):
        lo, hi = task * rows // tasks, (task + 1) * rows // tasks
        weights, out = pointer(w), pointer(z)
        sparse_product(
            pointer_at(weights, x), short_integers_at(columns), integers_at(starts), 0, lo, hi - lo,
            N, pointer_at(weights, bias), has_bias, weights, out + lo * N, N, 0,
        )  # fmt: skip


def sparse_matmul(X, W, bias=None, *, n_threads="auto"):
    """Return ``Z = X W + b`` of a sparse X, which is never made dense.

    Parameters
    ----------
    X : scipy.sparse matrix or array (batch, n_in)
        float32 or float64; CSR is read where it lies, other formats are converted.
    W : array (n_in, n_out)
        Of the same dtype.
    bias : array (n_out,), optional
        Of the same dtype.
    n_threads : int or "auto"
        Threads to share the rows.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another dtype, rank or shape.
    """
    X = sparse_rows("X", X)
    W = np.ascontiguousarray(arrays.floats("W", W, 2, like=X.data))
    arrays.expect("W", W, (X.shape[1], W.shape[1]))
    if bias is not None:
        bias = np.ascontiguousarray(arrays.floats("bias", bias, 1, like=X.data))
        arrays.expect("bias", bias, W.shape[1:])
    out = np.empty((len(X), W.shape[1]), W.dtype)
    tasks = choose_threads(n_threads, sparse_work(X, W.shape[1]), 1)
    twin(sparse_forward, tasks)(
        *out.shape, *sparse_addresses(X), arrays.address(bias), bias is not None,
        W.reshape(-1), out.reshape(-1), tasks,
    )  # fmt: skip
    return out
