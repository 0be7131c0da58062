"""A step length that satisfies the strong Wolfe conditions.

``f(t) <= f(0) + c1 t f'(0)`` and ``|f'(t)| <= c2 |f'(0)|``, f along a direction of descent.

Reference: Nocedal and Wright, Numerical Optimization, 2006, algorithms 3.5 and 3.6.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_DECREASE, _CURVATURE = 1e-4, 0.9
_MOST_TRIALS, _GROWTH = 30, 2.0
# an interpolated length is kept away from the ends of its interval by this share of it
_MARGIN = 0.1


@dataclass(frozen=True)
class Trial:
    """A step length with the value and the slope there, and what the caller found with them."""

    length: float
    value: float
    slope: float
    found: Any = None


def line_search(at: Callable[[float], Trial], start: Trial, length: float) -> Trial | None:
    """Return the first `Trial` that satisfies the conditions, None if none of thirty does.

    `start` is that of length 0, whose slope is below 0; `length` is the first to try.
    """
    before, trials = start, 0
    while trials < _MOST_TRIALS:
        trial, trials = at(length), trials + 1
        fails = not _is_low(trial, start) or (trials > 1 and trial.value >= before.value)
        if fails:
            return _zoomed(at, start, before, trial, trials)
        if abs(trial.slope) <= -_CURVATURE * start.slope:
            return trial
        if trial.slope >= 0:
            return _zoomed(at, start, trial, before, trials)
        before, length = trial, length * _GROWTH
    return None


def _is_low(trial, start):
    """Return whether value and slope are finite, and the value low enough for the length."""
    most = start.value + _DECREASE * trial.length * start.slope
    is_finite = math.isfinite(trial.value) and math.isfinite(trial.slope)
    return is_finite and trial.value <= most


def _zoomed(at, start, low, high, trials):
    """Return a trial between one that is low enough and one that is not, or rises."""
    for _ in range(trials, _MOST_TRIALS):
        length = _between(low, high)
        if length in (low.length, high.length):  # no number lies between them
            break
        trial = at(length)
        if not _is_low(trial, start) or trial.value >= low.value:
            high = trial
            continue
        if abs(trial.slope) <= -_CURVATURE * start.slope:
            return trial
        if trial.slope * (high.length - low.length) >= 0:
            high = low
        low = trial
    return low if low.length > 0 else None


def _between(low, high):
    """Return where the cubic through both ends is lowest, away from them; else the middle."""
    a, b = low.length, high.length
    middle, width = (a + b) / 2, abs(b - a)
    if a == b or not (math.isfinite(high.value) and math.isfinite(high.slope)):
        return middle
    first = low.slope + high.slope - 3 * (low.value - high.value) / (a - b)
    square = first * first - low.slope * high.slope
    if not 0 <= square < math.inf:  # a difference of close values may overflow
        return middle
    second = math.copysign(math.sqrt(square), b - a)
    bottom = high.slope - low.slope + 2 * second
    if bottom == 0:
        return middle
    found = b - (b - a) * (high.slope + second - first) / bottom
    return min(max(found, min(a, b) + _MARGIN * width), max(a, b) - _MARGIN * width)
