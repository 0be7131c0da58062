"""How much memory this process may still take, and an error before work that does not fit."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .control_groups import groups_of

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# what is smaller is never refused, so that small calls read no file
SMALL = 1 << 26
# M_ARENA_MAX of malloc.h
_ARENA_MAX = -8
_ROOT = Path("/")
# limits of a process, how a shell sets them, and the line of its status that counts against them
_OF_PROCESS = (("RLIMIT_AS", "ulimit -v", "VmSize"), ("RLIMIT_DATA", "ulimit -d", "VmData"))


class Free(NamedTuple):
    """The bytes that are left, and what limits them: where `reserved`, also what is not used."""

    bytes: int
    limit: str
    reserved: bool = False


class _Names(NamedTuple):
    """The files of a control group that say how much it may take, and how much it takes."""

    limits: tuple[str, ...]
    used: str
    prefix: str  # of what counts the groups below it, in memory.stat
    mapped: str


_NAMES = {  # by the version of the group
    1: _Names(("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_", "mapped_file"),
    2: _Names(("memory.max", "memory.high"), "memory.current", "", "file_mapped"),
}


def free_memory(root: Path = _ROOT, swap: bool = False) -> int | None:
    """Return the bytes that can still be taken; None where unknown.

    That is the least of what the system has available, what each control group of this process
    leaves, and what the limits of the process leave, ``ulimit -v`` and ``ulimit -d``. What is kept
    of files counts as free; with `swap`, so does free swap space. `root` holds proc and sys.
    """
    found = least_free(root, swap)
    return None if found is None else found.bytes


def least_free(root: Path = _ROOT, swap: bool = False) -> Free | None:
    """Return what `free_memory` does with its limit."""
    return min(_limits(root, swap), default=None)


def require_memory(
    needed: int, what: str, remedy: str, small: int = SMALL, reserved: int = 0
) -> None:
    """Raise MemoryError if `needed` bytes are more than memory and swap space that are free.

    `what` needs them, of which so many are `reserved` already; `remedy` says what to do. Less than
    64 MiB, or another `small`, are not looked at. Where ``FASTBP_CHECK_MEMORY`` is 0, nothing is.
    """
    if needed < small or _is_unchecked():
        return
    free = least_free(swap=True)
    if free is None:
        return
    if needed - (reserved if free.reserved else 0) > free.bytes:
        raise MemoryError(
            f"{what} needs about {bytes_shown(needed)}, and {free.limit} leaves "
            f"{bytes_shown(free.bytes)}: {remedy}"
        )


def share_arenas() -> None:
    """Let all threads take memory from one arena, where the process may take few addresses.

    It is for a process of one's own: a library leaves that to its host.

    glibc reserves 64 MiB of them for the arena of each thread: libraries with a thread on each
    processor then use up ``ulimit -v`` before they take memory, and end the process.
    """
    if resource is not None and resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option is not None:
            set_option(_ARENA_MAX, 1)


def require_addresses(
    needed: int, what: str, remedy: str = "give it more", data: int | None = None
) -> None:
    """Raise MemoryError if `what` needs more addresses than the limits of the process leave.

    Of those, `data` are not of files, and count for ``ulimit -d``; all by default.
    """
    if short := _short_of(needed, needed if data is None else data):
        least, free = short
        raise MemoryError(
            f"{what} needs about {bytes_shown(least)} of addresses, and {free.limit} leaves "
            f"{bytes_shown(free.bytes)}: {remedy}"
        )


def too_few_addresses(needed: int) -> Free | None:
    """Return the limit of the process that leaves fewer addresses than are `needed`, if any."""
    short = _short_of(needed, needed)
    return None if short is None else short[1]


def _short_of(needed: int, data: int) -> tuple[int, Free] | None:
    """Return what is needed of a limit of the process that leaves less, and what it leaves."""
    for name, free in _of_process(_ROOT):
        least = data if name == "RLIMIT_DATA" else needed
        if free.bytes < least and not _is_unchecked():
            return least, free
    return None


def stack_bytes() -> int:
    """Return how many addresses the stack of a thread of OpenMP takes.

    ``OMP_STACKSIZE`` says so, else ``ulimit -s``; they are 8 MiB where neither does.
    """
    text = os.environ.get("OMP_STACKSIZE", "").strip().upper()
    asked = re.fullmatch(r"([0-9]{1,18})\s*([BKMG]?)", text)
    if asked:
        return int(asked[1]) << 10 * "BKMG".index(asked[2] or "K")
    most = resource.getrlimit(resource.RLIMIT_STACK)[0] if resource else 0
    return most if most > 0 else 8 << 20


def bytes_shown(count: float) -> str:
    """Return a number of bytes as 12 bytes, 3.4 KiB, 56 MiB or 7.8 GiB."""
    for unit, scale in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= scale:
            number = count / scale
            return f"{number:.3g} {unit}" if number < 1000 else f"{number:,.0f} {unit}"
    return f"{count:,} byte{'s' * (count != 1)}"


def _limits(root: Path, swap: bool) -> Iterator[Free]:
    system = _numbers(root / "proc/meminfo", unit=1024)
    more = system.get("SwapFree:", 0) if swap else 0
    if "MemAvailable:" in system:
        yield Free(system["MemAvailable:"] + more, "the machine")
    with contextlib.suppress(OSError, KeyError):
        # the system promises no more than it has
        if (root / "proc/sys/vm/overcommit_memory").read_text().strip() == "2":
            left = system["CommitLimit:"] - system["Committed_AS:"]
            yield Free(max(0, left), "the machine, which promises no more than it has,", True)
    for folder, version in groups_of("memory", root):
        names = _NAMES[version]
        for limit in names.limits[: 1 if swap else None]:
            with contextlib.suppress(OSError, ValueError):  # "max" is no limit
                allowed = int((folder / limit).read_text())
                left = allowed - int((folder / names.used).read_text())
                in_swap = min(more, _swap_of(folder, left, more)) if more else 0
                left += _kept_of_files(folder, names) + in_swap
                yield Free(max(0, left), f"its control group, {bytes_shown(allowed)} in all,")
    yield from (free for _, free in _of_process(root))


def _is_unchecked() -> bool:
    return os.environ.get("FASTBP_CHECK_MEMORY") == "0"


def _of_process(root: Path) -> Iterator[tuple[str, Free]]:
    """Yield what each limit of the process leaves, by its name."""
    taken = None
    for name, shell, line in _OF_PROCESS if resource else ():
        most = resource.getrlimit(getattr(resource, name))[0]
        if most != resource.RLIM_INFINITY:  # else no file is read
            taken = taken or _numbers(root / "proc/self/status", unit=1024)
            if f"{line}:" in taken:
                left = max(0, most - taken[f"{line}:"])
                yield name, Free(left, f"`{shell}`, {bytes_shown(most)} in all,", True)


def _kept_of_files(folder: Path, names: _Names) -> int:
    """Return the bytes of files that the group can drop: those that no process has mapped."""
    stat = _numbers(folder / "memory.stat")
    inactive, active, mapped = (
        stat.get(names.prefix + name, 0) for name in ("inactive_file", "active_file", names.mapped)
    )
    # names of files that the system remembers, which it forgets before it ends a process
    return max(inactive, inactive + active - mapped) + stat.get("slab_reclaimable", 0)


def _swap_of(folder: Path, left: int, free: int) -> int:
    """Return how much swap space the group may take beside the memory that is `left`."""
    for limit, used, beside in (
        ("memory.swap.max", "memory.swap.current", 0),
        ("memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes", left),  # of both
    ):
        with contextlib.suppress(OSError, ValueError):
            both = int((folder / limit).read_text()) - int((folder / used).read_text())
            return max(0, both - beside)
    return free


def _numbers(path: Path, unit: int = 1) -> dict[str, int]:
    """Return the numbers of a file with a name and a number in each line."""
    found = {}
    with contextlib.suppress(OSError):
        for line in path.read_text(errors="replace").splitlines():
            words = line.split()
            if len(words) > 1 and words[1].isdigit():
                found[words[0]] = int(words[1]) * unit
    return found
