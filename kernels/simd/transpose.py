"""Copying a matrix, and transposing it by square register tiles, as ``D W^T`` needs W."""

from ..compiler.jit import inner
from .intrinsics import load_part, store_part, width
from .tile import tile_square, tile_store, tile_transpose
from .view import moved


@inner
def transpose(rows, columns, a, t):
    """Write ``T = A^T``, A (rows, columns); they do not overlap."""
    n = width(a)
    whole_rows, whole_columns = rows // n * n, columns // n * n
    for i in range(0, whole_rows, n):
        for j in range(0, whole_columns, n):
            tile_store(tile_transpose(tile_square(moved(a, i, j))), moved(t, j, i), None)
    for i in range(rows):
        for j in range(whole_columns if i < whole_rows else 0, columns):
            t.first[j * t.row + i] = a.first[i * a.row + j]


@inner
def copy(rows, columns, a, c):
    """Write ``C = A``, A (rows, columns)."""
    for i in range(rows):
        source, target = a.first + i * a.row, c.first + i * c.row
        for j in range(0, columns, width(a)):
            store_part(target + j, load_part(source + j, columns - j), columns - j)
