"""What a forked child must know: that it was forked, whose threads may be missing, and its locks.

Threads do not live on in a forked child. A library that used threads in the parent may wait in the
child for those that are missing, without end, or end the process, as OpenMP does. It does not
matter which library started them.
"""

import contextlib
import logging
import os
import threading
import time
from pathlib import Path

_SELF = Path("/proc/self")
# libraries that keep threads for parallel loops, by what their files are called: those of OpenMP,
# of TBB, and Numba's own
_RUNTIMES = ("libgomp", "libiomp", "libomp", "libtbb", "omppool", "tbbpool", "workqueue")
# seconds between the begin of a process and what it does first that are certainly no fork's
_SLACK = 0.05


def began_forked():
    """Return whether this process is the fork of one that ran Python before, as far as is known.

    The system gives each program that it starts other addresses, and a fork those of its parent.
    If the parent has ended, a module that was imported before the process began tells it.
    """
    try:
        own = (_SELF / "auxv").read_bytes()
    except OSError:
        return False
    with contextlib.suppress(OSError):
        if own == Path(f"/proc/{os.getppid()}/auxv").read_bytes():
            return True
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return _age_of_logging() > _age_of_process() + _SLACK
    return False


def _age_of_process():
    """Return for how many seconds the process has run, to 0.01 s."""
    words = (_SELF / "stat").read_text().rpartition(")")[2].split()
    began = int(words[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began


def _age_of_logging():
    """Return the seconds since logging was imported, which all that is large imports."""
    record = logging.makeLogRecord({})
    return time.time() - (record.created - record.relativeCreated / 1000)


class _Forked:
    """Whether this process was forked, and what it has to do then, once."""

    def __init__(self):
        self.is_forked = began_forked()
        self._forget = []

    def __call__(self):
        """Note in a child that it was forked."""
        self.is_forked = True
        for forget in self._forget:
            forget()

    def then(self, forget):
        """Call a function in each forked child."""
        self._forget.append(forget)


_forked = _Forked()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def was_forked():
    """Return whether this process was forked, or is that of a parent that was."""
    return _forked.is_forked


def in_forked_children(forget):
    """Call ``forget()`` in each child that is forked from now on; return the function."""
    _forked.then(forget)
    return forget


def may_lack_threads():
    """Return whether this process was forked, and its parent may have run parallel loops.

    It has not where no library for these is loaded, as in a server that forks before it imports.
    """
    return was_forked() and _has_runtime()


def _has_runtime():
    try:
        maps = (_SELF / "maps").read_text(errors="replace")
    except OSError:  # no such system: it may have
        return True
    names = {line.rpartition("/")[2] for line in maps.splitlines() if "/" in line}
    return any(runtime in name for name in names for runtime in _RUNTIMES)


def safe_lock():
    """Return a re-entrant lock that no thread holds in a forked child but the one that forks.

    A fork waits until other threads have left it. It is held for moments, and never given up.
    """
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
        )
    return lock
