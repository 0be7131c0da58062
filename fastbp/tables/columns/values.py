"""From the values of a column, of any type, to what its kind computes with.

Each reader takes a `polars.Series` and the words for missing values, and returns
``(values, bad)``: float64 (n,) with NaN where missing or bad, and the int64 places of
values that are not of the kind; or raises `OtherTypeError`. Text is read without the spaces
around it.
"""

from functools import lru_cache

import numpy as np
import polars as pl

from ..wording import shown

_TRUE, _FALSE = ("true", "yes", "t"), ("false", "no", "f")
_DATE = r"^\d{4}[-/]\d{2}[-/]\d{2}"
_TIME = r"[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?"
_OFFSET = r"(?:Z|[+-]\d{2}:?\d{2})"
_ISO = rf"{_DATE}(?:{_TIME}(?: ?{_OFFSET})?)?$"
_SECONDS = {"ms": 1e3, "us": 1e6, "ns": 1e9}
_DAY = 86_400
# floats below this are whole without doubt
_INTEGERS = 2.0**53
_NONE = np.empty(0, np.int64)


class OtherTypeError(TypeError):
    """A column is of a type that holds no values of the kind."""


def is_text(dtype):
    """Return whether a polars type holds text."""
    return dtype in (pl.String, pl.Categorical, pl.Enum)


def text(series, words):
    """Return text without spaces around it, null where missing; other types written as text.

    Whole floats are written as integers are, for missing values turn integers into floats.
    """
    dtype = series.dtype
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
        raise _unreadable(series, "text")
    if dtype == pl.Duration:  # polars does not write them
        series = pl.Series(series.name, numbers(series, ())[0])
        dtype = series.dtype
    if is_text(dtype):
        written = series.cast(pl.String).str.strip_chars()
    elif dtype.is_float():
        whole = series.cast(pl.Float64)
        small = (whole == whole.floor()) & (whole.abs() < _INTEGERS)
        written = series.cast(pl.String).set(series.is_nan(), None)
        written = whole.cast(pl.Int64, strict=False).cast(pl.String).zip_with(small, written)
    else:
        written = series.cast(pl.String)
    missing = written.is_in(["", *words])
    return written.set(missing, None) if missing.any() else written


def places_of(known, series, words):
    """Return the places of values in `known`, int64 (n,), else -1; and which are missing, bool."""
    kind = pl.Enum(list(known))
    # as it is, and what is not found so once more without spaces around it
    raw = series if is_text(series.dtype) else text(series, words)
    places = _places(raw.cast(pl.String), kind)
    left = np.flatnonzero(places < 0)
    rest = text(raw.gather(left), words)
    places[left] = _places(rest, kind)
    missing = np.zeros(len(series), bool)
    missing[left] = rest.is_null().to_numpy()
    return places, missing


def _places(series, kind):
    found = series.cast(kind, strict=False).to_physical().cast(pl.Int64)
    return found.fill_null(-1).to_numpy(writable=True)


def distinct(series):
    """Return the distinct values of a series, and how often each is there."""
    found = series.alias("value").value_counts(name="rows")
    return found["value"], found["rows"].cast(pl.Int64).to_numpy()


def count(series, words, counts):
    """Add to a Counter how often each value is there, as text; return how many are missing."""
    values, how_often = distinct(series)
    missing = 0
    for value, rows in zip(text(values, words), how_often.tolist(), strict=True):
        if value is None:
            missing += rows
        else:
            counts[value] += rows
    return missing


def numbers(series, words):
    """Read numbers; booleans as 1 and 0, durations and times of day as seconds."""
    dtype, bad = series.dtype, _NONE
    if is_text(dtype):
        values, bad = _again(series.cast(pl.String), words, _parsed_numbers)
    elif dtype == pl.Duration:
        values = _floats(series.to_physical()) / _SECONDS[dtype.time_unit]
    elif dtype == pl.Time:
        values = _floats(series.to_physical()) / 1e9
    elif dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        values = _floats(series)
    else:
        raise _unreadable(series, "numbers")
    return _without(values, words, _parsed_numbers), bad


def booleans(series, words):
    """Read true, yes or t as 1, and false, no or f as 0, of any case; and the numbers 1 and 0."""
    dtype = series.dtype
    if is_text(dtype):
        return _again(series.cast(pl.String), words, _parsed_booleans)
    if dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        values = _floats(series)
        return values, np.flatnonzero(~(np.isnan(values) | (values == 0) | (values == 1)))
    raise _unreadable(series, "booleans")


def dates(series, words):
    """Read dates as seconds since 1970-01-01 UTC; without an offset they are taken as UTC."""
    dtype, bad = series.dtype, _NONE
    if is_text(dtype):
        values, bad = _again(series.cast(pl.String), words, _parsed_dates)
    elif dtype == pl.Datetime:
        values = _floats(series.to_physical()) / _SECONDS[dtype.time_unit]
    elif dtype == pl.Date:
        values = _floats(series.to_physical()) * _DAY
    elif dtype == pl.Null:
        values = _floats(series)
    else:
        raise _unreadable(series, "dates")
    return _without(values, words, _parsed_dates), bad


READERS = {"number": numbers, "boolean": booleans, "date": dates}


def _floats(series):
    return np.array(series.cast(pl.Float64).to_numpy(), np.float64)


def _again(series, words, parse):
    """Parse text as it is, and what cannot be parsed once more without spaces around it."""
    values = _floats(parse(series))
    left = np.flatnonzero(np.isnan(values))
    if left.size == 0:
        return values, _NONE
    rest = text(series.gather(left), words)
    values[left] = _floats(parse(rest))
    # NaN may be how a number was written
    is_bad = np.isnan(values[left]) & rest.is_not_null().to_numpy()
    is_bad[is_bad] = rest.filter(is_bad).str.to_lowercase().is_in(["nan", "+nan", "-nan"]).not_()
    return values, left[is_bad]


def _without(values, words, parse):
    """Make NaN of what is a word for missing values, such as -999."""
    parsed = _words_as_values(tuple(words), parse)
    return np.where(np.isin(values, parsed), np.nan, values) if parsed.size else values


@lru_cache(maxsize=64)
def _words_as_values(words, parse):
    values = _floats(parse(pl.Series(words, dtype=pl.String)))
    return values[~np.isnan(values)]


def _parsed_numbers(series):
    return series.cast(pl.Float64, strict=False)


def _parsed_booleans(series):
    low = series.str.to_lowercase()
    is_true, is_false = low.is_in(_TRUE), low.is_in(_FALSE)
    return is_true.cast(pl.Float64).set(~(is_true | is_false), None)


def _parsed_dates(series):
    iso = series.set(~series.str.contains(_ISO), None)
    days = iso.str.slice(0, 10).str.replace_all("/", "-", literal=True)
    seconds = days.str.to_date("%Y-%m-%d", strict=False).to_physical().cast(pl.Float64) * _DAY
    longest = iso.str.len_bytes().max()
    return seconds if longest is None or longest <= 10 else seconds + _clock(iso)


def _clock(iso):
    """Return the seconds of the time of day, less the offset from UTC; null where there is none."""

    def digits(start, below):
        two = iso.str.slice(start, 2).cast(pl.Float64, strict=False)
        return two.set(two >= below, None)

    has_time, has_seconds = iso.str.len_bytes() > 10, iso.str.slice(16, 1) == ":"
    zero = pl.Series([0.0])
    clock = digits(11, 24) * 3600 + digits(14, 60) * 60
    fraction = iso.str.extract(r"(\.\d+)").cast(pl.Float64).fill_null(0.0)
    clock += (digits(17, 60) + fraction).zip_with(has_seconds, zero)
    offset = iso.str.extract(r"([+-]\d{2}:?\d{2})$").str.replace(":", "", literal=True)
    offset = offset.set(~has_time, None)
    minutes = offset.str.slice(1, 2).cast(pl.Float64) * 60 + offset.str.slice(3).cast(pl.Float64)
    clock -= (minutes * 60 * (1 - 2 * offset.str.starts_with("-").cast(pl.Float64))).fill_null(0.0)
    return clock.zip_with(has_time, zero)


def _unreadable(series, wanted):
    return OtherTypeError(f"column {shown(series.name)} holds {series.dtype}: expected {wanted}")
