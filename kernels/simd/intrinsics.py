"""The operations of kernels on vectors and pointers: load, store, fuse, select, reduce."""

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
    instruction,
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

_i32, _i64 = ir.IntType(32), ir.IntType(64)

# ---------------------------------------------------------------- memory


def _first_of(context, builder, sig, args):
    return context.make_array(sig.args[0])(context, builder, args[0]).data


@intrinsic
def pointer(typingctx, array):
    """Return the `Pointer` to the first element of a NumPy array."""
    return Pointer(array.dtype)(array), _first_of


def _require(array, like):
    is_array = isinstance(array, types.Array) and array.layout == "C" and array.aligned
    if not is_array or Pointer(array.dtype) != like:
        raise TypingError(f"{array}: expected a contiguous array of {like.dtype}, as the network's")


@intrinsic
def checked_pointer(typingctx, array, like):
    """Return the `pointer` to an array that is contiguous and of the dtype of `like`.

    Code that passes another array is not compiled.
    """
    _require(array, like)
    return like(array, like), _first_of


@intrinsic
def writable_pointer(typingctx, array, like):
    """Return the `checked_pointer` to an array to write: one that is read-only is refused too."""
    _require(array, like)
    if not array.mutable:
        raise TypingError(f"{array}: expected an array that can be written")
    return like(array, like), _first_of


def _pointer_to(dtype, doc):
    """Return the intrinsic ``(address) -> Pointer`` to numbers of a dtype."""

    def at(address):
        kind = ir.PointerType(llvm_scalar(dtype))
        return Pointer(dtype), lambda builder, address: builder.inttoptr(address, kind)

    at.__doc__ = doc
    return instruction(at)


def _is_of_integers(array):
    is_flat = isinstance(array, types.Array) and array.ndim == 1 and array.dtype == types.int64
    return is_flat and array.layout == "C" and array.aligned


@intrinsic
def place_of_integers(typingctx, array):
    """Return the address of contiguous 64-bit integers (n,); other arrays are not compiled."""
    if not _is_of_integers(array):
        raise TypingError(f"{array}: expected contiguous 64-bit integers (n,)")
    return types.intp(array), lambda *given: given[1].ptrtoint(_first_of(*given), _i64)


@intrinsic
def places_of_targets(typingctx, array, like):
    """Return the addresses of float targets, and of 64-bit labels (n,): 0 of what it is not."""
    is_labels = _is_of_integers(array)
    if not is_labels:
        _require(array, like)

    def codegen(context, builder, sig, args):
        place = builder.ptrtoint(_first_of(context, builder, sig, args), _i64)
        pair = [_i64(0), place] if is_labels else [place, _i64(0)]
        return cgutils.pack_array(builder, pair)

    return types.UniTuple(types.intp, 2)(array, like), codegen


integers_at = _pointer_to(
    types.int64, "Return the `Pointer` to the 64-bit integers at an integer `address`."
)
doubles_at = _pointer_to(
    types.float64, "Return the `Pointer` to the float64 numbers at an integer `address`."
)
short_integers_at = _pointer_to(
    types.int32, "Return the `Pointer` to the 32-bit integers at an integer `address`."
)


@instruction
def pointer_at(like, address):
    """Return the `Pointer` to the integer `address`, of the dtype of the pointer `like`."""
    return like, lambda builder, like, address: builder.inttoptr(address, like.type)


@instruction
def address_of(p):
    """Return the address in a `Pointer`, an integer."""
    return types.intp, lambda builder, p: builder.ptrtoint(p, _i64)


@instruction
def memory_at(like, address):
    """Return what Numba's ``carray`` takes for the memory at an integer address."""
    kind = ir.PointerType(llvm_scalar(like.dtype))
    return types.CPointer(like.dtype), lambda builder, like, address: builder.inttoptr(
        address, kind
    )


@instruction
def aligned(p):
    """Return the first `Pointer` from `p` on that is at the start of a cache line."""

    def emit(builder, p):
        address = builder.add(builder.ptrtoint(p, _i64), _i64(CACHE_LINE - 1))
        return builder.inttoptr(builder.and_(address, _i64(~(CACHE_LINE - 1))), p.type)

    return p, emit


@instruction
def local_floats(like):
    """Return a `Pointer` to memory on the kernel's stack: a square of vectors and one more."""
    vector = Vector(like.dtype)

    def emit(builder, like):
        place = cgutils.alloca_once(builder, ir.ArrayType(llvm_vector(vector), vector.lanes + 1))
        place.align = CACHE_LINE
        return builder.bitcast(place, ir.PointerType(llvm_scalar(vector.dtype)))

    return Pointer(like.dtype), emit


@instruction
def width(like):
    """Return the lanes of a vector of the dtype of `like`, a compile-time constant."""
    return types.intp, lambda builder, _: _i64(lanes(like.dtype))


@instruction
def item_bytes(like):
    """Return the bytes of one float of the dtype of `like`, a compile-time constant."""
    return types.intp, lambda builder, _: _i64(like.dtype.bitwidth // 8)


@instruction
def load_part(p, count):
    """Load the first `count` lanes of the vector at `p`; the others are zero."""
    vector = Vector(p.dtype)
    return vector, lambda builder, p, count: load_first(builder, p, vector, count)


@instruction
def store_part(p, value, count):
    """Store the first `count` lanes of a vector at `p`."""
    vector = value
    return types.none, lambda builder, p, value, n: store_first(builder, value, p, vector, n)


@instruction
def prefetch(address):
    """Prefetch the cache line at an integer `address`; any address is valid."""

    def emit(builder, address):
        read, second_level, data = (_i32(i) for i in (0, 2, 1))
        byte = builder.inttoptr(address, ir.PointerType(ir.IntType(8)))
        llvm_call(builder, "llvm.prefetch.p0", ir.VoidType(), [byte, read, second_level, data])

    return types.none, emit


# ---------------------------------------------------------------- lanes


@instruction
def broadcast(like, scalar):
    """Copy `scalar` into every lane of a vector of the dtype of `like`."""
    vector = Vector(like.dtype)
    return vector, lambda builder, _, number: lift(builder, vector, number)


@instruction
def float_of(like, integer):
    """Return an integer as a float of the dtype of `like`; NumPy would make it a float64."""
    kind = llvm_scalar(like.dtype)
    return like.dtype, lambda builder, _, integer: builder.sitofp(integer, kind)


@instruction
def fma(a, b, c):
    """Return ``a * b + c`` with one rounding where the target can."""
    vector = the_vector((a, b, c))
    return vector, lambda builder, *abc: fma_values(
        builder, *(lift(builder, vector, x) for x in abc)
    )


@instruction
def select(mask, a, b):
    """Return `a` in the lanes where `mask` is true and `b` in the others."""
    vector = Vector(mask.dtype)
    return vector, lambda builder, mask, *ab: builder.select(
        mask, *(lift(builder, vector, x) for x in ab)
    )


@instruction
def keep_first(value, count, other):
    """Return `value` with the number `other` in all lanes but the first `count`."""
    vector = value
    return vector, lambda builder, value, count, other: builder.select(
        first_lanes(builder, count, vector), value, lift(builder, vector, other)
    )


@instruction
def one_hot(like, index):
    """Return the vector that is 1 in lane `index` and 0 elsewhere; any index is valid."""
    vector = Vector(like.dtype)

    def emit(builder, _, index):
        kind = llvm_vector(vector)
        one = ir.Constant(kind, [kind.element(1.0)] * vector.lanes)
        here = compare_lanes(builder, "==", index, vector)
        return builder.select(here, one, ir.Constant(kind, None))

    return vector, emit


def _elementwise(llvm_name, doc):
    def function(value):
        return value, lambda builder, value: vector_call(builder, llvm_name, [value])

    function.__doc__ = doc
    return instruction(function)


absolute = _elementwise("fabs", "Return the magnitude of each lane.")
nearest = _elementwise("rint", "Round each lane to the nearest integer, ties to even.")
square_root = _elementwise("sqrt", "Return the square root of each lane, correctly rounded.")


@instruction
def copy_sign(magnitude, sign):
    """Return `magnitude` with the sign of `sign`, lane by lane."""
    return magnitude, lambda builder, *pair: vector_call(builder, "copysign", list(pair))


def polynomial(single, double):
    """Return the function ``x -> c0 + c1 x + c2 x^2 + ...`` of vectors, by Horner's rule.

    Parameters
    ----------
    single, double : sequence of float
        The coefficients for float32 and for float64.
    """

    @instruction
    def evaluate(x):
        coefficients = single if x.dtype.bitwidth == 32 else double

        def emit(builder, value):
            kind = value.type
            constants = [ir.Constant(kind, [kind.element(c)] * kind.count) for c in coefficients]
            total = constants.pop()
            while constants:
                total = fma_values(builder, total, value, constants.pop())
            return total

        return x, emit

    return evaluate


@instruction
def shift_exponent(bits):
    """Shift the bit pattern of each lane left by the width of the mantissa."""
    mantissa = 23 if bits.dtype.bitwidth == 32 else 52
    kind = llvm_integers(bits)
    shift = ir.Constant(kind, [kind.element(mantissa)] * bits.lanes)
    return bits, lambda builder, value: builder.bitcast(
        builder.shl(builder.bitcast(value, kind), shift), value.type
    )


@instruction
def split_exponent(value):
    """Split positive normal floats: return ``(m, e)``, value = m 2^e and 1 <= m < 2."""
    mantissa, bias = (23, 127) if value.dtype.bitwidth == 32 else (52, 1023)
    kind = llvm_integers(value)

    def constant(number):
        return ir.Constant(kind, [kind.element(number)] * kind.count)

    def emit(builder, value):
        pattern = builder.bitcast(value, kind)
        exponent = builder.sub(builder.lshr(pattern, constant(mantissa)), constant(bias))
        fraction = builder.and_(pattern, constant((1 << mantissa) - 1))
        fraction = builder.or_(fraction, constant(bias << mantissa))
        parts = [builder.bitcast(fraction, value.type), builder.sitofp(exponent, value.type)]
        return cgutils.pack_array(builder, parts)

    return types.UniTuple(value, 2), emit


@instruction
def lane_sum(value):
    """Add the lanes, always pairing them in one order."""

    def emit(builder, total):
        count = total.type.count
        while count > 1:
            count //= 2
            halves = [
                ir.Constant(ir.VectorType(_i32, count), [_i32(start + i) for i in range(count)])
                for start in (0, count)
            ]
            undefined = ir.Constant(total.type, ir.Undefined)
            total = builder.fadd(*(builder.shuffle_vector(total, undefined, h) for h in halves))
        return builder.extract_element(total, _i32(0))

    return value.dtype, emit
