"""Activations ``a = sigma(z)`` and their derivatives ``sigma'(z)``.

To add one, write its two formulas and a record at the end of the table. The
API, the command's help, the exports, the tests and the benchmarks read it from
there; the tests then need its oracle in ``tests/support/oracle.py``. The
derivative is a function of the output ``a`` where possible, so that ``z`` need
not be kept.
"""

from dataclasses import dataclass
from math import pi, sqrt

from ..compiler.jit import inner
from ..simd.elementary import clamp, erf, exp, expm1, log1p, tanh
from ..simd.intrinsics import absolute, broadcast, select
from .registry import Registry


@dataclass(frozen=True)
class Activation:
    """One activation.

    Attributes
    ----------
    name, formula : str
        The name in the API and the formula as a user reads it.
    function, derivative : callable
        ``function(z, alpha)`` and ``derivative(s, alpha)`` of vectors, where s
        is the output a, or z if `keeps` is ``"z"``.
    keeps : {"a", "z"}
        What the derivative needs.
    outputs : {"real", "positive", "unit", "simplex"}
        The range of a, which decides the losses it may meet.
    alpha : float or None
        The default of its parameter, or None if it has none.
    initializer : str
        The default of a layer's initial weights, a name in ``fastbp.INITIALIZERS``.
    of_rows : bool
        Whether it acts on whole rows, at the output only: its loops are written out, and its
        formulas here are the identity's.
    rises : bool
        Whether it never falls, which a monotonic network needs.
    """

    name: str
    formula: str
    function: object
    derivative: object
    keeps: str = "a"
    outputs: str = "real"
    alpha: float | None = None
    initializer: str = "glorot_uniform"
    of_rows: bool = False
    rises: bool = False


_SELU_SCALE = 1.0507009873554805
_SELU_ALPHA = 1.6732632423543772
_SQRT_HALF = sqrt(0.5)
_INV_SQRT_2PI = 1 / sqrt(2 * pi)
_SQRT_2_PI = sqrt(2 / pi)
_GELU_CUBIC = 0.044715


def _identity(z, alpha):
    return z


def _identity_derivative(a, alpha):
    return broadcast(a, 1)


@inner
def _logistic(z, alpha):
    return 1 / (1 + exp(-z))


def _logistic_derivative(a, alpha):
    return a * (1 - a)


def _tanh(z, alpha):
    return tanh(z)


def _tanh_derivative(a, alpha):
    return 1 - a * a


# in nets `tile_relu` and `tile_where_positive` do the same to a product, see `gemm`
def _relu(z, alpha):
    return select(z < 0, 0, z)


def _relu_derivative(a, alpha):
    return select(a > 0, 1, 0)


def _leaky_relu(z, alpha):
    return select(z < 0, z * alpha, z)


def _leaky_relu_derivative(a, alpha):
    return select(a > 0, 1, alpha)


def _elu(z, alpha):
    return select(z < 0, alpha * expm1(z), z)


def _elu_derivative(a, alpha):
    return select(a > 0, 1, a + alpha)


def _selu(z, alpha):
    return _SELU_SCALE * select(z < 0, _SELU_ALPHA * expm1(z), z)


def _selu_derivative(a, alpha):
    return select(a > 0, _SELU_SCALE, a + _SELU_SCALE * _SELU_ALPHA)


def _gelu(z, alpha):
    return 0.5 * z * (1 + erf(z * _SQRT_HALF))


def _gelu_derivative(z, alpha):
    return 0.5 * (1 + erf(z * _SQRT_HALF)) + z * _INV_SQRT_2PI * exp(-0.5 * z * z)


def _gelu_tanh(z, alpha):
    return 0.5 * z * (1 + tanh(_SQRT_2_PI * (z + _GELU_CUBIC * z * z * z)))


def _gelu_tanh_derivative(z, alpha):
    z = clamp(z, -10, 10)  # 0 or 1 beyond, where z^2 might overflow
    t = tanh(_SQRT_2_PI * (z + _GELU_CUBIC * z * z * z))
    slope = _SQRT_2_PI * (1 + 3 * _GELU_CUBIC * z * z)
    return 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * slope


def _silu(z, alpha):
    return z * _logistic(z, alpha)


def _silu_derivative(z, alpha):
    s = _logistic(z, alpha)
    return s * (1 + z * (1 - s))


def _softplus(z, alpha):
    return select(z < 0, 0, z) + log1p(exp(-absolute(z)))


def _softplus_derivative(z, alpha):
    return _logistic(z, alpha)


@inner
def _tanh_softplus(z):
    # with e = e^z, tanh(log(1 + e)) = n / (n + 2), n = e (e + 2); 1 beyond 20
    e = exp(select(z > 20, 20, z))
    n = e * (e + 2)
    return n / (n + 2)


def _mish(z, alpha):
    return z * _tanh_softplus(z)


def _mish_derivative(z, alpha):
    t = _tanh_softplus(z)
    return t + z * (1 - t * t) * _logistic(z, alpha)


def _hard_sigmoid(z, alpha):
    return clamp(z / 6 + 0.5, 0, 1)


def _hard_sigmoid_derivative(a, alpha):
    return select(a < 1, select(a > 0, 1 / 6, 0), 0)


def _hard_tanh(z, alpha):
    return clamp(z, -1, 1)


def _hard_tanh_derivative(a, alpha):
    return select(absolute(a) < 1, 1, 0)


def _hard_swish(z, alpha):
    return z * clamp(z / 6 + 0.5, 0, 1)


def _hard_swish_derivative(z, alpha):
    inside = select(z < -3, 0, z / 3 + 0.5)
    return select(z > 3, 1, inside)


def _exp(z, alpha):
    return exp(z)


def _exp_derivative(a, alpha):
    return a


_HE = "he_uniform"  # for rectifiers, which halve the variance

ACTIVATIONS = Registry(
    "activation",
    [
        Activation("identity", "z", _identity, _identity_derivative, rises=True),
        Activation(
            "logistic",
            "1 / (1 + exp(-z))",
            _logistic.py_func,
            _logistic_derivative,
            outputs="unit",
            rises=True,
        ),
        Activation("tanh", "tanh(z)", _tanh, _tanh_derivative, rises=True),
        Activation("relu", "max(z, 0)", _relu, _relu_derivative, initializer=_HE, rises=True),
        Activation(
            "leaky_relu",
            "z if z > 0 else alpha z",
            _leaky_relu,
            _leaky_relu_derivative,
            alpha=0.01,
            initializer=_HE,
            rises=True,
        ),
        Activation(
            "elu",
            "z if z > 0 else alpha (exp(z) - 1)",
            _elu,
            _elu_derivative,
            alpha=1.0,
            initializer=_HE,
            rises=True,
        ),
        Activation(
            "selu",
            "1.0507 elu(z, 1.6733)",
            _selu,
            _selu_derivative,
            initializer="lecun_normal",
            rises=True,
        ),
        Activation("gelu", "z Phi(z)", _gelu, _gelu_derivative, keeps="z", initializer=_HE),
        Activation(
            "gelu_tanh",
            "z/2 (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3)))",
            _gelu_tanh,
            _gelu_tanh_derivative,
            keeps="z",
            initializer=_HE,
        ),
        Activation("silu", "z logistic(z)", _silu, _silu_derivative, keeps="z", initializer=_HE),
        Activation(
            "softplus",
            "log(1 + exp(z))",
            _softplus,
            _softplus_derivative,
            keeps="z",
            outputs="positive",
            rises=True,
        ),
        Activation(
            "mish", "z tanh(softplus(z))", _mish, _mish_derivative, keeps="z", initializer=_HE
        ),
        Activation(
            "hard_sigmoid",
            "clip(z/6 + 1/2, 0, 1)",
            _hard_sigmoid,
            _hard_sigmoid_derivative,
            outputs="unit",
            rises=True,
        ),
        Activation("hard_tanh", "clip(z, -1, 1)", _hard_tanh, _hard_tanh_derivative, rises=True),
        Activation(
            "hard_swish",
            "z hard_sigmoid(z)",
            _hard_swish,
            _hard_swish_derivative,
            keeps="z",
            initializer=_HE,
        ),
        Activation("exp", "exp(z)", _exp, _exp_derivative, outputs="positive", rises=True),
        # one row at a time, in `activation` and `formulas.ascending`
        Activation(
            "softmax",
            "exp(z_j) / sum_k exp(z_k), at the output only",
            _identity,
            _identity_derivative,
            outputs="simplex",
            of_rows=True,
        ),
        Activation(
            "ascending",
            "z_m -+ the sums of log(1 + exp(z_k)) from the middle m to j, at the output only",
            _identity,
            _identity_derivative,
            keeps="z",
            of_rows=True,
        ),
    ],
    aliases={"sigmoid": "logistic", "linear": "identity", "swish": "silu"},
)
