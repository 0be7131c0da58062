"""What a source of samples is: blocks of consecutive rows that can be read in any order."""

from abc import ABC, abstractmethod

from ..kernels.scalars import a_whole_number

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
    at a time: one that is trained on, and the next, which a thread reads meanwhile.

    Raises
    ------
    ValueError, TypeError
        If there is no row, or a number is not whole.
    """

    def __init__(self, blocks, columns, window_rows=None):
        self.blocks, self.columns = tuple(blocks), columns
        self.window_rows = rows_of_window(window_rows, columns)
        if not sum(self.blocks):
            raise ValueError(f"{self!r} holds no row: expected at least one")

    @abstractmethod
    def read(self, block):
        """Return block number `block` as ``(X, y, sample_weight)``; the last may be None."""

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


def even_blocks(rows, block_rows, window_rows):
    """Return the rows of each block where the source may choose them."""
    if block_rows is None:
        block_rows = max(1, window_rows // _BLOCKS_A_WINDOW)
    block_rows = a_whole_number("block_rows", block_rows, least=1)
    return [min(block_rows, rows - first) for first in range(0, rows, block_rows)]
