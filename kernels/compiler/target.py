"""The processor that kernels are compiled for: this one, or the level that a cache is made for.

The level decides how many numbers a vector of the kernels holds, so that all kernels of a process
have one target. A kernel that such a cache lacks is compiled for this processor with vectors of the
level. Code that the process compiles with Numba itself is not affected.
"""

import json
from functools import cache
from typing import NamedTuple

from numba import config
from numba.core.registry import cpu_target

from .cache_file import read_sealed, write_sealed
from .cache_folder import DIGEST, LEVEL_FILE, cache_folder

# The levels of x86-64, https://gitlab.com/x86-psABIs/x86-64-ABI (2020), with LLVM's names. Those
# below have no fused multiply-add: what such a cache lacks, compiled here, would round otherwise.
_FIRST = ("cmov", "cx8", "fxsr", "mmx", "sse", "sse2")
_SECOND = (*_FIRST, "cx16", "popcnt", "sahf", "sse3", "sse4.1", "sse4.2", "ssse3")
_THIRD = (*_SECOND, "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave")
_FOURTH = (*_THIRD, "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl")
LEVELS = {
    name: ",".join(f"+{feature}" for feature in features)
    for name, features in (("x86-64-v3", _THIRD), ("x86-64-v4", _FOURTH))
}
_KEY = f"processor of {DIGEST}"


class Target(NamedTuple):
    """What code is made for.

    Attributes
    ----------
    triple : str
        LLVM's name of architecture and system.
    processor : str
        LLVM's name of the processor or level.
    features : str
        What it has, ``+name``, and has not, ``-name``, with commas between.
    """

    triple: str
    processor: str
    features: str


def host():
    """Return the `Target` of Numba: this processor, unless its variables say otherwise."""
    return Target(*cpu_target.target_context.codegen().magic_tuple())


def missing_features(features):
    """Return the names among ``+name,...`` that Numba's target lacks."""
    has = host().features.split(",")
    return [each[1:] for each in features.split(",") if each not in has]


@cache
def _choice():
    """Return the `Target` of kernels, and why it is not the level of the cache, or ""."""
    chosen = config.CPU_NAME is not None or config.CPU_FEATURES is not None
    level = None if chosen else level_of_cache()
    if level is None:
        return host(), ""
    if level.triple != host().triple:
        return host(), f"is made for {level.triple}, not for {host().triple}"
    if missing := missing_features(level.features):
        return host(), f"is made for {level.processor}: this processor lacks {', '.join(missing)}"
    return level, ""


def target():
    """Return the `Target` of kernels: the level of the cache, if there is one and it can run here.

    Numba's variables of the processor go before it.
    """
    return _choice()[0]


def refused_level():
    """Return why the cache's level is not the target, as a phrase; "" if it is, or has none."""
    return _choice()[1]


def level_of_cache():
    """Return the `Target` that the cache is made for; None if it is for any processor."""
    folder = cache_folder()
    content = None if folder is None else read_sealed(folder / LEVEL_FILE, _KEY)
    if content is None:
        return None
    try:
        return Target(*json.loads(content))
    except (ValueError, TypeError):
        return None


def set_level_of_cache(level):
    """Say in the cache's folder that it is made for a `Target`.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    write_sealed(cache_folder() / LEVEL_FILE, _KEY, json.dumps(level).encode())
