"""The register tile: a block of the output held in vector registers.

A `Tile` of `rows` x `vecs` vectors is a value, like a number. The products of
`gemm` are sums of its one operation that does work, `rank1`:

    T[r, c] += a[r] * b[c]        r < rows, c < vecs * lanes

LLVM keeps the tile in registers from the first product to the store. Each
element is one chain of fused multiply-adds in the order of the calls, so its
bits are those of the plain loop whatever the tile around it.

Reference: Van Zee and van de Geijn, BLIS: A framework for rapidly
instantiating BLAS functionality, ACM TOMS 41(3), 2015, section 4.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from ..tuning import TILE_SHAPES
from .vector import (
    Vector,
    first_lanes,
    fma_values,
    llvm_vector,
    load_values,
    splat,
    store_values,
    target_features,
)


def tile_shapes():
    """Return ``(rows of each tile, vectors a row)`` for the processor Numba compiles for."""
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


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        array = ir.ArrayType(llvm_vector(fe_type.vector), fe_type.rows * fe_type.vecs)
        super().__init__(manager, fe_type, array)


def _mask(builder, tile, count, kind):
    """Return the mask of the last vector of a row, or None if `count` is None."""
    return None if kind is types.none else first_lanes(builder, count, tile.vector)


def _row(builder, tile, address, mask):
    """Load one row of vectors; `mask` holds for the last."""
    last = tile.vecs - 1
    step = ir.IntType(64)
    return [
        load_values(
            builder,
            builder.gep(address, [step(v * tile.vector.lanes)]),
            tile.vector,
            mask if v == last else None,
        )
        for v in range(tile.vecs)
    ]


def _build(builder, context, tile, values):
    array = ir.Constant(context.get_value_type(tile), ir.Undefined)
    for i, value in enumerate(values):
        array = builder.insert_value(array, value, i)
    return array


def _row_start(builder, address, row, stride):
    return builder.gep(address, [builder.mul(ir.IntType(64)(row), stride)])


def _forbid_unrolling(builder):
    """Emit nothing that may not be duplicated: an unrolled loop spills the tile."""
    empty = builder.asm(ir.FunctionType(ir.VoidType(), []), "", "", [], side_effect=True)
    empty.attributes.add("convergent")


@intrinsic(prefer_literal=True)
def tile_zeros(typingctx, like, rows, vecs):
    """Return a tile of zeros of the dtype of the pointer `like`."""
    tile = Tile(like.dtype, rows.literal_value, vecs.literal_value)

    def codegen(context, builder, sig, args):
        return context.get_constant_null(sig.return_type)

    return tile(like, rows, vecs), codegen


@intrinsic(prefer_literal=True)
def tile_load(typingctx, p, stride, rows, vecs, count):
    """Return the tile at `p`, its rows `stride` elements apart."""
    tile = Tile(p.dtype, rows.literal_value, vecs.literal_value)

    def codegen(context, builder, sig, args):
        mask = _mask(builder, tile, args[4], sig.args[4])
        values = []
        for r in range(tile.rows):
            start = _row_start(builder, args[0], r, args[1])
            values += _row(builder, tile, start, mask)
        return _build(builder, context, tile, values)

    return tile(p, types.intp, rows, vecs, count), codegen


@intrinsic
def tile_store(typingctx, tile, p, stride, count):
    """Store a tile at `p`, its rows `stride` elements apart.

    `count` lanes of the last vector of each row are written; None writes all.
    """

    def codegen(context, builder, sig, args):
        mask = _mask(builder, tile, args[3], sig.args[3])
        lanes, last = tile.vector.lanes, tile.vecs - 1
        for i, r, v in tile.each():
            start = _row_start(builder, args[1], r, args[2])
            address = builder.gep(start, [ir.IntType(64)(v * lanes)])
            value = builder.extract_value(args[0], i)
            store_values(builder, value, address, tile.vector, mask if v == last else None)
        return context.get_dummy_value()

    return types.none(tile, p, types.intp, count), codegen


@intrinsic
def tile_relu(typingctx, tile):
    """Return ``max(T, 0)``, NaN where T has one."""

    def codegen(context, builder, sig, args):
        zero = ir.Constant(llvm_vector(tile.vector), None)
        values = (builder.extract_value(args[0], i) for i, _, _ in tile.each())
        values = [builder.select(builder.fcmp_ordered("<", v, zero), zero, v) for v in values]
        return _build(builder, context, tile, values)

    return tile(tile), codegen


@intrinsic
def tile_where_positive(typingctx, tile, p, stride, count):
    """Return T where the matrix at `p`, its rows `stride` elements apart, is positive, else 0."""

    def codegen(context, builder, sig, args):
        mask = _mask(builder, tile, args[3], sig.args[3])
        zero = ir.Constant(llvm_vector(tile.vector), None)
        values = []
        for r in range(tile.rows):
            row = _row(builder, tile, _row_start(builder, args[1], r, args[2]), mask)
            for v, gate in enumerate(row):
                value = builder.extract_value(args[0], r * tile.vecs + v)
                values.append(builder.select(builder.fcmp_ordered(">", gate, zero), value, zero))
        return _build(builder, context, tile, values)

    return tile(tile, p, types.intp, count), codegen


# rows of A that one pointer reaches: x86 adds a register times 1 or 2 in a load, and
# three times the stride is a register of its own
_ROWS_A_POINTER = 4


@intrinsic(prefer_literal=True)
def row_pointers(typingctx, a, stride, rows):
    """Return pointers to every fourth of `rows` rows of A, `stride` elements apart.

    The compiler must not see that they belong together: it would step from row
    to row by a chain of additions that takes as long as the products.
    """
    count = -(-rows.literal_value // _ROWS_A_POINTER)
    pointers = types.UniTuple(a, count)

    def codegen(context, builder, sig, args):
        same = ir.FunctionType(args[0].type, [args[0].type])
        hidden = []
        for group in range(count):
            start = _row_start(builder, args[0], group * _ROWS_A_POINTER, args[1])
            hidden.append(builder.asm(same, "", "=r,0", [start], side_effect=False))
        return context.make_tuple(builder, pointers, hidden)

    return pointers(a, types.intp, rows), codegen


@intrinsic
def rank1(typingctx, tile, a, stride, offset, b):
    """Return ``T[r, c] + a[r][offset] * b[c]``, `a` from `row_pointers`."""

    def codegen(context, builder, sig, args):
        kind = llvm_vector(tile.vector)
        starts = cgutils.unpack_tuple(builder, args[1])
        starts = [builder.gep(start, [args[3]]) for start in starts]
        row = _row(builder, tile, args[4], None)
        values = []
        for i, r, v in tile.each():
            if v == 0:
                group, step = divmod(r, _ROWS_A_POINTER)
                address = _row_start(builder, starts[group], step, args[2])
                scalar = builder.load(address, align=tile.vector.dtype.bitwidth // 8)
                column = splat(builder, scalar, kind)
            old = builder.extract_value(args[0], i)
            values.append(fma_values(builder, column, row[v], old))
        _forbid_unrolling(builder)
        return _build(builder, context, tile, values)

    return tile(tile, a, types.intp, types.intp, b), codegen


@intrinsic
def tile_square(typingctx, p, stride):
    """Return the tile of as many rows as lanes at `p`, one vector a row."""
    tile = Tile(p.dtype, Vector(p.dtype).lanes, 1)

    def codegen(context, builder, sig, args):
        starts = (_row_start(builder, args[0], r, args[1]) for r in range(tile.rows))
        return _build(
            builder, context, tile, [load_values(builder, s, tile.vector) for s in starts]
        )

    return tile(p, types.intp), codegen


@intrinsic
def tile_transpose(typingctx, tile):
    """Return the transpose of a square tile: as many rows as lanes, one vector a row."""

    def codegen(context, builder, sig, args):
        n = tile.rows
        rows = [builder.extract_value(args[0], i) for i in range(n)]
        half = n // 2
        while half:
            index = ir.VectorType(ir.IntType(32), n)
            swapped = list(rows)
            for r in range(n):
                if r & half:
                    continue
                low = [(i if not i & half else n + i - half) for i in range(n)]
                high = [(i + half if not i & half else n + i) for i in range(n)]
                for target, picks in ((r, low), (r + half, high)):
                    order = ir.Constant(index, [ir.IntType(32)(p) for p in picks])
                    swapped[target] = builder.shuffle_vector(rows[r], rows[r + half], order)
            rows = swapped
            half //= 2
        return _build(builder, context, tile, rows)

    return tile(tile), codegen


def _greater(builder, x, y):
    return builder.select(builder.fcmp_ordered(">", x, y), x, y)


def _fold(emit, doc):
    @intrinsic
    def function(typingctx, tile):
        def codegen(context, builder, sig, args):
            values = [builder.extract_value(args[0], i) for i in range(tile.rows)]
            while len(values) > 1:
                half = len(values) // 2
                values = [
                    emit(builder, *pair) for pair in zip(values[:half], values[half:], strict=True)
                ]
            return values[0]

        return tile.vector(tile), codegen

    function.__doc__ = doc
    return function


tile_sum = _fold(ir.IRBuilder.fadd, "Add the rows of a square tile, pairing them in one order.")
tile_max = _fold(_greater, "Return the greatest of each column of a square tile; NaN may be lost.")
