"""Columns of dates, with or without a time of day: scaled seconds, and phases."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ..wording import shown
from .column import Candidate, Range
from .date_text import ORDERS, DateText
from .number import NumberFit, Standardized
from .values import is_text

# seconds of the phases of a date: a mean Gregorian year, a week, and a day where clocks vary
PERIODS = {"year": 31_556_952, "week": 604_800, "day": 86_400}
_DAY = 86_400


class _DateFit(NumberFit):
    """Fits center and scale, and whether the time of day varies."""

    def __post_init__(self):
        super().__post_init__()
        self._clock = Range()

    def add_values(self, values):
        super().add_values(values)
        self._clock.add(values % _DAY)

    def fields(self, table_name):
        return super().fields(table_name) | {"clock": self._clock.varies}


@dataclass
class _DateCandidate(Candidate):
    """Also finds out whether the order of day and month decides what a date is."""

    seen: str | None = None

    def __post_init__(self):
        self._range = Range()

    @property
    def span(self):
        """How far apart the dates are."""
        return self._range.high - self._range.low

    def add_values(self, values):
        self._range.add(values)

    def add(self, offered):
        super().add(offered)
        if is_text(self.dtype) and self.seen is None and not self.count:
            ordered = self.text.ordered(offered.series)
            self.seen = min(ordered, default=None)

    @property
    def tells(self):
        return self.seen is not None

    def fitted_text(self, asked):
        return self.text if self.text and (self.tells or asked or self.text.pattern) else DateText()

    def doubt(self, chosen, why):
        return (
            f"no value says what comes first in dates such as {shown(self.seen)}: they were read "
            f"with the {chosen.first} first{why}; `date_format` settles it"
        )


class Date(Standardized, frozen=True):
    """A column of dates, read as t seconds since 1970-01-01 UTC; UTC too without an offset.

    After the scaled t, and its ramps, come sin and cos of 2 pi t / P for the periods P of
    `PERIODS`, that of a day only if `clock`: if the time of day varies. All are 0 where t is
    missing.
    """

    clock: bool = False
    text: DateText = DateText()

    plural = "dates"
    expected = "a date"
    quantity = "seconds since 1970-01-01 UTC"
    texts = tuple(DateText(first) for first in ORDERS)
    candidate = _DateCandidate
    fit = _DateFit

    @classmethod
    def holds(cls, dtype: pl.DataType) -> bool:
        """Return whether a polars type holds dates."""
        return dtype in (pl.Date, pl.Datetime)

    @classmethod
    def likely(cls, fitting: list[Any]) -> list[Any]:
        """Return all, but 20/12/31 begins with the year only if dates are closer together so."""
        others = [each for each in fitting if each.text.first != "year"]
        least = min((each.span for each in others), default=np.inf)
        early = [each for each in fitting if each not in others and each.span < least]
        return [*early, *others]

    @property
    def periods(self) -> tuple[str, ...]:
        """The names of the periods, keys of `PERIODS`."""
        return tuple(period for period in PERIODS if period != "day" or self.clock)

    @property
    def names(self) -> list[str]:
        """The names of the scaled date, of its ramps and of its phases."""
        phases = (f"{self.name} {f}({p})" for p in self.periods for f in ("sin", "cos"))
        return [*super().names, *phases]

    def write(self, values, missing, features) -> None:
        """Write scaled dates, their ramps and their phases."""
        super().write(values, missing, features)
        phases = features[:, 1 + self.n_ramps :]
        for place, period in enumerate(self.periods):
            phase = 2 * np.pi * values / PERIODS[period]
            phases[:, 2 * place] = np.where(missing, 0, np.sin(phase))
            phases[:, 2 * place + 1] = np.where(missing, 0, np.cos(phase))

    def describe(self, number: Callable[[float], str]) -> list[tuple[str, bool]]:
        """Return center and scale, whether the time of day varies, and how many ramps it has."""
        try:
            day = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=self.center)
            around = day.date().isoformat()
        except OverflowError:
            around = f"{number(self.center)} s from 1970"
        clock = ", with the time of day" if self.clock else ""
        fitted = f"around {around}, deviation {number(self.scale / _DAY)} days{clock}"
        return [(fitted, False), *self.ramps_described]
