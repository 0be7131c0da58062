"""Checks of arguments: every message names the argument, its value and what to pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .annotations import Array, Floats
from .memory import SMALL, require_memory
from .quoted import quoted

_IMPUTE = "impute or drop such rows"
_OR_MISSING = f"{_IMPUTE}, or give missing_targets=True where it is taken: NaN then counts nothing"
# large arrays are checked in pieces, which keeps temporaries small
_NUMBERS_AT_ONCE = 65536


def computed(value: Any) -> Any:
    """Return what a lazy array or frame of Dask computes to; anything else as it is."""
    return value.compute() if hasattr(value, "__dask_graph__") else value


def as_array(name: str, value: Any) -> Array:
    """Return `value` as an array; raise ValueError if rows are ragged or values masked.

    Missing values of nullable and Arrow columns become NaN. It raises TypeError if `value` is a
    sparse matrix, or a frame with a column that holds no real numbers.
    """
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(
            f"{name} has masked values: expected plain numbers; fill them, or drop such rows"
        )
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    if hasattr(value, "tocsr"):
        raise TypeError(f"{name} is a sparse matrix: expected a dense array, as by toarray()")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"{name} is ragged: expected rows of one length; NumPy says: {error}"
        ) from error
    is_frame = hasattr(value, "dtypes") or hasattr(value, "dtype")
    return _of_columns(name, value, array) if is_frame and array.dtype == object else array


def _of_columns(name, value, objects):
    """Return a frame or a series as an array where NumPy sees objects.

    It does of pandas' nullable and Arrow columns, and of numbers beside truth values.
    """
    if objects.ndim == 1:
        return _of_column(value)
    if not hasattr(value, "items"):
        return objects
    columns = []
    for label, column in value.items():
        columns.append(_of_column(column))
        if columns[-1].dtype.kind not in "fiub":
            raise TypeError(
                f"{name}: column {quoted(label)} has dtype {column.dtype}: expected real numbers"
            )
    return np.column_stack(columns)


def _of_column(column):
    """Return a series as an array: NaN for missing numbers, objects where it holds others."""
    dtype = column.dtype
    if isinstance(dtype, np.dtype) or getattr(dtype, "kind", "O") not in "fiub":
        return np.asarray(column)
    if column.isna().any():
        return column.to_numpy(np.float64, na_value=np.nan)
    return column.to_numpy(dtype.numpy_dtype)


def settle(instance: Any, **values: Any) -> None:
    """Set fields of a frozen dataclass to their checked values."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)


def float_array(
    name: str, value: Any, dtype: DTypeLike, rank: int, missing: bool | None = None, shape: str = ""
) -> Floats:
    """Return `value` as a C-contiguous array of floats; copy it only if necessary.

    It raises TypeError for objects, complex numbers, text and dates, and ValueError for another
    rank, no element, infinity and, unless they may be `missing`, NaN. With False the message names
    the switch. `shape` is what a message expects; that of samples by default.
    """
    array = as_array(name, value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}: expected real numbers")
    if array.ndim != rank:
        shape = shape or ("(n_samples, n_features)" if rank == 2 else "(n_samples,)")
        raise ValueError(f"{name} has shape {array.shape}: expected {rank} dimensions, {shape}")
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}: expected at least one sample and column")
    if array.dtype != dtype or not array.flags.c_contiguous:
        needed = array.size * np.dtype(dtype).itemsize
        if needed >= SMALL:
            remedy = f"give it as {dtype} in contiguous rows, or fewer rows at once"
            require_memory(needed, f"a copy of {name} as {dtype}", remedy)
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(array, dtype=dtype)
    rows = 1 + _NUMBERS_AT_ONCE * len(array) // array.size
    for start in range(0, len(array), rows):
        piece = array[start : start + rows]
        finite = np.isfinite(piece)
        if missing:
            finite |= np.isnan(piece)
        if np.count_nonzero(finite) < finite.size:  # five times as fast as all() for one row
            place = np.argwhere(~finite)[0]
            place[0] += start
            number = array[tuple(place)]
            remedy = _OR_MISSING if missing is False and np.isnan(number) else _IMPUTE
            raise not_finite(name, place, number, remedy)
    return array


def not_finite(name: str, place: Iterable[int], number: Any, remedy: str = _IMPUTE) -> ValueError:
    """Return the error for a number of an array that is NaN or infinite."""
    where = ", ".join(map(str, place))
    return ValueError(
        f"{name}[{where}] is {number} in {number.dtype}: expected finite numbers; {remedy}"
    )


def all_finite(flat: Floats) -> bool:
    """Return whether a flat array holds neither NaN nor infinity."""
    pieces = (flat[i : i + _NUMBERS_AT_ONCE] for i in range(0, len(flat), _NUMBERS_AT_ONCE))
    return all(np.isfinite(piece).all() for piece in pieces)


def same_rows(name: str, array: Array, rows: int, other: str = "X") -> None:
    """Raise ValueError unless `array` has `rows` rows, the number of rows of `other`."""
    if len(array) != rows:
        raise ValueError(f"{name} has {len(array)} rows but {other} has {rows}: they must match")


def as_callables(callbacks: Any) -> tuple[Callable[..., Any], ...]:
    """Return one or several callbacks as a tuple; raise TypeError if one is not callable."""
    if callable(callbacks):
        return (callbacks,)
    if not isinstance(callbacks, Iterable):
        raise TypeError(
            f"callbacks={quoted(callbacks)}: expected a callable, or a sequence of them"
        )
    callbacks = tuple(callbacks)
    for callback in callbacks:
        if not callable(callback):
            raise TypeError(f"callbacks: {quoted(callback)} is not callable")
    return callbacks
