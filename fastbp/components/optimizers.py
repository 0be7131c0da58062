"""Optimizers of the public interface: ``Adam(1e-3, clip_norm=1.0, schedule=Cosine(50))``."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from ..annotations import Floats
from ..checks import settle
from ..kernels.formulas.optimizers import OPTIMIZERS, checked
from ..kernels.support.scalars import a_flag, a_number, a_whole_number
from ..quoted import quoted
from .schedules import Constant, Schedule, as_schedule

if TYPE_CHECKING:
    from typing_extensions import Unpack


_TITLES = {
    "sgd": "SGD",
    "momentum": "SGD with momentum",
    "nesterov": "SGD with Nesterov momentum",
    "adam": "Adam",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
}


class _Shared(TypedDict, total=False):
    """Keyword arguments that all optimizers share."""

    schedule: Schedule | str | None
    clip_norm: float | None
    clip_sample_norm: float | None
    l1: float
    l2: float


class _SharedAndDecay(_Shared, total=False):
    weight_decay: float


class Optimizer:
    """An optimizer of ``fastbp.OPTIMIZERS`` with its hyper-parameters.

    It does not change once it is made: the networks that have it would not see that.

    Parameters
    ----------
    name : str
        A name in ``fastbp.OPTIMIZERS``; the record of that name holds the formula.
    schedule : schedule or str, optional
        Scales the learning rate over the epochs; default: constant.
    clip_norm : float, optional
        Scale the gradient down to this global norm when it exceeds it.
    clip_sample_norm : float, optional
        Scale the gradient of each sample down to this norm before they are averaged: as
        differentially private training needs it (Abadi et al., Deep learning with differential
        privacy, 2016), without its noise. Then `Network.backward` returns that average.
    **hyper_parameters : float
        Those of the record (learning_rate, beta1, beta2, epsilon), and for weights, not for
        biases, the penalties l1 and l2 (default 0), which add ``l1 sign(w) + l2 w`` to the
        gradient, and the decoupled weight_decay (default 0; 0.01 for "adamw"):
        ``w -= learning_rate weight_decay w``.

    Attributes
    ----------
    record : kernels.formulas.optimizers.Optimizer
        The record in ``fastbp.OPTIMIZERS``.
    hyper_parameters : mapping of str to float
        All hyper-parameters, defaults included; read-only.
    clip_norm, clip_sample_norm, schedule
        As above.

    Raises
    ------
    ValueError, TypeError
        If a name is unknown or a number out of its range.
    """

    record: Any
    clip_norm: float | None
    clip_sample_norm: float | None
    schedule: Schedule
    _numbers: dict[str, float]

    def __init__(
        self,
        name: str,
        *,
        schedule: Schedule | str | None = None,
        clip_norm: float | None = None,
        clip_sample_norm: float | None = None,
        **hyper_parameters: float,
    ) -> None:
        record = OPTIMIZERS.find(name)
        numbers = checked(record, hyper_parameters)
        if clip_norm is not None:
            clip_norm = a_number("clip_norm", clip_norm, above=0)
        if clip_sample_norm is not None:
            clip_sample_norm = a_number("clip_sample_norm", clip_sample_norm, above=0)
        schedule = as_schedule("schedule", schedule)
        settle(self, record=record, _numbers=numbers, schedule=schedule)
        settle(self, clip_norm=clip_norm, clip_sample_norm=clip_sample_norm)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(
            f"{name}={quoted(value)}: an optimizer does not change once it is made; "
            "network.set_learning_rate(x) and schedules change the learning rate, and another "
            "optimizer needs another network"
        )

    @property
    def hyper_parameters(self) -> Mapping[str, float]:
        """All hyper-parameters, defaults included; read-only."""
        return MappingProxyType(self._numbers)

    @property
    def learning_rate(self) -> float:
        """The learning rate, which the schedule scales."""
        return self._numbers["learning_rate"]

    @property
    def parameters(self) -> Mapping[str, Any]:
        """All that `with_parameters` changes: the hyper-parameters, the norms, the schedule."""
        shared = ("schedule", "clip_norm", "clip_sample_norm")
        return {**self._numbers, **{name: getattr(self, name) for name in shared}}

    def with_parameters(self, **changes: Any) -> Optimizer:
        """Return an optimizer like this one with some other `parameters`, which are checked."""
        other = copy(self)
        Optimizer.__init__(other, self.name, **{**self.parameters, **changes})
        return other

    def with_learning_rate(self, learning_rate: float) -> Optimizer:
        """Return an optimizer like this one with another learning rate."""
        return self.with_parameters(learning_rate=learning_rate)

    @property
    def name(self) -> str:
        """Name in ``fastbp.OPTIMIZERS``."""
        return str(self.record.name)

    @property
    def is_scheduled(self) -> bool:
        """Whether a schedule changes the learning rate over the epochs."""
        return not isinstance(self.schedule, Constant)

    def factors(self, t: Floats) -> Floats:
        """Return the schedule's factors (n,) at times `t` (n,), in epochs."""
        factors = np.ascontiguousarray(self.schedule.factors(t), np.float64)
        if factors.shape != t.shape or not np.isfinite(factors).all() or factors.min() < 0:
            raise ValueError(
                f"schedule={quoted(self.schedule)}: factors gave {factors}; expected finite "
                f"numbers of at least 0, of shape {t.shape}"
            )
        return factors

    def rates(self, t: Floats) -> Floats:
        """Return the learning rates (n,) at times `t` (n,), in epochs."""
        return self.learning_rate * self.factors(t)

    def require_steps(self) -> None:
        """Raise TypeError unless there are single steps, as of all that take batches."""

    def rate_of_step(self, step: int, epoch: float | None, steps_per_epoch: int | None) -> float:
        """Return the learning rate of step `step`, at a time in epochs if that is given.

        Raises
        ------
        ValueError
            If there is a schedule, and the time is not known.
        """
        if epoch is not None and steps_per_epoch is not None:
            raise TypeError("epoch and steps_per_epoch: expected one of them")
        if steps_per_epoch is not None:
            epoch = step / a_whole_number("steps_per_epoch", steps_per_epoch, least=1)
        elif epoch is not None:
            epoch = a_number("epoch", epoch, low=0)
        if not self.is_scheduled:
            return self.learning_rate
        if epoch is None:
            raise ValueError(
                f"schedule={quoted(self.schedule)}: how many steps make an epoch is not known; "
                "give steps_per_epoch=, or the time epoch=, or the learning rate rate="
            )
        return float(self.rates(np.array([epoch]))[0])

    def _shown(self) -> dict[str, Any]:
        """Return the learning rate, and what differs from the defaults."""
        defaults = checked(self.record, {})
        shown: dict[str, Any] = {
            key: value
            for key, value in self.hyper_parameters.items()
            if value != defaults[key] or key == "learning_rate"
        }
        for name in ("clip_norm", "clip_sample_norm"):
            if getattr(self, name) is not None:
                shown[name] = getattr(self, name)
        if self.is_scheduled:
            shown["schedule"] = self.schedule
        return shown

    def __repr__(self) -> str:
        arguments = "".join(f", {key}={value!r}" for key, value in self._shown().items())
        return f"Optimizer({self.name!r}{arguments})"

    def __str__(self) -> str:
        """Return a text for users, such as "Adam, learning rate 0.001"."""
        shown = sorted(self._shown().items(), key=lambda item: item[0] != "learning_rate")
        values = (f"{key.replace('_', ' ')} {value}" for key, value in shown)
        return ", ".join([_TITLES.get(self.name, self.name), *values])


def as_optimizer(optimizer: Optimizer | str) -> Optimizer:
    """Return an optimizer, or the one of that name with its defaults."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str):
        return Optimizer(optimizer)
    raise TypeError(
        f"optimizer={quoted(optimizer)}: expected a name or an optimizer such as Adam(1e-3)"
    )


class SGD(Optimizer):
    """Gradient descent, with Polyak's or Nesterov's momentum if `momentum` > 0."""

    def __init__(
        self,
        learning_rate: float = 1e-2,
        momentum: float = 0.0,
        nesterov: bool = False,
        **shared: Unpack[_SharedAndDecay],
    ) -> None:
        momentum = a_number("momentum", momentum, low=0, below=1)
        if a_flag("nesterov", nesterov) or momentum:
            name = "nesterov" if nesterov else "momentum"
            super().__init__(name, learning_rate=learning_rate, beta1=momentum, **shared)
        else:
            super().__init__("sgd", learning_rate=learning_rate, **shared)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """All that `with_parameters` changes: the arguments by their names."""
        found = dict(super().parameters)
        found["momentum"] = found.pop("beta1", 0.0)
        return found | {"nesterov": self.name == "nesterov"}

    def with_parameters(self, **changes: Any) -> Optimizer:
        """Return an optimizer like this one with some other `parameters`, which are checked."""
        other = copy(self)
        SGD.__init__(other, **{**self.parameters, **changes})
        return other


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015)."""

    def __init__(
        self,
        learning_rate: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        **shared: Unpack[_SharedAndDecay],
    ) -> None:
        super().__init__(
            "adam", learning_rate=learning_rate, beta1=beta1, beta2=beta2, epsilon=epsilon, **shared
        )


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    def __init__(
        self,
        learning_rate: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 1e-2,
        **shared: Unpack[_Shared],
    ) -> None:
        numbers = {"learning_rate": learning_rate, "beta1": beta1, "beta2": beta2}
        numbers |= {"epsilon": epsilon, "weight_decay": weight_decay}
        super().__init__("adamw", **numbers, **shared)


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton, 2012); `beta2` is the decay of the mean square."""

    def __init__(
        self,
        learning_rate: float = 1e-3,
        beta2: float = 0.9,
        epsilon: float = 1e-8,
        **shared: Unpack[_SharedAndDecay],
    ) -> None:
        super().__init__(
            "rmsprop", learning_rate=learning_rate, beta2=beta2, epsilon=epsilon, **shared
        )


class Adagrad(Optimizer):
    """AdaGrad (Duchi, Hazan and Singer, 2011)."""

    def __init__(
        self, learning_rate: float = 1e-2, epsilon: float = 1e-10, **shared: Unpack[_SharedAndDecay]
    ) -> None:
        super().__init__("adagrad", learning_rate=learning_rate, epsilon=epsilon, **shared)
