"""Activations and losses of the user's own, checked before they are used."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real

import numpy as np

from ..kernels import activation, activation_derivative, loss
from ..kernels.formulas.activations import ACTIVATIONS
from ..kernels.formulas.custom import CustomActivation, CustomLoss
from ..kernels.formulas.losses import LOSSES
from ..kernels.formulas.source import require_function, told
from ..quoted import quoted, shortened
from .initializers import INITIALIZERS

Function = Callable[..., float]

_LONGEST_NAME = 64
# of the steps of finite differences, relative to arguments above 1
_STEP = 1e-6
# what finite differences, and compiled functions, may differ from a function by
_CLOSE, _EQUAL = 1e-5, 1e-10
_ROUNDING = 1e-9  # of a difference of two values, by the values

_SIZES = (0.001, 0.013, 0.1, 0.31, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.5, 6.0, 8.0, 12.0, 20.0)
_Z = sorted({0.0, *_SIZES, *(-size for size in _SIZES)})
_REAL = (-6.0, -2.5, -1.0, -0.3, 0.0, 0.45, 1.0, 2.0, 6.5)
_SHARES = (0.01, 0.1, 0.25, 0.5, 0.7, 0.9, 0.99)
# where formulas are tried: the outputs that a loss needs, and the targets that it accepts
_OUTPUTS = {
    "real": _REAL,
    "positive": (0.01, 0.2, 0.5, 1.0, 2.0, 5.0, 12.0),
    "unit": _SHARES,
    "simplex": _SHARES,
}
_TARGETS = {
    "real": _REAL,
    "nonnegative": (0.0, 0.3, 1.0, 2.0, 7.0),
    "unit": (0.0, 0.25, 0.5, 1.0),
    "classes": (0.0, 1.0),
}
_RANGES = {"real": (-math.inf, math.inf), "positive": (0.0, math.inf), "unit": (0.0, 1.0)}


def custom_activation(
    name: str,
    f: Function,
    df: Function | None = None,
    *,
    outputs: str = "real",
    initializer: str = "glorot_uniform",
) -> CustomActivation:
    """Return an activation of your own, which stands wherever the name of one does.

    The functions are plain Python of one number. They may use arithmetic, comparisons, branches,
    ``math``, NumPy's functions of single numbers, ``np.where``, ``max``, ``min``, and functions of
    your own; they are compiled once in a process. They run on vectors, as the built-in ones do,
    unless they call what has none, such as ``math.sin``.

    Parameters
    ----------
    name : str
        What model files and messages call it: an identifier that no built-in formula has.
    f : callable
        ``f(z)``, the output for the pre-activation z.
    df : callable, optional
        ``df(z)``, its derivative; by default f runs on dual numbers.
    outputs : {"real", "positive", "unit"}
        The range of f, which decides the losses that it may meet.
    initializer : str, default "glorot_uniform"
        The default of a layer's initial weights, a name in ``fastbp.INITIALIZERS``.

    Returns
    -------
    CustomActivation
        A string, the name, which carries the functions.

    Raises
    ------
    TypeError
        If an argument is of a wrong type, or a function does not return a number.
    ValueError
        If the name is taken, or a function has side effects, cannot be compiled, raises or is not
        finite between -20 and 20, leaves the range, or differs from what finite differences say;
        the message has the point.

    Examples
    --------
    >>> import math, fastbp
    >>> wave = fastbp.custom_activation("wave", lambda z: z * math.exp(-z * z))
    >>> fastbp.Network([4, 8, 1], wave).layers[0].activation
    'wave'
    """
    what = _require_name(name)
    _one_of(what, "outputs", outputs, _RANGES)
    found = INITIALIZERS.find(initializer).name
    options = (("outputs", outputs), ("initializer", found))
    formula = CustomActivation(name, _functions(what, f=f, df=df, count=1), options)
    values = _tried(what, formula.functions[0], [(z,) for z in _Z])
    low, high = _RANGES[outputs]
    for z, value in zip(_Z, values, strict=True):
        if not low <= value <= high or (outputs == "positive" and value == 0 and abs(z) < 10):
            raise ValueError(
                f"{what}: {told(f)}({z}) is {value:g}, and outputs={outputs!r} promises "
                + ("more than 0" if outputs == "positive" else "0 to 1")
            )
    points = np.array(_Z)[:, None]
    compiled = activation(points, formula, n_threads=1)
    slopes = activation_derivative(points, formula, n_threads=1)
    _compare(what, formula, [(z,) for z in _Z], compiled[:, 0], slopes[:, 0])
    return formula


def custom_loss(
    name: str,
    value: Function,
    derivative: Function | None = None,
    *,
    partner: str = "identity",
    needs: str = "real",
    targets: str = "real",
) -> CustomLoss:
    """Return a loss of your own, which stands wherever the name of one does.

    The functions are those of one output, as for `custom_activation`; a sample's loss is the sum
    over its outputs.

    Parameters
    ----------
    name : str
        As for `custom_activation`.
    value : callable
        ``value(a, y)`` of an output and its target.
    derivative : callable, optional
        ``derivative(a, y)``, with respect to a; by default `value` runs on dual numbers.
    partner : str
        The output activation where none is given; a name, or an activation of your own.
    needs : {"real", "positive", "unit", "simplex"}
        The outputs that it is defined for.
    targets : {"real", "nonnegative", "unit", "classes"}
        The targets that it accepts. "unit" and "classes" make predictions classes, and the score
        the accuracy; of classes y is 0 or 1.

    Returns
    -------
    CustomLoss
        A string, the name, which carries the functions.

    Raises
    ------
    TypeError, ValueError
        As `custom_activation`.

    Examples
    --------
    >>> import math, fastbp
    >>> cosh = fastbp.custom_loss("log_cosh", lambda a, y: math.log(math.cosh(a - y)))
    >>> fastbp.Network([4, 8, 1], loss=cosh).loss
    'log_cosh'
    """
    what = _require_name(name)
    _one_of(what, "needs", needs, _OUTPUTS)
    _one_of(what, "targets", targets, _TARGETS)
    options = (("partner", ACTIVATIONS.find(partner).name), ("needs", needs), ("targets", targets))
    functions = _functions(what, value=value, derivative=derivative, count=2)
    formula = CustomLoss(name, functions, options)
    points = [(a, y) for a in _OUTPUTS[needs] for y in _TARGETS[targets]]
    _tried(what, functions[0], points)
    found = [loss(np.full((1, 1), a), np.full((1, 1), y), formula, n_threads=1) for a, y in points]
    values, slopes = zip(*found, strict=True)
    _compare(what, formula, points, values, [slope[0, 0] for slope in slopes])
    return formula


# ---------------------------------------------------------------- checks


def _require_name(name):
    if not isinstance(name, str):
        raise TypeError(f"name={quoted(name)}: expected a string")
    if not (name.isidentifier() and name.isascii()) or len(name) > _LONGEST_NAME:
        raise ValueError(
            f"name={quoted(name)}: expected letters, digits and underscores, at most "
            f"{_LONGEST_NAME}, as in a name of Python"
        )
    for table in (ACTIVATIONS, LOSSES):
        if name in {*table, *table.aliases}:
            raise ValueError(f"name={name!r}: a built-in {table.kind} has it; choose another")
    return f"formula {name!r}"


def _one_of(what, argument, value, known):
    if not isinstance(value, str) or value not in known:
        expected = ", ".join(known)
        raise ValueError(f"{what}: {argument}={quoted(value)}: expected one of {expected}")


def _functions(what, count, **functions):
    """Return the function and its derivative, which may be None, checked but not run."""
    (first, function), (second, derivative) = functions.items()
    function = require_function(f"{what}, {first}", function, count)
    if derivative is not None:
        derivative = require_function(f"{what}, {second}", derivative, count)
    return function, derivative


def _tried(what, function, points):
    """Return what a function returns at points, as Python runs it: finite numbers."""
    return [_at(what, function, point) for point in points]


def _at(what, function, point):
    call = f"{told(function)}({', '.join(f'{x:g}' for x in point)})"
    with np.errstate(all="ignore"):
        try:
            value, again = function(*point), function(*point)
        except Exception as error:
            raise ValueError(
                f"{what}: {call} raises {type(error).__name__}: {shortened(error, 150)}"
            ) from error
    number = _number(value)
    if number is None:
        raise TypeError(f"{what}: {call} returns {quoted(value)}: expected a number")
    if not math.isfinite(number):
        raise ValueError(f"{what}: {call} is {number}: expected a finite number")
    if number != _number(again):
        raise ValueError(
            f"{what}: {call} is {number!r} and then {quoted(again)}: expected the same for the "
            "same arguments"
        )
    return number


def _number(value):
    if isinstance(value, np.ndarray) and value.ndim == 0:  # as np.where returns
        value = value.item()
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    return None


def _compare(what, formula, points, values, slopes):
    """Raise ValueError unless compiled values and slopes are those that Python finds."""
    function, derivative = formula.functions
    for point, value, slope in zip(points, values, slopes, strict=True):
        _same(what, function, point, _at(what, function, point), value)
        if derivative is not None:
            _same(what, derivative, point, _at(what, derivative, point), slope)
        _check_slope(what, formula, point, float(slope))


def _same(what, function, point, python, compiled):
    if not abs(python - compiled) <= _EQUAL * (1 + abs(python)):
        at = ", ".join(f"{x:g}" for x in point)
        raise ValueError(
            f"{what}: {told(function)}({at}) is {python!r} in Python and {float(compiled)!r} "
            "compiled"
        )


def _check_slope(what, formula, point, slope):
    """Compare a slope with central differences, and at a kink with those on either side."""
    function, derivative = formula.functions
    x, rest = point[0], point[1:]
    step = _STEP * max(1.0, abs(x))
    before, here, after = (_at(what, function, (x + h, *rest)) for h in (-step, 0.0, step))
    left, right = (here - before) / step, (after - here) / step
    off = _CLOSE * (1 + abs(slope)) + _ROUNDING * abs(here)
    central = (after - before) / (2 * step)
    if abs(central - slope) <= off or min(left, right) - off <= slope <= max(left, right) + off:
        return
    at = ", ".join(f"{each:g}" for each in point)
    who = told(derivative) if derivative else f"the derivative of {told(function)}"
    raise ValueError(
        f"{what}: {who} at {at} is {slope:.7g}, but finite differences say {central:.7g}"
    )
