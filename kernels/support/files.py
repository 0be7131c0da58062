"""Files are written atomically: a path holds the complete new file, or what was there before."""

import contextlib
import os
import re
import secrets
from functools import lru_cache

from .forks import in_forked_children

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None


def write_whole(path, content, sync=False, mode=0o666):
    """Write `content` to `path` atomically; see `whole_file`."""
    with whole_file(path, sync, mode) as file:
        file.write(content)


@contextlib.contextmanager
def whole_file(path, sync=False, mode=0o666):
    """Open a binary file that becomes `path` when the block ends; not if the block raises.

    The file has the permissions `mode`, less those that the user's umask takes; for a link, its
    target is written. `sync` waits until the file is on the disk. After an error `path` is as it
    was before. A process that is killed may leave a file ``.name.*``; where the system has files
    without a name, it does so only while a complete file replaces another. The next process that
    writes `path` removes it, but on Windows.

    Raises
    ------
    OSError
        If `path` cannot be written, or is a folder or a device.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is not a regular file")
    _remove_left(path)
    temporary = path.with_name(f"{_start(path)}{secrets.token_hex(8)}")
    try:
        handle = _open_unnamed(path.parent, mode)
        unnamed = handle is not None
        if not unnamed:
            handle = _open_named(temporary, mode, path)
        with os.fdopen(handle, "w+b") as file, _locked(handle):
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
            is_beside = not unnamed or _is_named_beside(file, path, temporary)
            file.close()  # it may fail, and Windows renames no open file
            if is_beside:
                os.replace(temporary, path)
        if sync:
            _sync_folder(path.parent)
    except OSError as error:
        if error.filename is None and error.errno is not None:  # such as that of a full disk
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)  # it exists if something failed


def _start(path):
    """Return how the temporary names of a file begin; 16 hexadecimal digits follow."""
    return f".{os.fsencode(path.name)[:200].decode(errors='ignore')}."


@lru_cache(maxsize=256)  # once for a file: it reads the names in a folder
def _remove_left(path):
    """Remove what processes that were killed left of a file; those that write hold a lock."""
    if fcntl is None:
        return
    left = re.compile(re.escape(_start(path)) + "[0-9a-f]{16}")
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for name in [each.name for each in entries if left.fullmatch(each.name)]:
            _remove_unlocked(path.with_name(name))


in_forked_children(_remove_left.cache_clear)  # a child may write what one before it left


def _remove_unlocked(path):
    with contextlib.suppress(OSError):  # it is locked, or has its name by now
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(handle)


def _open_named(temporary, mode, path):
    """Return the handle of a new file, locked; errors name the path of the caller."""
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
    while True:
        try:
            handle = os.open(temporary, flags, mode)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
        if _lock(handle) and os.fstat(handle).st_nlink:
            return handle
        os.close(handle)  # another process locked or removed it first
        temporary.unlink(missing_ok=True)


def _lock(handle):
    """Lock a file; return whether no other process has locked it, which would hold this one up."""
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nothing is removed there
        pass
    return True


@contextlib.contextmanager
def _locked(handle):
    """Lock a file until the block ends, also where it is closed before."""
    if fcntl is None:  # an open file, as a second handle makes it, could not be renamed
        yield
        return
    again = os.dup(handle)
    try:
        _lock(again)
        yield
    finally:
        os.close(again)


def _open_unnamed(folder, mode):
    """Return the handle of a file without a name, or None if the system has none."""
    if not (hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd")):
        return None
    with contextlib.suppress(OSError):  # not supported, or what a named file will raise too
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, mode)
    return None


def _is_named_beside(file, path, temporary):
    """Name an unnamed file `path`; or `temporary` if there is a file at `path`: return whether."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # Python follows the link in /proc only with a folder
        here = {"src_dir_fd": folder, "follow_symlinks": True}
        try:
            os.link(f"/proc/self/fd/{file.fileno()}", path, **here)
            return False
        except FileExistsError:
            os.link(f"/proc/self/fd/{file.fileno()}", temporary, **here)
            return True
    finally:
        os.close(folder)


def _sync_folder(folder):
    """Wait until the names in a folder are on the disk, if the system supports it."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some file systems do not support it
            os.fsync(handle)
    finally:
        os.close(handle)
