"""Learning-rate schedules: factors of the optimizer's learning rate during training.

Time t is measured in epochs: ``t = e + i / n`` at batch i of n in epoch e. A schedule depends
on t alone, so that resumed training uses the same learning rates.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from ..annotations import Floats
from ..checks import settle
from ..kernels.formulas.registry import Registry
from ..kernels.support.scalars import a_number
from ..quoted import quoted


class Schedule(Protocol):
    """Anything with a method `factors`, which scales the learning rate over time."""

    def factors(self, t: Floats, /) -> Floats:
        """Return the factors (n,) at times `t` (n,), in epochs."""


class NamedSchedule(Schedule):
    """A schedule of the registry."""

    name: ClassVar[str]


@dataclass(frozen=True)
class Constant(NamedSchedule):
    """Constant learning rate: ``f(t) = 1``."""

    name = "constant"
    formula = "1"

    def factors(self, t: Floats) -> Floats:
        """Return the factors (n,) at times `t` (n,) in epochs."""
        return np.ones_like(t)


@dataclass(frozen=True)
class Step(NamedSchedule):
    """Multiply the rate by `factor` every `every` epochs: ``factor ** floor(t / every)``."""

    name = "step"
    formula = "factor ** floor(t / every)"
    every: float = 10.0
    factor: float = 0.1

    def __post_init__(self) -> None:
        settle(self, every=a_number("every", self.every, above=0))
        settle(self, factor=a_number("factor", self.factor, above=0))

    def factors(self, t: Floats) -> Floats:
        """Return the factors (n,) at times `t` (n,) in epochs."""
        return self.factor ** np.floor(t / self.every)


@dataclass(frozen=True)
class Exponential(NamedSchedule):
    """Decay by `factor` per epoch: ``factor ** t``."""

    name = "exponential"
    formula = "factor ** t"
    factor: float = 0.95

    def __post_init__(self) -> None:
        settle(self, factor=a_number("factor", self.factor, above=0))

    def factors(self, t: Floats) -> Floats:
        """Return the factors (n,) at times `t` (n,) in epochs."""
        return self.factor**t


@dataclass(frozen=True)
class Cosine(NamedSchedule):
    """Decay to `end` along half a cosine in `epochs` epochs, then stay constant.

    ``end + (1 - end) (1 + cos(pi t / epochs)) / 2`` (Loshchilov and Hutter,
    SGDR, ICLR 2017, eq. 5, without restarts).
    """

    name = "cosine"
    formula = "end + (1 - end) (1 + cos(pi t / epochs)) / 2"
    epochs: float = 100.0
    end: float = 0.0

    def __post_init__(self) -> None:
        settle(self, epochs=a_number("epochs", self.epochs, above=0))
        settle(self, end=a_number("end", self.end, low=0))

    def factors(self, t: Floats) -> Floats:
        """Return the factors (n,) at times `t` (n,) in epochs."""
        done = np.minimum(t / self.epochs, 1)
        return self.end + (1 - self.end) * (1 + np.cos(np.pi * done)) / 2


@dataclass(frozen=True)
class OneCycle(NamedSchedule):
    """Rise from `start` to 1 in the first `warm * epochs` epochs, then fall to `end`, by cosines.

    The optimizer's learning rate is the peak (Smith and Topin, Super-convergence, 2019).
    """

    name = "one_cycle"
    formula = "start -> 1 -> end by half cosines, the peak at warm * epochs"
    epochs: float = 100.0
    warm: float = 0.3
    start: float = 0.04
    end: float = 4e-6

    def __post_init__(self) -> None:
        settle(self, epochs=a_number("epochs", self.epochs, above=0))
        settle(self, warm=a_number("warm", self.warm, above=0, below=1))
        settle(self, start=a_number("start", self.start, low=0))
        settle(self, end=a_number("end", self.end, low=0))

    def factors(self, t: Floats) -> Floats:
        """Return the factors (n,) at times `t` (n,) in epochs."""
        peak = self.warm * self.epochs
        rise = np.minimum(t / peak, 1)
        fall = np.clip((t - peak) / (self.epochs - peak), 0, 1)
        up = self.start + (1 - self.start) * (1 - np.cos(np.pi * rise)) / 2
        down = self.end + (1 - self.end) * (1 + np.cos(np.pi * fall)) / 2
        return np.where(t < peak, up, down)


@dataclass(frozen=True)
class WarmUp(NamedSchedule):
    """Increase linearly over the first `epochs` epochs, then follow the schedule `after`.

    ``f(t) = t / epochs`` for ``t < epochs``, then ``after.factors(t - epochs)`` (Goyal et al.,
    2017, section 2.2).
    """

    name = "warm_up"
    formula = "t / epochs, then after(t - epochs)"
    epochs: float = 5.0
    after: Schedule | str | None = Constant()

    def __post_init__(self) -> None:
        settle(self, epochs=a_number("epochs", self.epochs, above=0))
        settle(self, after=as_schedule("after", self.after))

    def factors(self, t: Floats) -> Floats:
        """Return the factors (n,) at times `t` (n,) in epochs."""
        later = as_schedule("after", self.after).factors(np.maximum(t - self.epochs, 0))
        return np.where(t < self.epochs, t / self.epochs, later)


SCHEDULES: Registry[type[NamedSchedule]] = Registry(
    "schedule", [Constant, Step, Exponential, Cosine, OneCycle, WarmUp]
)


def is_own(schedule: Schedule) -> bool:
    """Return whether a schedule is one of ``SCHEDULES``, and what comes after it too.

    One of the caller's may do anything.
    """
    after = getattr(schedule, "after", None)
    return type(schedule) in SCHEDULES.values() and (after is None or is_own(after))


def as_schedule(name: str, value: Schedule | str | None) -> Schedule:
    """Return a schedule, or the one called `value`; None gives the constant one.

    It raises ValueError or TypeError if there is none; the message calls `value` `name`.
    """
    if value is None:
        return Constant()
    if isinstance(value, str):
        return SCHEDULES.find(value)()
    if isinstance(value, type) or not hasattr(value, "factors"):
        raise TypeError(f"{name}={quoted(value)}: expected a schedule such as Cosine(epochs=50)")
    return value
