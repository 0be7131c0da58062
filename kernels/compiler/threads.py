"""The number of threads of a computation, and whether parallel code is safe to enter.

Numba aborts the process when two Python threads enter parallel code under its
``workqueue`` layer, and a forked child waits without end, or is killed, when it enters parallel
code after its parent did. Both run the serial twin here.
"""

import logging
import os
import threading
import warnings
from functools import lru_cache, partial
from numbers import Integral
from typing import Literal

import numba
import numpy as np
from numba.core.compiler_lock import global_compiler_lock

from ...memory import bytes_shown, stack_bytes, too_few_addresses
from ...quoted import quoted
from ..support.forks import in_forked_children, may_lack_threads
from ..tuning import FLOPS_PER_SECOND, REGION_SECONDS, REGION_WORTH
from .processors import physical_threads
from .tbb import keep_what_tbb_loads, load_tbb

_log = logging.getLogger("fastbp")
Threads = int | Literal["auto"]
# set where parts that wait for each other were seen to run one after the other, see `simd.meeting`
_APART = threading.Event()


def choose_threads(n_threads: Threads, flops: float, regions: int, parts: int | None = None) -> int:
    """Return the number of threads for a computation; 1 means the serial twin.

    Parameters
    ----------
    n_threads : int or "auto"
        An integer is used up to ``NUMBA_NUM_THREADS``; "auto" uses one thread for each physical
        processor where they save more time than they cost (`tuning`).
    flops, regions : float, int
        The operations of the computation and the parallel regions it enters.
    parts : int, optional
        An upper limit for "auto".

    Raises
    ------
    ValueError
        If `n_threads` is neither "auto" nor an integer of at least 1.
    """
    if type(n_threads) is int and n_threads == 1:
        return 1
    if isinstance(n_threads, str) and n_threads == "auto":
        alone = flops / FLOPS_PER_SECOND
        worth = REGION_WORTH * regions * REGION_SECONDS
        if alone <= worth:  # even infinitely many threads would save less
            return 1
        wanted = physical_threads() if parts is None else max(1, min(physical_threads(), parts))
        if alone * (1 - 1 / wanted) < worth:
            wanted = 1
    elif isinstance(n_threads, Integral) and not isinstance(n_threads, bool) and n_threads >= 1:
        wanted = min(int(n_threads), numba.config.NUMBA_NUM_THREADS)
    else:
        raise ValueError(
            f'n_threads={quoted(n_threads)}: expected "auto" or an integer of at least 1'
        )
    return wanted if wanted == 1 or _parallel_is_safe(wanted) else 1


def _parallel_is_safe(threads):
    # a fork by C code calls no hook that could clear the caches
    return _is_safe_in(os.getpid()) and (threads <= _team.size or _have_stacks(threads))


@lru_cache(maxsize=1)
def _is_safe_in(process):
    with global_compiler_lock:  # one thread looks; a fork waits until Numba has started its threads
        return _decided(process)


@lru_cache(maxsize=1)
def _decided(process):
    if not may_lack_threads():
        return _layer_is_safe()
    _log.warning(
        "fastbp runs on one thread in process %d, which was forked: parallel loops might wait for "
        "threads of its parent without end. Start processes with spawn or forkserver to use more.",
        process,
    )
    return False


# a child may have the number of its parent, each in a name space of its own
in_forked_children(_is_safe_in.cache_clear)
in_forked_children(_decided.cache_clear)


class _Team(threading.local):
    """How many threads OpenMP keeps for the Python thread at hand."""

    size = 1


_team = _Team()
_BESIDE = 16 << 20  # addresses that are left beside the stacks


def _have_stacks(threads):
    """Return whether new threads find addresses: OpenMP ends a process in which they do not."""
    few = too_few_addresses((threads - 1) * stack_bytes() + _BESIDE)
    if few is not None:
        stacks = f"{threads} stacks of {bytes_shown(stack_bytes())}"
        warnings.warn(
            f"fastbp runs on one thread: {few.limit} leaves {bytes_shown(few.bytes)} of addresses, "
            f"too few for {stacks}: give it more",
            RuntimeWarning,
            stacklevel=5,
        )
    return few is None


def _layer_is_safe():
    load_tbb()
    asked = str(numba.config.THREADING_LAYER).lower()
    why = "Numba found neither OpenMP nor TBB"
    try:
        numba.get_num_threads()  # starts the threads, after which the layer is known
        layer = numba.threading_layer()
        if layer == "tbb":
            keep_what_tbb_loads()
        if layer != "workqueue":
            return True
        if asked == "workqueue":
            why = "NUMBA_THREADING_LAYER=workqueue would end the process"
    except ValueError:
        why = f"Numba does not find what NUMBA_THREADING_LAYER={asked} names"
    remedy = "" if asked == "default" else "Unset NUMBA_THREADING_LAYER. "
    warnings.warn(
        f"fastbp runs on one thread: {why}. {remedy}Install the system "
        "package libgomp1 (Debian, Ubuntu) or libgomp (Fedora), or pip install tbb.",
        RuntimeWarning,
        stacklevel=6,
    )
    return False


def together(kernel, threads):
    """Return the function that runs `kernel` on so many threads that wait for each other, or None.

    None where they may not run at the same time. A callback may fork in the middle of a training,
    which then goes on in the child.
    """
    if _APART.is_set() or not _parallel_is_safe(threads):
        return None
    return partial(_on_threads, threads, kernel.parallel)


def note_apart():
    """Note for this process that Numba ran the parts of a parallel loop one after the other."""
    _APART.set()
    warnings.warn(
        "fastbp trains on one thread from now on: Numba ran the parts of a parallel loop one after "
        "the other. OMP_THREAD_LIMIT, OMP_DYNAMIC or a busy machine may leave it too few threads.",
        RuntimeWarning,
        stacklevel=4,
    )


def twin(kernel, threads):
    """Return the function that runs the twin of `kernel` for this number of threads."""
    if threads == 1 or not _parallel_is_safe(threads):
        return kernel.serial
    return partial(_on_threads, threads, kernel.parallel)


def compile_twins(kernel, arguments, parallel=True):
    """Compile or load what runs `kernel` with such arguments on one thread, and on more if wanted.

    It is not run: beside other processes, several threads would wait for each other.
    """
    # there is one type of records of each kind; Numba takes 0.1 ms to make one anew
    kinds = "".join(each.dtype.char if isinstance(each, np.ndarray) else "." for each in arguments)
    if (parallel, kinds) not in kernel.compiled:
        signature = tuple(map(numba.typeof, arguments))
        for dispatcher in (kernel.serial, kernel.parallel) if parallel else (kernel.serial,):
            dispatcher.compile(signature)  # which returns at once if it was compiled before
        kernel.compiled.add((parallel, kinds))


def _on_threads(threads, function, *args):
    """Call a parallel twin on this number of threads, then restore Numba's setting."""
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    _team.size = threads
    try:
        return function(*args)
    finally:
        numba.set_num_threads(before)
