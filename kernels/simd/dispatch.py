"""Formulas of vectors as loops over blocks and rows, and calls of functions by address.

A formula's loop is compiled when it is first used, and called by its address, so that one compiled
kernel serves every activation, loss and optimizer, also those that it was compiled before.
"""

from inspect import signature

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from ..compiler.jit import Task, inner, inner_of_custom
from .vector import (
    Pointer,
    Vector,
    first_lanes,
    llvm_vector,
    load_first,
    splat,
    store_first,
    store_values,
)
from .view import View, view_parts


def linked(context, dispatcher, signature):
    """Return what emits the call of a function of `inner`, whose code is linked in."""
    function = context.get_function(dispatcher, signature)
    context.add_linking_libs(getattr(function, "libs", ()))
    return function


class Loops(dict):
    """Tasks by the names of formulas; a custom formula brings its own: see `formulas.custom`."""

    def __init__(self, family, tasks):
        super().__init__(tasks)
        self.family = family

    def __missing__(self, name):
        return name.tasks()[self.family]


def block_loops(family, functions, scale=False, is_custom=False, **others):
    """Return by name the tasks ``(alpha, rows, columns, s, t)`` over blocks S and T, two views.

    They write ``T = function(S, alpha)``, or with `scale` multiply T by that, vector by vector.
    T may be S. Rows that only padding separates are treated as one long row, the padding included.

    Parameters
    ----------
    family : str
        What the loops do, part of their name in the cache.
    functions : dict of str to callable
        The formulas ``function(vector, alpha)``.
    scale : bool
        Whether to multiply.
    is_custom : bool
        Whether the formulas are a user's own: see `Task`.
    **others : callable
        Loops that are written out, with the same arguments.
    """
    compiled = inner_of_custom if is_custom else inner
    loops = {name: _block_loop(compiled(function), scale) for name, function in functions.items()}
    tasks = {
        n: _block_task(loop, f"{family}_{n}", is_custom) for n, loop in {**loops, **others}.items()
    }
    return Loops(family, tasks)


def _block_task(loop, name, is_custom):
    def block(alpha, rows, columns, s, t):
        loop(alpha, rows, columns, s, t)

    block.__name__ = name
    size = types.intp
    return Task(block, lambda kind: (types.float64, size, size, View(kind), View(kind)), is_custom)


def _block_loop(function, scale):
    @intrinsic
    def loop(typingctx, alpha, rows, columns, source, target):
        vector, size = Vector(source.dtype), types.intp
        kind = types.Dispatcher(function)
        signature = kind.get_call_type(typingctx, (vector, alpha), {})

        def codegen(context, builder, sig, values):
            alpha, rows, columns, *views = values
            source, s_row, _ = view_parts(builder, views[0])
            target, t_row, _ = view_parts(builder, views[1])
            rows, columns = _as_one_row(builder, rows, columns, s_row, t_row, 2 * vector.lanes)
            formula = linked(context, kind, signature)
            for place, target_place, left in _vectors(
                builder, rows, columns, s_row, t_row, vector.lanes
            ):
                here, there = builder.gep(source, [place]), builder.gep(target, [target_place])
                value = formula(builder, [load_first(builder, here, vector, left), alpha])
                if scale:
                    value = builder.fmul(load_first(builder, there, vector, left), value)
                store_first(builder, value, there, vector, left)
            return context.get_dummy_value()

        return types.none(types.float64, size, size, source, target), codegen

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


def row_loops(family, functions, sums=False, is_custom=False, **others):
    """Return by name the tasks ``(rows, columns, s, y, numbers, out)`` over rows of two views.

    They write ``Y[r] = function(S[r], Y[r], numbers[r]) out[r]``, vector by vector, or with `sums`
    add the vectors of a row to one, ``out[r]``. S and Y have the same row stride. The others are
    as for `block_loops`.
    """
    compiled = inner_of_custom if is_custom else inner
    loops = {name: _row_loop(compiled(function), sums) for name, function in functions.items()}
    tasks = {
        n: _row_task(loop, f"{family}_{n}", is_custom) for n, loop in {**loops, **others}.items()
    }
    return Loops(family, tasks)


def _row_task(loop, name, is_custom):
    def row(rows, columns, s, y, numbers, out):
        loop(rows, columns, s, y, numbers, out)

    row.__name__ = name
    size = types.intp
    return Task(row, lambda kind: (size, size, *[View(kind)] * 2, *[Pointer(kind)] * 2), is_custom)


def _row_loop(function, sums):
    @intrinsic
    def loop(typingctx, rows, columns, source, target, numbers, out):
        vector, size = Vector(source.dtype), types.intp
        kind = types.Dispatcher(function)
        signature = kind.get_call_type(typingctx, (vector, vector, source.dtype), {})

        def codegen(context, builder, sig, values):
            rows, columns, source, target, numbers, out = values
            source, row, _ = view_parts(builder, source)
            target, _, _ = view_parts(builder, target)
            lanes, shape = rows.type(vector.lanes), llvm_vector(vector)
            total = cgutils.alloca_once(builder, shape)
            formula = linked(context, kind, signature)
            with cgutils.for_range(builder, rows) as each:
                r = each.index
                start = builder.mul(r, row)
                number = builder.load(builder.gep(numbers, [r]))
                builder.store(ir.Constant(shape, None), total)
                for j, left in _vectors_of_row(builder, columns, lanes):
                    place = builder.add(start, j)
                    here, there = builder.gep(source, [place]), builder.gep(target, [place])
                    pair = [load_first(builder, p, vector, left) for p in (here, there)]
                    value = formula(builder, [*pair, number])
                    if sums:
                        inside = first_lanes(builder, left, vector)
                        value = builder.select(inside, value, ir.Constant(shape, None))
                        builder.store(builder.fadd(builder.load(total), value), total)
                    else:
                        factor = splat(builder, builder.load(builder.gep(out, [r])), shape)
                        store_first(builder, builder.fmul(value, factor), there, vector, left)
                if sums:
                    there = builder.gep(out, [builder.mul(r, lanes)])
                    store_values(builder, builder.load(total), there, vector)
            return context.get_dummy_value()

        return types.none(size, size, source, target, numbers, out), codegen

    return loop


def by_address(task):
    """Return the function ``(address, *args) -> None`` that calls `task` by its address.

    It calls any task with the same arguments.
    """
    expected = signature(task.function).parameters

    @intrinsic
    def call(typingctx, address, *args):
        if len(args) != len(expected):
            raise TypingError(f"{task.__name__} takes {', '.join(expected)}: got {args}")

        def codegen(context, builder, sig, values):
            function = context.call_conv.get_function_type(types.none, args)
            # where Numba's functions return a value and an exception: neither is looked at
            returned = [cgutils.alloca_once(builder, kind.pointee) for kind in function.args[:2]]
            arguments = cgutils.unpack_tuple(builder, values[1])
            arguments = context.get_arg_packer(args).as_arguments(builder, arguments)
            place = builder.inttoptr(values[0], ir.PointerType(function))
            builder.call(place, [*returned, *arguments])
            return context.get_dummy_value()

        return types.none(types.intp, types.StarArgTuple(args)), codegen

    return call
