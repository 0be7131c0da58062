"""SIMD vectors and raw pointers as Numba value types.

A `Vector` is one register of floats of the processor Numba compiles for; a
`Pointer` addresses floats in memory. Both follow Python's operators, so that a
kernel reads like its formula: ``1 / (1 + exp(-z))``. A Python number beside a
vector takes the vector's dtype, never the other way round. Nothing here may be
reassociated: the bits of a lane depend on that lane's inputs alone, not on its
position in a register, the length of an array or the number of threads.

Only this file, `view`, `intrinsics`, `bits`, `meeting`, `dispatch`, `dual` and `tile` write LLVM
IR.
"""

import operator
from functools import cache, partial
from inspect import Parameter, Signature
from inspect import signature as python_signature

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from ..compiler.target import LEVELS, target

_REGISTER_BITS = (("+avx512f", 512), ("+avx", 256))


@cache
def target_features():
    """Return the processor features that kernels are compiled for, a set of ``+name`` strings."""
    triple, cpu, features = target()
    neon = {"+neon"} if triple.startswith(("aarch64", "arm64")) else set()
    # a processor named by its level has the level's features without listing them
    return frozenset({*features.split(","), *LEVELS.get(cpu, "").split(",")} | neon)


def has_cheap_masks():
    """Return whether the target's masked loads and stores are as fast as whole ones."""
    return "+avx512f" in target_features()


def lanes(dtype):
    """Return the number of floats of a Numba `dtype` in one register of the target."""
    features = target_features()
    bits = next((b for feature, b in _REGISTER_BITS if feature in features), 128)
    return bits // dtype.bitwidth


class Pointer(types.Type):
    """Address of consecutive numbers; ``p + i`` moves by elements, ``p[i]`` reads one."""

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
    """One truth value per lane of a vector."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.lanes = lanes(dtype)
        super().__init__(name=f"Mask({dtype} x {self.lanes})")


def llvm_scalar(dtype):
    """Return the LLVM type of a Numba number `dtype`."""
    if isinstance(dtype, types.Integer):
        return ir.IntType(dtype.bitwidth)
    return ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType()


def llvm_vector(vector):
    """Return the LLVM type of a `Vector`."""
    return ir.VectorType(llvm_scalar(vector.dtype), vector.lanes)


def llvm_integers(vector):
    """Return the LLVM type of the bit patterns of a `Vector`."""
    return ir.VectorType(ir.IntType(vector.dtype.bitwidth), vector.lanes)


def define_value(kind, llvm_type):
    """Let values of a Numba type be LLVM values of the type that ``llvm_type(type)`` returns."""

    @register_model(kind)
    class _Model(models.PrimitiveModel):
        def __init__(self, manager, fe_type):
            super().__init__(manager, fe_type, llvm_type(fe_type))


define_value(Pointer, lambda pointer: ir.PointerType(llvm_scalar(pointer.dtype)))
define_value(Vector, llvm_vector)
define_value(Mask, lambda mask: ir.VectorType(ir.IntType(1), mask.lanes))


def instruction(define=None, *, prefer_literal=False):
    """Make a Numba intrinsic of a function from argument types to ``(result type, emit)``.

    ``emit(builder, *values)`` emits LLVM IR and returns the result, or nothing for `types.none`.
    Integers are passed with 64 bits. The keyword is that of `numba.extending.intrinsic`.
    """
    if define is None:
        return partial(instruction, prefer_literal=prefer_literal)

    def typed(typingctx, *kinds):
        result, emit = define(*kinds)

        def codegen(context, builder, sig, values):
            value = emit(builder, *values)
            return context.get_dummy_value() if result is types.none else value

        return result(*map(_wide, kinds)), codegen

    typed.__name__, typed.__doc__ = define.__name__, define.__doc__
    first = Parameter("typingctx", Parameter.POSITIONAL_OR_KEYWORD)
    typed.__signature__ = Signature([first, *python_signature(define).parameters.values()])
    return intrinsic(prefer_literal=prefer_literal)(typed)


def _wide(kind):
    # a literal tells calls of different shapes apart
    literal = isinstance(kind, types.Literal)
    return types.intp if isinstance(kind, types.Integer) and not literal else kind


# ---------------------------------------------------------------- building blocks


def llvm_call(builder, name, result, args):
    """Call the LLVM intrinsic `name`, overloaded on every type in `args` that needs it."""
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(result, [a.type for a in args]), name
    )
    return builder.call(function, args)


def vector_call(builder, name, args):
    """Call the LLVM intrinsic `name`, elementwise on vectors of one type."""
    kind = args[0].type
    suffix = "f32" if kind.element == ir.FloatType() else "f64"
    return llvm_call(builder, f"llvm.{name}.v{kind.count}{suffix}", kind, args)


def fma_values(builder, a, b, c):
    """Emit ``a * b + c``, fused where the target has the instruction."""
    return vector_call(builder, "fmuladd", [a, b, c])


def splat(builder, scalar, kind):
    """Copy one LLVM scalar into every lane of the vector type `kind`."""
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), None)
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), zeros)


def lane_numbers(vector):
    """Return the constant 0, 1, 2, ... of integers as wide as the floats, one per lane."""
    kind = llvm_integers(vector)
    return ir.Constant(kind, [kind.element(i) for i in range(vector.lanes)])


def compare_lanes(builder, sign, integer, vector):
    """Return the mask ``lane number <sign> integer``; the integer has 64 bits.

    They are compared as integers as wide as the floats, one instruction per vector: `integer` is
    first limited to -1 and the number of lanes, which does not change the mask.
    """
    lane = lane_numbers(vector)
    wide = integer.type
    for outside, end in (("<", wide(-1)), (">", wide(vector.lanes))):
        integer = builder.select(builder.icmp_signed(outside, integer, end), end, integer)
    if lane.type.element.width < wide.width:
        integer = builder.trunc(integer, lane.type.element)
    return builder.icmp_signed(sign, lane, splat(builder, integer, lane.type))


def first_lanes(builder, count, vector):
    """Return the mask that is true in the first `count` lanes."""
    return compare_lanes(builder, "<", count, vector)


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


def load_first(builder, address, vector, count):
    """Load the first `count` lanes of a vector; the others are zero and not touched."""
    if has_cheap_masks():
        return load_values(builder, address, vector, first_lanes(builder, count, vector))
    whole = builder.icmp_signed(">=", count, count.type(vector.lanes))
    with builder.if_else(whole, likely=True) as (all_lanes, some):
        with all_lanes:
            full, full_block = load_values(builder, address, vector), builder.block
        with some:
            mask = first_lanes(builder, count, vector)
            part, part_block = load_values(builder, address, vector, mask), builder.block
    value = builder.phi(full.type)
    value.add_incoming(full, full_block)
    value.add_incoming(part, part_block)
    return value


def store_first(builder, value, address, vector, count):
    """Store the first `count` lanes of a vector; the others are not touched."""
    if has_cheap_masks():
        store_values(builder, value, address, vector, first_lanes(builder, count, vector))
        return
    whole = builder.icmp_signed(">=", count, count.type(vector.lanes))
    with builder.if_else(whole, likely=True) as (all_lanes, some):
        with all_lanes:
            store_values(builder, value, address, vector)
        with some:
            store_values(builder, value, address, vector, first_lanes(builder, count, vector))


def lift(builder, vector, value):
    """Return a vector as it is, and a number in all lanes of `vector`, converted to its dtype."""
    if isinstance(value.type, ir.VectorType):
        return value
    wanted = llvm_scalar(vector.dtype)
    if isinstance(value.type, ir.IntType):
        value = builder.sitofp(value, wanted)
    elif value.type != wanted:
        value = (builder.fptrunc if wanted == ir.FloatType() else builder.fpext)(value, wanted)
    return splat(builder, value, llvm_vector(vector))


def the_vector(args):
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
            vector = the_vector(args)
            return signature(result(vector.dtype), *args) if vector else None

    def lower(context, builder, sig, args):
        return emit(builder, *(lift(builder, the_vector(sig.args), value) for value in args))

    for pattern in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
        lower_builtin(op, *pattern)(lower)


for _op, _name in (("add", "fadd"), ("sub", "fsub"), ("mul", "fmul"), ("truediv", "fdiv")):
    _define_operator(getattr(operator, _op), Vector, getattr(ir.IRBuilder, _name))
for _op, _sign in (("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">="), ("eq", "==")):
    _define_operator(getattr(operator, _op), Mask, lambda b, x, y, s=_sign: b.fcmp_ordered(s, x, y))


@infer_global(operator.neg)
class _NegateTyping(AbstractTemplate):
    def generic(self, args, kws):
        return signature(args[0], args[0]) if isinstance(args[0], Vector) else None


@lower_builtin(operator.neg, Vector)
def _negate(context, builder, sig, args):
    return builder.fneg(args[0])


def _define_pointer_operator(op, result):
    """Let Python's `op` act on a `Pointer` and an integer; return the decorator of its lowering."""

    @infer_global(op)
    class _Typing(AbstractTemplate):
        def generic(self, args, kws):
            if isinstance(args[0], Pointer) and isinstance(args[1], types.Integer):
                return result(args[0])
            return None

    return lower_builtin(op, Pointer, types.Integer, *[types.Any] * (op is operator.setitem))


@_define_pointer_operator(operator.add, lambda p: signature(p, p, types.intp))
def _advance(context, builder, sig, args):
    return builder.gep(args[0], [args[1]])


@_define_pointer_operator(operator.getitem, lambda p: signature(p.dtype, p, types.intp))
def _read(context, builder, sig, args):
    return builder.load(builder.gep(args[0], [args[1]]), align=sig.return_type.bitwidth // 8)


@_define_pointer_operator(operator.setitem, lambda p: signature(types.none, p, types.intp, p.dtype))
def _write(context, builder, sig, args):
    size = sig.args[2].bitwidth // 8
    builder.store(args[2], builder.gep(args[0], [args[1]]), align=size)
    return context.get_dummy_value()
