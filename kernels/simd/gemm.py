"""The loops around the register tile: ``C = start + A B`` for any strides of A.

`gemm` cuts A, B and the sum over k into blocks that fit the caches, packs a block whose rows
collide in a cache into consecutive memory, and runs tiles over it. Each element of C is one chain
of fused multiply-adds over k in order, so its bits depend neither on the blocking nor on which
thread computes which rows. A single column is computed as the dot product of each row.

Reference: Goto and van de Geijn, Anatomy of high-performance matrix
multiplication, ACM TOMS 34(3), 2008.
"""

from numba import types

from .. import tuning
from ..compiler.jit import Task, inner
from .dispatch import by_address
from .intrinsics import (
    address_of,
    broadcast,
    fma,
    item_bytes,
    load_part,
    local_floats,
    store_part,
    width,
)
from .prefetch import fetch_ahead, fetch_block
from .reduce import keep_part, keep_results, results_behind, sum_parts
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
from .vector import Pointer, has_cheap_masks
from .view import View, matrix, moved, shifted, strided

(MAIN_ROWS, FEW_ROWS, _), VECS = tile_shapes()

_PANELS = tuning.BLOCK_VECTORS // VECS * (tuning.DEPTH * VECS * 16 + tuning.APART)
# floats that `gemm` needs as scratch: a block of B in panels and one of A in strips
SCRATCH_FLOATS = _PANELS + tuning.BLOCK_ROWS * (tuning.DEPTH + tuning.APART)
# where masked stores cost more than whole ones, panels of whole vectors have tiles without masks
_MASKS_COST = not has_cheap_masks()
# the `gate` of a product: none, or max(C, 0). Any other gate is the distance in elements to the
# matrix that gates C, a multiple of a cache line and so different from both.
NO_GATE, RELU_GATE = 0, 1
_PACK_ROWS = tuning.PACK_TILES * MAIN_ROWS
_PACK_ROWS_TALL = tuning.PACK_TILES_TALL * MAIN_ROWS
_IS_LOW = MAIN_ROWS < tuning.LOW_TILE_ROWS
_NEAR_BYTES = tuning.NEAR_BYTES_LOW if _IS_LOW else tuning.NEAR_BYTES_TALL


def _tile_product(rows, vecs):
    """Return the micro-kernel of one tile shape: ``C = start + A B`` in registers.

    It writes `count` lanes of the last vector of a row; None means all.
    """

    @inner
    def tile_product(K, start, a, b, c, count, gate):
        # A (rows, K), B (K, vecs * lanes), C (rows, vecs * lanes)
        zero = start.row < 0
        tile = tile_zeros(c, rows, vecs) if zero else tile_load(start, rows, vecs, count)
        starts = row_pointers(a, rows)
        for k in range(K):
            tile = rank1(tile, starts, a, k, b)
        if gate == RELU_GATE:
            tile = tile_relu(tile)
        elif gate != NO_GATE:
            tile = tile_where_positive(tile, moved(c, 0, gate), count)
        tile_store(tile, c, count)

    return tile_product


def _column_panel(vecs):
    """Return the loop down the rows of A for one panel of B, `vecs` vectors wide."""
    main, few, one = (_tile_product(rows, vecs) for rows in (MAIN_ROWS, FEW_ROWS, 1))

    @inner
    def column_panel(M, K, start, a, a_step, b, c, count, gate, ahead):
        # A (M, K), B (K, vecs * lanes), C (M, vecs * lanes)
        far = c.row * item_bytes(c) >= tuning.PAGE_BYTES
        for i in range(0, M - MAIN_ROWS + 1, MAIN_ROWS):
            fetch_ahead(ahead)
            if far:
                fetch_block(MAIN_ROWS, vecs, moved(c, i + MAIN_ROWS, 0))
            main(K, moved(start, i, 0), a, b, moved(c, i, 0), count, gate)
            a = shifted(a, a_step)
        i = M // MAIN_ROWS * MAIN_ROWS
        while i < M:
            s, z = moved(start, i, 0), moved(c, i, 0)
            if M - i >= FEW_ROWS:
                few(K, s, a, b, z, count, gate)
                a = moved(a, FEW_ROWS, 0)
                i += FEW_ROWS
            else:
                one(K, s, a, b, z, count, gate)
                a = moved(a, 1, 0)
                i += 1

    return column_panel


_wide_panel = _column_panel(VECS)
_narrow_panel = _column_panel(1)


@inner
def _panel(M, N, K, start, a, a_step, b, c, gate, ahead):
    """Write ``C = start + A B`` for at most one panel of columns."""
    lanes = width(b)
    left = N - (VECS - 1) * lanes
    if _MASKS_COST and left == lanes:
        _wide_panel(M, K, start, a, a_step, b, c, None, gate, ahead)
    elif left > 0:
        _wide_panel(M, K, start, a, a_step, b, c, left, gate, ahead)
    else:
        _narrow_panel(M, K, start, a, a_step, b, c, N, gate, ahead)


def _packer(floats, vecs):
    """Return the function that copies a matrix to pieces `floats` and `vecs` vectors wide."""

    @inner
    def pack(K, N, source, packed, step):
        # the source is (K, N); pieces start `step` floats apart. Whole vectors are written: lanes
        # beyond a piece are overwritten by its next row, lanes beyond N are zeros.
        lanes = width(packed)
        piece = floats + vecs * lanes
        span = (piece + lanes - 1) // lanes * lanes
        for k in range(K):
            x = source.first + k * source.row
            target = packed + k * piece
            left = N
            while left >= span:
                for r in range(0, piece, lanes):
                    tile_store(tile_load(matrix(x + r, 0), 1, 1, None), matrix(target + r, 0), None)
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
    """Return the number of whole tiles that `gemm` cuts ``C`` (M, N) into."""
    return M // MAIN_ROWS * (-(-N // (VECS * lanes)))


@inner
def _packing_pays(M, K, b):
    """Return whether M rows of tiles would wait for B (K, any) longer than packing it takes."""
    row = b.row * item_bytes(b)
    if K * row >= tuning.FAR_BYTES:
        return M >= _PACK_ROWS
    if K * row < _NEAR_BYTES:
        return False
    collides = row % tuning.COLLISION_BYTES == 0
    if _IS_LOW:
        crosses = (row | address_of(b.first)) % tuning.CACHE_LINE > 0
        return M >= _PACK_ROWS and (collides or crosses)
    return M >= _PACK_ROWS_TALL and collides


@inner
def _packing_of(M, N, K, a):
    """Return how A is packed: 1 for a transpose in strips, 2 for rows that collide, 0 for none."""
    if M < MAIN_ROWS or N < tuning.PACK_COLUMNS:
        return 0
    if a.row == 1 and a.column > 1:
        far = K * a.column * item_bytes(a) >= tuning.FAR_BYTES
        return 1 if _IS_LOW or far else 0
    return 2 if a.column == 1 and a.row * item_bytes(a) % tuning.ALIAS_BYTES == 0 else 0


@inner
def _one_column(M, K, start, a, b, c, gate):
    """Write ``C = start + A B`` for one column whose B is contiguous: dot products of rows of A.

    Lane l of a row adds the products at l, l + lanes, ...; then the lanes are added.
    """
    n = width(b)
    parts = local_floats(b)
    sums = results_behind(parts)
    for i in range(0, M, n):
        count = min(n, M - i)
        for r in range(count):
            x = moved(a, i + r, 0).first
            y = b.first
            total = broadcast(b, 0.0)
            for k in range(0, K, n):
                total = fma(load_part(x + k, K - k), load_part(y + k, K - k), total)
            keep_part(parts, r, total)
        keep_results(sums, sum_parts(parts))
        for r in range(count):
            value = float(sums[r])
            place = (i + r) * c.row
            if start.row >= 0:
                value += start.first[(i + r) * start.row]
            if gate == RELU_GATE:
                value = 0.0 if value < 0 else value
            elif gate != NO_GATE:
                value = value if c.first[place + gate] > 0 else 0.0
            c.first[place] = value


def _types(kind):
    view, size = View(kind), types.intp
    return size, size, size, view, view, view, size, view, size, Pointer(kind), size


@Task.taking(_types)
def gemm(M, N, K, start, a, b, b_width, c, gate, scratch, ahead):
    """Write ``C = start + A B``.

    Parameters
    ----------
    M, N, K : int
        A is (M, K), B is (K, N), C is (M, N); each may be 0.
    start : View
        The matrix (M, N) that the sums start from, of contiguous rows. A bias has row stride 0;
        row stride -1 means zeros, and `start` is not read.
    a : View
        A, of any strides.
    b, b_width : View, int
        B, whose rows are contiguous, and the elements of a row that may be read: N or more.
    c : View
        C, whose rows are contiguous. It overlaps neither A nor B.
    gate : int
        `NO_GATE` stores the sums, `RELU_GATE` stores ``max(C, 0)``; any other gate stores 0 where
        the number `gate` elements after that of C is not positive.
    scratch : Pointer
        `SCRATCH_FLOATS` of memory for packed blocks, aligned to a cache line.
    ahead : int
        The address of a list of rows to prefetch meanwhile, see `prefetch`, or 0.
    """
    if N == 1 and a.column == 1 and b.row == 1:
        _one_column(M, K, start, a, b, c, gate)
        return
    if N == 1 and a.row == 1 and c.row == 1 and abs(start.row) == 1:
        # C is also one row, and A^T is contiguous: C^T = start^T + B^T A^T
        M, N, b_width = 1, M, M
        a, b = strided(b.first, 0, b.row), matrix(a.first, a.column)
    lanes = width(b)
    panel = VECS * lanes
    pack_a = _packing_of(M, N, K, a)
    pack_b = (N + lanes - 1) // lanes * lanes > b_width or _packing_pays(M, K, b)
    depth, rows, columns = max(K, 1), max(M, 1), max(N, 1)
    if pack_a > 0 or pack_b:
        depth, rows, columns = tuning.DEPTH, tuning.BLOCK_ROWS, tuning.BLOCK_VECTORS * lanes
    strips = scratch + _PANELS
    for k in range(0, max(K, 1), depth):
        d = min(depth, K - k)
        last = gate if k + d == K else NO_GATE
        for j in range(0, N, columns):
            n = min(columns, N - j)
            y = moved(b, k, j)
            y_step = panel
            if pack_b:
                y_step = d * panel + tuning.APART
                _pack_panels(d, n, y, scratch, y_step)
                y = matrix(scratch, panel)
            for i in range(0, M, rows):
                m = min(rows, M - i)
                x = moved(a, i, k)
                x_step = MAIN_ROWS * a.row
                if pack_a == 1:
                    x_step = d * MAIN_ROWS + tuning.APART
                    _pack_strips(d, m, strided(x.first, x.column, 1), strips, x_step)
                    x = strided(strips, 1, MAIN_ROWS)
                elif pack_a == 2:
                    packed = matrix(strips, d + tuning.APART)
                    copy(m, d, x, packed)
                    x, x_step = packed, MAIN_ROWS * packed.row
                for p in range(0, n, panel):
                    s, z = moved(start, i, j + p), moved(c, i, j + p)
                    piece = shifted(y, p // panel * y_step)
                    _panel(m, min(panel, n - p), d, s, x, x_step, piece, z, last, ahead)
        start = c


# calls `gemm` by its address: all kernels share its machine code
run_gemm = by_address(gemm)
