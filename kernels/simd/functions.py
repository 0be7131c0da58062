"""The functions that a formula of a user's own may call, on numbers, vectors and dual numbers.

`REPLACED` says which of them takes the place of a function of Python, ``math`` or NumPy. One that
has no loop of vectors makes the formula run on numbers.
"""

import builtins
import math

import numpy as np

from ..compiler.jit import inner_of_custom
from . import elementary
from .dual import by_kind, dual, slope_of, value_of
from .intrinsics import absolute, select, square_root

_TWO_BY_SQRT_PI = 2 / math.sqrt(math.pi)
_LN_2, _LN_10 = math.log(2), math.log(10)


def _unary(name, slope, vector=None, number=None):
    """Return the function called `name`, given its derivative ``slope(x, result)``.

    It is that of ``math``, unless another `number` is given, and `vector` on vectors.
    """
    functions = {"numbers": number or getattr(math, name), "vector": vector}
    call = by_kind(name, functions)
    slope = inner_of_custom(slope)

    @inner_of_custom
    def on_dual(x):
        value = value_of(x)
        result = call(value)
        return dual(result, slope(value, result) * slope_of(x))

    functions["dual"] = on_dual
    return call


def _number(function):
    """Return a function of numbers for what `_unary` calls on them, of which ``math`` has none."""
    return inner_of_custom(lambda x: function(x))


@inner_of_custom
def _log1p(x):
    """Return log(1 + x) of a vector; that of `elementary` is for 0 to 1.

    Kahan's: where 1 + x is rounded to w, ``x / (w - 1)`` mends the logarithm of w.
    """
    w = x + 1
    ratio = select(x - x == 0, x / (w - 1), 1)
    return select(w == 1, x, elementary.log(w) * ratio)


@inner_of_custom
def _choose(mask, x, y):
    return x * 1.0 if mask else y * 1.0


@inner_of_custom
def _choose_dual(mask, x, y):
    return dual(where(mask, value_of(x), value_of(y)), where(mask, slope_of(x), slope_of(y)))


where = by_kind("where", {"numbers": _choose, "vector": select, "dual": _choose_dual})


@inner_of_custom
def maximum(x, y):
    """Return the larger of two; x if one is NaN, as Python's max."""
    return where(y > x, y, x)


@inner_of_custom
def minimum(x, y):
    """Return the smaller of two; x if one is NaN, as Python's min."""
    return where(y < x, y, x)


@inner_of_custom
def clip(x, low, high):
    """Return x within the limits."""
    return minimum(maximum(x, low), high)


@inner_of_custom
def sign(x):
    """Return 1, 0 or -1; its slope is 0."""
    return where(x > 0, 1.0, where(x < 0, -1.0, 0.0))


@inner_of_custom
def square(x):
    """Return x^2."""
    return x * x


exp = _unary("exp", lambda x, result: result, elementary.exp)
expm1 = _unary("expm1", lambda x, result: result + 1, elementary.expm1)
log = _unary("log", lambda x, result: 1 / x, elementary.log)
log1p = _unary("log1p", lambda x, result: 1 / (x + 1), _log1p)
tanh = _unary("tanh", lambda x, result: 1 - result * result, elementary.tanh)
erf = _unary("erf", lambda x, result: _TWO_BY_SQRT_PI * exp(-x * x), elementary.erf)
sqrt = _unary("sqrt", lambda x, result: 0.5 / result, square_root)
magnitude = _unary("fabs", lambda x, result: sign(x), absolute)
sin = _unary("sin", lambda x, result: cos(x))
cos = _unary("cos", lambda x, result: -sin(x))
atan = _unary("atan", lambda x, result: 1 / (x * x + 1))
sinh = _unary("sinh", lambda x, result: cosh(x))
cosh = _unary("cosh", lambda x, result: sinh(x))


@inner_of_custom
def _logaddexp(x, y):
    return maximum(x, y) + log1p(exp(-magnitude(x - y)))


@inner_of_custom
def _logaddexp_dual(x, y):
    share = 1 / (1 + exp(value_of(y) - value_of(x)))
    slope = share * slope_of(x) + (1 - share) * slope_of(y)
    return dual(logaddexp(value_of(x), value_of(y)), slope)


logaddexp = by_kind(
    "logaddexp", {"numbers": _logaddexp, "vector": _logaddexp, "dual": _logaddexp_dual}
)


@inner_of_custom
def power(x, y):
    """Return x^y."""
    return x**y


@inner_of_custom
def _hypot_dual(x, y):
    v, w = value_of(x) * 1.0, value_of(y) * 1.0
    length = math.hypot(v, w)
    slope = (v * slope_of(x) + w * slope_of(y)) / where(length > 0, length, 1.0)
    return dual(length, slope)


@inner_of_custom
def _atan2_dual(y, x):
    v, w = value_of(y) * 1.0, value_of(x) * 1.0
    slope = (w * slope_of(y) - v * slope_of(x)) / (v * v + w * w)
    return dual(math.atan2(v, w), slope)


# without loops of vectors: a formula that calls one of these runs on numbers
log2 = _unary("log2", lambda x, result: 1 / (_LN_2 * x))
log10 = _unary("log10", lambda x, result: 1 / (_LN_10 * x))
exp2 = _unary("exp2", lambda x, result: _LN_2 * result, number=inner_of_custom(lambda x: 2.0**x))
cbrt = _unary("cbrt", lambda x, result: 1 / (3 * result * result), number=_number(np.cbrt))
erfc = _unary("erfc", lambda x, result: -_TWO_BY_SQRT_PI * exp(-x * x))
tan = _unary("tan", lambda x, result: 1 + result * result)
asin = _unary("asin", lambda x, result: 1 / sqrt(1 - x * x))
acos = _unary("acos", lambda x, result: -1 / sqrt(1 - x * x))
asinh = _unary("asinh", lambda x, result: 1 / sqrt(x * x + 1))
acosh = _unary("acosh", lambda x, result: 1 / (sqrt(x - 1) * sqrt(x + 1)))
atanh = _unary("atanh", lambda x, result: 1 / (1 - x * x))
hypot = by_kind("hypot", {"numbers": math.hypot, "dual": _hypot_dual})
atan2 = by_kind("atan2", {"numbers": math.atan2, "dual": _atan2_dual})
floor, ceil, trunc, rint = (
    _unary(each.__name__, lambda x, result: 0.0, number=_number(each))
    for each in (np.floor, np.ceil, np.trunc, np.rint)
)

REPLACED = {
    builtins.abs: magnitude,
    builtins.max: maximum,
    builtins.min: minimum,
    math.exp: exp,
    math.expm1: expm1,
    math.log: log,
    math.log1p: log1p,
    math.tanh: tanh,
    math.erf: erf,
    math.sqrt: sqrt,
    math.fabs: magnitude,
    math.sin: sin,
    math.cos: cos,
    math.atan: atan,
    math.sinh: sinh,
    math.cosh: cosh,
    np.exp: exp,
    np.expm1: expm1,
    np.log: log,
    np.log1p: log1p,
    np.tanh: tanh,
    np.sqrt: sqrt,
    np.absolute: magnitude,
    np.fabs: magnitude,
    np.sin: sin,
    np.cos: cos,
    np.arctan: atan,
    np.sinh: sinh,
    np.cosh: cosh,
    np.where: where,
    np.maximum: maximum,
    np.minimum: minimum,
    np.clip: clip,
    np.sign: sign,
    np.square: square,
    np.logaddexp: logaddexp,
    math.log2: log2,
    math.log10: log10,
    math.erfc: erfc,
    math.tan: tan,
    math.asin: asin,
    math.acos: acos,
    math.asinh: asinh,
    math.acosh: acosh,
    math.atanh: atanh,
    math.hypot: hypot,
    math.atan2: atan2,
    math.pow: power,
    np.log2: log2,
    np.log10: log10,
    np.exp2: exp2,
    np.cbrt: cbrt,
    np.tan: tan,
    np.arcsin: asin,
    np.arccos: acos,
    np.arcsinh: asinh,
    np.arccosh: acosh,
    np.arctanh: atanh,
    np.hypot: hypot,
    np.arctan2: atan2,
    np.power: power,
    np.floor: floor,
    np.ceil: ceil,
    np.trunc: trunc,
    np.rint: rint,
}
for _name in ("exp2", "cbrt"):  # of math since Python 3.11
    if hasattr(math, _name):
        REPLACED[getattr(math, _name)] = REPLACED[getattr(np, _name)]
