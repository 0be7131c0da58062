"""Prefetching the next batch while the tiles of a product are computed.

A processor's prefetcher does not know the order of shuffled rows, so reading them waits for
memory. Products do not: during the gradient each tile prefetches a few lines of the next batch.

An `ahead` is the address of 64-bit integers: the state of the prefetch, then the rows' addresses.
"""

from ..compiler.jit import inner
from ..tuning import CACHE_LINE
from .intrinsics import address_of, integers_at, prefetch, width

_ROW, _BYTE, _ROWS, _ROW_BYTES, _STEP, _ADDRESSES = range(6)


def ahead_integers(rows):
    """Return the number of 64-bit integers of an `ahead` for `rows` rows."""
    return _ADDRESSES + rows


@inner
def start_ahead(ahead, rows, row_bytes, tiles):
    """Start prefetching `rows` rows over the next `tiles` tiles; `set_row` sets their addresses."""
    todo = integers_at(ahead)
    pieces = max(tiles // max(rows, 1), 1)
    lines = (row_bytes // CACHE_LINE + pieces) // pieces
    todo[_ROW], todo[_BYTE], todo[_ROWS] = 0, 0, rows
    todo[_ROW_BYTES], todo[_STEP] = row_bytes, lines * CACHE_LINE


@inner
def set_row(ahead, i, address):
    """Set the address of row `i`."""
    integers_at(ahead)[_ADDRESSES + i] = address


@inner
def fetch_ahead(ahead):
    """Prefetch the next lines, if any are left; `ahead` may be 0 for none."""
    if ahead == 0:
        return
    todo = integers_at(ahead)
    row, byte, step = todo[_ROW], todo[_BYTE], todo[_STEP]
    if row < todo[_ROWS]:
        start = todo[_ADDRESSES + row] + byte
        for line in range(0, step, CACHE_LINE):
            prefetch(start + line)
        todo[_BYTE] = byte + step
        if byte + step >= todo[_ROW_BYTES]:
            todo[_ROW], todo[_BYTE] = row + 1, 0


@inner
def fetch_block(rows, vecs, view):
    """Prefetch `rows` rows of `vecs` vectors at the start of a view."""
    for r in range(rows):
        for v in range(vecs):
            prefetch(address_of(view.first + (r * view.row + v * width(view))))
