"""Samples that come once, kept in a scratch file so that every epoch can have them."""

import tempfile
from typing import Any
from weakref import finalize

import numpy as np

from ..checks import as_array
from .arrays import ArraySource
from .source import Source, as_block, read_block


class Spool:
    """A scratch file that blocks of samples are appended to; then `source` reads them back.

    The file has no name, where the system can do that: it is gone when the process is,
    however that ends.

    Parameters
    ----------
    folder : path, optional
        Where the file lies; default: the system's place for temporary files.
    """

    def __init__(self, folder=None):
        self._folder, self.rows = folder, 0
        self._parts: Any = None

    def append(self, X, y, sample_weight=None):
        """Append a block: X (n, n_in), y (n,) or (n, n_out), and weights (n,) in all or in none.

        Raises
        ------
        ValueError, TypeError
            If its shapes or dtypes are not those of the first block, or not of numbers.
        OSError
            If the disk is full.
        """
        names = ("X", "y", "sample_weight")
        given = zip(names, (X, y, sample_weight), strict=True)
        arrays = {name: as_array(name, array) for name, array in given if array is not None}
        if self._parts is None:
            self._parts = {name: _Part(name, array, self._folder) for name, array in arrays.items()}
        if arrays.keys() != self._parts.keys():
            raise ValueError("y, sample_weight: expected in every block, or in none")
        for name, part in self._parts.items():
            part.check(arrays[name])
        if len({len(array) for array in arrays.values()}) > 1:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            raise ValueError(f"a block has {shapes}: expected as many rows in each")
        for name, part in self._parts.items():
            part.append(arrays[name])
        self.rows += len(arrays["X"])

    def source(self, window_rows=None, block_rows=None):
        """Return the `Source` of what was appended."""
        if not self.rows:
            raise ValueError("the data hold no block: expected at least one row")
        names = ("X", "y", "sample_weight")
        maps = [part and part.map(self.rows) for part in map(self._parts.get, names)]
        return ArraySource(*maps, block_rows=block_rows, window_rows=window_rows)


class _Part:
    """One array's rows, one after the other in a file."""

    def __init__(self, name, array, folder):
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name} has dtype {array.dtype}: expected real numbers")
        if array.ndim == 0 or (name == "X" and (array.ndim != 2 or not array.shape[1])):
            shape = "(n_samples, n_features)" if name == "X" else "(n_samples, ...)"
            raise ValueError(f"{name} has shape {array.shape}: expected {shape}")
        self._name, self.dtype, self.shape = name, array.dtype, array.shape[1:]
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - as long as it
        finalize(self, self._file.close)  # a map of it stays

    def check(self, array):
        if (array.dtype, array.shape[1:]) != (self.dtype, self.shape) or not array.ndim:
            raise ValueError(
                f"{self._name} is {array.dtype} {array.shape[1:]} a row, but {self.dtype} "
                f"{self.shape} in the first block: expected the same in every block"
            )

    def append(self, array):
        content = memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        while len(content):  # a raw file may take a part
            content = content[self._file.write(content) :]

    def map(self, rows):
        """Return the array (rows, ...), which the system reads from the file where it is used."""
        return np.memmap(self._file, self.dtype, "r", shape=(rows, *self.shape))


def spooled(blocks, window_rows=None, folder=None):
    """Keep blocks in a scratch file, and return its `Source`.

    Blocks of an iterator come once; those of a source may be costly to read, so that every
    epoch after this one reads them faster from the file: the same blocks, in the same order.

    Parameters
    ----------
    blocks : Source, or iterable of tuple
        ``(X, y)`` or ``(X, y, sample_weight)`` each.
    window_rows : int, optional
        Rows that are shuffled together; see `Source`.
    folder : path, optional
        Where the scratch file lies.

    Raises
    ------
    TypeError, ValueError
        If a block is not of this form, or not like the first.
    OSError
        If the disk is full.
    """
    block_rows = None
    if isinstance(blocks, Source):
        source, window_rows = blocks, window_rows or blocks.window_rows
        block_rows = source.blocks
        blocks = (read_block(source, block) for block in range(len(source.blocks)))
    spool = Spool(folder)
    for block in blocks:
        spool.append(*as_block(block))
    return spool.source(window_rows, block_rows)
