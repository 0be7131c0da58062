"""Sources of samples: blocks of consecutive rows that can be read in any order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..annotations import Array, Arrays, Block
from ..checks import as_array
from ..kernels.support.forks import Turn
from ..kernels.support.scalars import a_whole_number
from ..quoted import quoted

# default size of a window in float32; two windows are in memory at a time
_WINDOW_BYTES = 64 * 1024 * 1024
# default number of blocks in a window: more blocks mix the rows better
_BLOCKS_PER_WINDOW = 16


class Source(ABC):
    """Samples outside memory that are read block by block.

    Parameters
    ----------
    blocks : sequence of int
        Rows of each block, in the order of the data.
    columns : int
        Columns of X.
    window_rows : int, optional
        Rows that are shuffled together; default: 64 MiB of float32.

    Notes
    -----
    Every epoch shuffles the blocks. Consecutive blocks of this order, up to `window_rows` rows,
    form a window, and the rows of each window are shuffled. The order depends only on the
    network's seed, the epoch, `blocks` and `window_rows`. Two windows are in memory at a time:
    while one is trained on, a thread reads the next. `read` is called by one thread at a time,
    not always the same one.

    Raises
    ------
    ValueError, TypeError
        If there are no rows, or a number is not a whole number.
    """

    def __init__(self, blocks: Iterable[int], columns: int, window_rows: int | None = None) -> None:
        sizes = (a_whole_number("blocks", rows, least=1) for rows in blocks)
        self.blocks: tuple[int, ...] = tuple(sizes)
        self.columns: int = a_whole_number("columns", columns, least=1)
        self.window_rows = rows_of_window(window_rows, self.columns)
        self.turn = Turn()
        if not self.blocks:
            raise ValueError(f"{quoted(self)} has no rows: expected at least one")

    @abstractmethod
    def read(self, block: int) -> Block:
        """Return block number `block`: ``(X, y)`` or ``(X, y, sample_weight)``."""

    def __getstate__(self):
        """Leave out the lock: each copy has its own."""
        return {name: value for name, value in self.__dict__.items() if name != "turn"}

    def __setstate__(self, state):
        """Restore the attributes, with a new lock."""
        self.__dict__.update(state)
        self.turn = Turn()

    def for_epochs(self, epochs: int) -> Source:
        """Return the source to read `epochs` epochs from: itself, or a faster copy."""
        return self

    def __len__(self) -> int:
        """Return the number of rows."""
        return sum(self.blocks)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} rows x {self.columns} columns)"


def rows_of_window(window_rows: int | None, columns: int) -> int:
    """Return the number of rows in a window, by default 64 MiB of float32."""
    if window_rows is None:
        return max(1, _WINDOW_BYTES // (4 * columns))
    return int(a_whole_number("window_rows", window_rows, least=1))


def blocks_of(rows: int, block_rows: int | Sequence[int] | None, window_rows: int) -> Sequence[int]:
    """Return the rows of each block; by default a window holds 16 blocks."""
    if isinstance(block_rows, (list, tuple)):
        if sum(block_rows) != rows:
            raise ValueError(f"block_rows: expected {rows:,} in all, not {sum(block_rows):,}")
        return block_rows
    if block_rows is None:
        block_rows = max(1, window_rows // _BLOCKS_PER_WINDOW)
    size: int = a_whole_number("block_rows", block_rows, least=1)
    return [min(size, rows - first) for first in range(0, rows, size)]


def windows_of(source: Source, blocks: Iterable[int], window_rows: int) -> list[list[int]]:
    """Group `blocks`, in their order, into windows of at most `window_rows` rows."""
    groups: list[list[int]] = [[]]
    rows = 0
    for block in blocks:
        count = source.blocks[block]
        if groups[-1] and rows + count > window_rows:
            groups.append([])
            rows = 0
        groups[-1].append(block)
        rows += count
    return groups


def as_block(block: Any) -> tuple[Any, Any, Any]:
    """Return a block as ``(X, y, sample_weight)``, with None for missing weights."""
    if not isinstance(block, (tuple, list)) or len(block) not in (2, 3):
        kind = type(block).__name__
        raise TypeError(f"a block is {kind}: expected tuples (X, y) or (X, y, weight)")
    return (*block, None)[:3]


def read_block(source: Source, block: int) -> Arrays:
    """Read block number `block` of a source; raise unless its arrays are as it announced."""
    with source.turn.lock:
        given = as_block(source.read(block))
    X, y, weight = (
        None if array is None else as_array(name, array)
        for name, array in zip(("X", "y", "sample_weight"), given, strict=True)
    )
    name = f"block {block} of {quoted(source)}"
    rows = source.blocks[block]
    if X is None or X.ndim != 2 or X.shape[1] != source.columns:
        shape = "None" if X is None else X.shape
        raise ValueError(f"{name}: X has shape {shape}, expected (n, {source.columns})")
    if X.dtype.kind not in "fiub":
        raise TypeError(f"{name}: X has dtype {X.dtype}, expected real numbers")
    if y is None:
        raise TypeError(f"{name}: y is None, expected targets")
    for array in (X, y, weight):
        if array is not None and (not array.ndim or len(array) != rows):
            raise ValueError(
                f"{name} has {array.shape[0] if array.ndim else 0} rows, expected {rows}: "
                "the data changed while they were read, or X, y and weights differ in length"
            )
    return X, y, weight


def joined(arrays: Sequence[Array | None], name: str = "sample_weight") -> Array | None:
    """Concatenate the arrays of several blocks; None if all are, ValueError if only some are."""
    present = [array for array in arrays if array is not None]
    if present and len(present) < len(arrays):
        raise ValueError(f"{name}: expected in every block, or in none")
    return np.concatenate(present) if present else None
