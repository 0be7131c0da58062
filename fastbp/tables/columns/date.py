"""Columns of dates, with or without a time of day: standardized seconds, and phases."""

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from .column import Range
from .number import StandardFit, Standardized

# seconds of the phases of a date: a mean Gregorian year, a week, and a day where clocks vary
PERIODS = {"year": 31_556_952, "week": 604_800, "day": 86_400}
_DAY = 86_400
_DATE = r"^\d{4}[-/]\d{2}[-/]\d{2}"
_TIME = r"[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?"
_OFFSET = r"(?:Z|[+-]\d{2}:?\d{2})"
_ISO = rf"{_DATE}(?:{_TIME}(?: ?{_OFFSET})?)?$"


class _DateFit(StandardFit):
    """Fits mean and scale, and whether the time of day varies."""

    def __post_init__(self):
        super().__post_init__()
        self._clock = Range()

    def add_values(self, values):
        super().add_values(values)
        self._clock.add(values % _DAY)

    def fields(self, table_name):
        return super().fields(table_name) | {"clock": self._clock.varies}


class Date(Standardized, frozen=True):
    """A column of dates, read as t seconds since 1970-01-01 UTC; UTC too without an offset.

    After the standardized t come sin and cos of 2 pi t / P for the periods P of `PERIODS`, that
    of a day only if `clock`: if the time of day varies. All are 0 where t is missing.
    """

    clock: bool = False

    plural = "dates"
    expected = "a date"
    formula = "(seconds since 1970-01-01 UTC - {0.mean!r}) / {0.scale!r}"
    fit = _DateFit

    @classmethod
    def holds(cls, dtype: pl.DataType) -> bool:
        """Return whether a polars type holds dates."""
        return dtype in (pl.Date, pl.Datetime)

    @staticmethod
    def parsed(series: pl.Series) -> pl.Series:
        """Return the seconds of dates in ISO 8601, null for other text."""
        iso = series.set(~series.str.contains(_ISO), None)
        days = iso.str.slice(0, 10).str.replace_all("/", "-", literal=True)
        whole = days.str.to_date("%Y-%m-%d", strict=False).to_physical().cast(pl.Float64) * _DAY
        longest: Any = iso.str.len_bytes().max()
        return whole if longest is None or longest <= 10 else whole + _time_of_day(iso)

    @property
    def periods(self) -> tuple[str, ...]:
        """The names of the periods, keys of `PERIODS`."""
        return tuple(period for period in PERIODS if period != "day" or self.clock)

    @property
    def names(self) -> list[str]:
        """The names of the standardized date and of its phases."""
        phases = (f"{self.name} {f}({p})" for p in self.periods for f in ("sin", "cos"))
        return [self.name, *phases]

    def write(self, values, missing, features) -> None:
        """Write standardized dates and their phases."""
        super().write(values, missing, features)
        for place, period in enumerate(self.periods):
            phase = 2 * np.pi * values / PERIODS[period]
            features[:, 1 + 2 * place] = np.where(missing, 0, np.sin(phase))
            features[:, 2 + 2 * place] = np.where(missing, 0, np.cos(phase))

    def describe(self, number: Callable[[float], str]) -> list[tuple[str, bool]]:
        """Return mean and scale, and whether the time of day varies."""
        try:
            day = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=self.mean)
            around = day.date().isoformat()
        except OverflowError:
            around = f"{number(self.mean)} s from 1970"
        clock = ", with the time of day" if self.clock else ""
        return [(f"around {around}, deviation {number(self.scale / _DAY)} days{clock}", False)]


def _time_of_day(iso):
    """Return the seconds of the time of day, less the offset from UTC; null where impossible."""

    def digits(start, below):
        two = iso.str.slice(start, 2).cast(pl.Float64, strict=False)
        return two.set(two >= below, None)

    has_time = iso.str.len_bytes() > 10
    has_seconds = iso.str.slice(16, 1) == ":"
    zero = pl.Series([0.0])
    time = digits(11, 24) * 3600 + digits(14, 60) * 60
    fraction = iso.str.extract(r"(\.\d+)").cast(pl.Float64).fill_null(0.0)
    time += (digits(17, 60) + fraction).zip_with(has_seconds, zero)
    offset = iso.str.extract(r"([+-]\d{2}:?\d{2})$").str.replace(":", "", literal=True)
    offset = offset.set(~has_time, None)
    minutes = offset.str.slice(1, 2).cast(pl.Float64) * 60 + offset.str.slice(3).cast(pl.Float64)
    time -= (minutes * 60 * (1 - 2 * offset.str.starts_with("-").cast(pl.Float64))).fill_null(0.0)
    return time.zip_with(has_time, zero)
