"""Second derivatives of activations and losses, which products with a Hessian need.

``sigma''(s, alpha)`` is of what the activation keeps, the output a or z, as its derivative in
`activations`; ``d2L/da2 (a, y, parameter)`` is of one output. A kink counts as flat.
"""

from math import pi, sqrt

from ..compiler.jit import inner
from ..simd.elementary import clamp, exp, tanh
from ..simd.intrinsics import absolute, broadcast, select

_SELU = 1.0507009873554805 * 1.6732632423543772
_INV_SQRT_2PI = 1 / sqrt(2 * pi)
_SQRT_2_PI = sqrt(2 / pi)
_GELU_CUBIC = 0.044715
_TINY = 1e-30


@inner
def _sigmoid(z):
    return 1 / (1 + exp(-z))


def _logistic(a, alpha):
    return a * (1 - a) * (1 - 2 * a)


def _tanh(a, alpha):
    return -2 * a * (1 - a * a)


def _elu(a, alpha):
    return select(a > 0, 0, a + alpha)


def _selu(a, alpha):
    return select(a > 0, 0, a + _SELU)


def _gelu(z, alpha):
    z = clamp(z, -40, 40)  # 0 beyond, where z^2 might overflow
    return _INV_SQRT_2PI * exp(-0.5 * z * z) * (2 - z * z)


def _gelu_tanh(z, alpha):
    z = clamp(z, -10, 10)  # 0 beyond
    t = tanh(_SQRT_2_PI * (z + _GELU_CUBIC * z * z * z))
    slope = _SQRT_2_PI * (1 + 3 * _GELU_CUBIC * z * z)
    bend = 6 * _SQRT_2_PI * _GELU_CUBIC * z
    return (1 - t * t) * (slope + 0.5 * z * (bend - 2 * t * slope * slope))


def _silu(z, alpha):
    s = _sigmoid(z)
    return s * (1 - s) * (2 + z * (1 - 2 * s))


def _softplus(z, alpha):
    s = _sigmoid(z)
    return s * (1 - s)


def _mish(z, alpha):
    # t = tanh(softplus(z)), t' = (1 - t^2) s, as in `activations`
    e = exp(select(z > 20, 20, z))
    n = e * (e + 2)
    t, s = n / (n + 2), _sigmoid(z)
    slope = (1 - t * t) * s
    return slope * (2 + z * ((1 - s) - 2 * t * s))


def _hard_swish(z, alpha):
    return select(absolute(z) < 3, 1 / 3, 0)


def _exp(a, alpha):
    return a


#: sigma'' by the name of the activation; None where it is 0, and for those of whole
#: rows, which `net.curvature` computes
ACTIVATION_CURVATURES = {
    "identity": None,
    "logistic": _logistic,
    "tanh": _tanh,
    "relu": None,
    "leaky_relu": None,
    "elu": _elu,
    "selu": _selu,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "silu": _silu,
    "softplus": _softplus,
    "mish": _mish,
    "hard_sigmoid": None,
    "hard_tanh": None,
    "hard_swish": _hard_swish,
    "exp": _exp,
    "softmax": None,
    "ascending": None,
}


@inner
def _at_least_tiny(a):
    return select(a < _TINY, _TINY, a)


def _one(a, y, parameter):
    return broadcast(a, 1)


def _zero(a, y, parameter):
    return broadcast(a, 0)


def _huber(a, y, parameter):
    return select(absolute(a - y) > parameter, broadcast(a, 0), 1)


def _poisson(a, y, parameter):
    a = _at_least_tiny(a)
    return y / a / a


def _binary(a, y, parameter):
    yes, no = _at_least_tiny(a), _at_least_tiny(1 - a)
    return y / yes / yes + (1 - y) / no / no


def _cross(a, y, parameter):
    a = _at_least_tiny(a)
    return y / a / a


def _mean_squared(a, y, share):
    return broadcast(a, 2 * share)


#: d2L/da2 by the name of the loss
LOSS_CURVATURES = {
    "squared_error": _one,
    "absolute_error": _zero,
    "huber": _huber,
    "poisson": _poisson,
    "quantile": _zero,
    "binary_cross_entropy": _binary,
    "cross_entropy": _cross,
    "mean_squared_error": _mean_squared,
    "mean_absolute_error": _zero,
}
