"""The axes of charts: from numbers to places in a drawing, with ticks at round numbers."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from .words import number, percent, whole

# beyond it, differences of floats could overflow
_FARTHEST = 1e300
# numbers nearer than that are one
_NEAREST = 1e-290


class Tick(NamedTuple):
    """A place on an axis, and the number that stands there."""

    place: float
    text: str


@dataclass(frozen=True)
class Axis:
    """From `low` at place `start` to `high` at place `stop`; `scale` is `math.log10` or linear."""

    low: float
    high: float
    start: float
    stop: float
    round_numbers: tuple[float, ...]
    show: Callable[[float], str] = number
    scale: Callable[[float], float] = float

    def place(self, value: float) -> float:
        """Return the place of a number, to a tenth; numbers beyond an end are at that end."""
        low, high = self.scale(self.low), self.scale(self.high)
        share = (self.scale(min(max(value, self.low), self.high)) - low) / (high - low)
        return round(self.start + share * (self.stop - self.start), 1)

    @property
    def ticks(self) -> list[Tick]:
        """The ticks, in order."""
        return [Tick(self.place(value), self.show(value)) for value in self.round_numbers]


def linear(values, start, stop, *, whole_numbers=False, percents=False, tight=False):
    """Return the axis that holds `values`, from one round number to another.

    `tight` ends it at the values themselves. Around a single value there is room.
    """
    low, high = (min(max(v, -_FARTHEST), _FARTHEST) for v in (min(values), max(values)))
    if 0 < low < 0.4 * high and not tight:
        low = 0.0
    largest = max(abs(low), abs(high))
    if high - low <= max(1e-9 * largest, _NEAREST):
        room = 0.5 if whole_numbers or largest <= _NEAREST else largest / 2
        low, high = low - room, high + room
        tight = tight or whole_numbers
    step = _round_step((high - low) / 5)
    if whole_numbers:
        step = max(step, 1.0)
    if tight:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    else:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        low, high = first * step, last * step
    ticks = tuple(n * step for n in range(first, last + 1))
    return Axis(
        low, high, start, stop, ticks, percent if percents else whole if whole_numbers else number
    )


def logarithmic(values, start, stop):
    """Return the logarithmic axis that holds `values`, which are above 0."""
    low = min(values) / 1.1
    high = min(max(values), _FARTHEST) * 1.1
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    multiples = (1, 2, 5) if len(decades) < 5 else (1,)
    every = max(1, -(-len(decades) // 8))
    ticks = (m * 10.0**n for n in decades[::every] for m in multiples)
    return Axis(
        low, high, start, stop, tuple(t for t in ticks if low <= t <= high), scale=math.log10
    )


def _round_step(step):
    """Return the least of 1, 2, 5 times a power of ten that is not below `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))
