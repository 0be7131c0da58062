"""The loops around the register tile: ``C = start + A B`` for any strides of A.

`gemm` cuts A, B and the sum over k into blocks that the caches hold, packs a
block whose rows lie badly into consecutive memory, and runs tiles over it.
Every element of C is one chain of fused multiply-adds over k in order, so its
bits depend neither on the blocking nor on who computes which rows; a column
alone is a dot product of each row, by itself.

Reference: Goto and van de Geijn, Anatomy of high-performance matrix
multiplication, ACM TOMS 34(3), 2008.
"""

from ..compiler.jit import inner
from ..tuning import (
    ALIAS_BYTES,
    APART,
    BLOCK_ROWS,
    BLOCK_VECTORS,
    CACHE_LINE,
    COLLISION_BYTES,
    DEPTH,
    FAR_BYTES,
    LOW_TILE_ROWS,
    NEAR_BYTES_LOW,
    NEAR_BYTES_TALL,
    PACK_COLUMNS,
    PACK_TILES,
    PACK_TILES_TALL,
    PAGE_BYTES,
)
from .intrinsics import address_of, broadcast, fma, item_bytes, load_part, store_part, width
from .prefetch import fetch_ahead, fetch_block
from .reduce import keep_part, keep_results, row_parts, sum_parts
from .tile import (
    rank1,
    row_pointers,
    tile_load,
    tile_relu,
    tile_shapes,
    tile_store,
    tile_where_positive,
    tile_zeros,
)
from .transpose import copy
from .vector import has_cheap_masks

(MAIN_ROWS, _FEW_ROWS, _), VECS = tile_shapes()

_PANELS = BLOCK_VECTORS // VECS * (DEPTH * VECS * 16 + APART)
# floats that `gemm` needs as scratch: a block of B in panels and one of A in strips
SCRATCH_FLOATS = _PANELS + BLOCK_ROWS * (DEPTH + APART)
# where masked stores cost more than whole ones, panels that need none have tiles of their own
_MASKS_COST = not has_cheap_masks()
# what `gemm` can do to its result besides; a gate between two matrices is a multiple of a line
NO_GATE, RELU_GATE = 0, 1
_PACK_ROWS = PACK_TILES * MAIN_ROWS
_PACK_ROWS_TALL = PACK_TILES_TALL * MAIN_ROWS
_IS_LOW = MAIN_ROWS < LOW_TILE_ROWS
_NEAR_BYTES = NEAR_BYTES_LOW if _IS_LOW else NEAR_BYTES_TALL


def _tile_product(rows, vecs):
    """Return the micro-kernel of one tile shape: ``C = start + A B`` in registers.

    `count` lanes of the last vector of a row are written; None means all.
    """

    @inner
    def tile_product(K, start, start_row, a, a_row, a_col, b, b_row, c, c_row, count, gate):
        # A (rows, K), B (K, vecs * lanes), C (rows, vecs * lanes)
        if start_row < 0:
            tile = tile_zeros(c, rows, vecs)
        else:
            tile = tile_load(start, start_row, rows, vecs, count)
        starts = row_pointers(a, a_row, rows)
        for k in range(K):
            tile = rank1(tile, starts, a_row, k * a_col, b + k * b_row)
        if gate == RELU_GATE:
            tile = tile_relu(tile)
        elif gate != NO_GATE:
            tile = tile_where_positive(tile, c + gate, c_row, count)
        tile_store(tile, c, c_row, count)

    return tile_product


def _column_panel(vecs):
    """Return the loop down the rows of A for one panel of B, `vecs` vectors wide."""
    main, few, one = (_tile_product(rows, vecs) for rows in (MAIN_ROWS, _FEW_ROWS, 1))

    @inner
    def column_panel(
        M, K, start, start_row, a, a_step, a_row, a_col, b, b_row, c, c_row, count, gate, ahead
    ):
        # A (M, K), B (K, vecs * lanes), C (M, vecs * lanes)
        step = max(start_row, 0)
        for i in range(0, M - MAIN_ROWS + 1, MAIN_ROWS):
            fetch_ahead(ahead)
            if c_row * item_bytes(c) >= PAGE_BYTES:
                fetch_block(MAIN_ROWS, vecs, c + (i + MAIN_ROWS) * c_row, c_row)
            s, x, z = start + i * step, a + i // MAIN_ROWS * a_step, c + i * c_row
            main(K, s, start_row, x, a_row, a_col, b, b_row, z, c_row, count, gate)
        i = M // MAIN_ROWS * MAIN_ROWS
        x = a + i // MAIN_ROWS * a_step
        while i < M:
            s, z = start + i * step, c + i * c_row
            if M - i >= _FEW_ROWS:
                few(K, s, start_row, x, a_row, a_col, b, b_row, z, c_row, count, gate)
                i += _FEW_ROWS
                x = x + _FEW_ROWS * a_row
            else:
                one(K, s, start_row, x, a_row, a_col, b, b_row, z, c_row, count, gate)
                i += 1
                x = x + a_row

    return column_panel


_wide_panel = _column_panel(VECS)
_narrow_panel = _column_panel(1)


@inner
def _panel(M, N, K, start, start_row, a, a_step, a_row, a_col, b, b_row, c, c_row, gate, ahead):
    """Write ``C = start + A B`` for at most one panel of columns."""
    lanes = width(b)
    left = N - (VECS - 1) * lanes
    if _MASKS_COST and left == lanes:
        _wide_panel(
            M, K, start, start_row, a, a_step, a_row, a_col, b, b_row, c, c_row, None, gate, ahead
        )
    elif left > 0:
        _wide_panel(
            M, K, start, start_row, a, a_step, a_row, a_col, b, b_row, c, c_row, left, gate, ahead
        )
    else:
        _narrow_panel(
            M, K, start, start_row, a, a_step, a_row, a_col, b, b_row, c, c_row, N, gate, ahead
        )


def _packer(floats, vecs):
    """Return the function that copies a matrix to pieces `floats` and `vecs` vectors wide."""

    @inner
    def pack(K, N, source, row, packed, step):
        # the source is (K, N), the pieces start `step` floats apart; whole vectors are written:
        # lanes past a piece are overwritten by its next row, and lanes past N are zeros
        lanes = width(source)
        piece = floats + vecs * lanes
        span = (piece + lanes - 1) // lanes * lanes
        for k in range(K):
            x, target, left = source + k * row, packed + k * piece, N
            while left >= span:
                for r in range(0, piece, lanes):
                    tile_store(tile_load(x + r, 0, 1, 1, None), target + r, 0, None)
                x, target, left = x + piece, target + step, left - piece
            while left > 0:
                for r in range(0, piece, lanes):
                    store_part(target + r, load_part(x + r, left - r), lanes)
                x, target, left = x + piece, target + step, left - piece

    return pack


_pack_strips = _packer(MAIN_ROWS, 0)
_pack_panels = _packer(0, VECS)


@inner
def tiles_of(M, N, lanes):
    """Return how many tiles `gemm` cuts ``C`` (M, N) into, without the rows that are left over."""
    return M // MAIN_ROWS * (-(-N // (VECS * lanes)))


@inner
def _packing_pays(M, K, b, b_row):
    """Return whether M rows of tiles would wait for B (K, any) longer than it takes to pack it."""
    row, size = b_row * item_bytes(b), K * b_row * item_bytes(b)
    if size >= FAR_BYTES:
        return M >= _PACK_ROWS
    if size < _NEAR_BYTES:
        return False
    collides, crosses = row % COLLISION_BYTES == 0, (row | address_of(b)) % CACHE_LINE > 0
    if _IS_LOW:
        return M >= _PACK_ROWS and (collides or crosses)
    return M >= _PACK_ROWS_TALL and collides


@inner
def _packing_of(M, N, K, a, a_row, a_col):
    """Return how A is packed: 1 if a transpose in strips, 2 if rows that collide, else 0."""
    if M < MAIN_ROWS or N < PACK_COLUMNS:
        return 0
    if a_row == 1 and a_col > 1 and (_IS_LOW or K * a_col * item_bytes(a) >= FAR_BYTES):
        return 1
    return 2 if a_col == 1 and a_row * item_bytes(a) % ALIAS_BYTES == 0 else 0


@inner
def _one_column(M, K, start, start_row, a, a_row, b, c, c_row, gate):
    """Write ``C = start + A B`` for one column whose B is contiguous: dot products of rows of A.

    Lane l of a row adds up the products at l, l + lanes, ...; then the lanes are added.
    """
    n = width(b)
    parts, sums = row_parts(b)
    for i in range(0, M, n):
        count = min(n, M - i)
        for r in range(count):
            x, total = a + (i + r) * a_row, broadcast(b, 0.0)
            for k in range(0, K, n):
                total = fma(load_part(x + k, K - k), load_part(b + k, K - k), total)
            keep_part(parts, r, total)
        keep_results(sums, sum_parts(parts))
        for r in range(count):
            value, place = float(sums[r]), (i + r) * c_row
            if start_row >= 0:
                value += start[(i + r) * start_row]
            if gate == RELU_GATE:
                value = 0.0 if value < 0 else value
            elif gate != NO_GATE:
                value = value if c[place + gate] > 0 else 0.0
            c[place] = value


@inner
def gemm(
    M, N, K, start, start_row, a, a_row, a_col, b, b_row, b_width, c, c_row, gate, scratch, ahead
):
    """Write ``C = start + A B``.

    Parameters
    ----------
    M, N, K : int
        A is (M, K), B is (K, N), C is (M, N); each may be 0.
    start, start_row : Pointer, int
        The matrix (M, N) the sums start from and its row stride in elements.
        A bias has stride 0; stride -1 means zeros, and `start` is not read.
    a, a_row, a_col : Pointer, int, int
        A and its strides in elements: ``a_row=1`` reads a transpose.
    b, b_row, b_width : Pointer, int, int
        B, whose rows are contiguous, and how much of a row may be read: N or more.
    c, c_row : Pointer, int
        C, whose rows are contiguous. It overlaps neither A nor B.
    gate : int
        What is done to the sums before they are stored: nothing for `NO_GATE`, ``max(C, 0)`` for
        `RELU_GATE`; else C is 0 where the number `gate` elements behind it is not positive.
    scratch : Pointer
        `SCRATCH_FLOATS` of memory for packed blocks, aligned to a cache line.
    ahead : int
        What to ask for meanwhile, see `ahead`, or 0.
    """
    if N == 1 and a_col == 1 and b_row == 1:
        _one_column(M, K, start, start_row, a, a_row, b, c, c_row, gate)
        return
    if N == 1 and a_row == 1 and c_row == 1 and abs(start_row) == 1:
        # C is as well one row, and A^T contiguous: C^T = start^T + B^T A^T
        M, N, a, b, a_row, a_col, b_row, b_width = 1, M, b, a, 0, b_row, a_col, M
    lanes = width(b)
    panel = VECS * lanes
    pack_a = _packing_of(M, N, K, a, a_row, a_col)
    pack_b = (N + lanes - 1) // lanes * lanes > b_width or _packing_pays(M, K, b, b_row)
    depth, rows, columns = max(K, 1), max(M, 1), max(N, 1)
    if pack_a > 0 or pack_b:
        depth, rows, columns = DEPTH, BLOCK_ROWS, BLOCK_VECTORS * lanes
    for k in range(0, max(K, 1), depth):
        d = min(depth, K - k)
        for j in range(0, N, columns):
            n, y, y_row, y_step = min(columns, N - j), b + k * b_row + j, b_row, panel
            if pack_b:
                y_row, y_step = panel, d * panel + APART
                _pack_panels(d, n, y, b_row, scratch, y_step)
                y = scratch
            for i in range(0, M, rows):
                m, x = min(rows, M - i), a + i * a_row + k * a_col
                x_step, x_row, x_col = MAIN_ROWS * a_row, a_row, a_col
                if pack_a == 1:
                    x_step, x_row, x_col = d * MAIN_ROWS + APART, 1, MAIN_ROWS
                    _pack_strips(d, m, x, a_col, scratch + _PANELS, x_step)
                elif pack_a == 2:
                    x_row = d + APART
                    x_step = MAIN_ROWS * x_row
                    copy(m, d, x, a_row, scratch + _PANELS, x_row)
                x = scratch + _PANELS if pack_a > 0 else x
                s, z = start + i * max(start_row, 0) + j, c + i * c_row + j
                last = gate if k + d == K else NO_GATE
                for p in range(0, n, panel):
                    _panel(
                        m, min(panel, n - p), d, s + p, start_row, x, x_step, x_row, x_col,
                        y + p // panel * y_step, y_row, z + p, c_row, last, ahead,
                    )  # fmt: skip
        start, start_row = c, c_row
