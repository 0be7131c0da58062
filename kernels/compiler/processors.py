"""The processors of this machine, and how many of them this process may use.

What the system says is read from files below a root folder. One that cannot be read, or whose
content cannot be true, is passed over.
"""

import contextlib
import os
from functools import lru_cache
from pathlib import Path

import numba

from ...control_groups import groups_of

_ROOT = Path("/")
# no machine has more processors, and no core more threads (POWER has 8)
_MOST_PROCESSORS, _MOST_SIBLINGS = 1 << 16, 8


def available_threads():
    """Return the number of threads this process may use.

    It is the minimum of the CPU affinity, the quota of the control group, ``NUMBA_NUM_THREADS``,
    ``OMP_NUM_THREADS`` and ``OMP_THREAD_LIMIT``.
    """
    return _least(processors_allowed())


def _least(allowed):
    return max(1, min(limit for limit in _limits(allowed).values() if limit is not None))


def thread_limits():
    """Return the limits of this process's threads by name; None where there is no limit.

    A quota of 1.5 processors is a limit of one thread: the system would stop two of them for a
    part of the time.
    """
    return _limits(processors_allowed())


def _limits(allowed):
    quota = processors_granted()
    limits: dict[str, int | None] = {"affinity": len(allowed)}
    limits["quota"] = None if quota is None else max(1, int(quota))
    for name in ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT"):
        limits[name] = None
        if given := os.environ.get(name):
            with contextlib.suppress(ValueError):
                limits[name] = int(given.split(",")[0])
    return {**limits, "NUMBA_NUM_THREADS": numba.config.NUMBA_NUM_THREADS}


def physical_threads():
    """Return the number of threads this process may use, at most one on each physical processor.

    Two on one core share its multipliers, which a product keeps busy alone.
    """
    allowed = processors_allowed()
    return min(_least(allowed), len(physical_processors(allowed)))


def processors_allowed():
    """Return the numbers of the processors that the CPU affinity allows this process."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


@lru_cache(maxsize=1)
def processors_granted(root=_ROOT):
    """Return the processors, perhaps a fraction, that control groups grant; None for all.

    It is the least of the process's own groups and their parents, of version 2 (``cpu.max``) and
    version 1 (``cpu.cfs_quota_us``). Reading them takes 0.1 ms, as long as a hundred small
    products.
    """
    found = []
    for folder, _ in groups_of("cpu", root):
        words = _text(folder / "cpu.max").split()
        if not words:
            words = [_text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
        with contextlib.suppress(ValueError):  # "max", "-1" and "" are no limits
            quota, period = map(int, words)
            if quota > 0 and period > 0:
                found.append(quota / period)
    return min(found, default=None)


@lru_cache(maxsize=8)
def physical_processors(allowed, root=_ROOT):
    """Return one of the `allowed` processors of each core, the lowest, in order."""
    firsts: dict[object, int] = {}
    core_of: dict[int, object] = {}
    for number in sorted(allowed):
        if number not in core_of:
            siblings, core = _core_of(number, root)
            core_of.update(dict.fromkeys(siblings, core))
        firsts.setdefault(core_of[number], number)
    return tuple(firsts.values())


def _core_of(number, root):
    """Return the processors known to be of one core with processor `number`, and its name."""
    folder = root / f"sys/devices/system/cpu/cpu{number}/topology"
    for name in ("core_cpus_list", "thread_siblings_list"):
        siblings = _numbers(_text(folder / name))
        if number in siblings and len(siblings) <= _MOST_SIBLINGS:
            return siblings, min(siblings)
    place = [_text(folder / name) for name in ("physical_package_id", "core_id")]
    is_known = all(word.isdecimal() for word in place)
    return {number}, tuple(place) if is_known else number


def memory_nodes(allowed, root=_ROOT):
    """Return how many of the `allowed` processors each node of memory (NUMA) has, by its name."""
    folders = (root / "sys/devices/system/node").glob("node[0-9]*")
    found = {folder.name: len(_numbers(_text(folder / "cpulist")) & allowed) for folder in folders}
    names = sorted(found, key=lambda name: (len(name), name))
    return {name: found[name] for name in names if found[name]}


def is_crowded(root=_ROOT):
    """Return whether more threads of all processes want to run now than there are processors."""
    running = _text(root / "proc/loadavg").split(" ")[3:4]
    with contextlib.suppress(ValueError, IndexError):
        return int(running[0].partition("/")[0]) > (os.cpu_count() or 1)
    return False


def _numbers(text):
    """Return the numbers of a list such as "0-3,8"; none if it is not one."""
    found: set[int] = set()
    with contextlib.suppress(ValueError):
        for part in text.split(","):
            first, _, last = part.partition("-")
            low, high = int(first), int(last or first)
            if not 0 <= low <= high < _MOST_PROCESSORS:
                return set()
            found.update(range(low, high + 1))
        return found
    return set()


def _text(path):
    """Return the text of a file without spaces around it; "" if it cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        return path.read_text().strip()
    return ""
