"""Matrices in memory as Numba values: a pointer and the strides of rows and columns."""

from numba import types
from numba.core import cgutils
from numba.extending import make_attribute_wrapper, models, register_model

from .vector import Pointer, instruction


class View(types.Type):
    """A matrix: the `Pointer` ``first``, and the strides ``row`` and ``column`` in elements."""

    def __init__(self, dtype):
        self.dtype = dtype
        super().__init__(name=f"View({dtype})")


@register_model(View)
class _ViewModel(models.StructModel):
    def __init__(self, manager, fe_type):
        members = [("first", Pointer(fe_type.dtype)), ("row", types.intp), ("column", types.intp)]
        super().__init__(manager, fe_type, members)


for _name in ("first", "row", "column"):
    make_attribute_wrapper(View, _name, _name)


def view_parts(builder, view):
    """Return the LLVM values of a `View`: pointer, stride of rows, stride of columns."""
    return cgutils.unpack_tuple(builder, view, 3)


@instruction
def strided(p, row, column):
    """Return the `View` at the pointer `p` of any strides: ``row=1`` is a transpose."""
    return View(p.dtype), lambda builder, *parts: cgutils.pack_struct(builder, parts)


@instruction
def matrix(p, row):
    """Return the `View` at the pointer `p` whose rows are contiguous, `row` elements apart."""
    return View(p.dtype), lambda builder, p, row: cgutils.pack_struct(
        builder, [p, row, row.type(1)]
    )


@instruction
def moved(view, i, j):
    """Return the `View` that starts in row `i` and column `j` of a view."""

    def emit(builder, view, i, j):
        first, row, column = view_parts(builder, view)
        step = builder.add(builder.mul(i, row), builder.mul(j, column))
        return cgutils.pack_struct(builder, [builder.gep(first, [step]), row, column])

    return view, emit


@instruction
def shifted(view, count):
    """Return the `View` that starts `count` elements after a view."""

    def emit(builder, view, count):
        first, row, column = view_parts(builder, view)
        return cgutils.pack_struct(builder, [builder.gep(first, [count]), row, column])

    return view, emit
