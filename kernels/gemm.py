"""The loops around the register tile: ``C = start + A B`` for any strides of A.

`gemm` cuts B into panels of columns one tile wide, packs a panel where its
rows lie far apart, and runs tiles down the rows of A. Every element of C is
one chain of fused multiply-adds over k in order, so its bits depend neither on
the blocking nor on who computes which rows.

Reference: Goto and van de Geijn, Anatomy of high-performance matrix
multiplication, ACM TOMS 34(3), 2008.
"""

from .intrinsics import item_bytes, load_part, store_part, width
from .jit import inner
from .tile import rank1, row_pointers, tile_load, tile_shapes, tile_store, tile_zeros

(MAIN_ROWS, _FEW_ROWS, _), VECS = tile_shapes()

# a packed panel takes half of the first-level cache's reach from the second, and
# a few panels share each load of a tile's rows of A
_PANEL_BYTES = 64 * 1024
_PANELS = 4
# what `gemm` needs as scratch
SCRATCH_BYTES = _PANELS * _PANEL_BYTES
# B is packed if it is larger than this (the second-level cache and the page
# table's reach) and enough rows of A share the cost
_PACK_BYTES = 2 * 1024 * 1024
_PACK_ROWS = 4 * MAIN_ROWS


def _tile_product(rows, vecs):
    """Return the micro-kernel of one tile shape: ``C = start + A B`` in registers.

    `count` lanes of the last vector of a row are valid; None means all.
    """

    @inner
    def tile_product(K, start, start_row, a, a_row, a_col, b, b_row, c, c_row, count):
        # A (rows, K), B (K, vecs * lanes), C (rows, vecs * lanes)
        if start_row < 0:
            tile = tile_zeros(c, rows, vecs)
        else:
            tile = tile_load(start, start_row, rows, vecs, count)
        starts = row_pointers(a, a_row, rows)
        for k in range(K):
            tile = rank1(tile, starts, a_row, k * a_col, b + k * b_row, count)
        tile_store(tile, c, c_row, count)

    return tile_product


def _column_panel(vecs):
    """Return the loop down the rows of A for one panel of B, `vecs` vectors wide."""
    main, few, one = (_tile_product(rows, vecs) for rows in (MAIN_ROWS, _FEW_ROWS, 1))

    @inner
    def column_panel(M, K, start, start_row, a, a_row, a_col, b, b_row, c, c_row, count):
        # A (M, K), B (K, vecs * lanes), C (M, vecs * lanes)
        step = max(start_row, 0)
        i = 0
        while i < M:
            s, x, z = start + i * step, a + i * a_row, c + i * c_row
            if M - i >= MAIN_ROWS:
                main(K, s, start_row, x, a_row, a_col, b, b_row, z, c_row, count)
                i += MAIN_ROWS
            elif M - i >= _FEW_ROWS:
                few(K, s, start_row, x, a_row, a_col, b, b_row, z, c_row, count)
                i += _FEW_ROWS
            else:
                one(K, s, start_row, x, a_row, a_col, b, b_row, z, c_row, count)
                i += 1

    return column_panel


_wide_panel = _column_panel(VECS)
_narrow_panel = _column_panel(1)


@inner
def _panel(M, N, K, start, start_row, a, a_row, a_col, b, b_row, c, c_row):
    """Write ``C = start + A B`` for at most one panel of columns."""
    lanes = width(b)
    if VECS * lanes == N:
        _wide_panel(M, K, start, start_row, a, a_row, a_col, b, b_row, c, c_row, None)
    elif (VECS - 1) * lanes < N:
        last = N - (VECS - 1) * lanes
        _wide_panel(M, K, start, start_row, a, a_row, a_col, b, b_row, c, c_row, last)
    else:
        _narrow_panel(M, K, start, start_row, a, a_row, a_col, b, b_row, c, c_row, N)


@inner
def _pack(K, N, b, b_row, packed, packed_row):
    """Copy B (K, N) to rows `packed_row` elements apart."""
    lanes = width(b)
    for k in range(K):
        for j in range(0, N, lanes):
            part = load_part(b + k * b_row + j, N - j)
            store_part(packed + k * packed_row + j, part, N - j)


@inner
def _panels(M, N, K, start, start_row, a, a_row, a_col, b, b_row, b_step, c, c_row):
    """Write ``C = start + A B``, B in panels `b_step` elements apart."""
    panel = VECS * width(b)
    for j in range(0, N, panel):
        y = b + j // panel * b_step
        s, z, n = start + j, c + j, min(panel, N - j)
        _panel(M, n, K, s, start_row, a, a_row, a_col, y, b_row, z, c_row)


@inner
def _packed(M, N, K, start, start_row, a, a_row, a_col, b, b_row, c, c_row, scratch):
    """Write ``C = start + A B`` through packed blocks of B."""
    panel = VECS * width(b)
    depth = _PANEL_BYTES // (panel * item_bytes(b))
    for k in range(0, K, depth):
        d = min(depth, K - k)
        for j in range(0, N, _PANELS * panel):
            n = min(_PANELS * panel, N - j)
            for p in range(0, n, panel):
                y = b + k * b_row + j + p
                _pack(d, min(panel, n - p), y, b_row, scratch + p * d, panel)
            for i in range(0, M, MAIN_ROWS):
                m, s = min(MAIN_ROWS, M - i), start + i * max(start_row, 0) + j
                x, z = a + i * a_row + k * a_col, c + i * c_row + j
                _panels(
                    m, n, d, s, start_row, x, a_row, a_col,
                    scratch, panel, panel * d, z, c_row,
                )  # fmt: skip
        start, start_row = c, c_row


@inner
def is_packed(M, K, b_row, item):
    """Return whether `gemm` packs B, its floats `item` bytes, and so reads `scratch`."""
    return K * b_row * item > _PACK_BYTES and M >= _PACK_ROWS


@inner
def gemm(M, N, K, start, start_row, a, a_row, a_col, b, b_row, c, c_row, scratch):
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
    b, b_row, c, c_row : Pointer, int, Pointer, int
        B and C, whose rows are contiguous. C overlaps neither A nor B.
    scratch : Pointer
        `SCRATCH_BYTES` of memory for packed panels, read only if `is_packed`.
    """
    if is_packed(M, K, b_row, item_bytes(b)):
        _packed(M, N, K, start, start_row, a, a_row, a_col, b, b_row, c, c_row, scratch)
    else:
        step = VECS * width(b)
        _panels(M, N, K, start, start_row, a, a_row, a_col, b, b_row, step, c, c_row)
