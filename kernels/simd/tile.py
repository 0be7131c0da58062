"""The register tile: a block of the output held in vector registers.

A `Tile` of `rows` x `vecs` vectors is a value, like a number. The products of
`gemm` are sums of one operation, `rank1`:

    T[r, c] += a[r] * b[c]        r < rows, c < vecs * lanes

LLVM keeps the tile in registers from the first product to the store. Each
element is one chain of fused multiply-adds in the order of the calls, so its
bits are those of the plain loop, whatever the tile around it.

Reference: Van Zee and van de Geijn, BLIS: A framework for rapidly
instantiating BLAS functionality, ACM TOMS 41(3), 2015, section 4.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils

from ..tuning import TILE_SHAPES
from .vector import (
    Pointer,
    Vector,
    define_value,
    first_lanes,
    fma_values,
    instruction,
    lift,
    llvm_vector,
    load_values,
    splat,
    store_values,
    target_features,
)
from .view import view_parts

_i32, _i64 = ir.IntType(32), ir.IntType(64)


def tile_shapes():
    """Return ``(rows of each tile, vectors per row)`` for the processor Numba compiles for."""
    features = target_features()
    many = "+avx512f" in features or "+neon" in features
    return TILE_SHAPES[32 if many else 16]


class Tile(types.Type):
    """``rows`` x ``vecs`` vectors of accumulators."""

    def __init__(self, dtype, rows, vecs):
        self.vector = Vector(dtype)
        self.rows, self.vecs = rows, vecs
        super().__init__(name=f"Tile({self.vector.name} x {rows} x {vecs})")

    def each(self):
        """Yield the place in the array, the row and the vector of each accumulator."""
        for r in range(self.rows):
            for v in range(self.vecs):
                yield r * self.vecs + v, r, v


def _llvm_tile(tile):
    return ir.ArrayType(llvm_vector(tile.vector), tile.rows * tile.vecs)


define_value(Tile, _llvm_tile)


def _mask(builder, tile, count, kind):
    """Return the mask of the last vector of a row, or None if `count` is None."""
    return None if kind is types.none else first_lanes(builder, count, tile.vector)


def _row(builder, tile, address, mask):
    """Load one row of vectors; `mask` holds for the last."""
    places = [builder.gep(address, [_i64(v * tile.vector.lanes)]) for v in range(tile.vecs)]
    masks = [None] * (tile.vecs - 1) + [mask]
    pairs = zip(places, masks, strict=True)
    return [load_values(builder, place, tile.vector, here) for place, here in pairs]


def _row_start(builder, address, row, stride):
    return builder.gep(address, [builder.mul(_i64(row), stride)])


def _forbid_unrolling(builder):
    """Emit an empty instruction that may not be duplicated: an unrolled loop spills the tile."""
    empty = builder.asm(ir.FunctionType(ir.VoidType(), []), "", "", [], side_effect=True)
    empty.attributes.add("convergent")


@instruction(prefer_literal=True)
def tile_zeros(like, rows, vecs):
    """Return a tile of zeros of the dtype of `like`."""
    tile = Tile(like.dtype, rows.literal_value, vecs.literal_value)
    return tile, lambda builder, *_: ir.Constant(_llvm_tile(tile), None)


@instruction(prefer_literal=True)
def tile_load(view, rows, vecs, count):
    """Return the tile at the start of a `View` whose rows are contiguous."""
    tile = Tile(view.dtype, rows.literal_value, vecs.literal_value)
    counted = count

    def emit(builder, view, rows, vecs, count):
        mask = _mask(builder, tile, count, counted)
        first, row, _ = view_parts(builder, view)
        starts = [_row_start(builder, first, r, row) for r in range(tile.rows)]
        vectors = [value for start in starts for value in _row(builder, tile, start, mask)]
        return cgutils.pack_array(builder, vectors)

    return tile, emit


@instruction
def tile_store(tile, view, count):
    """Store a tile at the start of a `View` whose rows are contiguous.

    `count` lanes of the last vector of each row are written; None writes all.
    """
    kind, counted = tile, count

    def emit(builder, tile, view, count):
        mask = _mask(builder, kind, count, counted)
        first, row, _ = view_parts(builder, view)
        for i, r, v in kind.each():
            start = _row_start(builder, first, r, row)
            address = builder.gep(start, [_i64(v * kind.vector.lanes)])
            value = builder.extract_value(tile, i)
            here = mask if v == kind.vecs - 1 else None
            store_values(builder, value, address, kind.vector, here)

    return types.none, emit


@instruction
def tile_multiply_add(number, x, tile):
    """Return ``number X + T`` of two tiles of one shape."""

    def emit(builder, number, x, tile_value):
        factor = lift(builder, tile.vector, number)
        values = cgutils.unpack_tuple(builder, tile_value, tile_value.type.count)
        others = cgutils.unpack_tuple(builder, x, x.type.count)
        pairs = zip(others, values, strict=True)
        return cgutils.pack_array(builder, [fma_values(builder, factor, *pair) for pair in pairs])

    return tile, emit


@instruction
def tile_relu(tile):
    """Return ``max(T, 0)``, NaN where T has one."""

    def emit(builder, tile):
        values = cgutils.unpack_tuple(builder, tile, tile.type.count)
        zero = ir.Constant(tile.type.element, None)
        values = [builder.select(builder.fcmp_ordered("<", v, zero), zero, v) for v in values]
        return cgutils.pack_array(builder, values)

    return tile, emit


@instruction
def tile_where_positive(tile, view, count):
    """Return T where a `View` whose rows are contiguous is positive, else 0."""
    kind, counted = tile, count

    def emit(builder, tile, view, count):
        mask = _mask(builder, kind, count, counted)
        zero = ir.Constant(llvm_vector(kind.vector), None)
        first, stride, _ = view_parts(builder, view)
        values = []
        for r in range(kind.rows):
            row = _row(builder, kind, _row_start(builder, first, r, stride), mask)
            for v, gate in enumerate(row):
                value = builder.extract_value(tile, r * kind.vecs + v)
                values.append(builder.select(builder.fcmp_ordered(">", gate, zero), value, zero))
        return cgutils.pack_array(builder, values)

    return tile, emit


# rows of A that one pointer reaches: x86 adds a register times 1 or 2 in a load, and
# three times the stride is a register of its own
_ROWS_PER_POINTER = 4


@instruction(prefer_literal=True)
def row_pointers(a, rows):
    """Return pointers to every fourth of `rows` rows of the `View` A.

    They are hidden from the compiler, which would step from row to row by a chain of additions
    that takes as long as the products.
    """
    count = -(-rows.literal_value // _ROWS_PER_POINTER)

    def emit(builder, a, rows):
        first, row, _ = view_parts(builder, a)
        same = ir.FunctionType(first.type, [first.type])
        starts = [_row_start(builder, first, i * _ROWS_PER_POINTER, row) for i in range(count)]
        hidden = [builder.asm(same, "", "=r,0", [start], side_effect=False) for start in starts]
        return cgutils.pack_array(builder, hidden)

    return types.UniTuple(Pointer(a.dtype), count), emit


@instruction
def rank1(tile, starts, a, k, b):
    """Return ``T[r, c] + A[r, k] B[k, c]`` of two views, `starts` from ``row_pointers(a)``."""
    kind = tile

    def emit(builder, tile, starts, a, k, b):
        _, a_row, a_column = view_parts(builder, a)
        b_first, b_row, _ = view_parts(builder, b)
        offset = builder.mul(k, a_column)
        places = [builder.gep(p, [offset]) for p in cgutils.unpack_tuple(builder, starts)]
        row = _row(builder, kind, builder.gep(b_first, [builder.mul(k, b_row)]), None)
        values = []
        for i, r, v in kind.each():
            if v == 0:
                group, step = divmod(r, _ROWS_PER_POINTER)
                address = _row_start(builder, places[group], step, a_row)
                scalar = builder.load(address, align=kind.vector.dtype.bitwidth // 8)
                column = splat(builder, scalar, row[0].type)
            values.append(fma_values(builder, column, row[v], builder.extract_value(tile, i)))
        _forbid_unrolling(builder)
        return cgutils.pack_array(builder, values)

    return tile, emit


@instruction
def tile_square(view):
    """Return the square tile at the start of a `View`: a row per lane, one vector per row."""
    tile = Tile(view.dtype, Vector(view.dtype).lanes, 1)

    def emit(builder, view):
        first, row, _ = view_parts(builder, view)
        starts = [_row_start(builder, first, r, row) for r in range(tile.rows)]
        rows = [load_values(builder, start, tile.vector) for start in starts]
        return cgutils.pack_array(builder, rows)

    return tile, emit


def _swapped(builder, rows, half):
    """Exchange the off-diagonal blocks of `half` rows and columns in each block of twice that."""
    n, swapped = len(rows), list(rows)
    for r in range(n):
        if not r & half:
            low = [(i if not i & half else n + i - half) for i in range(n)]
            high = [(i + half if not i & half else n + i) for i in range(n)]
            for target, picks in ((r, low), (r + half, high)):
                order = ir.Constant(ir.VectorType(_i32, n), [_i32(p) for p in picks])
                swapped[target] = builder.shuffle_vector(rows[r], rows[r + half], order)
    return swapped


@instruction
def tile_transpose(tile):
    """Return the transpose of a square tile: a row per lane, one vector per row."""

    def emit(builder, tile):
        rows = cgutils.unpack_tuple(builder, tile, tile.type.count)
        half = len(rows) // 2
        while half:
            rows = _swapped(builder, rows, half)
            half //= 2
        return cgutils.pack_array(builder, rows)

    return tile, emit


def _greater(builder, x, y):
    return builder.select(builder.fcmp_ordered(">", x, y), x, y)


def _fold(combine, doc):
    """Return the intrinsic that combines the rows of a square tile, pairing them in one order."""

    def function(tile):
        def emit(builder, tile):
            values = cgutils.unpack_tuple(builder, tile, tile.type.count)
            while len(values) > 1:
                half = len(values) // 2
                pairs = zip(values[:half], values[half:], strict=True)
                values = [combine(builder, *pair) for pair in pairs]
            return values[0]

        return tile.vector, emit

    function.__doc__ = doc
    return instruction(function)


tile_sum = _fold(ir.IRBuilder.fadd, "Return the sum of each column of a square tile.")
tile_max = _fold(_greater, "Return the maximum of each column of a square tile; NaN may be lost.")
