"""The values of a column, of any polars type, as float64 or as text.

Text is read without the spaces around it; some words count as missing.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from ...errors import DataError
from ..wording import shown

Floats: TypeAlias = npt.NDArray[np.float64]
Places: TypeAlias = npt.NDArray[np.int64]
Parse: TypeAlias = Callable[[pl.Series], pl.Series]

# no places
NONE: Places = np.empty(0, np.int64)
# the units of a second in polars' physical integers; times of day have nanoseconds
_SECOND = {"ms": 1e3, "us": 1e6, "ns": 1e9}
_DAY = 86_400
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, odd
_NANS = ("nan", "+nan", "-nan")
# floats below this are whole without doubt
_INTEGERS = 2.0**53


class ColumnError(DataError):
    """A column holds a value, or values of a type, that its kind does not have."""


def unreadable(series: pl.Series, wanted: str) -> ColumnError:
    """Return the error that the type of a series is not one of `wanted`."""
    return ColumnError(f"column {shown(series.name)} holds {series.dtype}: expected {wanted}")


def wrong_value(
    what: str, series: pl.Series, bad: Places, first_row: int, expected: str
) -> ColumnError:
    """Return the error that `what` has values at `bad` that are not as expected."""
    place = int(bad[0])
    row = f"row {first_row + place + 1:,}"
    return ColumnError(f"{what} is {shown(series[place])} in {row}: expected {expected}")


def is_text(dtype: pl.DataType) -> bool:
    """Return whether a polars type holds text."""
    return dtype in (pl.String, pl.Categorical, pl.Enum)


def floats(series: pl.Series) -> Floats:
    """Return numbers, NaN where null."""
    return np.array(series.cast(pl.Float64).to_numpy(), np.float64)


def seconds(series: pl.Series) -> Floats:
    """Return durations and times in seconds; dates and times since 1970-01-01 UTC."""
    dtype: Any = series.dtype
    values = floats(series.to_physical())
    if dtype == pl.Date:
        return values * _DAY
    return values / (1e9 if dtype == pl.Time else _SECOND[dtype.time_unit])


def text(series: pl.Series, words: Sequence[str]) -> pl.Series:
    """Return text without spaces around it, null where missing; other types written as text.

    Whole floats are written as integers are, for missing values turn integers into floats.
    ColumnError if the type cannot be written as text.
    """
    dtype = series.dtype
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
        raise unreadable(series, "text")
    if dtype == pl.Duration:  # polars does not write them
        series = pl.Series(series.name, seconds(series))
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


def places_of(
    known: Sequence[str], series: pl.Series, words: Sequence[str]
) -> tuple[Places, npt.NDArray[np.bool_]]:
    """Return the places of values in `known`, (n,), -1 for others; and which are missing, (n,)."""
    kind = pl.Enum(list(known))
    # as they are first, and those not found once more without spaces around them
    raw = series if is_text(series.dtype) else text(series, words)
    places = _places(raw.cast(pl.String), kind)
    left = np.flatnonzero(places < 0)
    rest = text(raw.gather(left), words)
    places[left] = _places(rest, kind)
    missing = np.zeros(len(series), bool)
    missing[left] = rest.is_null().to_numpy()
    unknown = places[left] < 0
    if (unknown & ~missing[left]).any():
        places[left[unknown]] = _places_of_equal(tuple(known), rest.filter(unknown))
    return places, missing


def _places_of_equal(known, text):
    """Return the places of what means a known value though it is written otherwise; -1 for others.

    A number may be written 1, 1.0 or 1e0, and a boolean in any case, or as 1 and 0. What several
    known values mean is none of them.
    """
    meanings = _meaning(pl.Series(known, dtype=pl.String))
    table = pl.DataFrame({"meaning": meanings, "place": np.arange(len(known))})
    table = table.filter(pl.col("meaning").is_not_null() & pl.col("meaning").is_unique())
    found = _meaning(text).replace_strict(
        table["meaning"], table["place"], default=-1, return_dtype=pl.Int64
    )
    return found.fill_null(-1).to_numpy()


def _meaning(text):
    """Return numbers, and booleans as 1 and 0; null for other text and codes such as 007."""
    numbers = text.cast(pl.Float64, strict=False)
    is_code = text.str.contains(r"^\s*[+-]?0\d")
    numbers = numbers.set(is_code | ~numbers.is_finite() | (numbers.abs() >= _INTEGERS), None)
    booleans = text.str.to_lowercase().replace_strict(
        ["true", "false"], [1.0, 0.0], default=None, return_dtype=pl.Float64
    )
    return numbers.fill_null(booleans) + 0.0


def _places(series, kind):
    found = series.cast(kind, strict=False).to_physical().cast(pl.Int64)
    return found.fill_null(-1).to_numpy(writable=True)


def golden_fractions(numbers: npt.NDArray) -> npt.NDArray[np.uint64]:
    """Return the fractions of numbers times the golden ratio, in units of 2^-64.

    Those of consecutive numbers are spread evenly (Knuth, The Art of Computer Programming,
    volume 3, 1998, section 6.4).
    """
    return numbers.astype(np.uint64) * _GOLDEN


def distinct(series: pl.Series) -> tuple[pl.Series, Places]:
    """Return the distinct values of a series, and how often each is there."""
    found = series.alias("value").value_counts(name="rows")
    return found["value"], found["rows"].cast(pl.Int64).to_numpy()


def count(
    series: pl.Series, words: Sequence[str], counts: Counter, lost: Counter | None = None
) -> int:
    """Add to `counts` how often each value is there, as text; return how many are missing.

    To `lost` it adds how often each of the words that mean a missing value is there.
    """
    values, how_often = distinct(series)
    missing = 0
    written = text(values, ())
    for value, rows in zip(written, how_often.tolist(), strict=True):
        if value is not None and value not in words:
            counts[value] += rows
            continue
        missing += rows
        if lost is not None and value is not None:
            lost[value] += rows
    return missing


def parsed_text(
    series: pl.Series, words: Sequence[str], parse: Parse, also: Sequence[str] = ()
) -> tuple[Floats, Places]:
    """Parse text; return values, NaN where missing or bad, and the places of bad ones.

    Text that cannot be parsed is parsed once more without spaces around it. The words of `also`,
    in lower case, count as missing too, in any case.
    """
    values = floats(parse(series))
    left = np.flatnonzero(np.isnan(values))
    if left.size == 0:
        return values, NONE
    rest = text(series.gather(left), words)
    values[left] = floats(parse(rest))
    # NaN may be how a number was written
    is_bad = np.isnan(values[left]) & rest.is_not_null().to_numpy()
    is_bad[is_bad] = rest.filter(is_bad).str.to_lowercase().is_in([*_NANS, *also]).not_()
    return values, left[is_bad]


def without(values: Floats, words: Sequence[str], parse: Parse) -> Floats:
    """Make NaN of values that are words for missing ones, such as -999."""
    parsed = _words_as_values(tuple(words), parse)
    return np.where(np.isin(values, parsed), np.nan, values) if parsed.size else values


@lru_cache(maxsize=64)
def _words_as_values(words, parse):
    values = floats(parse(pl.Series(words, dtype=pl.String)))
    return values[~np.isnan(values)]
