"""Frames of pandas, whatever their columns hold; and predictions with the index of one.

polars converts most columns itself. The others are converted here, or left out and named.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from ..wording import shown
from .notes import left_out


def is_pandas(data: Any) -> bool:
    """Return whether data is a frame of pandas, which may not be installed."""
    kind = type(data)
    return kind.__name__ == "DataFrame" and kind.__module__.partition(".")[0] == "pandas"


def of_pandas(frame: Any) -> pl.DataFrame:
    """Return a frame of pandas as one of polars.

    Intervals become text, categories their values, periods their start, sparse columns dense, and
    objects of several types text. What no column can hold is left out with a warning, and so is an
    index that is more than row numbers. ValueError if a name is there twice.
    """
    frame = frame.rename(columns=str)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f"two columns have the same name, {shown(twice)}: rename one")
    _tell_index(frame.index)
    columns = {name: _series(name, column) for name, column in frame.items()}
    return pl.DataFrame([series for series in columns.values() if series is not None])


def with_index(predictions: pl.DataFrame, frame: Any) -> Any:
    """Return predictions as a frame of pandas with the index of the rows that were predicted."""
    kept = [name for name in predictions.columns if name != "row" or "row" in frame.columns]
    columns = {name: predictions[name].to_list() for name in kept}
    return type(frame)(columns, index=frame.index)


def _tell_index(index):
    """Warn of an index that is left out, unless it numbers the rows."""
    names = [str(name) for name in index.names if name is not None]
    if names or index.nlevels > 1 or index.dtype.kind not in "iu":
        what = ", ".join(map(shown, names)) or "without a name"
        left_out(f"the table: its index, {what}, is left out: reset_index() makes it a column")


def _series(name, column):
    """Return a column as a series of polars, or None, with a warning, if nothing holds it."""
    kind = str(column.dtype)
    if kind.startswith("Sparse"):
        column = column.sparse.to_dense()
    elif kind.startswith("period"):
        column = column.dt.to_timestamp()
    elif kind == "category":
        column = column.astype(column.cat.categories.dtype if _are_values(column) else object)
        kind = str(column.dtype)
    if kind.startswith(("interval", "complex")):
        column = column.astype(object)
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "O":
        return of_objects(name, column, column.isna())
    try:
        return pl.from_pandas(column.rename(name))
    except ImportError:  # polars has pyarrow read what is no plain array
        return of_objects(name, column.astype(object), column.isna())


def _are_values(column):
    """Return whether the categories of a column are numbers or dates, and none is missing."""
    return column.cat.categories.dtype.kind in "iufMm" and not column.isna().any()


def of_objects(name: str, objects: Iterable[Any], are_missing: Iterable[bool]) -> pl.Series | None:
    """Return a series of Python objects: of one type, or as text; None without any that fits."""
    pairs = zip(objects, are_missing, strict=True)
    values = [None if missing else value for value, missing in pairs]
    present = {type(value) for value in values if value is not None}
    if any(issubclass(kind, (complex, np.complexfloating)) for kind in present):
        left_out(
            f"the table: column {shown(name)} is left out: it holds complex numbers; give their "
            "real and imaginary parts as columns"
        )
        return None
    are_numbers = all(issubclass(kind, (int, float, np.number)) for kind in present)
    if len(present) == 1 or are_numbers:
        try:
            series = pl.Series(name, values)
        except (TypeError, pl.exceptions.PolarsError):
            series = None
        if series is not None and series.dtype != pl.Object:
            return series
    return pl.Series(name, [None if value is None else _text(value) for value in values])


def _text(value):
    """Return a value as text; whole floats, in intervals too, as integers are."""
    if hasattr(value, "closed_left"):
        low, high = "[" if value.closed_left else "(", "]" if value.closed_right else ")"
        return f"{low}{_text(value.left)}, {_text(value.right)}{high}"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
