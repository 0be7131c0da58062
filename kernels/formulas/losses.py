"""Losses ``L(a, y)`` of one sample and their derivatives ``dL/da``: the formulas.

The loss of a batch is ``sum_i w_i L_i / sum_i w_i``, L_i summed over the outputs
of sample i (the textbook's C = |a - y|^2 / 2 for the squared error); the two
losses with "mean" in their names are means over the outputs.

A loss whose partner activation is its canonical link has ``delta(L) = a - y``
and a value that is stable from the logits z; every other pair goes by the
formula ``delta(L) = dL/da . sigma'(z)``.

References: Rumelhart, Hinton and Williams, Learning representations by
back-propagating errors, Nature 323, 1986, eq. 3; McCullagh and Nelder,
Generalized Linear Models, 1989, section 2.2.4 (canonical links); Huber, Robust
estimation of a location parameter, Ann. Math. Statist. 35, 1964; Koenker and
Bassett, Regression quantiles, Econometrica 46, 1978.
"""

from dataclasses import dataclass
from math import inf

import numpy as np

from ...quoted import quoted
from ..compiler.jit import inner
from ..simd.elementary import exp, log, log1p, sign
from ..simd.intrinsics import absolute, select
from ..support.scalars import a_number
from .registry import Registry


@dataclass(frozen=True)
class Loss:
    """One loss.

    Attributes
    ----------
    name, formula : str
        The name in the API and the formula as a user reads it.
    value, derivative : callable
        ``value(a, y, parameter)`` and ``derivative(a, y, parameter)`` of vectors.
    from_logits : callable
        ``from_logits(z, y, number)``, the value with the partner activation; the number is
        log sum exp(z) for the cross-entropy, the most that an output's loss counts for the
        binary one; the others do not read it.
    partner : str
        The activation with which ``delta = a - y``, and the output's default.
    needs : {"real", "positive", "unit", "simplex"}
        The outputs the formula is defined for.
    targets : {"real", "nonnegative", "unit", "classes"}
        The targets it accepts.
    parameter : float or None
        The default of its parameter, which is positive, or None if it has none.
    parameter_below : float
        What the parameter must be less than.
    has_levels : bool
        Whether the parameter may be several numbers, one for each output.
    is_mean : bool
        Whether it is a mean over the outputs: its formulas read ``1 / outputs`` as parameter.
    """

    name: str
    formula: str
    value: object
    derivative: object
    from_logits: object = None
    partner: str = "identity"
    needs: str = "real"
    targets: str = "real"
    parameter: float | None = None
    parameter_below: float = inf
    has_levels: bool = False
    is_mean: bool = False

    @property
    def adds_outputs(self):
        """Whether it is a sum over outputs that each have a target of their own."""
        return self.targets != "classes"

    def number_of(self, parameter, outputs):
        """Return the number that the formulas read as parameter, in a net of `outputs` outputs."""
        if isinstance(parameter, tuple):
            return 0.0
        return 1 / outputs if self.is_mean else parameter

    def levels_of(self, name, parameter, outputs, dtype):
        """Return the parameter of each output (outputs,), if it has several; else None.

        Raises
        ------
        ValueError
            If there are more or fewer than `outputs`.
        """
        if not isinstance(parameter, tuple):
            return None
        if len(parameter) != outputs:
            raise ValueError(f"{name}={parameter}: {outputs} outputs need as many numbers")
        return np.array(parameter, dtype)

    def parameter_of(self, name, value):
        """Return the parameter for the argument `name` of a caller; 0 if the loss has none.

        Raises
        ------
        TypeError, ValueError
            If `value` is given where there is no parameter, or is out of range.
        """
        if value is None:
            return self.parameter or 0.0
        if self.parameter is None:
            raise ValueError(f"{name}={quoted(value)}: {self.name} has no parameter")
        value = value.tolist() if isinstance(value, np.ndarray) else value
        if not self.has_levels or not isinstance(value, (list, tuple)):
            return a_number(name, value, above=0, below=self.parameter_below)
        levels = tuple(a_number(name, each, above=0, below=self.parameter_below) for each in value)
        if not levels:
            raise ValueError(f"{name}={quoted(value)}: expected at least one number")
        return levels


# a probability so small that only a bug or a saturated output reaches it
_TINY = 1e-30


@inner
def _at_least_tiny(a):
    return select(a < _TINY, _TINY, a)


def _squared(a, y, parameter):
    return 0.5 * (a - y) * (a - y)


def _squared_derivative(a, y, parameter):
    return a - y


def _squared_logits(z, y, shift):
    return 0.5 * (z - y) * (z - y)


def _absolute(a, y, parameter):
    return absolute(a - y)


def _absolute_derivative(a, y, parameter):
    return sign(a - y)


def _mean_squared(a, y, share):
    return share * (a - y) * (a - y)


def _mean_squared_derivative(a, y, share):
    return 2 * share * (a - y)


def _mean_absolute(a, y, share):
    return share * absolute(a - y)


def _mean_absolute_derivative(a, y, share):
    return share * sign(a - y)


def _huber(a, y, parameter):
    e = absolute(a - y)
    return select(e > parameter, parameter * (e - 0.5 * parameter), 0.5 * e * e)


def _huber_derivative(a, y, parameter):
    e = a - y
    return select(absolute(e) > parameter, sign(e) * parameter, e)


def _poisson(a, y, parameter):
    ratio = log(select(y > 0, y, 1)) - log(_at_least_tiny(a))
    return a - y + y * ratio


def _poisson_derivative(a, y, parameter):
    return 1 - y / _at_least_tiny(a)


def _poisson_logits(z, y, shift):
    return exp(z) - y + y * (log(select(y > 0, y, 1)) - z)


def _quantile(a, y, parameter):
    e = y - a
    return select(e > 0, e * parameter, e * (parameter - 1))


def _quantile_derivative(a, y, parameter):
    e = y - a
    slope = select(e > 0, -parameter, 1 - parameter)
    return select(e == 0, e, slope)


def _binary(a, y, parameter):
    yes = log(_at_least_tiny(a))
    no = log(_at_least_tiny(1 - a))
    return -(y * yes + (1 - y) * no)


def _binary_derivative(a, y, parameter):
    spread = a * (1 - a)
    return (a - y) / _at_least_tiny(spread)


def _binary_logits(z, y, most):
    value = select(z < 0, 0, z) - y * z + log1p(exp(-absolute(z)))
    return select(value > most, most, value)


def _cross(a, y, parameter):
    return -(y * log(_at_least_tiny(a)))


def _cross_derivative(a, y, parameter):
    return -(y / _at_least_tiny(a))


def _cross_logits(z, y, shift):
    return y * (shift - z)


LOSSES = Registry(
    "loss",
    [
        Loss(
            "squared_error",
            "sum_j (a_j - y_j)^2 / 2",
            _squared,
            _squared_derivative,
            _squared_logits,
        ),
        Loss("absolute_error", "sum_j |a_j - y_j|", _absolute, _absolute_derivative),
        Loss(
            "huber",
            "sum_j e^2/2 if |e| <= p else p (|e| - p/2), e = a_j - y_j",
            _huber,
            _huber_derivative,
            parameter=1.0,
        ),
        Loss(
            "poisson",
            "sum_j a_j - y_j + y_j log(y_j / a_j)",
            _poisson,
            _poisson_derivative,
            _poisson_logits,
            partner="exp",
            needs="positive",
            targets="nonnegative",
        ),
        Loss(
            "quantile",
            "sum_j max(p e, (p - 1) e), e = y_j - a_j",
            _quantile,
            _quantile_derivative,
            parameter=0.5,
            parameter_below=1,
            has_levels=True,
        ),
        Loss(
            "binary_cross_entropy",
            "-sum_j y_j log a_j + (1 - y_j) log(1 - a_j)",
            _binary,
            _binary_derivative,
            _binary_logits,
            partner="logistic",
            needs="unit",
            targets="unit",
        ),
        Loss(
            "cross_entropy",
            "-sum_j y_j log a_j",
            _cross,
            _cross_derivative,
            _cross_logits,
            partner="softmax",
            needs="simplex",
            targets="classes",
        ),
        Loss(
            "mean_squared_error",
            "mean_j (a_j - y_j)^2",
            _mean_squared,
            _mean_squared_derivative,
            is_mean=True,
        ),
        Loss(
            "mean_absolute_error",
            "mean_j |a_j - y_j|",
            _mean_absolute,
            _mean_absolute_derivative,
            is_mean=True,
        ),
    ],
    aliases={
        "mse": "mean_squared_error",
        "mae": "mean_absolute_error",
        "log_loss": "cross_entropy",
    },
)
