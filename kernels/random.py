"""The random generator: a hash of (seed, purpose, place), without state.

Number i of stream k is ``mix(k + (i + 1) g)``, the SplitMix64 sequence. The key of a stream is a
hash of the seed, the purpose of the numbers and their place in a run, from which alone any of
them can be computed again.

Reference: Steele, Lea and Flood, Fast splittable pseudorandom number
generators, OOPSLA 2014, figure 17 and section 5.
"""

import numpy as np
from numba import prange
from numpy.typing import NDArray

from .compiler.jit import inner, kernel
from .compiler.threads import Threads, choose_threads, twin
from .support.scalars import a_whole_number
from .tuning import RANDOM_FLOPS

# purposes
WEIGHTS, SHUFFLE, DROPOUT, BLOCKS, WINDOWS, BAGS = 1, 2, 3, 4, 5, 6

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_ONE = np.uint64(1)
_UNIT = 2.0**-53


@inner
def _mix(x):
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


@inner
def random_bits(key, index):
    """Return number `index` of stream `key`: 64 random bits."""
    return _mix(key + (np.uint64(index) + _ONE) * _GOLDEN)


@inner
def stream(key, place):
    """Return the key of the sub-stream `place` of a stream."""
    return _mix(random_bits(key, place) ^ _GOLDEN)


@inner
def unit(bits):
    """Return 64 random bits as a float64 in [0, 1)."""
    return float(np.int64(bits >> np.uint64(11))) * _UNIT


@inner
def key_of(seed, purpose, place):
    """Return the key of the stream for one purpose at one place of a run."""
    return stream(stream(np.uint64(seed), purpose), place)


@inner
def _normal(key, i):
    """Return number `i` of the standard normal ones of a stream (Box and Muller, 1958)."""
    radius = np.sqrt(-2.0 * np.log(1.0 - unit(random_bits(key, 2 * i))))
    return radius * np.cos(2.0 * np.pi * unit(random_bits(key, 2 * i + 1)))


@kernel
def fill_uniform(seed, purpose, place, out):
    """Fill `out` (n,) with uniform numbers of [0, 1)."""
    key = key_of(seed, purpose, place)
    for i in prange(out.size):
        out[i] = unit(random_bits(key, i))


@kernel
def fill_normal(seed, purpose, place, out):
    """Fill `out` (n,) with standard normal numbers."""
    key = key_of(seed, purpose, place)
    for i in prange(out.size):
        out[i] = _normal(key, i)


@kernel
def draw_uniform(seed, place, limit, out):
    """Fill weights (n,) of any float with uniform numbers of [-limit, limit)."""
    key = key_of(seed, WEIGHTS, place)
    for i in range(out.size):
        out[i] = (2.0 * unit(random_bits(key, i)) - 1.0) * limit


@kernel
def draw_normal(seed, place, deviation, out):
    """Fill weights (n,) of any float with normal numbers of mean 0."""
    key = key_of(seed, WEIGHTS, place)
    for i in range(out.size):
        out[i] = _normal(key, i) * deviation


@kernel
def fill_permutation(seed, purpose, place, out):
    """Fill `out` (n,) with a random order of 0..n-1 (Fisher and Yates; Durstenfeld, 1964)."""
    key = key_of(seed, purpose, place)
    for i in range(out.size):
        out[i] = i
    for i in range(out.size - 1, 0, -1):
        # the high half of a product: a number of 0..i without division (Lemire, 2019)
        j = np.int64(((random_bits(key, i) >> np.uint64(32)) * np.uint64(i + 1)) >> np.uint64(32))
        out[i], out[j] = out[j], out[i]


def random_uniform(
    n: int, seed: int, purpose: int = 0, place: int = 0, *, n_threads: Threads = "auto"
) -> NDArray[np.float64]:
    """Return the first `n` uniform numbers in [0, 1) of a stream.

    Parameters
    ----------
    n : int
        The number of numbers.
    seed, purpose, place : int
        The key of the stream, each from 0 to 2**63 - 1.
    n_threads : int or "auto"
        Threads to share the numbers.

    Returns
    -------
    array (n,) of float64
        A new array; its bits depend on the key alone.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a whole number, or out of range.
    """
    return _filled(fill_uniform, n, np.float64, seed, purpose, place, n_threads)


def random_normal(
    n: int, seed: int, purpose: int = 0, place: int = 0, *, n_threads: Threads = "auto"
) -> NDArray[np.float64]:
    """Return `n` standard normal numbers (Box and Muller); the rest is as for `random_uniform`."""
    return _filled(fill_normal, n, np.float64, seed, purpose, place, n_threads)


def permutation(n: int, seed: int, place: int = 0) -> NDArray[np.int64]:
    """Return the order (n,) of the samples in epoch `place` of a run: 0 to n - 1, shuffled."""
    return _filled(fill_permutation, n, np.int64, seed, SHUFFLE, place, 1)


def _filled(fill, n, dtype, seed, purpose, place, n_threads):
    out = np.empty(a_whole_number("n", n, least=0), dtype)
    key = a_key(seed=seed, purpose=purpose, place=place)
    twin(fill, choose_threads(n_threads, RANDOM_FLOPS * out.size, 1))(*key, out)
    return out


def a_key(**numbers):
    """Return the numbers of a stream's key, checked."""
    return [a_whole_number(name, n, least=0, below=2**63) for name, n in numbers.items()]
