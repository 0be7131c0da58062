"""Asking for memory before it is needed, while the tiles of a product are computed.

Shuffled rows come from memory more slowly than any processor's prefetcher could bring them, for
it does not know the order. Products wait for no memory: in the course of the gradient each tile
asks for a few lines of the next batch.

An `ahead` is the address of 64-bit integers: what is left to ask for, then the rows' addresses.
"""

from ..compiler.jit import inner
from ..tuning import CACHE_LINE
from .intrinsics import address_of, integers_at, prefetch, width

_ROW, _BYTE, _ROWS, _ROW_BYTES, _STEP, _ADDRESSES = range(6)


def ahead_integers(rows):
    """Return how many 64-bit integers an `ahead` of so many rows takes."""
    return _ADDRESSES + rows


@inner
def start_ahead(ahead, rows, row_bytes, tiles):
    """Begin to ask for `rows` rows in the course of `tiles` tiles; `set_row` says where each is."""
    todo = integers_at(ahead)
    pieces = max(tiles // max(rows, 1), 1)
    lines = (row_bytes // CACHE_LINE + pieces) // pieces
    todo[_ROW], todo[_BYTE], todo[_ROWS] = 0, 0, rows
    todo[_ROW_BYTES], todo[_STEP] = row_bytes, lines * CACHE_LINE


@inner
def set_row(ahead, i, address):
    """Say where row `i` lies."""
    integers_at(ahead)[_ADDRESSES + i] = address


@inner
def fetch_ahead(ahead):
    """Ask for the next lines of what is left, if anything is; `ahead` may be 0 for nothing."""
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
