"""The seeds of jobs, and what tells settings apart: not how they print, but what they hold."""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..kernels.support.scalars import a_whole_number
from ..quoted import quoted
from .shared import arrays_of

_COMPONENTS = f"{__package__.rpartition('.')[0]}.components"
_SCALARS = (int, float, str, bool, type(None))


def key_of(value: Any, unknown: Callable[[Any], Any] = id) -> Any:
    """Return a hashable key of a setting, equal for those that hold the same.

    Arrays are told by a digest, and what is not known by ``unknown(value)``: its identity, for
    settings that are compared while they live.
    """
    kind = type(value)
    if kind in _SCALARS:
        return kind.__name__, value
    if isinstance(value, (list, tuple)):
        return kind.__name__, *(key_of(each, unknown) for each in value)
    if kind is dict:
        return kind.__name__, *(key_of(each, unknown) for each in value.items())
    if kind.__module__.startswith(_COMPONENTS):  # a layer, an optimizer or a schedule
        return kind.__name__, *(key_of(each, unknown) for each in vars(value).items())
    if hasattr(value, "tocsr") or hasattr(value, "__array__"):
        return tuple(_digest_of(array) for array in arrays_of(value))
    return unknown(value)


def lasting_key_of(value: Any) -> Any:
    """Return a key that another process finds equal: of what is not known by its attributes."""
    return key_of(value, _content)


def _content(value):
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    return name, *(lasting_key_of(each) for each in sorted(getattr(value, "__dict__", {}).items()))


def _digest_of(array):
    content = np.ascontiguousarray(array)
    return str(array.dtype), array.shape, hashlib.blake2b(content.tobytes()).hexdigest()


def seeds_of(seeds: Any) -> list[int]:
    """Return the seeds: those given, or the first of a number of them."""
    if seeds is None:
        return []
    if not isinstance(seeds, Iterable):
        return list(range(a_whole_number("seeds", seeds, least=1)))
    found = [a_whole_number("seeds", seed, least=0, below=2**63) for seed in seeds]
    if len(set(found)) < len(found) or not found:
        raise ValueError(f"seeds={quoted(seeds)}: expected seeds that differ, at least one")
    return found
