"""Calling a function by a code or by an address, from inside kernels.

What is called is a value at run time, so that one compiled kernel serves every
activation, loss and optimizer.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .vector import Vector, load_first, store_first


def _cases(context, builder, code, count):
    """Emit a switch; yield each case with the builder in its block, then continue behind it.

    An unknown code takes the last case.
    """
    end = builder.append_basic_block()
    blocks = [builder.append_basic_block() for _ in range(count)]
    branch = builder.switch(code, blocks[-1])
    for i, block in enumerate(blocks):
        branch.add_case(ir.Constant(code.type, i), block)
        builder.position_at_end(block)
        yield i
        builder.branch(end)
    builder.position_at_end(end)


def _linked(context, dispatcher, signature):
    function = context.get_function(dispatcher, signature)
    context.add_linking_libs(getattr(function, "libs", ()))
    return function


def switch(*functions):
    """Return the function ``(code, *args) -> functions[code](*args)``.

    All of the jitted `functions` give the same type; an unknown code takes the last.
    """

    @intrinsic
    def choose(typingctx, code, *args):
        kinds = [types.Dispatcher(function) for function in functions]
        signatures = [kind.get_call_type(typingctx, args, {}) for kind in kinds]
        result = signatures[0].return_type

        def codegen(context, builder, sig, values):
            arguments = cgutils.unpack_tuple(builder, values[1])
            outcomes = []
            for i in _cases(context, builder, values[0], len(kinds)):
                function = _linked(context, kinds[i], signatures[i])
                outcomes.append((function(builder, arguments), builder.block))
            value = builder.phi(context.get_value_type(result))
            for outcome, block in outcomes:
                value.add_incoming(outcome, block)
            return value

        return result(types.intp, types.StarArgTuple(args)), codegen

    return choose


def vector_loop(*functions, scale=False):
    """Return the loop ``(code, alpha, count, source, target)`` over `count` floats.

    It writes ``target = functions[code](source, alpha)``, or with `scale` multiplies the target
    by it, vector by vector; the code is looked at once. Source and target may be one.
    """

    @intrinsic
    def loop(typingctx, code, alpha, count, source, target):
        vector = Vector(source.dtype)
        kinds = [types.Dispatcher(function) for function in functions]
        signatures = [kind.get_call_type(typingctx, (vector, alpha), {}) for kind in kinds]

        def codegen(context, builder, sig, values):
            code, alpha, count, source, target = values
            step = count.type(vector.lanes)
            for i in _cases(context, builder, code, len(kinds)):
                function = _linked(context, kinds[i], signatures[i])
                zero = count.type(0)
                with cgutils.for_range_slice(builder, zero, count, step) as (place, _):
                    left = builder.sub(count, place)
                    here, there = (builder.gep(p, [place]) for p in (source, target))
                    value = function(builder, [load_first(builder, here, vector, left), alpha])
                    if scale:
                        value = builder.fmul(load_first(builder, there, vector, left), value)
                    store_first(builder, value, there, vector, left)
            return context.get_dummy_value()

        return types.none(types.intp, types.float64, types.intp, source, target), codegen

    return loop


@intrinsic
def call(typingctx, address, *args):
    """Call the `jit.Task` at `address` with `args`; it returns nothing."""

    def codegen(context, builder, sig, values):
        kinds = [context.get_value_type(kind) for kind in args]
        nothing = context.get_value_type(types.none)
        function = ir.PointerType(ir.FunctionType(nothing, kinds))
        arguments = cgutils.unpack_tuple(builder, values[1])
        builder.call(builder.inttoptr(values[0], function), arguments)
        return context.get_dummy_value()

    return types.none(types.intp, types.StarArgTuple(args)), codegen
