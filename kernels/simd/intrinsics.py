"""What kernels do with vectors and pointers: load, store, fuse, select, reduce."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from ..tuning import CACHE_LINE
from .vector import (
    Pointer,
    Vector,
    compare_lanes,
    first_lanes,
    fma_values,
    lanes,
    lift,
    llvm_call,
    llvm_integers,
    llvm_scalar,
    llvm_vector,
    load_first,
    store_first,
    the_vector,
    vector_call,
)


@intrinsic
def pointer(typingctx, array):
    """Return the `Pointer` to the first element of a NumPy array."""

    def codegen(context, builder, sig, args):
        return context.make_array(sig.args[0])(context, builder, args[0]).data

    return Pointer(array.dtype)(array), codegen


@intrinsic
def pointer_at(typingctx, like, address):
    """Return the `Pointer` to the integer `address`, of the dtype of the pointer `like`."""

    def codegen(context, builder, sig, args):
        return builder.inttoptr(args[1], ir.PointerType(llvm_scalar(like.dtype)))

    return like(like, types.intp), codegen


@intrinsic
def address_of(typingctx, p):
    """Return the address a `Pointer` holds, an integer."""

    def codegen(context, builder, sig, args):
        return builder.ptrtoint(args[0], ir.IntType(64))

    return types.intp(p), codegen


@intrinsic
def aligned(typingctx, p):
    """Return the first `Pointer` from `p` on that is at the start of a cache line."""

    def codegen(context, builder, sig, args):
        integer, last = ir.IntType(64), CACHE_LINE - 1
        address = builder.add(builder.ptrtoint(args[0], integer), integer(last))
        return builder.inttoptr(builder.and_(address, integer(~last)), args[0].type)

    return p(p), codegen


@intrinsic
def checked_pointer(typingctx, array, like):
    """Return the `pointer` to an array that is contiguous and of the dtype of `like`.

    Code that hands over another array is not compiled.
    """
    if Pointer(array.dtype) != like or array.layout == "A":
        raise TypingError(f"{array}: expected a contiguous array of {like.dtype}, as the network's")

    def codegen(context, builder, sig, args):
        return context.make_array(sig.args[0])(context, builder, args[0]).data

    return like(array, like), codegen


def _pointer_to(dtype, doc):
    """Return the intrinsic ``(address) -> Pointer`` to integers of a dtype."""

    @intrinsic
    def at(typingctx, address):
        def codegen(context, builder, sig, args):
            return builder.inttoptr(args[0], ir.PointerType(llvm_scalar(dtype)))

        return Pointer(dtype)(types.intp), codegen

    at.__doc__ = doc
    return at


integers_at = _pointer_to(
    types.int64, "Return the `Pointer` to the 64-bit integers at an integer `address`."
)
short_integers_at = _pointer_to(
    types.int32, "Return the `Pointer` to the 32-bit integers at an integer `address`."
)


@intrinsic
def local_floats(typingctx, like):
    """Return a `Pointer` to memory of the kernel's own: a square of vectors and one more."""
    vector = Vector(like.dtype)

    def codegen(context, builder, sig, args):
        kind = ir.ArrayType(llvm_vector(vector), vector.lanes + 1)
        place = cgutils.alloca_once(builder, kind)
        place.align = CACHE_LINE
        return builder.bitcast(place, ir.PointerType(llvm_scalar(like.dtype)))

    return like(like), codegen


@intrinsic
def width(typingctx, p):
    """Return the lanes of a vector of the pointer's dtype, a compile-time constant."""
    count = lanes(p.dtype)

    def codegen(context, builder, sig, args):
        return context.get_constant(types.intp, count)

    return types.intp(p), codegen


@intrinsic
def item_bytes(typingctx, p):
    """Return the bytes of one float at the pointer, a compile-time constant."""
    size = p.dtype.bitwidth // 8

    def codegen(context, builder, sig, args):
        return context.get_constant(types.intp, size)

    return types.intp(p), codegen


@intrinsic
def load_part(typingctx, p, count):
    """Load the first `count` lanes of the vector at `p`; the others are zero."""
    vector = Vector(p.dtype)

    def codegen(context, builder, sig, args):
        return load_first(builder, args[0], vector, args[1])

    return vector(p, types.intp), codegen


@intrinsic
def store_part(typingctx, p, value, count):
    """Store the first `count` lanes of a vector at `p`."""

    def codegen(context, builder, sig, args):
        store_first(builder, args[1], args[0], value, args[2])
        return context.get_dummy_value()

    return types.none(p, value, types.intp), codegen


@intrinsic
def prefetch(typingctx, address):
    """Ask for the cache line at an integer `address`, to be read soon; any address is valid."""

    def codegen(context, builder, sig, args):
        read, second_level, data = (ir.IntType(32)(i) for i in (0, 2, 1))
        byte = builder.inttoptr(args[0], ir.PointerType(ir.IntType(8)))
        llvm_call(builder, "llvm.prefetch.p0", ir.VoidType(), [byte, read, second_level, data])
        return context.get_dummy_value()

    return types.none(types.intp), codegen


@intrinsic
def broadcast(typingctx, like, scalar):
    """Copy `scalar` into every lane of a vector of the dtype of `like`."""
    vector = Vector(like.dtype)

    def codegen(context, builder, sig, args):
        return lift(context, builder, vector, args[1], sig.args[1])

    return vector(like, scalar), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """Return ``a * b + c`` with one rounding where the target can."""
    vector = the_vector((a, b, c))

    def codegen(context, builder, sig, args):
        pairs = zip(args, sig.args, strict=True)
        lifted = (lift(context, builder, vector, v, k) for v, k in pairs)
        return fma_values(builder, *lifted)

    return vector(a, b, c), codegen


@intrinsic
def select(typingctx, mask, a, b):
    """Return `a` in the lanes where `mask` is true and `b` in the others."""
    vector = Vector(mask.dtype)

    def codegen(context, builder, sig, args):
        pairs = zip(args[1:], sig.args[1:], strict=True)
        return builder.select(args[0], *(lift(context, builder, vector, v, k) for v, k in pairs))

    return vector(mask, a, b), codegen


@intrinsic
def keep_first(typingctx, value, count, other):
    """Return `value` with the number `other` in all lanes but the first `count`."""

    def codegen(context, builder, sig, args):
        rest = lift(context, builder, value, args[2], other)
        return builder.select(first_lanes(builder, args[1], value), args[0], rest)

    return value(value, types.intp, other), codegen


@intrinsic
def one_hot(typingctx, p, index):
    """Return the vector that is 1 in lane `index` and 0 elsewhere; any index is valid."""
    vector = Vector(p.dtype)

    def codegen(context, builder, sig, args):
        kind = llvm_vector(vector)
        here = compare_lanes(builder, "==", args[1], vector)
        one = ir.Constant(kind, [kind.element(1.0)] * vector.lanes)
        return builder.select(here, one, ir.Constant(kind, None))

    return vector(p, types.intp), codegen


def _elementwise(llvm_name, doc):
    @intrinsic
    def function(typingctx, value):
        def codegen(context, builder, sig, args):
            return vector_call(builder, llvm_name, list(args))

        return value(value), codegen

    function.__doc__ = doc
    return function


absolute = _elementwise("fabs", "Return the magnitude of each lane.")
nearest = _elementwise("rint", "Round each lane to the nearest integer, ties to even.")
square_root = _elementwise("sqrt", "Return the square root of each lane, correctly rounded.")


@intrinsic
def copy_sign(typingctx, magnitude, sign):
    """Return `magnitude` with the sign of `sign`, lane by lane."""

    def codegen(context, builder, sig, args):
        return vector_call(builder, "copysign", list(args))

    return magnitude(magnitude, sign), codegen


def polynomial(single, double):
    """Return the function ``x -> c0 + c1 x + c2 x^2 + ...`` of vectors, by Horner's rule.

    Parameters
    ----------
    single, double : sequence of float
        The coefficients for float32 and for float64.
    """

    @intrinsic
    def evaluate(typingctx, x):
        coefficients = single if x.dtype.bitwidth == 32 else double

        def codegen(context, builder, sig, args):
            kind = llvm_vector(x)
            constants = [ir.Constant(kind, [kind.element(c)] * x.lanes) for c in coefficients]
            total = constants.pop()
            while constants:
                total = fma_values(builder, total, args[0], constants.pop())
            return total

        return x(x), codegen

    return evaluate


@intrinsic
def shift_exponent(typingctx, bits):
    """Shift the bit pattern of each lane left by the width of the mantissa."""
    mantissa = 23 if bits.dtype.bitwidth == 32 else 52

    def codegen(context, builder, sig, args):
        kind = llvm_integers(bits)
        pattern = builder.bitcast(args[0], kind)
        shift = ir.Constant(kind, [kind.element(mantissa)] * bits.lanes)
        return builder.bitcast(builder.shl(pattern, shift), llvm_vector(bits))

    return bits(bits), codegen


@intrinsic
def split_exponent(typingctx, value):
    """Split positive normal floats: return ``(m, e)``, value = m 2^e and 1 <= m < 2."""
    mantissa, bias = (23, 127) if value.dtype.bitwidth == 32 else (52, 1023)

    def codegen(context, builder, sig, args):
        kind = llvm_integers(value)

        def constant(number):
            return ir.Constant(kind, [kind.element(number)] * value.lanes)

        pattern = builder.bitcast(args[0], kind)
        exponent = builder.sub(builder.lshr(pattern, constant(mantissa)), constant(bias))
        fraction = builder.and_(pattern, constant((1 << mantissa) - 1))
        fraction = builder.or_(fraction, constant(bias << mantissa))
        parts = [
            builder.bitcast(fraction, llvm_vector(value)),
            builder.sitofp(exponent, llvm_vector(value)),
        ]
        return context.make_tuple(builder, sig.return_type, parts)

    return types.UniTuple(value, 2)(value), codegen


@intrinsic
def lane_sum(typingctx, value):
    """Add the lanes, always pairing them in one order."""

    def codegen(context, builder, sig, args):
        total, count = args[0], value.lanes
        while count > 1:
            count //= 2
            order = ir.VectorType(ir.IntType(32), count)
            halves = [
                ir.Constant(order, [ir.IntType(32)(start + i) for i in range(count)])
                for start in (0, count)
            ]
            undefined = ir.Constant(total.type, ir.Undefined)
            total = builder.fadd(*(builder.shuffle_vector(total, undefined, h) for h in halves))
        return builder.extract_element(total, ir.IntType(32)(0))

    return value.dtype(value), codegen
