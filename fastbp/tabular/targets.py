"""The targets of an estimator as columns of a table: their names, and classes as it holds them."""

import logging
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.utils import column_or_1d

from ..tables.columns.number import Number
from ..tables.columns.survey import Habits
from ..tables.columns.target import TargetSurvey, read_target
from ..tables.columns.values import seconds, text
from ..tables.read.frames import is_pandas
from ..tables.read.readers import from_arrays
from ..tables.wording import shown
from .samples import are_missing

_log = logging.getLogger("fastbp")
# whole numbers below are exact in float64
_EXACT = 2**53
_MOST_SHOWN = 5
_DURATIONS = (timedelta, np.timedelta64, time)


def as_scikit_learn_reads(y: Any) -> Any:
    """Return targets of pandas with numbered columns of NumPy's types, others as they are.

    scikit-learn refuses columns of the same name, and reads the whole numbers and booleans of
    pandas' own types as floats. Columns with missing values stay as they are.
    """
    if is_pandas(y):
        columns = {place: as_scikit_learn_reads(y.iloc[:, place]) for place in range(y.shape[1])}
        return type(y)(columns, index=y.index)
    dtype = _numpy_type(y)
    return y if dtype is None else np.asarray(y, dtype)


def _numpy_type(column):
    """Return the type of NumPy for the numbers or booleans of pandas' own types; None of others."""
    dtype = getattr(column, "dtype", None)
    of_categories = getattr(getattr(dtype, "categories", None), "dtype", dtype)
    found = getattr(of_categories, "numpy_dtype", None)
    is_plain = found is None or found.kind not in "biuf" or column.isna().any()
    return None if is_plain else found


def in_seconds(y: Any, what: str = "y") -> Any:
    """Return targets with durations and times of day in seconds, as a table has them.

    Others are as they are. ValueError, which says `what` they are, if they are dates.
    """
    if is_pandas(y):
        columns = [in_seconds(y.iloc[:, place], _column(name)) for place, name in enumerate(y)]
        return type(y)(dict(enumerate(columns)), index=y.index)
    if isinstance(y, pl.DataFrame):
        return pl.DataFrame({each.name: in_seconds(each, _column(each.name)) for each in y})
    values = np.asarray(y)
    if values.dtype == object:
        values = _times_of(values)
    if values.dtype.kind == "M":
        raise ValueError(
            f"{what} holds dates: expected numbers or durations, such as the time since a day"
        )
    if values.dtype.kind != "m":
        return y
    return seconds(from_arrays("y", {"y": values.ravel()}).frame["y"]).reshape(values.shape)


def _column(name):
    return f"column {shown(str(name))} of y"


def _times_of(objects):
    """Return durations and times of day as NumPy has them, no rows of dates, others as they are."""
    missing = are_missing(objects)
    there = objects[~missing]
    if any(map(_is_date, there)):
        return np.empty(0, "M8[us]")
    if not len(there) or not all(isinstance(each, _DURATIONS) for each in there):
        return objects
    pairs = zip(objects.flat, missing.flat, strict=True)
    durations = [None if is_missing else _since_midnight(each) for each, is_missing in pairs]
    return np.array(durations, object).astype("m8[us]").reshape(objects.shape)


def _is_date(each):
    """Return whether an object is a date, or a period of pandas."""
    return isinstance(each, date | np.datetime64) or hasattr(each, "to_timestamp")


def _since_midnight(each):
    """Return a time of day as a duration, durations as they are."""
    if not isinstance(each, time):
        return each
    return datetime.combine(date.min, each.replace(tzinfo=None)) - datetime.min


def names_of(y: Any, values: npt.NDArray) -> list[str]:
    """Return the names of targets (n_samples,) or (n_samples, n_outputs): those of y, or others.

    Others are taken if the text of a name is empty or that of another, such as of 1 and "1".
    """
    if values.ndim == 1:
        name = getattr(y, "name", None)
        return [name if isinstance(name, str) and name else "y"]
    own = [str(name) for name in getattr(y, "columns", ())]
    if len(own) == len(set(own)) == values.shape[1] and all(own):
        return own
    return [f"y{place}" for place in range(values.shape[1])]


def as_held(labels: npt.NDArray, places: npt.NDArray, missing: Sequence[str]) -> npt.NDArray:
    """Return what a table holds for sorted labels, (n_classes,), so that it tells them apart.

    They are themselves if a table of the samples, whose labels are those at `places`, reads each
    as it is. Else, as it takes 1.0 for 1, text without the spaces around it, and some words for
    missing values, they are "class 0", "class 1", ..., which is logged.
    """
    held = _plain(labels)
    if held is not None and _is_read_back(labels, held, places, missing):
        return held
    held = numbered("class", np.arange(len(labels)))
    first = zip(held[:_MOST_SHOWN], labels[:_MOST_SHOWN], strict=True)
    told = ", ".join(f"{shown(str(new))} is {shown(str(old))}" for new, old in first)
    more = f" and {len(held) - _MOST_SHOWN:,} more" if len(held) > _MOST_SHOWN else ""
    _log.info("the model has other names of classes: %s%s", told, more)
    return held


def _plain(labels):
    """Return labels as a table may hold them, None if it cannot."""
    kind = labels.dtype.kind
    if kind == "b":
        return labels
    if kind in "iuf" and (np.abs(labels.astype(np.float64)) < _EXACT).all():
        return labels.astype(np.int64)
    return labels.astype(str) if all(isinstance(each, str) for each in labels) else None


def _is_read_back(labels, held, places, words):
    """Return whether a table that holds labels reads the same ones, all of them."""
    series = from_arrays("y", {"y": held[places]}).frame["y"]
    survey = TargetSurvey("y", series.dtype, words, "classification")
    survey.add(series, 0)
    try:
        target = survey.target("y", Habits())
        values, there = read_target(target, series, words)
    except ValueError:  # a training says it
        return len(labels) == 1
    names = [str(each) for each in (held if held.dtype.kind == "i" else labels)]
    if target.kind == "boolean":
        names = [name.lower() for name in names]
    expected = np.array(names, object)[places]
    found = np.array(target.classes, object)[values]
    return len(set(names)) == len(names) and bool((there & (found == expected)).all())


def numbered(name: str, numbers: npt.NDArray) -> npt.NDArray:
    """Return text of a name and whole numbers, (n,), which a table reads as it is."""
    return np.char.add(f"{name} ", numbers.astype(str))


def names_of_groups(groups: Any, kept: npt.NDArray) -> npt.NDArray:
    """Return names of the groups of the samples `kept`, (n,), which a table reads as they are.

    ValueError if one has no group.
    """
    values = column_or_1d(groups)[kept]
    missing = np.flatnonzero(are_missing(values))
    if len(missing):
        raise ValueError(
            f"groups has no value in row {1 + kept[missing[0]]:,}: give one, or leave the row out"
        )
    try:
        return numbered("group", np.unique(values, return_inverse=True)[1])
    except TypeError as error:
        kinds = sorted({type(each).__name__ for each in values})
        raise TypeError(
            f"groups has values of several types, {', '.join(kinds)}: expected numbers or text"
        ) from error


def are_missing_in_a_table(values: npt.NDArray, words: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which values (n,) a table takes for missing ones, as `words` mean them."""
    series = from_arrays("y", {"y": values}).frame["y"]
    if series.dtype.is_numeric():
        return np.isnan(Number.read(series, words)[0])
    return text(series, words).is_null().to_numpy()
