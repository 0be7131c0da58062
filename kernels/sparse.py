"""Products with a sparse matrix of rows, which is never made dense: the first layer's two.

z(1) = W(1) x + b(1)                         Z = X W + b
dL/dW(1) = delta(1) x^T                      G_W = X^T D, in the storage of W (n_in, n_out)

X is stored by rows (CSR): row r holds ``data[k]`` in column ``columns[k]`` for k from
``starts[r]`` to ``starts[r + 1]``, columns ascending. Every element is one chain of fused
multiply-adds in the order that `gemm` has; zeros add nothing, so the bits are those of the
dense product.
"""

from dataclasses import dataclass

import numpy as np
from numba import prange

from . import arrays
from .delta import source_row
from .gemm import RELU_GATE
from .intrinsics import (
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
from .jit import inner, kernel
from .threads import choose_threads, twin

# a non-zero waits for a row of W or G from a far cache: as long as so many operations
_OPERATIONS_A_NUMBER = 200.0


@dataclass(frozen=True)
class SparseRows:
    """A checked sparse matrix stored by rows, as the kernels read it.

    Attributes
    ----------
    data : numpy.ndarray
        (n,) float32 or float64: the numbers, row after row.
    columns : numpy.ndarray
        (n,) int32: their columns, ascending in each row, none of them twice.
    starts : numpy.ndarray
        (rows + 1,) int64: where each row begins.
    shape : tuple of int
        Rows and columns.
    """

    data: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    shape: tuple

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        """Return consecutive rows, named by a slice; their numbers are shared."""
        first, end, step = rows.indices(len(self))
        if step != 1:
            raise IndexError(f"{rows}: expected consecutive rows")
        end = max(first, end)
        starts = self.starts[first : end + 1]
        part = slice(starts[0], starts[-1])
        shape = (end - first, self.shape[1])
        return SparseRows(self.data[part], self.columns[part], starts - starts[0], shape)

    def take(self, rows):
        """Return some rows, copied, in the order that is asked for."""
        counts = np.diff(self.starts)[rows]
        starts = np.concatenate([[0], np.cumsum(counts)])
        places = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], counts)
        shape = (len(rows), self.shape[1])
        return SparseRows(self.data[places], self.columns[places], starts, shape)

    @property
    def nbytes(self):
        """The bytes of its arrays."""
        return self.data.nbytes + self.columns.nbytes + self.starts.nbytes


def sparse_rows(name, X, dtype=None):
    """Return a SciPy sparse matrix or array as `SparseRows`; shared where its form allows.

    Raises
    ------
    TypeError
        If its dtype is not real, or without `dtype` neither float32 nor float64.
    ValueError
        If it has 2^31 columns or more, or names places that it does not have.
    """
    rows = X.tocsr()
    if rows.shape[1] > np.iinfo(np.int32).max:
        raise ValueError(f"{name} has {rows.shape[1]} columns: expected less than 2^31")
    _check_places(name, rows)
    if not _ascends(rows):  # the caller's stays as it is; its flags may be out of date
        rows = rows.copy()
        rows.has_sorted_indices = rows.has_canonical_format = False
        rows.sum_duplicates()
    if rows.data.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {rows.data.dtype}: expected real numbers")
    data = rows.data if dtype is None else rows.data.astype(dtype, copy=False)
    data = np.ascontiguousarray(arrays.floats(name, data, 1))
    columns = np.ascontiguousarray(rows.indices, np.int32)
    return SparseRows(data, columns, np.ascontiguousarray(rows.indptr, np.int64), rows.shape)


def _check_places(name, rows):
    """Raise ValueError unless every place that a CSR matrix names is in it: kernels trust it."""
    starts, columns = rows.indptr, rows.indices
    ends = len(starts) == rows.shape[0] + 1 and starts[0] == 0
    if (
        not ends
        or starts[-1] > min(len(columns), len(rows.data))
        or (starts[1:] < starts[:-1]).any()
    ):
        raise ValueError(f"{name}: its indptr does not ascend from 0 to its number of entries")
    if len(columns) and not 0 <= columns.min() <= columns.max() < rows.shape[1]:
        raise ValueError(
            f"{name} has entries in columns {columns.min()} to {columns.max()}: "
            f"expected 0 to {rows.shape[1] - 1}"
        )


def _ascends(rows):
    """Return whether the columns of each row ascend, none of them twice."""
    starts, columns = rows.indptr, rows.indices
    ascends = columns[1:] > columns[:-1]
    firsts = starts[1:-1]
    ascends[firsts[(firsts > 0) & (firsts < len(columns))] - 1] = True
    return bool(ascends[: max(starts[-1] - 1, 0)].all())


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


@inner
def _first_from(columns, begin, end, column):
    """Return the first place from `begin` to `end` whose column is not less than `column`."""
    while begin < end:
        middle = (begin + end) // 2
        if columns[middle] < column:
            begin = middle + 1
        else:
            end = middle
    return begin


@inner
def sparse_outer_rows(
    x, columns, starts, order, first, rows, lo, hi, begins, cursors, N, d, d_row, g
):
    """Write rows lo to hi of ``G = X^T D`` to `g`, for `rows` rows of X and of D (rows, N).

    `cursors` holds for each row the place of its first number in column `lo` or behind, and is
    left so for `hi`; where `begins` it is looked for.
    """
    n = width(d)
    for place in range(0, (hi - lo) * N, n):
        store_part(g + place, broadcast(d, 0.0), (hi - lo) * N - place)
    for i in range(rows):
        source, delta = source_row(order, first + i), d + i * d_row
        end = starts[source + 1]
        k = _first_from(columns, starts[source], end, lo) if begins else cursors[i]
        while k < end and columns[k] < hi:
            target, value = g + (columns[k] - lo) * N, broadcast(d, x[k])
            for j in range(0, N, n):
                left, here = N - j, target + j
                store_part(
                    here, fma(value, load_part(delta + j, left), load_part(here, left)), left
                )
            k += 1
        cursors[i] = k


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


@kernel
def sparse_gradient(rows, n_in, N, x, columns, starts, d, g, cursors, tasks):
    """``G = X^T D``; X by addresses, rows of G shared by the tasks."""
    for task in prange(tasks):
        lo, hi = task * n_in // tasks, (task + 1) * n_in // tasks
        like = pointer(g)
        sparse_outer_rows(
            pointer_at(like, x), short_integers_at(columns), integers_at(starts), 0, 0, rows,
            lo, hi, True, pointer(cursors) + task * rows, N, pointer_at(like, d), N, like + lo * N,
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
    tasks = choose_threads(n_threads, _work(X, W.shape[1]), 1)
    twin(sparse_forward, tasks)(
        *out.shape, *_addresses(X), arrays.address(bias), bias is not None,
        W.reshape(-1), out.reshape(-1), tasks,
    )  # fmt: skip
    return out


def sparse_outer(X, D, *, n_threads="auto"):
    """Return ``G = X^T D`` of a sparse X: the outer products of the rows, summed.

    Parameters
    ----------
    X : scipy.sparse matrix or array (batch, n_in)
        float32 or float64; CSR is read where it lies, other formats are converted.
    D : array (batch, n_out)
        Of the same dtype: the layer's deltas.
    n_threads : int or "auto"
        Threads to share the rows of the result.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another dtype, rank or shape.
    """
    X = sparse_rows("X", X)
    D = np.ascontiguousarray(arrays.floats("D", D, 2, like=X.data))
    arrays.expect("D", D, (len(X), D.shape[1]))
    out = np.empty((X.shape[1], D.shape[1]), D.dtype)
    tasks = choose_threads(n_threads, _work(X, D.shape[1]), 1)
    twin(sparse_gradient, tasks)(
        len(X), *out.shape, *_addresses(X), arrays.address(D), out.reshape(-1),
        np.empty(tasks * len(X), np.int64), tasks,
    )  # fmt: skip
    return out


def _addresses(X):
    return [arrays.address(array) for array in (X.data, X.columns, X.starts)]


def _work(X, n_out):
    return X.data.size * (_OPERATIONS_A_NUMBER + 2.0 * n_out)
