"""Layers of the long form: ``Network(inputs=64, layers=[Dense(100, "relu"), ...])``."""

from dataclasses import dataclass

from ..checks import settle
from ..kernels.formulas.activations import ACTIVATIONS
from ..kernels.support.scalars import a_flag, a_number, a_whole_number
from ..quoted import quoted
from .initializers import INITIALIZERS


class NetworkLayer:
    """A layer of the long form: `Dense` or `Dropout`."""


@dataclass(frozen=True)
class Dense(NetworkLayer):
    """A fully connected layer: ``A = sigma(A_prev W + b)``.

    Parameters
    ----------
    units : int
        Number of outputs.
    activation : str, optional
        A name in ``fastbp.ACTIVATIONS``. Default: the identity for a hidden
        layer, the loss's partner for the last.
    alpha : float, optional
        Parameter of ``leaky_relu`` and ``elu``.
    initializer : str, optional
        A name in ``fastbp.INITIALIZERS``. Default: ``he_uniform`` for the
        rectifier family, ``lecun_normal`` for selu, ``glorot_uniform`` for others.
    bias : bool, default True
        Whether to add b.
    trainable : bool, default True
        Whether training changes W and b; see ``Network.set_trainable``.

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.
    """

    units: int
    activation: str | None = None
    alpha: float | None = None
    initializer: str | None = None
    bias: bool = True
    trainable: bool = True

    def __post_init__(self) -> None:
        settle(self, units=a_whole_number("units", self.units, least=1))
        settle(self, bias=a_flag("bias", self.bias))
        settle(self, trainable=a_flag("trainable", self.trainable))
        if self.activation is not None:
            record = ACTIVATIONS.find(self.activation)
            if self.alpha is not None and record.alpha is None:
                raise ValueError(f"alpha={quoted(self.alpha)}: {record.name} has no parameter")
        if self.alpha is not None:
            settle(self, alpha=a_number("alpha", self.alpha, low=0))
        if self.initializer is not None:
            INITIALIZERS.find(self.initializer)


@dataclass(frozen=True)
class Dropout(NetworkLayer):
    """Inverted dropout of the previous layer's outputs, active in training only.

    Parameters
    ----------
    rate : float
        Dropout rate in [0, 1): the probability that an output is set to 0; the others are
        divided by ``1 - rate``. It is rounded to a multiple of 2^-16 below 1.

    Raises
    ------
    ValueError, TypeError
        If `rate` is not a number in [0, 1).
    """

    rate: float

    def __post_init__(self) -> None:
        settle(self, rate=a_number("rate", self.rate, low=0, below=1))
