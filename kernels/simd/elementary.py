"""exp, log, tanh and erf of vectors, as polynomials after a range reduction.

Measured against exact values over the whole range (``tests/kernels/test_elementary.py``),
in units in the last place of float32 and float64:

    exp 1.1    expm1 2    log 2    log1p 2    tanh 3    erf 3

NaN results in NaN, overflow in infinity, and underflow of exp below the smallest
normal float in a subnormal or zero.

References: Cody and Waite, Software Manual for the Elementary Functions, 1980
(range reduction); Abramowitz and Stegun, Handbook of Mathematical Functions,
1964, 4.2.1, 4.1.27 and 7.1.5 (series).
"""

from math import factorial, pi, sqrt

from ..compiler.jit import inner
from .intrinsics import (
    absolute,
    copy_sign,
    fma,
    nearest,
    polynomial,
    select,
    shift_exponent,
    split_exponent,
)


def _constant(single, double):
    """Return a function of a vector that returns a constant of its dtype."""
    return polynomial((single,), (double,))


def _taylor(term, single, double):
    """Return the polynomial of a power series; the arguments are the terms per dtype."""
    return polynomial([term(k) for k in range(single)], [term(k) for k in range(double)])


_LOG2_E = 1.4426950408889634
# ln 2 in two parts: products of the first with an exponent are exact, for it has few bits
_ln2_high = _constant(0.693359375, 0.6931471803691238)
_ln2_low = _constant(-2.1219444005469057e-4, 1.9082149292705877e-10)
# 1.5 * 2^mantissa + exponent bias: added to an integer, leaves integer + bias in the low bits
_exponent_bits = _constant(12582912.0 + 127, 6755399441055744.0 + 1023)
_exp_low = _constant(-104.0, -746.0)
_exp_high = _constant(89.0, 710.0)
_smallest_normal = _constant(2.0**-126, 2.0**-1022)

# (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2
_exp_tail = _taylor(lambda k: 1 / factorial(k + 2), 6, 12)
# atanh(s) / s - 1 over s^2, in s^2 <= 1/9
_atanh_tail = _taylor(lambda k: 1 / (2 * k + 3), 7, 16)
# erf(x) / x in x^2 <= 1
_erf_series = _taylor(lambda k: 2 / sqrt(pi) * (-1) ** k / (factorial(k) * (2 * k + 1)), 10, 19)


@inner
def sign(x):
    """Return 1, 0 or -1 for each lane; 0 for NaN."""
    return select(x > 0, 1, select(x < 0, -1, 0))


@inner
def _power_of_two(n):
    """Return 2^n of integers as floats, -bias < n <= bias."""
    return shift_exponent(n + _exponent_bits(n))


@inner
def _reduce(x):
    """Return ``(n, e^r - 1)``, x = n ln 2 + r with n an integer and r small."""
    n = nearest(x * _LOG2_E)
    r = fma(n, -_ln2_low(x), fma(n, -_ln2_high(x), x))
    return n, fma(r * r, _exp_tail(r), r)


@inner
def clamp(x, low, high):
    """Limit x to [low, high]; NaN stays NaN."""
    x = select(x < low, low, x)
    return select(x > high, high, x)


@inner
def exp(x):
    """Return e^x of a vector."""
    n, tail = _reduce(clamp(x, _exp_low(x), _exp_high(x)))
    # 2^n in two factors: n may exceed the exponents of normal floats
    half = nearest(n * 0.5)
    return (tail + 1) * _power_of_two(half) * _power_of_two(n - half)


@inner
def expm1(x):
    """Return e^x - 1 of a vector, accurate near 0."""
    n, tail = _reduce(clamp(x, -60, _exp_high(x)))
    half = nearest(n * 0.5)
    first, second = _power_of_two(half), _power_of_two(n - half)
    return fma(tail, first, first - _power_of_two(-(n - half))) * second


@inner
def _log_ratio(s):
    """Return log((1 + s) / (1 - s)) - 2 s for 0 <= |s| <= 1/3."""
    square = s * s
    return 2 * s * square * _atanh_tail(square)


@inner
def log(x):
    """Return the natural logarithm of a vector; -inf for zero and subnormal floats."""
    m, e = split_exponent(x)
    large = m > 1.4142135623730951
    m = select(large, m * 0.5, m)
    e = select(large, e + 1, e)
    f = m - 1
    s = f / (m + 1)
    # log(1 + f) = f - s (f - R): exact where 2 s alone would round
    value = fma(e, _ln2_high(x), f - s * f + (_log_ratio(s) + e * _ln2_low(x)))
    value = select(x < _smallest_normal(x), -1 / absolute(x * 0), value)
    finite = (x - x) == 0
    return select(x < 0, (x - x) / (x - x), select(finite, value, x))


@inner
def log1p(u):
    """Return log(1 + u) of a vector, 0 <= u <= 1."""
    s = u / (u + 2)
    return fma(2, s, _log_ratio(s))


@inner
def tanh(x):
    """Return the hyperbolic tangent of a vector, from e^(2|x|) - 1."""
    a = absolute(x)
    grown = expm1(2 * select(a > 20, 20, a))
    return copy_sign(grown / (grown + 2), x)


# log erfc(x) in t = (x - 1) / 5, 1 <= x <= 6: a minimax fit weighted by erfc / erf, so
# that 1 - e^P is erf to less than a rounding error
_log_erfc = polynomial(
    (
        -1.84960551, -13.1948376, -21.0776783,
        -5.19529898, 6.27525773, -6.23919495,
        4.20026632, -0.522955504, -2.1496381,
        1.56040107,
    ),
    (
        -1.8496055099332482, -13.194837571173887, -21.07768140898326,
        -5.19513725333528, 6.271140746975699, -6.180941596882275,
        3.7080749865542693, 2.0543264272218904, -10.6239189947034,
        18.884916140670313, -20.79805209835194, 9.923890478880542,
        14.361240022804347, -41.1298726691458, 52.4749876413336,
        -40.6702035337606, 18.41987066238893, -3.7604702703963473,
    ),
)  # fmt: skip


@inner
def erf(x):
    """Return the error function of a vector."""
    a = absolute(x)
    a = select(a > 6, 6, a)
    far = 1 - exp(_log_erfc((a - 1) * 0.2))
    return select(a < 1, x * _erf_series(x * x), copy_sign(far, x))
