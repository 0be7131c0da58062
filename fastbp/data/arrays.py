"""Samples in arrays, which may be maps of files larger than memory."""

import mmap
from itertools import accumulate
from os import PathLike
from typing import Any

import numpy as np

from .source import Source, blocks_of, rows_of_window


class ArraySource(Source):
    """Samples in arrays or in ``.npy`` files, which are mapped and not loaded.

    Parameters
    ----------
    X : array (n, n_in), or path of a .npy file
        Samples.
    y : array (n,) or (n, n_out), or path
        Targets, as for ``Network.fit``.
    sample_weight : array (n,) or path, optional
        Weights of the samples.
    block_rows : int or sequence of int, optional
        Rows that are read at a time, or those of each block; default: a 16th of a window.
    window_rows : int, optional
        Rows that are shuffled together; see `Source`.

    Raises
    ------
    ValueError, TypeError
        If the arrays do not fit each other.
    """

    def __init__(self, X, y, sample_weight=None, *, block_rows=None, window_rows=None):
        self._arrays = [_opened(array) for array in (X, y, sample_weight)]
        X, y, sample_weight = self._arrays
        if X is None or X.ndim != 2 or not X.shape[1]:
            shape = getattr(X, "shape", None)
            raise ValueError(f"X has shape {shape}: expected (n_samples, n_features)")
        for name, array in (("y", y), ("sample_weight", sample_weight)):
            if array is not None and (not array.ndim or len(array) != len(X)):
                raise ValueError(f"{name} has shape {array.shape} but X has {len(X)} rows")
        if y is None:
            raise TypeError("y=None: expected targets")
        window_rows = rows_of_window(window_rows, X.shape[1])
        super().__init__(blocks_of(len(X), block_rows, window_rows), X.shape[1], window_rows)
        self._starts = [0, *accumulate(self.blocks)]

    def read(self, block):
        """Return block number `block` as ``(X, y, sample_weight)``."""
        for array in self._arrays:
            _forget(array)
        rows = slice(self._starts[block], self._starts[block + 1])
        return tuple(None if array is None else array[rows] for array in self._arrays)


def _forget(array):
    """Let go of what was read of a map before: it need not count as memory of this process."""
    pages: Any = getattr(array, "_mmap", None)  # a copy of a map is of its class, but has none
    if pages is not None and array.mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)  # of a file, which is read anew where it must be


def _opened(array):
    if isinstance(array, (str, PathLike)):
        return np.load(array, mmap_mode="r", allow_pickle=False)
    return array if array is None else np.asanyarray(array)
