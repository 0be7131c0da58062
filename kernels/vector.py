"""SIMD vectors and raw pointers as Numba value types.

A `Vector` is one register of floats of the processor Numba compiles for; a
`Pointer` addresses floats in memory. Both follow Python's operators, so that a
kernel reads like its formula: ``1 / (1 + exp(-z))``. A Python number beside a
vector takes the vector's dtype, never the other way round. Nothing here may be
reassociated: the bits of a lane depend on that lane's inputs alone, not on its
place in a register, the length of an array or the number of threads.

This file and `tile` are the only ones that write LLVM IR.
"""

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

_REGISTER_BITS = (("+avx512f", 512), ("+avx", 256))


def target_features():
    """Return the processor features Numba compiles for, as a set of ``+name`` strings."""
    return set(cpu_target.target_context.codegen().magic_tuple()[2].split(","))


def lanes(dtype):
    """Return how many floats of a Numba `dtype` one register of the target holds."""
    features = target_features()
    bits = next((b for feature, b in _REGISTER_BITS if feature in features), 128)
    return bits // dtype.bitwidth


class Pointer(types.Type):
    """Address of consecutive floats; ``p + i`` moves by elements, ``p[i]`` reads one."""

    def __init__(self, dtype):
        self.dtype = dtype
        super().__init__(name=f"Pointer({dtype})")


class Vector(types.Type):
    """One register of floats."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.lanes = lanes(dtype)
        super().__init__(name=f"Vector({dtype} x {self.lanes})")


class Mask(types.Type):
    """One truth value for each lane of a vector."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.lanes = lanes(dtype)
        super().__init__(name=f"Mask({dtype} x {self.lanes})")


def llvm_scalar(dtype):
    """Return the LLVM type of a Numba float `dtype`."""
    return ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType()


def llvm_vector(vector):
    """Return the LLVM type of a `Vector`."""
    return ir.VectorType(llvm_scalar(vector.dtype), vector.lanes)


def _integers(vector):
    return ir.VectorType(ir.IntType(vector.dtype.bitwidth), vector.lanes)


@register_model(Pointer)
class _PointerModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, ir.PointerType(llvm_scalar(fe_type.dtype)))


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, llvm_vector(fe_type))


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, ir.VectorType(ir.IntType(1), fe_type.lanes))


# ---------------------------------------------------------------- building blocks


def llvm_call(builder, name, result, args):
    """Call the LLVM intrinsic `name`, overloaded on every type in `args` that needs it."""
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(result, [a.type for a in args]), name
    )
    return builder.call(function, args)


def _vector_call(builder, name, args):
    kind = args[0].type
    suffix = "f32" if kind.element == ir.FloatType() else "f64"
    return llvm_call(builder, f"llvm.{name}.v{kind.count}{suffix}", kind, args)


def fma_values(builder, a, b, c):
    """Emit ``a * b + c``, fused where the target has the instruction."""
    return _vector_call(builder, "fmuladd", [a, b, c])


def splat(builder, scalar, kind):
    """Copy one LLVM scalar into every lane of the vector type `kind`."""
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), None)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), zeros)


def first_lanes(builder, count, vector):
    """Return the mask that is true in the first `count` lanes."""
    wide = ir.VectorType(ir.IntType(64), vector.lanes)
    index = ir.Constant(wide, [ir.IntType(64)(i) for i in range(vector.lanes)])
    return builder.icmp_signed("<", index, splat(builder, count, wide))


def load_values(builder, address, vector, mask=None):
    """Load a vector from `address`; lanes outside `mask` are zero and not touched."""
    kind = llvm_vector(vector)
    size = vector.dtype.bitwidth // 8
    pointer = builder.bitcast(address, ir.PointerType(kind))
    if mask is None:
        return builder.load(pointer, align=size)
    name = f"llvm.masked.load.v{kind.count}f{vector.dtype.bitwidth}.p0"
    zero = ir.Constant(kind, None)
    return llvm_call(builder, name, kind, [pointer, ir.IntType(32)(size), mask, zero])


def store_values(builder, value, address, vector, mask=None):
    """Store a vector at `address`; lanes outside `mask` are not touched."""
    kind = llvm_vector(vector)
    size = vector.dtype.bitwidth // 8
    pointer = builder.bitcast(address, ir.PointerType(kind))
    if mask is None:
        builder.store(value, pointer, align=size)
        return
    name = f"llvm.masked.store.v{kind.count}f{vector.dtype.bitwidth}.p0"
    llvm_call(builder, name, ir.VoidType(), [value, pointer, ir.IntType(32)(size), mask])


def _lift(context, builder, vector, value, kind):
    """Bring a vector or a Python number to the lanes of `vector`."""
    if isinstance(kind, Vector):
        return value
    scalar = context.cast(builder, value, kind, vector.dtype)
    return splat(builder, scalar, llvm_vector(vector))


def _the_vector(args):
    """Return the vector type among `args` if all are vectors of it or numbers, else None."""
    vectors = [a for a in args if isinstance(a, Vector)]
    rest = [a for a in args if not isinstance(a, Vector)]
    if vectors and all(isinstance(a, types.Number) or _is_number(a) for a in rest):
        return vectors[0]
    return None


def _is_number(kind):
    return isinstance(kind, types.Literal) and isinstance(kind.literal_type, types.Number)


# ---------------------------------------------------------------- operators


def _define_operator(op, result, emit):
    """Let Python's `op` act on vectors, with numbers on either side."""

    @infer_global(op)
    class _Typing(AbstractTemplate):
        def generic(self, args, kws):
            vector = _the_vector(args)
            return signature(result(vector.dtype), *args) if vector else None

    def lower(context, builder, sig, args):
        vector = _the_vector(sig.args)
        pairs = zip(args, sig.args, strict=True)
        return emit(builder, *(_lift(context, builder, vector, v, k) for v, k in pairs))

    for pattern in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
        lower_builtin(op, *pattern)(lower)


for _op, _name in (("add", "fadd"), ("sub", "fsub"), ("mul", "fmul"), ("truediv", "fdiv")):
    _define_operator(getattr(operator, _op), Vector, getattr(ir.IRBuilder, _name))
for _op, _sign in (("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">="), ("eq", "==")):
    _define_operator(
        getattr(operator, _op), Mask, lambda b, x, y, s=_sign: b.fcmp_ordered(s, x, y)
    )


@infer_global(operator.neg)
class _NegateTyping(AbstractTemplate):
    def generic(self, args, kws):
        return signature(args[0], args[0]) if isinstance(args[0], Vector) else None


@lower_builtin(operator.neg, Vector)
def _negate(context, builder, sig, args):
    return builder.fneg(args[0])


@infer_global(operator.add)
class _AdvanceTyping(AbstractTemplate):
    def generic(self, args, kws):
        if isinstance(args[0], Pointer) and isinstance(args[1], types.Integer):
            return signature(args[0], args[0], types.intp)
        return None


@lower_builtin(operator.add, Pointer, types.Integer)
def _advance(context, builder, sig, args):
    return builder.gep(args[0], [args[1]])


@infer_global(operator.getitem)
class _ReadTyping(AbstractTemplate):
    def generic(self, args, kws):
        if isinstance(args[0], Pointer) and isinstance(args[1], types.Integer):
            return signature(args[0].dtype, args[0], types.intp)
        return None


@lower_builtin(operator.getitem, Pointer, types.Integer)
def _read(context, builder, sig, args):
    return builder.load(builder.gep(args[0], [args[1]]), align=sig.return_type.bitwidth // 8)


@infer_global(operator.setitem)
class _WriteTyping(AbstractTemplate):
    def generic(self, args, kws):
        if isinstance(args[0], Pointer) and isinstance(args[1], types.Integer):
            return signature(types.none, args[0], types.intp, args[0].dtype)
        return None


@lower_builtin(operator.setitem, Pointer, types.Integer, types.Any)
def _write(context, builder, sig, args):
    size = sig.args[2].bitwidth // 8
    builder.store(args[2], builder.gep(args[0], [args[1]]), align=size)
    return context.get_dummy_value()


# ---------------------------------------------------------------- functions


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
def prefetch(typingctx, p):
    """Ask for the cache line at `p`, which need not be valid memory."""

    def codegen(context, builder, sig, args):
        i32 = ir.IntType(32)
        where = builder.bitcast(args[0], ir.PointerType(ir.IntType(8)))
        # to read, to keep in every level of the cache, data
        hints = [i32(0), i32(2), i32(1)]
        llvm_call(builder, "llvm.prefetch.p0", ir.VoidType(), [where, *hints])
        return context.get_dummy_value()

    return types.none(p), codegen


@intrinsic
def load(typingctx, p):
    """Load the vector that starts at `p`."""
    vector = Vector(p.dtype)

    def codegen(context, builder, sig, args):
        return load_values(builder, args[0], vector)

    return vector(p), codegen


@intrinsic
def load_part(typingctx, p, count):
    """Load the first `count` lanes of the vector at `p`; the others are zero."""
    vector = Vector(p.dtype)

    def codegen(context, builder, sig, args):
        return load_values(builder, args[0], vector, first_lanes(builder, args[1], vector))

    return vector(p, types.intp), codegen


@intrinsic
def store(typingctx, p, value):
    """Store a vector at `p`."""

    def codegen(context, builder, sig, args):
        store_values(builder, args[1], args[0], value)
        return context.get_dummy_value()

    return types.none(p, value), codegen


@intrinsic
def store_part(typingctx, p, value, count):
    """Store the first `count` lanes of a vector at `p`."""

    def codegen(context, builder, sig, args):
        mask = first_lanes(builder, args[2], value)
        store_values(builder, args[1], args[0], value, mask)
        return context.get_dummy_value()

    return types.none(p, value, types.intp), codegen


@intrinsic
def broadcast(typingctx, p, scalar):
    """Copy `scalar` into every lane of a vector of the pointer's dtype."""
    vector = Vector(p.dtype)

    def codegen(context, builder, sig, args):
        return _lift(context, builder, vector, args[1], sig.args[1])

    return vector(p, scalar), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """Return ``a * b + c`` with one rounding where the target can."""
    vector = _the_vector((a, b, c))

    def codegen(context, builder, sig, args):
        pairs = zip(args, sig.args, strict=True)
        lifted = (_lift(context, builder, vector, v, k) for v, k in pairs)
        return fma_values(builder, *lifted)

    return vector(a, b, c), codegen


@intrinsic
def select(typingctx, mask, a, b):
    """Return `a` in the lanes where `mask` is true and `b` in the others."""
    vector = Vector(mask.dtype)

    def codegen(context, builder, sig, args):
        pairs = zip(args[1:], sig.args[1:], strict=True)
        return builder.select(args[0], *(_lift(context, builder, vector, v, k) for v, k in pairs))

    return vector(mask, a, b), codegen


def _elementwise(llvm_name, doc):
    @intrinsic
    def function(typingctx, value):
        def codegen(context, builder, sig, args):
            return _vector_call(builder, llvm_name, list(args))

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
        return _vector_call(builder, "copysign", list(args))

    return magnitude(magnitude, sign), codegen


@intrinsic
def shift_exponent(typingctx, bits):
    """Shift the bit pattern of each lane left by the width of the mantissa."""
    mantissa = 23 if bits.dtype.bitwidth == 32 else 52

    def codegen(context, builder, sig, args):
        kind = _integers(bits)
        pattern = builder.bitcast(args[0], kind)
        shift = ir.Constant(kind, [kind.element(mantissa)] * bits.lanes)
        return builder.bitcast(builder.shl(pattern, shift), llvm_vector(bits))

    return bits(bits), codegen


@intrinsic
def split_exponent(typingctx, value):
    """Split positive normal floats: return ``(m, e)``, value = m 2^e and 1 <= m < 2."""
    mantissa, bias = (23, 127) if value.dtype.bitwidth == 32 else (52, 1023)

    def codegen(context, builder, sig, args):
        kind = _integers(value)

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


def _reduction(emit, doc):
    @intrinsic
    def function(typingctx, value):
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
                low, high = (builder.shuffle_vector(total, undefined, h) for h in halves)
                total = emit(builder, low, high)
            return builder.extract_element(total, ir.IntType(32)(0))

        return value.dtype(value), codegen

    function.__doc__ = doc
    return function


def _greater(builder, a, b):
    unordered = builder.fcmp_unordered("uno", a, a)
    return builder.select(builder.or_(unordered, builder.fcmp_ordered(">", a, b)), a, b)


lane_sum = _reduction(ir.IRBuilder.fadd, "Add the lanes, always pairing them in one order.")
lane_max = _reduction(_greater, "Return the greatest lane.")
