"""Dates as people write them: the order of day, month and year, names of months, and times."""

import re
from collections.abc import Sequence
from typing import Any, Literal

import polars as pl
from msgspec import Struct

_DAY = 86_400
_DATE = r"^\d{4}[-/]\d{2}[-/]\d{2}"
_TIME = r"[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?"
_OFFSET = r"(?:Z|[+-]\d{2}:?\d{2})"
_ISO = rf"{_DATE}(?:{_TIME}(?: ?{_OFFSET})?)?$"
_WEEKDAY = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\.?,? +)?"
_CLOCK = (
    r"(?:[T,: ] *(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:[.,]\d{1,9})?))?"
    r" *(?:(?P<half>[AaPp])\.?[Mm]\.?)?)?"
)
_ZONE = r" *(?:Z|UTC|GMT)?(?P<zone>[+-]\d{2}(?::?\d{2})?)?"
_END = rf"{_CLOCK}{_ZONE}$"
_MONTH = (
    r"(?P<name>(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?))\.?"
)
_NTH = r"(?:st|nd|rd|th|\.)?"
# what is certain, and numbers whose order a column decides
_CERTAIN = (
    rf"^{_WEEKDAY}(?P<year>\d{{4}})[-/. ](?P<month>\d{{1,2}})[-/. ](?P<day>\d{{1,2}}){_END}",
    rf"^{_WEEKDAY}(?P<day>\d{{1,2}}){_NTH}[-/. ]*{_MONTH}[-/., ]*(?P<year>\d{{4}}|\d{{2}}){_END}",
    rf"^{_WEEKDAY}{_MONTH}[-/ ]*(?P<day>\d{{1,2}}){_NTH}(?:, *|[-/ ]+)(?P<year>\d{{4}}){_END}",
    rf"^(?P<year>\d{{4}})[-/. ]{_MONTH}[-/. ](?P<day>\d{{1,2}}){_END}",
    r"^(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})[T ](?P<hour>\d{2}):?(?P<minute>\d{2})"
    rf"(?::?(?P<second>\d{{2}}(?:\.\d{{1,9}})?))?(?P<half>[ap])?{_ZONE}$",
    rf"^{_MONTH}[-/ ]+(?P<year>\d{{4}})$",
    r"^(?P<year>\d{4})[-/](?P<month>\d{1,2})$",
    r"^(?P<month>\d{1,2})[-/](?P<year>\d{4})$",
    # as ctime and date write them
    rf"^{_WEEKDAY}{_MONTH} +(?P<day>\d{{1,2}}){_CLOCK}{_ZONE} +(?P<year>\d{{4}})$",
)
_ORDERED = rf"^{_WEEKDAY}(?P<a>\d{{1,2}})[-/. ](?P<b>\d{{1,2}})[-/. ](?P<c>\d{{4}}|\d{{2}}){_END}"
# digits of other scripts are no digits to polars' numbers, and make patterns slow
_DIGIT = "[0-9]"
_PATTERNS = tuple(each.replace(r"\d", _DIGIT) for each in (*_CERTAIN, _ORDERED))
_PLACES = {"day": ("c", "b", "a"), "month": ("c", "a", "b"), "year": ("a", "b", "c")}
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
# two digits from here on are years of the last century, as in POSIX
_PIVOT = 69
_NOON = 12

Order = Literal["", "day", "month", "year"]
ORDERS: tuple[Order, ...] = ("day", "month", "year")


class DateText(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the dates of a column are written.

    `first` says what comes first in dates such as 01/02/2003; others are read whatever it is. It
    is empty where no row told: then only those are read that mean one day, such as 13/02/2003.
    `pattern`, of strftime, is the only one to read, if given.
    """

    first: Order = ""
    pattern: str = ""

    @property
    def form(self) -> str:
        """The phrase for messages that says which form dates have, if only one is read."""
        return f" of the form {self.pattern}" if self.pattern else ""

    def parsed(self, series: pl.Series) -> pl.Series:
        """Return seconds since 1970-01-01 UTC, null where there is no date."""
        if self.pattern:
            return _by_pattern(series, self.pattern)
        values = self.plain(series)
        if values.null_count() == series.null_count():
            return values
        rest = values.is_null() & series.str.contains(r"\d").fill_null(False)
        if not rest.any():
            return values
        if not self.first:
            day, month = (DateText(first).parsed(series.filter(rest)) for first in ORDERS[:2])
            certain = day.fill_null(month).set((day != month).fill_null(False), None)
            return values.scatter(rest.arg_true(), certain)
        text = series.str.replace_all(r"[\u00a0\u202f]", " ")
        # the pattern of the first that is left is likely that of all
        first = text.filter(rest)[:1]
        patterns = sorted(_PATTERNS, key=lambda pattern: not first.str.contains(pattern).any())
        for pattern in patterns:
            left = values.is_null().arg_true()
            if not len(left):
                break
            found = text.gather(left).str.extract_groups(pattern).struct.unnest()
            there = found[found.columns[0]].is_not_null() if found.width else None
            if there is not None and there.any():
                values = values.scatter(left.filter(there), self._seconds(found.filter(there)))
        return values

    def hint(self, series: pl.Series) -> str:
        """Return the option that says what a text is that no row of the training tells of."""
        is_open = not self.first and not self.pattern and len(self.ordered(series)) > 0
        return "; `date_format` says what comes first" if is_open else ""

    def plain(self, series: pl.Series) -> pl.Series:
        """Return the seconds of dates in ISO 8601, null for other text."""
        return _iso_seconds(series)

    def ordered(self, series: pl.Series) -> pl.Series:
        """Return the dates whose order of numbers decides what they are."""
        text = series.str.strip_chars()
        return text.filter(text.str.contains(_PATTERNS[-1]) & (self.pattern == ""))

    def _seconds(self, found):
        if "a" in found.columns:
            year, month, day = (found[name] for name in _PLACES[self.first])
        else:
            year, day = found["year"], found["day"] if "day" in found.columns else None
            month = found["month"] if "month" in found.columns else _number_of(found["name"])
        day = day if day is not None else pl.repeat("1", len(found), eager=True)
        short = year.str.len_bytes() <= 2
        century = (year.cast(pl.Int32) < _PIVOT).cast(pl.Int32) * 100 + 1900
        full = (year.cast(pl.Int32) + century).cast(pl.String).zip_with(short, year)
        iso = full + "-" + month.str.zfill(2) + "-" + day.str.zfill(2)
        days = iso.str.to_date("%Y-%m-%d", strict=False).to_physical().cast(pl.Float64)
        return days * _DAY + _time_of_day(found)


def patterns_of(formats: Sequence[str]) -> dict[str, str]:
    """Return formats such as ``%d/%m/%Y`` or ``born=%d/%m/%Y`` by column, "" for all columns."""
    parts = (each.rpartition("=") for each in formats)
    return {name: pattern for name, _, pattern in parts}


def order_of(pattern: str) -> DateText:
    """Return the order of a format of strftime, for dates that have other marks or times."""
    orders: dict[str, Order] = {"d": "day", "m": "month", "b": "month", "y": "year", "Y": "year"}
    found = re.search(r"%[-_]?([dmbyY])", pattern)
    return DateText(orders[found[1]] if found else "")


def _number_of(names):
    low = names.str.slice(0, 3).str.to_lowercase()
    numbers = {name: str(place) for place, name in enumerate(_MONTHS, 1)}
    return low.replace_strict(numbers, default=None, return_dtype=pl.String)


def _by_pattern(series, pattern):
    zoned = series.str.to_datetime(pattern, strict=False, time_unit="us", exact=True)
    if isinstance(zoned.dtype, pl.Datetime) and zoned.dtype.time_zone:
        zoned = zoned.dt.convert_time_zone("UTC")
    return zoned.to_physical().cast(pl.Float64) / 1e6


def _time_of_day(found):
    """Return the seconds of the time of day, less the offset from UTC; null where impossible."""
    if "hour" not in found.columns:
        return pl.repeat(0.0, len(found), eager=True)
    has_time = found["hour"].is_not_null()
    hour, minute = found["hour"].cast(pl.Float64), found["minute"].cast(pl.Float64)
    second = found["second"].str.replace(",", ".").cast(pl.Float64).fill_null(0.0)
    half = found["half"].str.to_lowercase()
    has_half = half.is_not_null()
    hour = hour.set(has_half & ((hour < 1) | (hour > _NOON)), None)
    hour = (hour % _NOON + (half == "p").cast(pl.Float64) * _NOON).zip_with(has_half, hour)
    hour = hour.set(hour >= 24, None)
    minute = minute.set(minute >= 60, None)
    second = second.set(second >= 60, None)
    zone = found["zone"].str.replace(":", "", literal=True)
    east = zone.str.slice(1, 2).cast(pl.Float64) * 60
    east = east + zone.str.slice(3).cast(pl.Float64, strict=False).fill_null(0.0)
    sign = 1 - 2 * zone.str.starts_with("-").cast(pl.Float64)
    time = hour * 3600 + minute * 60 + second - (east * sign * 60).fill_null(0.0)
    return time.zip_with(has_time, pl.Series([0.0]))


def _iso_seconds(series):
    """Return the seconds of dates in ISO 8601, null for other text."""
    iso = series.set(~series.str.contains(_ISO.replace(r"\d", _DIGIT)), None)
    longest: Any = iso.str.len_bytes().max()
    has_times = longest is not None and longest > 10
    days = iso.str.slice(0, 10) if has_times else iso
    if days.str.contains("/", literal=True).any():
        days = days.str.replace_all("/", "-", literal=True)
    whole = days.str.to_date("%Y-%m-%d", strict=False).to_physical().cast(pl.Float64) * _DAY
    return whole + _iso_time_of_day(iso) if has_times else whole


def _iso_time_of_day(iso):
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
