"""The axes of charts: from numbers to places in a drawing, with ticks at round numbers."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from .words import number, percent, whole

# beyond it, differences of floats could overflow
_FARTHEST = 1e300
# numbers nearer than that are one
_NEAREST = 1e-290


@dataclass(frozen=True)
class Tick:
    """A place on an axis, and the number that stands there."""

    place: float
    text: str


@dataclass(frozen=True)
class Axis:
    """A scale from `low` at place `start` to `high` at place `stop`.

    `ticks` are at round numbers within it; with `log` places go by logarithms.
    """

    low: float
    high: float
    start: float
    stop: float
    values: tuple = ()
    log: bool = False
    show: Callable[[float], str] = number

    def place(self, value):
        """Return where a number lies, to a tenth; what is beyond an end lies there."""
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.log:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        share = (value - low) / (high - low)
        return round(self.start + share * (self.stop - self.start), 1)

    @property
    def ticks(self):
        """The ticks, in order."""
        return [Tick(self.place(value), self.show(value)) for value in self.values]


def linear(values, start, stop, *, whole_numbers=False, percents=False, tight=False):
    """Return the axis that holds `values`, from one round number to another.

    `tight` ends it at the values themselves. One value, or none that differ, gets room.
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
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    if not tight:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        low, high = first * step, last * step
    show = percent if percents else whole if whole_numbers else number
    ticks = tuple(n * step for n in range(first, last + 1))
    return Axis(low, high, start, stop, ticks, show=show)


def logarithmic(values, start, stop):
    """Return the logarithmic axis that holds `values`, which are above 0."""
    low, high = min(values), min(max(values), _FARTHEST)
    low, high = low / 1.1, high * 1.1
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    multiples = (1, 2, 5) if len(decades) < 5 else (1,)
    every = max(1, -(-len(decades) // 8))
    ticks = [m * 10.0**n for n in decades[::every] for m in multiples]
    return Axis(low, high, start, stop, tuple(t for t in ticks if low <= t <= high), log=True)


def _round_step(step):
    """Return the least of 1, 2, 5 times a power of ten that is not below `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))
