"""Copying a matrix, and transposing it by square register tiles: what ``D W^T`` needs of W."""

from ..compiler.jit import inner
from .intrinsics import load_part, store_part, width
from .tile import tile_square, tile_store, tile_transpose


@inner
def transpose(rows, columns, a, a_row, t, t_row):
    """Write ``T = A^T``, A (rows, columns); they do not overlap."""
    n = width(a)
    whole_rows, whole_columns = rows // n * n, columns // n * n
    for i in range(0, whole_rows, n):
        for j in range(0, whole_columns, n):
            tile = tile_square(a + i * a_row + j, a_row)
            tile_store(tile_transpose(tile), t + j * t_row + i, t_row, None)
    for i in range(rows):
        for j in range(whole_columns if i < whole_rows else 0, columns):
            t[j * t_row + i] = a[i * a_row + j]


@inner
def copy(rows, columns, a, a_row, c, c_row):
    """Write ``C = A``, A (rows, columns)."""
    for i in range(rows):
        for j in range(0, columns, width(a)):
            part = load_part(a + i * a_row + j, columns - j)
            store_part(c + i * c_row + j, part, columns - j)
