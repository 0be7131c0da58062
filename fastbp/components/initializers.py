"""Initial weights: variance-scaling, orthogonal and zeros. Biases start at zero, but for gaps.

References: Glorot and Bengio, AISTATS 2010, eq. 16; He et al., ICCV 2015, eq. 10;
LeCun et al., Efficient backprop, 1998, eq. 16; Saxe, McClelland and Ganguli,
ICLR 2014 (orthogonal).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..annotations import Floats
from ..kernels.formulas.registry import Registry
from ..kernels.random import draw_normal, draw_uniform


@dataclass(frozen=True)
class Initializer:
    """One initializer: ``draw(seed, layer, out)`` fills `out` (n_in, n_out), contiguous.

    The numbers are computed in float64, whatever the type of `out`.
    """

    name: str  # in ``fastbp.INITIALIZERS``
    formula: str  # the distribution
    draw: Callable[[int, int, Floats], None]


def _uniform(variance):
    def draw(seed, layer, out):
        limit = math.sqrt(3 * variance(*out.shape))
        draw_uniform.serial(seed, layer, limit, out.reshape(-1))

    return draw


def _normal(variance):
    def draw(seed, layer, out):
        draw_normal.serial(seed, layer, math.sqrt(variance(*out.shape)), out.reshape(-1))

    return draw


def _orthogonal(seed, layer, out):
    drawn = np.empty((max(out.shape), min(out.shape)))
    draw_normal.serial(seed, layer, 1.0, drawn.reshape(-1))
    q, r = np.linalg.qr(drawn)
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)
    out[:] = q if q.shape == out.shape else q.T


def _zeros(seed, layer, out):
    out[:] = 0


def _glorot(fan_in, fan_out):
    return 2 / (fan_in + fan_out)


def _he(fan_in, fan_out):
    return 2 / fan_in


def _lecun(fan_in, fan_out):
    return 1 / fan_in


# all gaps together, of targets whose standard deviation is 1
_SPREAD = 2.0


def draw_gaps(activation: str, biases: Floats) -> None:
    """Set the first gaps of outputs that ascend, in the biases of the last layer.

    Gaps of softplus(0) each are too many: 19 quantiles would begin 12 standard deviations wide.
    """
    if activation == "ascending" and biases.size > 1:
        middle = biases.size // 2
        gap = math.log(math.expm1(_SPREAD / (biases.size - 1)))
        biases[:middle] += gap
        biases[middle + 1 :] += gap


INITIALIZERS = Registry(
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
