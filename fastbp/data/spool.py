"""Scratch files: keep samples that can be read only once, so that every epoch can read them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from functools import partial
from shutil import disk_usage
from typing import Any
from weakref import finalize

import numpy as np
from numpy.typing import ArrayLike

from ..annotations import Array, Block, FilePath
from ..checks import as_array
from .arrays import ArraySource
from .source import Source, as_block, read_block

# how much of what is free in its folder the blocks of an iterable may take
_SHARE_OF_DISK = 0.5


class Spool:
    """A scratch file: append blocks of samples, then read them back through `source`.

    Where the system allows it, the file has no name, so that it disappears with the process.

    Parameters
    ----------
    folder : path, optional
        Folder of the file; default: the system's folder for temporary files.

    Attributes
    ----------
    rows, bytes : int
        Rows appended so far, and their size in the file.
    """

    def __init__(self, folder: FilePath | None = None) -> None:
        self._folder = folder
        self.rows = self.bytes = 0
        self._parts: Any = None

    def append(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Append a block: X (n, n_in), y (n,) or (n, n_out), and weights (n,) in all or in none.

        Raises
        ------
        ValueError, TypeError
            If its shapes or dtypes differ from those of the first block, or it holds no
            numbers.
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
            raise ValueError(f"a block has {shapes}: expected the same number of rows in each")
        for name, part in self._parts.items():
            part.append(arrays[name])
            self.bytes += arrays[name].nbytes
        self.rows += len(arrays["X"])

    def source(
        self, window_rows: int | None = None, block_rows: int | Sequence[int] | None = None
    ) -> ArraySource:
        """Return the source of the appended blocks."""
        if not self.rows:
            raise ValueError("the data have no blocks: expected at least one row")
        names = ("X", "y", "sample_weight")
        maps = [part and part.map(self.rows) for part in map(self._parts.get, names)]
        return ArraySource(*maps, block_rows=block_rows, window_rows=window_rows)


class _Part:
    """The rows of one array, consecutive in a file."""

    def __init__(self, name: str, array: Array, folder: FilePath | None) -> None:
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name} has dtype {array.dtype}: expected real numbers")
        if array.ndim == 0 or (name == "X" and (array.ndim != 2 or not array.shape[1])):
            shape = "(n_samples, n_features)" if name == "X" else "(n_samples, ...)"
            raise ValueError(f"{name} has shape {array.shape}: expected {shape}")
        self._name = name
        self.dtype = array.dtype
        self.shape = array.shape[1:]
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
        finalize(self, self._file.close)  # a map of it stays valid

    def check(self, array: Array) -> None:
        if (array.dtype, array.shape[1:]) != (self.dtype, self.shape) or not array.ndim:
            raise ValueError(
                f"{self._name} is {array.dtype} {array.shape[1:]} per row, but {self.dtype} "
                f"{self.shape} in the first block: expected the same in every block"
            )

    def append(self, array: Array) -> None:
        content = memoryview(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        while len(content):  # a raw file may write only a part
            content = content[self._file.write(content) :]

    def map(self, rows: int) -> Array:
        """Return a memory map (rows, ...) of the file."""
        return np.memmap(self._file, self.dtype, "r", shape=(rows, *self.shape))


def spooled(
    blocks: Source | Iterable[Block], window_rows: int | None = None, folder: FilePath | None = None
) -> ArraySource:
    """Copy blocks to a scratch file, and return its source: the same blocks, in the same order.

    An iterator can be read only once, and the blocks of a source may be slow to read.

    Parameters
    ----------
    blocks : Source, or iterable of tuple
        ``(X, y)`` or ``(X, y, sample_weight)`` each.
    window_rows : int, optional
        Rows that are shuffled together; see `Source`.
    folder : path, optional
        Folder of the scratch file.

    Raises
    ------
    TypeError, ValueError
        If a block is invalid, or differs from the first in shape or dtype.
    OSError
        If the disk is full, or blocks of an iterable take most of what was free.
    """
    block_rows = None
    place = folder or tempfile.gettempdir()
    most = _SHARE_OF_DISK * disk_usage(place).free
    if isinstance(blocks, Source):
        window_rows = window_rows or blocks.window_rows
        block_rows = blocks.blocks
        blocks = map(partial(read_block, blocks), range(len(block_rows)))
    spool = Spool(folder)
    for block in blocks:
        spool.append(*as_block(block))
        if block_rows is None and spool.bytes > most:
            raise OSError(
                f"X has not ended, and its blocks take {spool.bytes / 1e9:.3g} GB of {place}, "
                f"{_SHARE_OF_DISK:.0%} of what was free: give steps_per_epoch= to train on them as "
                "they arrive, or let TMPDIR name a larger disk"
            )
    return spool.source(window_rows, block_rows)
