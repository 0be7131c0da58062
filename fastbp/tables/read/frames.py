"""Frames of other libraries as those of pandas or polars, and predictions with an index.

Those of pandas become frames of polars whatever their columns hold. polars converts most columns
itself. The others are converted here, or left out and named.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from ...errors import DataError
from ..wording import one_line, shown
from .notes import left_out

# what polars and pyarrow raise of types that they do not have; pyo3's panics are no Exception
_REFUSALS = (
    NotImplementedError,
    TypeError,
    ValueError,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
)


def is_pandas(data: Any) -> bool:
    """Return whether data is a frame of pandas, which may not be installed, or of a subclass."""
    return _class_of_pandas(data) is not None


def _class_of_pandas(data):
    """Return pandas' own class of frames, None if data is none of them."""
    for kind in type(data).__mro__:
        if kind.__name__ == "DataFrame" and kind.__module__.partition(".")[0] == "pandas":
            return kind
    return None


def kind_of(data: Any) -> str:
    """Return the name of the type of data, after that of its library."""
    return f"{type(data).__module__.partition('.')[0]}.{type(data).__name__}"


def native(data: Any) -> Any:
    """Return what narwhals wraps, others as they are."""
    is_wrapped = type(data).__module__.partition(".")[0] == "narwhals"
    return data.to_native() if is_wrapped else data


def as_known(data: Any) -> Any:
    """Return a frame of any library as pandas' or polars' own, if it has a way to hand it over.

    That is the stream of Arrow, as pyarrow, narwhals and DuckDB have it; others stay as they are.
    The methods of a subclass of pandas' may do something else, so it becomes pandas' own.
    DataError if polars cannot hold a column.
    """
    data = native(data)
    own = _class_of_pandas(data)
    if own is not None:
        return data if type(data) is own else own(data)
    if isinstance(data, (pl.DataFrame, pl.LazyFrame)) or not hasattr(data, "__arrow_c_stream__"):
        return data
    if not (hasattr(data, "columns") or hasattr(data, "schema")):  # one column
        return data
    try:
        return pl.DataFrame(data)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DataError(_unheld(data) or f"the table cannot be read: {one_line(error)}") from error


def _unheld(table):
    """Return which column of a table of pyarrow polars cannot hold, "" of what is no such table."""
    if type(table).__module__.partition(".")[0] != "pyarrow" or not hasattr(table, "select"):
        return ""
    fields = enumerate(table.schema)
    return next((_unreadable(f.name, f.type) for n, f in fields if not _holds(table, n)), "")


def _holds(table, place):
    try:
        pl.DataFrame(table.select([place]))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return False
    return True


def _unreadable(name, dtype):
    return (
        f"the table: column {shown(name)} holds {dtype}, which cannot be read: convert it to "
        "numbers, text or dates, or drop it"
    )


def of_pandas(frame: Any) -> pl.DataFrame:
    """Return a frame of pandas as one of polars.

    Intervals become text, categories their values, periods their start, sparse columns dense, and
    objects of several types text. What no column can hold is left out with a warning, and so is an
    index that is more than row numbers. DataError if a name is there twice.
    """
    frame = frame.rename(columns=str)
    require_names_of_their_own(frame)
    _tell_index(frame.index)
    columns = {name: _series(name, column) for name, column in frame.items()}
    return pl.DataFrame([series for series in columns.values() if series is not None])


def require_names_of_their_own(frame: Any, name: str = "the table") -> None:
    """Raise DataError, a ValueError, if two columns of a frame of pandas have the same name."""
    if not frame.columns.is_unique:
        twice = str(frame.columns[frame.columns.duplicated()][0])
        raise DataError(f"{name}: two columns have the same name, {shown(twice)}: rename one")


def with_index(predictions: pl.DataFrame, frame: Any) -> Any:
    """Return predictions as a frame of pandas with the index of the rows that were predicted."""
    kept = [name for name in predictions.columns if name != "row" or "row" in frame.columns]
    columns = {name: predictions[name].to_list() for name in kept}
    return _class_of_pandas(frame)(columns, index=frame.index)


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
    dtype = column.dtype
    if isinstance(dtype, np.dtype):
        if dtype.kind == "O":
            return of_objects(name, column, column.isna())
        # Arrow has no wider floats, and the bytes of this machine alone
        column = column.astype(np.float64 if dtype == np.longdouble else dtype.newbyteorder("="))
    try:
        return pl.from_pandas(column.rename(name))
    except (ImportError, *_REFUSALS):  # polars has pyarrow read what is no plain array
        return _of_its_objects(name, column)


def _of_its_objects(name, column):
    try:
        objects = column.astype(object)
    except _REFUSALS as error:
        raise DataError(_unreadable(name, column.dtype)) from error
    return of_objects(name, objects, objects.isna())


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
        except _REFUSALS:
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
