"""What a source of samples is: blocks of consecutive rows that can be read in any order."""

import threading
from abc import ABC, abstractmethod

import numpy as np

from ..checks import as_array
from ..kernels.support.scalars import a_whole_number

# what a window holds unless the caller says otherwise; two are in memory at a time
_WINDOW_BYTES = 64 * 1024 * 1024
# blocks of a window, where the source may choose: the more, the better rows are mixed
_BLOCKS_A_WINDOW = 16


class Source(ABC):
    """Samples that lie outside memory, and are read block by block.

    Parameters
    ----------
    blocks : sequence of int
        The rows of each block, in the order of the data.
    columns : int
        The columns of X.
    window_rows : int, optional
        How many rows are shuffled together; default: what 64 MiB of float32 hold.

    Notes
    -----
    Every epoch puts the blocks in an order of its own; those that follow one another, up to
    `window_rows`, make a window, and the rows of a window are shuffled. The order depends on
    the network's seed, the epoch, `blocks` and `window_rows` alone. Two windows are in memory
    at a time: one that is trained on, and the next, which a thread reads meanwhile. One thread
    at a time calls `read`, not always the same.

    Raises
    ------
    ValueError, TypeError
        If there is no row, or a number is not whole.
    """

    def __init__(self, blocks, columns, window_rows=None):
        self.blocks = tuple(a_whole_number("blocks", rows, least=1) for rows in blocks)
        self.columns = a_whole_number("columns", columns, least=1)
        self.window_rows = rows_of_window(window_rows, self.columns)
        self.turn = threading.Lock()
        if not self.blocks:
            raise ValueError(f"{self!r} holds no row: expected at least one")

    @abstractmethod
    def read(self, block):
        """Return block number `block` as ``(X, y, sample_weight)``; the last may be None."""

    def __getstate__(self):
        """Return what copies and pickles hold: all but the lock, for each takes its own turns."""
        return {name: value for name, value in self.__dict__.items() if name != "turn"}

    def __setstate__(self, state):
        """Restore what `__getstate__` gave."""
        self.__dict__.update(state)
        self.turn = threading.Lock()

    def for_epochs(self, epochs):
        """Return the source that so many epochs are read from: itself, unless that is slow."""
        return self

    def __len__(self):
        """Return the number of rows."""
        return sum(self.blocks)

    def __repr__(self):
        return f"{type(self).__name__}({len(self)} rows x {self.columns} columns)"


def rows_of_window(window_rows, columns):
    """Return how many rows a window holds."""
    if window_rows is None:
        return max(1, _WINDOW_BYTES // (4 * columns))
    return a_whole_number("window_rows", window_rows, least=1)


def blocks_of(rows, block_rows, window_rows):
    """Return the rows of each block where the source may choose them, or those it was given."""
    if isinstance(block_rows, (list, tuple)):
        if sum(block_rows) != rows:
            raise ValueError(f"block_rows: expected {rows:,} in all, not {sum(block_rows):,}")
        return block_rows
    if block_rows is None:
        block_rows = max(1, window_rows // _BLOCKS_A_WINDOW)
    block_rows = a_whole_number("block_rows", block_rows, least=1)
    return [min(block_rows, rows - first) for first in range(0, rows, block_rows)]


def windows_of(source, blocks, window_rows):
    """Return lists of those of `blocks` that make a window together, in their order."""
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


def as_block(block):
    """Return what someone gives for a block as a tuple ``(X, y, sample_weight)``."""
    if not isinstance(block, (tuple, list)) or len(block) not in (2, 3):
        raise TypeError(
            f"a block is {type(block).__name__}: expected tuples (X, y) or (X, y, weight)"
        )
    return (*block, None)[:3]


def read_block(source, block):
    """Return the arrays of a block, which are what the source said they would be.

    Raises
    ------
    ValueError, TypeError
        If they are not.
    """
    with source.turn:
        given = as_block(source.read(block))
    X, y, weight = (
        None if array is None else as_array(name, array)
        for name, array in zip(("X", "y", "sample_weight"), given, strict=True)
    )
    name, rows = f"block {block} of {source!r}", source.blocks[block]
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
                "the data changed while they were read, or X, y and weights differ"
            )
    return X, y, weight


def joined(column):
    """Return one array of the arrays of several blocks; None if there is none.

    Raises
    ------
    ValueError
        If some blocks have it and others have not.
    """
    if len({part is None for part in column}) > 1:
        raise ValueError("sample_weight: expected in every block, or in none")
    return None if column[0] is None else np.concatenate(column)
