"""Sparse matrices stored by rows (CSR), checked for the kernels."""

from dataclasses import dataclass

import numpy as np

from ..tuning import MULTIPLY_ADD_FLOPS, NONZERO_FLOPS
from . import arrays


@dataclass(frozen=True)
class SparseRows:
    """A sparse matrix stored by rows; kernels rely on its checks.

    Attributes
    ----------
    data : numpy.ndarray
        (n,) float32 or float64: the numbers, row after row.
    columns : numpy.ndarray
        (n,) int32: their columns, strictly ascending in each row.
    starts : numpy.ndarray
        (rows + 1,) int64: the offset of each row in `data`.
    shape : tuple of int
        The numbers of rows and columns.
    """

    data: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    shape: tuple

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        """Return the consecutive rows of a slice; the numbers are shared."""
        first, end, step = rows.indices(len(self))
        if step != 1:
            raise IndexError(f"{rows}: expected consecutive rows")
        end = max(first, end)
        starts = self.starts[first : end + 1]
        part = slice(starts[0], starts[-1])
        shape = (end - first, self.shape[1])
        return SparseRows(self.data[part], self.columns[part], starts - starts[0], shape)

    def take(self, rows):
        """Return a copy of the rows with these indices, in this order."""
        counts = np.diff(self.starts)[rows]
        starts = np.concatenate([[0], np.cumsum(counts)])
        places = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], counts)
        shape = (len(rows), self.shape[1])
        return SparseRows(self.data[places], self.columns[places], starts, shape)

    @property
    def nbytes(self):
        """The size of the arrays in bytes."""
        return self.data.nbytes + self.columns.nbytes + self.starts.nbytes


def joined_rows(parts):
    """Return the rows of several `SparseRows` one after another."""
    sizes = np.cumsum([0, *(part.starts[-1] for part in parts)])
    starts = [part.starts[1:] + size for part, size in zip(parts, sizes[:-1], strict=True)]
    data = np.concatenate([part.data[: part.starts[-1]] for part in parts])
    columns = np.concatenate([part.columns[: part.starts[-1]] for part in parts])
    shape = (sum(map(len, parts)), parts[0].shape[1])
    return SparseRows(data, columns, np.concatenate([[0], *starts]), shape)


def sparse_rows(name, X, dtype=None):
    """Return a SciPy sparse matrix or array as `SparseRows`, without a copy if its form allows.

    Raises
    ------
    TypeError
        If it is no sparse matrix, or its dtype is not real or, without `dtype`, neither float32
        nor float64.
    ValueError
        If it has 2^31 columns or more, or an index is outside the matrix.
    """
    if not hasattr(X, "tocsr"):
        raise TypeError(f"{name} is a {type(X).__name__}: expected a sparse matrix of SciPy")
    if len(X.shape) != 2:
        raise ValueError(f"{name} has shape {X.shape}: expected 2 dimensions")
    rows = X.tocsr()
    if rows.data.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {rows.data.dtype}: expected real numbers")
    if rows.shape[1] > np.iinfo(np.int32).max:
        raise ValueError(f"{name} has {rows.shape[1]} columns: expected less than 2^31")
    _check_places(name, rows)
    if not _ascends(rows):  # the caller's matrix is not changed; its flags may be wrong
        rows = rows.copy()
        rows.has_sorted_indices = rows.has_canonical_format = False
        rows.sum_duplicates()
    data = rows.data if dtype is None else rows.data.astype(dtype, copy=False)
    data = np.ascontiguousarray(arrays.floats(name, data, 1))
    columns = np.ascontiguousarray(rows.indices, np.int32)
    return SparseRows(data, columns, np.ascontiguousarray(rows.indptr, np.int64), rows.shape)


def _check_places(name, rows):
    """Raise ValueError unless all indices of a CSR matrix are inside it, as kernels assume."""
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
    """Return whether the columns of each row are strictly ascending."""
    starts, columns = rows.indptr, rows.indices
    ascends = columns[1:] > columns[:-1]
    firsts = starts[1:-1]
    ascends[firsts[(firsts > 0) & (firsts < len(columns))] - 1] = True
    return bool(ascends[: max(starts[-1] - 1, 0)].all())


def sparse_addresses(X):
    """Return the addresses of the numbers, their columns and the starts of rows."""
    return [arrays.address(array) for array in (X.data, X.columns, X.starts)]


def sparse_work(X, n_out):
    """Return the cost of a product with `n_out` columns, in operations."""
    return X.data.size * (NONZERO_FLOPS + MULTIPLY_ADD_FLOPS * n_out)
