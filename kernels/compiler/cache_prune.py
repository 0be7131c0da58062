"""Removes the compiled kernels of old sources and versions."""

import contextlib
import os
import re
import stat
import time

from .cache_folder import DIGEST, LEVEL_FILE

_KEPT = 3
_DAY = 86400.0  # seconds
_UNUSED_DAYS = 90
_DIGEST = re.compile(r"[0-9a-f]{20}")
_FILE = rf"(\w+-[0-9a-f]{{20}}\.bin|{re.escape(LEVEL_FILE)})"
# such a file, or what a process that was killed left of one
_OURS = re.compile(rf"{_FILE}|\.{_FILE}\.[0-9a-f]{{16}}")


def note_use(folder):
    """Let the folder's time say that it is used, at most once a day."""
    with contextlib.suppress(OSError):  # it cannot be written, or is not there
        if abs(time.time() - folder.stat().st_mtime) > _DAY:
            os.utime(folder)


def folders_of_kernels(root):
    """Return the folders below `root` that hold nothing but compiled kernels, the last used first.

    Parameters
    ----------
    root : pathlib.Path
        The parent of `cache_folder`.
    """
    found = []
    with contextlib.suppress(OSError):  # there is no such folder
        for each in root.iterdir():
            with contextlib.suppress(OSError):  # another process removed it
                status = each.lstat()
                names = os.listdir(each) if stat.S_ISDIR(status.st_mode) else []
                ours = names and all(map(_OURS.fullmatch, names))
                if ours and _DIGEST.fullmatch(each.name):
                    found.append((status.st_mtime, each))
    return [each for _, each in sorted(found, reverse=True)]


def prune(root):
    """Remove compiled kernels below `root`, except the three folders used last, in 90 days.

    Those of this process are kept. A process that runs with one of the others has its kernels in
    memory, and compiles those again that it has not loaded yet.

    Returns
    -------
    list of pathlib.Path
        The folders that were removed.
    """
    last = time.time() - _UNUSED_DAYS * _DAY
    folders = folders_of_kernels(root)
    kept = [root / DIGEST]
    removed = []
    for each in folders:
        if each.name == DIGEST:
            continue
        with contextlib.suppress(OSError):  # it is another user's, or another process was faster
            if len(kept) < _KEPT and each.stat().st_mtime >= last:
                kept.append(each)
            else:
                _remove(each)
                removed.append(each)
    return removed


def _remove(folder):
    for name in os.listdir(folder):
        if _OURS.fullmatch(name):
            (folder / name).unlink(missing_ok=True)
    folder.rmdir()  # not if another program put a file there meanwhile
