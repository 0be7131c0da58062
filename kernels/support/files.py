"""Files are written atomically: a path holds the complete new file, or what was there before."""

import contextlib
import os
import secrets


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
    without a name, it does so only while a complete file replaces another.

    Raises
    ------
    OSError
        If `path` cannot be written, or is a folder or a device.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is not a regular file")
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}")
    handle = _open_unnamed(path.parent, mode)
    unnamed = handle is not None
    if not unnamed:
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
        try:
            handle = os.open(temporary, flags, mode)
        except OSError as error:  # name the path of the caller
            raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
            if unnamed:
                _name(file, path, temporary)
        if temporary.exists():
            os.replace(temporary, path)
        if sync:
            _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)  # it exists if something failed


def _open_unnamed(folder, mode):
    """Return the handle of a file without a name, or None if the system has none."""
    if not (hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd")):
        return None
    with contextlib.suppress(OSError):  # not supported, or what a named file will raise too
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, mode)
    return None


def _name(file, path, temporary):
    """Name an unnamed file `path`, or `temporary` if there is a file at `path`."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # Python follows the link in /proc only with a folder
        here = {"src_dir_fd": folder, "follow_symlinks": True}
        try:
            os.link(f"/proc/self/fd/{file.fileno()}", path, **here)
        except FileExistsError:
            os.link(f"/proc/self/fd/{file.fileno()}", temporary, **here)
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
