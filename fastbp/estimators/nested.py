"""Parameters of the parts of an estimator: ``optimizer__learning_rate``, ``schedule__epochs``.

Optimizers and schedules never change, and networks share them: to set a parameter is to put another
one in its place. They know nothing of scikit-learn, whose `clone` copies them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator

from ..components.optimizers import Optimizer
from ..components.schedules import SCHEDULES
from ..kernels.formulas.optimizers import OPTIMIZERS
from ..quoted import quoted

if TYPE_CHECKING:
    from typing_extensions import Self

# the parameters that may have some of their own, and the tables of the names that stand for them
_PARTS: dict[str, Any] = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES}
_OF_SOLVERS = (
    "Without an optimizer the solver's are learning_rate_init and others of the estimator."
)


class NestedParameters(BaseEstimator):
    """An estimator whose optimizer and schedule have parameters, as scikit-learn names them."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name.

        Parameters
        ----------
        deep : bool, default True
            Whether to return those of `optimizer` and `schedule` too, as
            ``optimizer__learning_rate`` and ``optimizer__schedule__epochs``, unless they are names.
        """
        found: dict[str, Any] = super().get_params(deep)
        for name in _PARTS if deep else ():
            found |= _below(name, getattr(self, name, None))
        return found

    def set_params(self, **params: Any) -> Self:
        """Set parameters, those of `optimizer` and `schedule` too; see `get_params`.

        Raises
        ------
        ValueError, TypeError
            If there is no such parameter, or an optimizer or a schedule does not take the value.
        """
        own, nested = _parted(params)
        parts = {name: nested.pop(name) for name in _PARTS if name in nested}
        others = {f"{n}__{key}": value for n, each in nested.items() for key, value in each.items()}
        super().set_params(**own, **others)
        for name, changes in parts.items():
            setattr(self, name, _changed(name, getattr(self, name), changes))
        return self


def _parted(params):
    """Return the parameters of a thing itself, and a dict of those of each of its parts."""
    own: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for name, value in params.items():
        part, is_nested, key = name.partition("__")
        if is_nested:
            nested.setdefault(part, {})[key] = value
        else:
            own[name] = value
    return own, nested


def _named(name, value):
    """Return the optimizer or schedule that the name of one stands for; else the value itself."""
    kind = name.rpartition("__")[2]
    table = _PARTS.get(kind)
    if table is None or not isinstance(value, str) or value not in {*table, *table.aliases}:
        return value
    return Optimizer(value) if kind == "optimizer" else SCHEDULES.find(value)()


def _parameters_of(value):
    """Return the parameters of an optimizer or a schedule; of something else none."""
    if isinstance(value, Optimizer):
        return value.parameters
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value) if each.init}
    return {}


def _below(name, value):
    """Return the parameters of a part of an estimator, and those of its parts, by name."""
    found: dict[str, Any] = {}
    for key, part in _parameters_of(value).items():
        found[f"{name}__{key}"] = part
        found |= _below(f"{name}__{key}", part)
    return found


def _changed(name: str, value: Any, changes: Mapping[str, Any]) -> Any:
    """Return an optimizer or a schedule with other parameters, which may be those of its parts."""
    value = _named(name, value)
    known = _parameters_of(value)
    own, nested = _parted(changes)
    for key in (*own, *nested):
        if key not in known:
            hint = f" {_OF_SOLVERS}" if value is None and name == "optimizer" else ""
            raise ValueError(
                f"Invalid parameter {quoted(key)} for {name}={quoted(value)}. "
                f"Valid parameters are: {sorted(known)}.{hint}"
            )
    for key, deeper in nested.items():
        own[key] = _changed(f"{name}__{key}", own.get(key, known[key]), deeper)
    return value.with_parameters(**own) if isinstance(value, Optimizer) else replace(value, **own)
