"""Samples in arrays, which may be memory maps of files larger than memory."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from itertools import accumulate
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..annotations import Array, Arrays, FilePath
from ..checks import as_array
from .source import Source, blocks_of, rows_of_window


class ArraySource(Source):
    """Samples in arrays or in ``.npy`` files, which are memory-mapped.

    Parameters
    ----------
    X : array_like (n, n_in), or path of a .npy file
        Samples.
    y : array_like (n,) or (n, n_out), or path
        Targets, as for ``Network.fit``.
    sample_weight : array_like (n,) or path, optional
        Weights of the samples.
    block_rows : int or sequence of int, optional
        Rows per block, or the rows of each block; default: a 16th of a window.
    window_rows : int, optional
        Rows that are shuffled together; see `Source`.

    Raises
    ------
    ValueError, TypeError
        If the arrays differ in length or a shape is invalid.
    """

    def __init__(
        self,
        X: ArrayLike | FilePath,
        y: ArrayLike | FilePath,
        sample_weight: ArrayLike | FilePath | None = None,
        *,
        block_rows: int | Sequence[int] | None = None,
        window_rows: int | None = None,
    ) -> None:
        given = {"X": X, "y": y, "sample_weight": sample_weight}
        rows, targets, weights = (_opened(name, array) for name, array in given.items())
        if rows is None or rows.ndim != 2 or not rows.shape[1]:
            shape = getattr(rows, "shape", None)
            raise ValueError(f"X has shape {shape}: expected (n_samples, n_features)")
        if targets is None:
            raise TypeError("y=None: expected targets")
        for name, array in (("y", targets), ("sample_weight", weights)):
            if array is not None and (not array.ndim or len(array) != len(rows)):
                raise ValueError(f"{name} has shape {array.shape} but X has {len(rows)} rows")
        window_rows = rows_of_window(window_rows, rows.shape[1])
        super().__init__(blocks_of(len(rows), block_rows, window_rows), rows.shape[1], window_rows)
        self._arrays = rows, targets, weights
        self._starts = [0, *accumulate(self.blocks)]

    def read(self, block: int) -> Arrays:
        """Return block number `block` as ``(X, y, sample_weight)``."""
        for array in self._arrays:
            _forget(array)
        rows = slice(self._starts[block], self._starts[block + 1])
        X, y, weight = self._arrays
        return X[rows], y[rows], None if weight is None else weight[rows]


def _forget(array: Array | None) -> None:
    """Release the pages that were read of a memory map: they count as memory of the process."""
    pages: Any = getattr(array, "_mmap", None)  # None for a copy of a map
    writes = getattr(array, "mode", None) == "c"  # such pages hold what the file does not
    if pages is not None and not writes and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)


def _opened(name: str, array: ArrayLike | FilePath | None) -> Array | None:
    if isinstance(array, (str, PathLike)):
        return np.load(array, mmap_mode="r", allow_pickle=False)
    return array if array is None or isinstance(array, np.memmap) else as_array(name, array)
