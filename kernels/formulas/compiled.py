"""The loops of formulas of a user's own, for vectors or, where that cannot be, for numbers.

It is imported when the first such formula is compiled.
"""

from numba import types
from numba.core.errors import NumbaError

from ...quoted import shortened
from ..compiler.jit import inner_of_custom, result_type
from ..simd.dispatch import block_loops, row_loops
from ..simd.dual import slope_of, variable
from ..simd.functions import REPLACED
from ..simd.intrinsics import broadcast, width
from ..simd.vector import Vector
from ..simd.view import moved
from .source import rebound, told
from .straight import straight


def activation_tasks(name, function, derivative):
    """Return the tasks of an activation: its loop, that of its derivative, and the product."""
    value, slope, is_vector = _pair(name, function, derivative, 1)
    families = {"activate": (value, False), "slope": (slope, False), "scale": (slope, True)}
    return {
        family: _block(family, name, each, scale, is_vector)
        for family, (each, scale) in families.items()
    }


def loss_tasks(name, function, derivative):
    """Return the tasks of a loss: the sums of a row, and the derivatives."""
    value, slope, is_vector = _pair(name, function, derivative, 2)
    families = {"loss": (value, True), "loss_slope": (slope, False)}
    return {
        family: _rows(family, name, each, sums, is_vector)
        for family, (each, sums) in families.items()
    }


# ---------------------------------------------------------------- functions


def _pair(name, function, derivative, count):
    """Return a function and its derivative as Numba's, and whether both are of vectors."""
    functions = (function,) if derivative is None else (function, derivative)
    without_branches = [straight(each, REPLACED) for each in functions]
    if all(without_branches):
        pair = _compiled(without_branches, count)
        if not _why_not(functions, pair, Vector(types.float64), count):
            return *pair, True
    pair = _compiled([rebound(each, REPLACED, inner_of_custom) for each in functions], count)
    if why := _why_not(functions, pair, types.float64, count):
        raise ValueError(f"formula {name!r}: {why}")
    return *pair, False


def _compiled(functions, count):
    """Return Numba's function and derivative of one or both."""
    value, *given = map(inner_of_custom, functions)
    return value, *(given or [_slope_of(value, count)])


def _slope_of(value, count):
    if count == 1:
        return inner_of_custom(lambda z: slope_of(value(variable(z))))
    return inner_of_custom(lambda a, y: slope_of(value(variable(a), y)))


def _why_not(functions, pair, member, count):
    """Return why Numba cannot compile a pair for arguments of one type, None if it can."""
    is_derived = len(functions) == 1
    for function, compiled, derives in zip(
        (functions[0], functions[-1]), pair, (False, is_derived), strict=True
    ):
        try:
            kind = result_type(compiled, (member,) * count)
        except AttributeError as error:  # of what NumPy has beside functions of numbers
            return (
                f"{told(function)} uses np.{shortened(error, 100)}: expected NumPy's functions of "
                "single numbers (ufuncs), np.where or np.clip, and numbers as they are"
            )
        except NumbaError as error:
            if derives:
                return f"the derivative of {told(function)} is not known: {_cause(error)}; give one"
            return f"{told(function)} cannot be compiled: {_cause(error)}"
        if kind != member and not isinstance(kind, (types.Float, types.Integer)):
            return f"{told(function)} returns {kind}: expected a number"
    return None


def _cause(error):
    """Return the innermost of what Numba says, on one line."""
    lines = [line.strip() for line in str(error).splitlines()]
    ends = [n for n, line in enumerate(lines) if line.startswith("Failed in")]
    rest = [line for line in lines[ends[-1] + 1 if ends else 0 :] if line]
    if rest[1:] and rest[1].startswith(">>>"):
        return f"there is no {shortened(rest[1].removeprefix('>>>').strip(), 100)}"
    return shortened(rest[0] if rest else type(error).__name__, 200)


# ---------------------------------------------------------------- loops


def _block(family, name, function, scale, is_vector):
    if is_vector:

        def on_vectors(z, alpha):
            return broadcast(z, function(z))

        return block_loops(family, {name: on_vectors}, scale, is_custom=True)[name]
    loop = _block_of_numbers(function, scale)
    return block_loops(family, {}, is_custom=True, **{name: loop})[name]


def _block_of_numbers(function, scale):
    @inner_of_custom
    def loop(alpha, rows, columns, s, t):
        for r in range(rows):
            x, y = moved(s, r, 0).first, moved(t, r, 0).first
            for j in range(columns):
                value = function(x[j] * 1.0) * 1.0
                y[j] = value * y[j] if scale else value

    return loop


def _rows(family, name, function, sums, is_vector):
    if is_vector:

        def on_vectors(a, y, number):
            return broadcast(a, function(a, y))

        return row_loops(family, {name: on_vectors}, sums, is_custom=True)[name]
    loop = _sums_of_numbers(function) if sums else _slopes_of_numbers(function)
    return row_loops(family, {}, is_custom=True, **{name: loop})[name]


def _sums_of_numbers(function):
    @inner_of_custom
    def loop(rows, columns, s, y, numbers, out):
        for r in range(rows):
            a, target = moved(s, r, 0).first, moved(y, r, 0).first
            total = 0.0
            for j in range(columns):
                total += function(a[j] * 1.0, target[j] * 1.0)
            for lane in range(width(a)):
                out[r * width(a) + lane] = 0.0
            out[r * width(a)] = total

    return loop


def _slopes_of_numbers(function):
    @inner_of_custom
    def loop(rows, columns, s, y, numbers, out):
        for r in range(rows):
            a, target = moved(s, r, 0).first, moved(y, r, 0).first
            for j in range(columns):
                target[j] = function(a[j] * 1.0, target[j] * 1.0) * out[r]

    return loop
