"""Sums and maxima along rows, of as many rows at a time as a vector has lanes.

Each row leaves one vector of partial results. Side by side these make a square
tile, whose transpose is reduced lane by lane: five operations a row, none of
which waits for the last, where reducing each vector by itself is a chain of eight.
The parts lie in `row_parts`: a tile of vectors, and one vector more for the results.
"""

from ..compiler.jit import inner
from .intrinsics import fma, keep_first, load_part, local_floats, select, store_part, width
from .tile import tile_max, tile_square, tile_sum, tile_transpose


@inner
def row_parts(like):
    """Return memory of the caller's for the parts of a block of rows, and for their results."""
    n = width(like)
    parts = local_floats(like)
    return parts, parts + n * n


@inner
def keep_part(parts, r, part):
    """Keep the partial results of row `r` of a block."""
    store_part(parts + r * width(parts), part, width(parts))


@inner
def keep_results(results, values):
    """Keep one number a row."""
    store_part(results, values, width(results))


@inner
def sum_parts(parts):
    """Return the sum of each row's part in the row's lane; the lanes of no row hold anything."""
    return tile_sum(tile_transpose(tile_square(parts, width(parts))))


@inner
def row_squares(rows, columns, w, w_row, sums):
    """Write the sum of squares of each of `rows` rows, columns added in a fixed order."""
    n = width(w)
    parts, _ = row_parts(w)
    for i in range(0, rows, n):
        count = min(n, rows - i)
        for r in range(count):
            x = w + (i + r) * w_row
            total = load_part(x, columns)
            total = total * total
            for j in range(n, columns, n):
                part = load_part(x + j, columns - j)
                total = fma(part, part, total)
            keep_part(parts, r, total)
        store_part(sums + i, sum_parts(parts), count)


@inner
def row_maxima(rows, columns, z, z_row, parts):
    """Return the greatest of each row's floats in the row's lane, of a block of rows.

    NaN may be lost, what is computed of it not. The lanes of no row hold anything.
    """
    n = width(z)
    for r in range(rows):
        x = z + r * z_row
        top = keep_first(load_part(x, columns), columns, x[0])
        for j in range(n, columns, n):
            part = keep_first(load_part(x + j, columns - j), columns - j, x[0])
            top = select(part > top, part, top)
        keep_part(parts, r, top)
    return tile_max(tile_transpose(tile_square(parts, n)))
