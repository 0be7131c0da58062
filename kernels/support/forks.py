"""What a forked child must know: that it was forked, whose threads may be missing, and its locks.

Threads do not live on in a forked child. A library that used threads in the parent may wait in the
child for those that are missing, without end, or end the process, as OpenMP does. It does not
matter which library started them.
"""

import os
import threading
from pathlib import Path
from weakref import WeakSet

# libraries that keep threads for parallel loops, by what their files are called: those of OpenMP,
# of TBB, and Numba's own
_RUNTIMES = ("libgomp", "libiomp", "libomp", "libtbb", "omppool", "tbbpool", "workqueue")
_FORKNOEXEC = 0x40  # PF_FORKNOEXEC of Linux: forked, and no other program started since
_FLAGS = 6  # the place of a process's flags behind its name in /proc/PID/stat
# seconds that a fork waits for a lock: the longest compilation takes fewer
_PATIENCE = 30.0


def began_forked():
    """Return whether this process is the fork of one that ran Python before, as far as is known."""
    try:
        stat = Path("/proc/self/stat").read_text().rpartition(")")[2]
        flags = int(stat.split()[_FLAGS])
    except (OSError, ValueError, IndexError):
        return False
    # a system that only resembles Linux has no flags
    return bool(flags & _FORKNOEXEC) if flags else _runs_our_program(os.getppid())


def _runs_our_program(process):
    """Return whether a process and this one are forks of each other.

    The system gives each program that it starts other addresses, and a fork those of its parent.
    """
    try:
        return Path("/proc/self/auxv").read_bytes() == Path(f"/proc/{process}/auxv").read_bytes()
    except OSError:
        return False


def _has_runtime(process="self"):
    """Return whether a process has loaded a library that keeps threads, as far as is known."""
    try:
        maps = Path(f"/proc/{process}/maps").read_text(errors="replace")
    except OSError:  # no such system, or a process of another user: it may have
        return True
    names = {line.rpartition("/")[2] for line in maps.splitlines() if "/" in line}
    return any(runtime in name for name in names for runtime in _RUNTIMES)


def _lacked_threads():
    """Return whether this process was forked before, and may lack threads of its parent.

    A process loads a library before it uses it, and keeps it: a parent that has none now had none
    at the fork, and this process has loaded its own since.
    """
    if not (began_forked() and _has_runtime()):
        return False
    parent = os.getppid()
    return not _runs_our_program(parent) or _has_runtime(parent)


# how things are at the import; what a later fork changes is asked for when it is needed
_IMPORTED_IN, _BEGAN_FORKED, _LACKED_THREADS = os.getpid(), began_forked(), _lacked_threads()
_LATER = threading.Event()  # set in a child that is forked from now on


def was_forked():
    """Return whether this process was forked, or is that of a parent that was."""
    return _BEGAN_FORKED or _was_forked_later()


def _was_forked_later():
    # a fork by C code calls no hook of Python, and the first process of a container is number 1
    return _LATER.is_set() or os.getpid() != _IMPORTED_IN


def may_lack_threads():
    """Return whether this process was forked, and its parent may have run parallel loops.

    It has not where no library for these is loaded, as in a server that forks before it imports.
    """
    return _has_runtime() if _was_forked_later() else _LACKED_THREADS


def in_forked_children(forget):
    """Call ``forget()`` in each child that is forked from now on; return the function."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget)
    return forget


in_forked_children(_LATER.set)


class _Held(threading.local):
    """The locks that a thread holds while it forks."""

    def __init__(self, owners):
        self._owners, self._taken = owners, []

    def take(self):
        """Wait for the locks, but not without end: others may wait for what this thread holds."""
        for owner in self._owners:
            if owner._lock.acquire(timeout=_PATIENCE):
                self._taken.append(owner)

    def give(self):
        """Release what was taken."""
        while self._taken:
            self._taken.pop()._lock.release()

    def give_in_child(self):
        """Release what was taken; the others are made anew, as who holds them is not there."""
        for owner in self._owners:
            if owner not in self._taken:
                owner._lock = threading.RLock()
        self.give()


def hold_at_forks(*owners):
    """Let forks wait for locks, so that no thread holds them in a child but the one that forks.

    Each is the attribute ``_lock`` of an owner, which looks it up whenever it takes it.

    They are held for moments, or while something is compiled; nobody takes the first after others.
    """
    if hasattr(os, "register_at_fork"):
        held = _Held(owners)
        os.register_at_fork(
            before=held.take, after_in_parent=held.give, after_in_child=held.give_in_child
        )


_RENEWED = WeakSet()


def renew_in_children(owner):
    """Call ``owner.renew()`` in each child that is forked while the owner is there.

    Threads of the parent may hold its locks at the fork, and are not there to release them.
    """
    _RENEWED.add(owner)


@in_forked_children
def _renew_all():
    for owner in list(_RENEWED):
        owner.renew()


class Turn:
    """A lock for what may take long: it is free in a forked child, and no fork waits for it."""

    def __init__(self):
        self.renew()
        renew_in_children(self)

    def renew(self):
        """Forget who holds it."""
        self._lock = threading.Lock()

    @property
    def lock(self):
        """The lock of this process, for a ``with`` statement."""
        return self._lock
