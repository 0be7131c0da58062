"""The number of threads of a computation, and whether parallel code is safe to enter.

Numba aborts the process when two Python threads enter parallel code under its
``workqueue`` layer, and a forked child is killed when it enters parallel code
after its parent did under ``omp``. Both run the serial twin here.
"""

import contextlib
import os
import threading
import warnings
from functools import lru_cache, partial
from numbers import Integral
from pathlib import Path
from typing import Literal

import numba

from ..support.quoted import quoted
from ..tuning import FLOPS_PER_SECOND, REGION_SECONDS, REGION_WORTH

Threads = int | Literal["auto"]
# set where parts that wait for each other were seen to run one after the other, see `simd.meeting`
_APART = threading.Event()


def _started():
    """Return whether Numba's threads were started, in this process or before it was forked."""
    try:
        numba.threading_layer()
    except ValueError:
        return False
    return True


def _orphaned():
    """Return whether Numba's threads belong to a parent process: this one has a single thread."""
    tasks = Path("/proc/self/task")
    return _started() and tasks.is_dir() and len(list(tasks.iterdir())) == 1


# the process that Numba's threads belong to if they run already; 0 for another process
_IMPORTED_IN = 0 if _orphaned() else os.getpid()


def available_threads():
    """Return the number of threads this process may use.

    It is the minimum of the CPU affinity, the quota of the control group
    (``cpu.max``), ``NUMBA_NUM_THREADS``, ``OMP_NUM_THREADS`` and ``OMP_THREAD_LIMIT``.
    """
    return max(1, min(limit for limit in thread_limits().values() if limit is not None))


def thread_limits():
    """Return the limits of this process's threads by name; None where there is no limit."""
    limits: dict[str, int | None] = {"affinity": _affinity(), "quota": _quota()}
    for name in ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT"):
        limits[name] = None
        with contextlib.suppress(KeyError, ValueError):
            limits[name] = int(os.environ[name].split(",")[0])
    return {**limits, "NUMBA_NUM_THREADS": numba.config.NUMBA_NUM_THREADS}


def _affinity():
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@lru_cache(maxsize=1)
def _quota():
    """Return the processors that control groups of version 2 grant, None for all.

    Reading them takes 0.1 ms, as long as a hundred small products.
    """
    limits = []
    with contextlib.suppress(OSError, ValueError):
        own = Path("/proc/self/cgroup").read_text().strip().split(":", 2)[2].lstrip("/")
        root = Path("/sys/fs/cgroup")
        for folder in (root / own, *(root / own).parents):
            if (folder / "cpu.max").is_file():
                quota, period = (folder / "cpu.max").read_text().split()
                if quota != "max":
                    limits.append(max(1, int(quota) // int(period)))
    return min(limits, default=None)


def choose_threads(n_threads: Threads, flops: float, regions: int, parts: int | None = None) -> int:
    """Return the number of threads for a computation; 1 means the serial twin.

    Parameters
    ----------
    n_threads : int or "auto"
        An integer is used up to ``NUMBA_NUM_THREADS``; "auto" uses all available threads where
        they save more time than they cost (`tuning`).
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
        wanted = available_threads() if parts is None else max(1, min(available_threads(), parts))
        if alone * (1 - 1 / wanted) < worth:
            wanted = 1
    elif isinstance(n_threads, Integral) and not isinstance(n_threads, bool) and n_threads >= 1:
        wanted = min(int(n_threads), numba.config.NUMBA_NUM_THREADS)
    else:
        raise ValueError(
            f'n_threads={quoted(n_threads)}: expected "auto" or an integer of at least 1'
        )
    return wanted if wanted == 1 or _parallel_is_safe() else 1


def _parallel_is_safe():
    return _process_of_threads() == os.getpid() and _layer_is_safe()


@lru_cache(maxsize=1)
def _process_of_threads():
    """Return the process that Numba's threads belong to; a forked child inherits the answer."""
    return _IMPORTED_IN if _started() else os.getpid()


@lru_cache(maxsize=1)
def _layer_is_safe():
    numba.get_num_threads()  # starts the threads, after which the layer is known
    if numba.threading_layer() != "workqueue":
        return True
    warnings.warn(
        "fastbp runs on one thread: Numba found neither OpenMP nor TBB. Install the system "
        "package libgomp1 (Debian, Ubuntu) or libgomp (Fedora), or pip install tbb.",
        RuntimeWarning,
        stacklevel=4,
    )
    return False


def run_together():
    """Return whether nothing is known against Numba's threads running at the same time."""
    return not _APART.is_set()


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
    return kernel.serial if threads == 1 else partial(_on_threads, threads, kernel.parallel)


def _on_threads(threads, function, *args):
    """Call a parallel twin on this number of threads, then restore Numba's setting."""
    before = numba.get_num_threads()
    numba.set_num_threads(threads)
    try:
        return function(*args)
    finally:
        numba.set_num_threads(before)
