"""Calling a function by a code or by an address, from inside kernels.

The function is chosen at run time, so that one compiled kernel serves every
activation, loss and optimizer.
"""

from inspect import signature

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from ..compiler.jit import inner
from .vector import Vector, first_lanes, llvm_vector, load_first, splat, store_first, store_values
from .view import view_parts


def _cases(context, builder, code, count):
    """Emit a switch; yield each case with the builder in its block, then continue after it.

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


def by_code(functions):
    """Return the function ``(code, *args) -> functions[code](*args)``.

    All `functions` return the same type; an unknown code takes the last.
    """
    functions = [inner(function) for function in functions]

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


def block_by_code(functions, scale=False):
    """Return the loop ``(code, alpha, rows, columns, s, t)`` over blocks S and T, two views.

    It writes ``T = functions[code](S, alpha)``, or with `scale` multiplies T by that, vector by
    vector; it branches on the code once. T may be S. Rows that only padding separates are treated
    as one long row, the padding included.
    """
    functions = [inner(function) for function in functions]

    @intrinsic
    def loop(typingctx, code, alpha, rows, columns, source, target):
        vector, size = Vector(source.dtype), types.intp
        kinds = [types.Dispatcher(function) for function in functions]
        signatures = [kind.get_call_type(typingctx, (vector, alpha), {}) for kind in kinds]

        def codegen(context, builder, sig, values):
            code, alpha, rows, columns, *views = values
            source, s_row, _ = view_parts(builder, views[0])
            target, t_row, _ = view_parts(builder, views[1])
            rows, columns = _as_one_row(builder, rows, columns, s_row, t_row, 2 * vector.lanes)
            for i in _cases(context, builder, code, len(kinds)):
                function = _linked(context, kinds[i], signatures[i])
                for place, target_place, left in _vectors(
                    builder, rows, columns, s_row, t_row, vector.lanes
                ):
                    here, there = builder.gep(source, [place]), builder.gep(target, [target_place])
                    value = function(builder, [load_first(builder, here, vector, left), alpha])
                    if scale:
                        value = builder.fmul(load_first(builder, there, vector, left), value)
                    store_first(builder, value, there, vector, left)
            return context.get_dummy_value()

        return types.none(size, types.float64, size, size, source, target), codegen

    return loop


def _as_one_row(builder, rows, columns, s_row, t_row, most):
    """Return the rows and columns to loop over: one row if its padding is below `most` floats."""
    padding = builder.sub(s_row, columns)
    joined = builder.and_(
        builder.icmp_signed("==", s_row, t_row),
        builder.icmp_unsigned("<", padding, padding.type(most)),
    )
    length = builder.select(joined, builder.mul(rows, s_row), columns)
    return builder.select(joined, rows.type(1), rows), length


def _vectors_of_row(builder, columns, lanes):
    """Emit the loop over the vectors of a row; yield once, inside: column, floats left."""
    zero = columns.type(0)
    with cgutils.for_range_slice(builder, zero, columns, lanes) as (column, _):
        yield column, builder.sub(columns, column)


def _vectors(builder, rows, columns, s_row, t_row, lanes):
    """Emit the loops over a block; yield once, inside: both places and the floats left in a row."""
    with cgutils.for_range(builder, rows) as each:
        for column, left in _vectors_of_row(builder, columns, rows.type(lanes)):
            places = (builder.add(builder.mul(each.index, s), column) for s in (s_row, t_row))
            yield *places, left


def rows_by_code(functions, sums=False):
    """Return the loop ``(code, rows, columns, s, y, numbers, out)`` over rows of two views.

    It writes ``Y[r] = functions[code](S[r], Y[r], numbers[r]) out[r]``, vector by vector, or with
    `sums` adds the vectors of a row to one, ``out[r]``. It branches on the code once. S and Y have
    the same row stride.
    """
    functions = [inner(function) for function in functions]

    @intrinsic
    def loop(typingctx, code, rows, columns, source, target, numbers, out):
        vector, size = Vector(source.dtype), types.intp
        arguments = (vector, vector, source.dtype)
        kinds = [types.Dispatcher(function) for function in functions]
        signatures = [kind.get_call_type(typingctx, arguments, {}) for kind in kinds]

        def codegen(context, builder, sig, values):
            code, rows, columns, source, target, numbers, out = values
            source, row, _ = view_parts(builder, source)
            target, _, _ = view_parts(builder, target)
            kind = llvm_vector(vector)
            lanes = rows.type(vector.lanes)
            total = cgutils.alloca_once(builder, kind)
            for i in _cases(context, builder, code, len(kinds)):
                function = _linked(context, kinds[i], signatures[i])
                with cgutils.for_range(builder, rows) as each:
                    r = each.index
                    start = builder.mul(each.index, row)
                    number = builder.load(builder.gep(numbers, [r]))
                    builder.store(ir.Constant(kind, None), total)
                    for j, left in _vectors_of_row(builder, columns, lanes):
                        place = builder.add(start, j)
                        here, there = builder.gep(source, [place]), builder.gep(target, [place])
                        pair = [load_first(builder, p, vector, left) for p in (here, there)]
                        value = function(builder, [*pair, number])
                        if sums:
                            inside = first_lanes(builder, left, vector)
                            value = builder.select(inside, value, ir.Constant(kind, None))
                            builder.store(builder.fadd(builder.load(total), value), total)
                        else:
                            factor = splat(builder, builder.load(builder.gep(out, [r])), kind)
                            value = builder.fmul(value, factor)
                            store_first(builder, value, there, vector, left)
                    if sums:
                        there = builder.gep(out, [builder.mul(r, lanes)])
                        store_values(builder, builder.load(total), there, vector)
            return context.get_dummy_value()

        return types.none(size, size, size, source, target, numbers, out), codegen

    return loop


def by_address(task):
    """Return the function ``(address, *args) -> None`` that calls `task` by its address.

    Parameters
    ----------
    task : jit.Task
        The function that is called; it returns nothing. Its address is what ``task.address`` gave
        for arguments of the same types.
    """
    expected = signature(task.function).parameters

    @intrinsic
    def call(typingctx, address, *args):
        if len(args) != len(expected):
            raise TypingError(f"{task.__name__} takes {', '.join(expected)}: got {args}")

        def codegen(context, builder, sig, values):
            kinds = [context.get_value_type(kind) for kind in args]
            nothing = context.get_value_type(types.none)
            function = ir.PointerType(ir.FunctionType(nothing, kinds))
            arguments = cgutils.unpack_tuple(builder, values[1])
            builder.call(builder.inttoptr(values[0], function), arguments)
            return context.get_dummy_value()

        return types.none(types.intp, types.StarArgTuple(args)), codegen

    return call
