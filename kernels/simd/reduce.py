"""Sums and maxima along rows, of a block with a row for each lane of a vector.

Each row leaves one vector of partial results. Side by side these make a square
tile, whose transpose is reduced lane by lane: five operations per row that can overlap,
where reducing each vector by itself is a chain of eight.
The parts lie in `local_floats`, a tile of vectors, and the results behind them, in one vector
more. A kernel must take that memory itself: the memory of a function that is compiled into
another ends with it.
"""

from math import inf

from ..compiler.jit import inner
from .intrinsics import (
    fma,
    item_bytes,
    keep_first,
    load_part,
    local_floats,
    select,
    store_part,
    width,
)
from .tile import tile_max, tile_square, tile_sum, tile_transpose
from .view import matrix


@inner
def results_behind(parts):
    """Return the place of the results, one per row, behind the parts of a block of rows."""
    return parts + width(parts) * width(parts)


@inner
def keep_part(parts, r, part):
    """Store the partial results of row `r` of a block."""
    store_part(parts + r * width(parts), part, width(parts))


@inner
def keep_results(results, values):
    """Store one number per row."""
    store_part(results, values, width(results))


@inner
def _parts_by_lane(parts):
    """Return the transpose of the parts: a tile whose columns are the rows of the block."""
    return tile_transpose(tile_square(matrix(parts, width(parts))))


@inner
def sum_parts(parts):
    """Return the sum of each row's part in the row's lane; lanes without a row are undefined."""
    return tile_sum(_parts_by_lane(parts))


@inner
def row_squares(rows, columns, w, sums):
    """Write the sum of squares of each of `rows` rows, columns added in a fixed order."""
    n = width(w)
    parts = local_floats(w)
    for i in range(0, rows, n):
        count = min(n, rows - i)
        for r in range(count):
            x = w.first + (i + r) * w.row
            total = load_part(x, columns)
            total = total * total
            for j in range(n, columns, n):
                part = load_part(x + j, columns - j)
                total = fma(part, part, total)
            keep_part(parts, r, total)
        store_part(sums + i, sum_parts(parts), count)


@inner
def scaled_squares(count, p):
    """Return ``(top, sum (x / top)^2)`` of `count` floats in float64, `top` the largest magnitude.

    No square overflows or vanishes. It is for the few vectors for which a plain sum would not do;
    the sum is 1 where `top` is 0 or not finite: NaN if one is.
    """
    top = 0.0
    for i in range(count):
        x = abs(1.0 * p[i])
        if x != x:
            return x, 1.0
        top = max(top, x)
    if not 0 < top < inf:
        return top, 1.0
    total = 0.0
    for i in range(count):
        x = p[i] / top
        total += x * x
    return top, total


@inner
def least_squares_sum(like, count):
    """Return the least sum of `count` squares to which vanished ones make no difference."""
    return count * (1e-37 if item_bytes(like) == 4 else 1e-300)


@inner
def row_maxima(rows, columns, z, parts):
    """Return the maximum of each row in the row's lane, of a block of rows.

    A NaN may be lost: results computed from the rows still have it. Lanes without a row are
    undefined.
    """
    n = width(z)
    for r in range(rows):
        x = z.first + r * z.row
        top = keep_first(load_part(x, columns), columns, x[0])
        for j in range(n, columns, n):
            part = keep_first(load_part(x + j, columns - j), columns - j, x[0])
            top = select(part > top, part, top)
        keep_part(parts, r, top)
    return tile_max(_parts_by_lane(parts))
