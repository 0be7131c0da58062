"""Constraints of the constructors' parameters, and the decorators of the fitting methods."""

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if

from ..components.optimizers import Optimizer
from ..components.schedules import SCHEDULES
from ..kernels.formulas.activations import ACTIVATIONS
from ..kernels.formulas.custom import CustomActivation, CustomLoss
from ..kernels.formulas.losses import LOSSES
from ..kernels.formulas.optimizers import OPTIMIZERS

Method = TypeVar("Method", bound=Callable[..., Any])


def names(table):
    """Return the constraint that accepts the names and aliases of a table of formulas."""
    return StrOptions({*table, *table.aliases})


_HIDDEN = {name for name, record in ACTIVATIONS.items() if not record.of_rows}
_OTHERS = {name for name, target in ACTIVATIONS.aliases.items() if target in _HIDDEN}

CONSTRAINTS = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(_HIDDEN | _OTHERS), CustomActivation, list, tuple],
    "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean", StrOptions({"exact"})],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "loss": [names(LOSSES), CustomLoss],
    # additions to scikit-learn's parameters
    "dtype": [None, StrOptions({"float32", "float64"}), Options(type, {np.float32, np.float64})],
    "loss_parameter": [None, Interval(Real, 0, None, closed="neither")],
    "monotonic_cst": ["array-like", dict, None],
    "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
    "optimizer": [None, names(OPTIMIZERS), Optimizer],
    "schedule": [None, names(SCHEDULES), HasMethods("factors")],
    "clip_norm": [None, Interval(Real, 0, None, closed="neither")],
    "scoring": [None, str, callable],
    "callbacks": [None, list, tuple, callable],
    "max_time": [None, Interval(Real, 0, None, closed="neither")],
    "n_threads": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
}


def keep_arguments(estimator, arguments):
    """Store the arguments of a constructor, its ``locals()``, as attributes of the same names."""
    for name, value in arguments.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)


def is_stochastic(estimator):
    """Return whether an estimator is trained by epochs of mini-batches."""
    return estimator.solver not in ("lbfgs", "lm") or estimator.optimizer is not None


def fitting(method: Method) -> Method:
    """Check the constructor's parameters before a fitting method; the method keeps its type."""
    return _fit_context(prefer_skip_nested_validation=True)(method)


def stochastic_only(method: Method) -> Method:
    """Hide a method, by AttributeError, while the solver takes all rows; it keeps its type."""
    return available_if(_check_stochastic)(method)


def _check_stochastic(estimator):
    if not is_stochastic(estimator):
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. "
            f"{estimator.solver} is not stochastic."
        )
    return True
