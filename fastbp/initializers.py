"""Initial weights: variance-scaling, orthogonal and zeros. Biases start at zero.

References: Glorot and Bengio, AISTATS 2010, eq. 16; He et al., ICCV 2015, eq. 10;
LeCun et al., Efficient backprop, 1998, eq. 16; Saxe, McClelland and Ganguli,
ICLR 2014 (orthogonal).
"""

from dataclasses import dataclass

import numpy as np

from .kernels.random import WEIGHTS, fill_normal, fill_uniform
from .kernels.table import Table


@dataclass(frozen=True)
class Initializer:
    """One initializer.

    Attributes
    ----------
    name, formula : str
        The name in the API and what is drawn.
    draw : callable
        ``draw(seed, layer, fan_in, fan_out) -> W`` of shape (fan_in, fan_out), float64.
    """

    name: str
    formula: str
    draw: object


def _numbers(fill, seed, layer, count):
    out = np.empty(count)
    fill.serial(seed, WEIGHTS, layer, out)
    return out


def _uniform(variance):
    def draw(seed, layer, fan_in, fan_out):
        limit = np.sqrt(3 * variance(fan_in, fan_out))
        unit = _numbers(fill_uniform, seed, layer, fan_in * fan_out)
        return (limit * (2 * unit - 1)).reshape(fan_in, fan_out)

    return draw


def _normal(variance):
    def draw(seed, layer, fan_in, fan_out):
        scale = np.sqrt(variance(fan_in, fan_out))
        return scale * _numbers(fill_normal, seed, layer, fan_in * fan_out).reshape(fan_in, fan_out)

    return draw


def _orthogonal(seed, layer, fan_in, fan_out):
    tall = (max(fan_in, fan_out), min(fan_in, fan_out))
    normal = _numbers(fill_normal, seed, layer, fan_in * fan_out).reshape(tall)
    q, r = np.linalg.qr(normal)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return q if fan_in >= fan_out else q.T


def _zeros(seed, layer, fan_in, fan_out):
    return np.zeros((fan_in, fan_out))


def _glorot(fan_in, fan_out):
    return 2 / (fan_in + fan_out)


def _he(fan_in, fan_out):
    return 2 / fan_in


def _lecun(fan_in, fan_out):
    return 1 / fan_in


INITIALIZERS = Table(
    "initializer",
    [
        Initializer("glorot_uniform", "variance 2 / (fan_in + fan_out)", _uniform(_glorot)),
        Initializer("glorot_normal", "variance 2 / (fan_in + fan_out)", _normal(_glorot)),
        Initializer("he_uniform", "variance 2 / fan_in", _uniform(_he)),
        Initializer("he_normal", "variance 2 / fan_in", _normal(_he)),
        Initializer("lecun_uniform", "variance 1 / fan_in", _uniform(_lecun)),
        Initializer("lecun_normal", "variance 1 / fan_in", _normal(_lecun)),
        Initializer("orthogonal", "orthonormal rows or columns", _orthogonal),
        Initializer("zeros", "0", _zeros),
    ],
)

_RECTIFIERS = {"relu", "leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "mish", "hard_swish"}


def default_initializer(activation):
    """Return the name of the initializer that suits an activation."""
    if activation in _RECTIFIERS:
        return "he_uniform"
    return "lecun_normal" if activation == "selu" else "glorot_uniform"
