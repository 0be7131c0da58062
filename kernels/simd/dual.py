"""Dual numbers ``v + s e`` with ``e^2 = 0`` as Numba values: f(v + e) = f(v) + f'(v) e.

A `Dual` has a value and a slope, two vectors or two float64 numbers. Python's operators follow the
rules of derivatives, and comparisons compare values, so that a formula that runs on numbers also
returns its derivative. `functions` has exp and others. Nothing here is imported before a formula
of a user's own is made.

References: Clifford, Preliminary sketch of biquaternions, 1873; Griewank and Walther, Evaluating
Derivatives, 2008, chapter 3 (forward mode).
"""

import math
import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.core.typeconv import Conversion
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, lower_cast, models, register_model

from .dispatch import linked
from .vector import Mask, Vector, lift

# powers with whole exponents up to this are products
_LARGEST_POWER = 16


class Dual(types.Type):
    """A value and its slope, both of the type `member`: a `Vector` or float64."""

    def __init__(self, member):
        self.member = member
        super().__init__(name=f"Dual({member})")

    def unify(self, typingctx, other):
        """Return the type of a variable that is a dual number in one branch, and a number else."""
        return self if isinstance(other, types.Number) else None

    def can_convert_from(self, typingctx, other):
        """Return how a number becomes a dual number, one with the slope 0."""
        return Conversion.unsafe if isinstance(other, types.Number) else None


@register_model(Dual)
class _DualModel(models.StructModel):
    def __init__(self, manager, fe_type):
        members = [("value", fe_type.member), ("slope", fe_type.member)]
        super().__init__(manager, fe_type, members)


class _Term:
    """A value in LLVM code, with its Numba type; an operator emits the operation."""

    def __init__(self, scope, kind, value):
        self.scope, self.kind, self.value = scope, kind, value

    def number(self, number):
        """Return a Python number as a term."""
        return _Term(self.scope, types.float64, ir.DoubleType()(float(number)))

    def apply(self, op, *others):
        """Return the result of an operator on this term and others."""
        context, builder = self.scope
        terms = [self, *(x if isinstance(x, _Term) else self.number(x) for x in others)]
        found = context.typing_context.resolve_function_type(op, tuple(t.kind for t in terms), {})
        values = [
            context.cast(builder, term.value, term.kind, kind)
            for term, kind in zip(terms, found.args, strict=True)
        ]
        return _Term(
            self.scope, found.return_type, context.get_function(op, found)(builder, values)
        )

    def __add__(self, other):
        return other if other is None else self.apply(operator.add, other)

    def __sub__(self, other):
        return self.apply(operator.sub, other)

    def __mul__(self, other):
        return self.apply(operator.mul, other)

    def __truediv__(self, other):
        return self.apply(operator.truediv, other)

    def __neg__(self):
        return self.apply(operator.neg)

    def parts(self):
        """Return the value and the slope as terms; the slope of what is no dual number is None."""
        if not isinstance(self.kind, Dual):
            return self, None
        values = cgutils.unpack_tuple(self.scope[1], self.value, 2)
        return tuple(_Term(self.scope, self.kind.member, value) for value in values)

    def lifted(self, member):
        """Return the LLVM value as one of the type `member`."""
        context, builder = self.scope
        if isinstance(member, Vector):
            return lift(builder, member, self.value)
        return context.cast(builder, self.value, self.kind, member)

    def as_dual(self, slope, kind):
        """Return the LLVM value of this value and a slope, which may be None for 0."""
        slope = self.number(0) if slope is None else slope
        pair = [term.lifted(kind.member) for term in (self, slope)]
        return cgutils.pack_struct(self.scope[1], pair)


def _plus(x, y):
    return y if x is None else x if y is None else x + y


def _times(x, factor):
    return None if x is None else x * factor


def _minus(x):
    return None if x is None else -x


def _product(x, y):
    (v, s), (w, t) = x.parts(), y.parts()
    return v * w, _plus(_times(s, w), _times(t, v))


def _quotient(x, y):
    (v, s), (w, t) = x.parts(), y.parts()
    value = v / w
    return value, _plus(s, _minus(_times(t, value))) / w


def _sum(x, y):
    (v, s), (w, t) = x.parts(), y.parts()
    return v + w, _plus(s, t)


def _difference(x, y):
    (v, s), (w, t) = x.parts(), y.parts()
    return v - w, _plus(s, _minus(t))


def _negative(x):
    value, slope = x.parts()
    return -value, -slope


def _dual_of(kinds):
    """Return the type of dual number among the types of arguments if all go with it, else None."""
    found = next((kind for kind in kinds if isinstance(kind, Dual)), None)
    rest = [kind for kind in kinds if kind != found]
    fits = all(isinstance(k, types.Number) or k == getattr(found, "member", None) for k in rest)
    return found if fits else None


def _define(op, count, result, emit):
    """Let Python's `op` of `count` arguments act on dual numbers, with others beside them."""

    @infer_global(op)
    class _Typing(AbstractTemplate):
        def generic(self, args, kws):
            kind = _dual_of(args) if len(args) == count else None
            found = kind and result(self.context, kind, args)
            return signature(found, *args) if found else None

    def lower(context, builder, sig, args):
        scope = (context, builder)
        terms = [_Term(scope, *pair) for pair in zip(sig.args, args, strict=True)]
        return emit(sig.return_type, *terms)

    patterns = ((Dual, Dual), (Dual, types.Any), (types.Any, Dual))
    for pattern in patterns if count == 2 else ((Dual,),):
        lower_builtin(op, *pattern)(lower)


def _define_rule(op, count, rule):
    def emit(kind, *terms):
        value, slope = rule(*terms)
        return value.as_dual(slope, kind)

    _define(op, count, lambda context, kind, args: kind, emit)


for _op, _count, _rule in (
    (operator.add, 2, _sum),
    (operator.sub, 2, _difference),
    (operator.mul, 2, _product),
    (operator.truediv, 2, _quotient),
    (operator.iadd, 2, _sum),
    (operator.isub, 2, _difference),
    (operator.imul, 2, _product),
    (operator.itruediv, 2, _quotient),
    (operator.neg, 1, _negative),
    (operator.pos, 1, _Term.parts),
):
    _define_rule(_op, _count, _rule)


def _define_comparison(op):
    def result(context, kind, args):
        members = tuple(kind.member if isinstance(arg, Dual) else arg for arg in args)
        return context.resolve_function_type(op, members, {}).return_type

    def emit(kind, x, y):
        return x.parts()[0].apply(op, y.parts()[0]).value

    _define(op, 2, result, emit)


for _op in (operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne):
    _define_comparison(_op)


# ---------------------------------------------------------------- powers


def _whole_power(kind):
    """Return the exponent that a type names, if products can take its place; else None."""
    if not isinstance(kind, types.IntegerLiteral) or not 1 <= kind.literal_value <= _LARGEST_POWER:
        return None
    return kind.literal_value


def _power(base, exponent):
    """Emit a power of a term by squares and products."""
    result = None
    while exponent:
        if exponent % 2:
            result = base if result is None else result * base
        exponent //= 2
        base = base * base if exponent else base
    return result


@infer_global(operator.pow)
class _PowerTyping(AbstractTemplate):
    prefer_literal = True

    def generic(self, args, kws):
        base, exponent = args
        if exponent == Dual(types.float64) and isinstance(base, types.Number):
            return signature(exponent, *args)
        if not isinstance(base, (Vector, Dual)):
            return None
        scalar = isinstance(base, Dual) and base.member == types.float64
        if _whole_power(exponent) or (scalar and isinstance(exponent, types.Number)):
            return signature(base, *args)
        return None


def _lower_power(context, builder, sig, args):
    base, exponent = (_Term((context, builder), *pair) for pair in zip(sig.args, args, strict=True))
    whole = _whole_power(sig.args[1])
    if whole:
        return _power(base, whole).value
    value, slope = base.parts()
    factor = exponent * value.apply(operator.pow, exponent - 1)
    # the slope of v^0 is 0 at 0 too, where v^-1 is infinite
    is_one = exponent.apply(operator.eq, 0.0).value
    zero = factor.number(0).value
    factor = _Term(factor.scope, factor.kind, builder.select(is_one, zero, factor.value))
    return value.apply(operator.pow, exponent).as_dual(factor * slope, sig.return_type)


@lower_builtin(operator.pow, types.Number, Dual)
def _lower_exponential(context, builder, sig, args):
    scope = (context, builder)
    base = _Term(scope, types.float64, context.cast(builder, args[0], sig.args[0], types.float64))
    value, slope = _Term(scope, sig.args[1], args[1]).parts()
    result = base.apply(operator.pow, value)
    return result.as_dual(result * base.apply(math.log) * slope, sig.return_type)


for _kind in (Vector, Dual):
    lower_builtin(operator.pow, _kind, types.Any)(_lower_power)


@lower_cast(types.Number, Dual)
def _constant(context, builder, fromty, toty, value):
    return _Term((context, builder), fromty, value).as_dual(None, toty)


# ---------------------------------------------------------------- parts and functions


@intrinsic
def variable(typingctx, x):
    """Return a vector or float64 as the dual number with the slope 1."""
    kind = Dual(x)

    def codegen(context, builder, sig, args):
        term = _Term((context, builder), x, args[0])
        return term.as_dual(term.number(1), kind)

    return kind(x), codegen


@intrinsic
def dual(typingctx, value, slope):
    """Return the dual number of a value and a slope."""
    kind = Dual(value)

    def codegen(context, builder, sig, args):
        value, slope = (_Term((context, builder), *p) for p in zip(sig.args, args, strict=True))
        return value.as_dual(slope, kind)

    return kind(value, slope), codegen


def _part(place, doc):
    def part(typingctx, x):
        is_dual = isinstance(x, Dual)
        result = x.member if is_dual else types.float64 if place else x

        def codegen(context, builder, sig, args):
            if is_dual:
                return builder.extract_value(args[0], place)
            return ir.DoubleType()(0) if place else args[0]

        return result(x), codegen

    part.__doc__ = doc
    return intrinsic(part)


value_of = _part(0, "Return the value of a dual number; anything else as it is.")
slope_of = _part(1, "Return the slope of a dual number; 0 of anything else.")


def by_kind(name, functions):
    """Return the function that is compiled for the types of its arguments.

    `functions` holds those for a "vector", a "dual" number and plain "numbers", each if there is
    one; of mixed arguments a dual number decides, then a vector. `name` is told where there is
    none.
    """

    @intrinsic
    def call(typingctx, *args):
        kinds = {Vector: "vector", Mask: "vector", Dual: "dual"}
        found = {kinds.get(type(arg), "numbers") for arg in args}
        wanted = next(kind for kind in ("dual", "vector", "numbers") if kind in found)
        if functions.get(wanted) is None:
            raise TypingError(f"{name} of {', '.join(map(str, args))} is not known")
        kind = typingctx.resolve_value_type(functions[wanted])
        signature = kind.get_call_type(typingctx, args, {})

        def codegen(context, builder, sig, values):
            function = linked(context, kind, signature)
            given = cgutils.unpack_tuple(builder, values[0])
            cast = zip(given, args, signature.args, strict=True)
            return function(builder, [context.cast(builder, *each) for each in cast])

        return signature.return_type(types.StarArgTuple(args)), codegen

    return call
