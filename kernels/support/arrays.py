"""The Python side of a public kernel: check arrays, make outputs, find addresses."""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..tuning import CACHE_LINE

Floats = NDArray[np.floating[Any]]
_DTYPES = {np.dtype(np.float32), np.dtype(np.float64)}


def floats(name, value, rank, like=None):
    """Return `value` as an aligned array of float32 or float64, of the dtype of `like`.

    Raises
    ------
    TypeError
        If its dtype is another: kernels do not convert.
    ValueError
        If its rank is not `rank`.
    """
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is no array: NumPy says: {error}") from error
    if array.dtype not in _DTYPES:
        raise TypeError(f"{name} has dtype {array.dtype}: expected float32 or float64")
    if like is not None and array.dtype != like.dtype:
        raise TypeError(f"{name} has dtype {array.dtype} but the others {like.dtype}: convert one")
    if array.ndim != rank:
        raise ValueError(f"{name} has shape {array.shape}: expected {rank} dimensions")
    return array if array.flags.aligned else array.copy()


def rows(name, value, like=None):
    """Return a matrix whose rows are contiguous; copied if they are not."""
    array = floats(name, value, 2, like)
    if array.flags.c_contiguous:
        return array
    (row, column), item = array.strides, array.itemsize
    regular = column == item and row % item == 0
    return array if regular else np.ascontiguousarray(array)


def strided(name, value, like=None):
    """Return a matrix whose strides are whole elements; copied if they are not."""
    array = floats(name, value, 2, like)
    if array.flags.c_contiguous:
        return array
    (row, column), item = array.strides, array.itemsize
    return array if row % item == column % item == 0 else np.ascontiguousarray(array)


def output(name, out, shape, dtype):
    """Return the array to write: a new one, or `out` if it can be written in place.

    Raises
    ------
    ValueError
        If `out` is read-only, not C-contiguous, or of another shape or dtype.
    """
    if out is None:
        return np.empty(shape, dtype)
    fits = isinstance(out, np.ndarray) and out.shape == shape and out.dtype == dtype
    if not (fits and out.flags.carray):
        raise ValueError(
            f"{name}: expected a writable C-contiguous {np.dtype(dtype)} array {shape}"
        )
    return out


def apart(out, called="out", /, **inputs):
    """Raise ValueError if an input shares memory with the array that is written."""
    for name, array in inputs.items():
        if isinstance(out, np.ndarray) and np.may_share_memory(out, array):
            raise ValueError(f"{called} overlaps {name}: expected an array of its own")


def apart_or_equal(out, called="out", /, **inputs):
    """Raise ValueError if an input shares memory with `out` but is not the same array."""
    for name, array in inputs.items():
        if address(array) != address(out) or array.strides != out.strides:
            apart(out, called, **{name: array})


def expect(name, array, shape):
    """Raise ValueError unless `array` has this shape."""
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}: expected {shape}")


def layer(W, bias, n_in, like):
    """Return W (n_in, n_out) and its bias (n_out,) or None: contiguous, of the dtype of `like`."""
    W = np.ascontiguousarray(floats("W", W, 2, like=like))
    expect("W", W, (n_in, W.shape[1]))
    if bias is not None:
        bias = np.ascontiguousarray(floats("bias", bias, 1, like=like))
        expect("bias", bias, W.shape[1:])
    return W, bias


def aligned_zeros(count, dtype):
    """Return `count` zeros that start on a cache line."""
    dtype = np.dtype(dtype)
    raw = np.zeros(count * dtype.itemsize + CACHE_LINE, np.uint8)
    start = -address(raw) % CACHE_LINE
    return raw[start : start + count * dtype.itemsize].view(dtype)


def scratch(count, dtype):
    """Return an uninitialized array in which `count` floats start on a cache line."""
    return np.empty(count + CACHE_LINE, dtype)


def address(array):
    """Return the address of an array's first element, or 0 for None."""
    if array is None:
        return 0
    try:  # a third of the time of the way below
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    except (TypeError, ValueError):  # strided or read-only, or empty
        return array.ctypes.data


def steps(matrix):
    """Return the row and column stride of a matrix, in elements."""
    row, column = matrix.strides
    return row // matrix.itemsize, column // matrix.itemsize
