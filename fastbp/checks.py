"""Checks of arguments: every message names the argument, its value and what to pass."""

import math
from numbers import Integral, Real

import numpy as np

_ROWS_AT_ONCE = 4096


def a_whole_number(name, value, least, below=math.inf):
    """Return `value` as an int, least <= value < below, or raise."""
    if isinstance(value, Integral) and not isinstance(value, (bool, np.bool_)):
        if least <= value < below:
            return int(value)
        limit = f" and less than {below}" if below < math.inf else ""
        raise ValueError(f"{name}={value!r}: expected at least {least}{limit}")
    raise TypeError(f"{name}={value!r}: expected a whole number of at least {least}")


def a_number(name, value, low=-math.inf, below=math.inf, above=-math.inf):
    """Return `value` as a finite float with low <= value < below and value > above, or raise."""
    if not isinstance(value, Real) or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}={value!r}: expected a number")
    if math.isfinite(value) and low <= value < below and value > above:
        return float(value)
    bounds = [
        f"at least {low}" if low > -math.inf else "",
        f"greater than {above}" if above > -math.inf else "",
        f"less than {below}" if below < math.inf else "",
    ]
    wanted = " and ".join(bound for bound in bounds if bound) or "finite"
    raise ValueError(f"{name}={value!r}: expected a number {wanted}")


def a_flag(name, value):
    """Return `value` as a bool, or raise."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise TypeError(f"{name}={value!r}: expected True or False")


def as_array(name, value):
    """Return `value` as an array, or raise ValueError where its rows are ragged."""
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"{name} is ragged: expected rows of one length; NumPy says: {error}"
        ) from error


def settle(instance, **values):
    """Give fields of a frozen dataclass their checked values."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)


def float_array(name, value, dtype, rank):
    """Return `value` as a C-contiguous array of floats; copied only if it must be.

    Raises
    ------
    TypeError
        If it holds objects, complex numbers, text or dates.
    ValueError
        If it is of another rank, empty, or holds NaN or infinity.
    """
    array = as_array(name, value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {array.dtype}: expected real numbers")
    if array.ndim != rank:
        shape = "(n_samples, n_features)" if rank == 2 else "(n_samples,)"
        raise ValueError(f"{name} has shape {array.shape}: expected {rank} dimensions, {shape}")
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}: expected at least one sample and column")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype=dtype)
    for start in range(0, len(array), _ROWS_AT_ONCE):
        finite = np.isfinite(array[start : start + _ROWS_AT_ONCE])
        if not finite.all():
            place = np.argwhere(~finite)[0]
            place[0] += start
            where = ", ".join(map(str, place))
            raise ValueError(
                f"{name}[{where}] is {array[tuple(place)]} in {array.dtype}: "
                "expected finite numbers; impute or drop such rows"
            )
    return array


def same_rows(name, array, rows, other="X"):
    """Raise ValueError unless `array` has as many rows as `other`."""
    if len(array) != rows:
        raise ValueError(f"{name} has {len(array)} rows but {other} has {rows}: they must match")
