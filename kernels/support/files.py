"""Writing a file as a whole: it has its name when it is complete, and not before."""

import contextlib
import os
import secrets


def write_whole(path, content, sync=False):
    """Write `content` to `path` so that no reader ever sees a part of it; see `whole_file`."""
    with whole_file(path, sync) as file:
        file.write(content)


@contextlib.contextmanager
def whole_file(path, sync=False):
    """Open a binary file that becomes `path` when the block ends, and never where it raises.

    The file has the permissions that the user's umask gives; of a link, what it points to
    is written. `sync` waits until it is on the disk. What cannot be written leaves `path`
    as it was. Where the system has files without a name, a process that is killed leaves
    nothing behind, but where it dies in the moment in which a complete file replaces another;
    then, and elsewhere, it leaves ``.name.*``.

    Raises
    ------
    OSError
        If `path` cannot be written, or is a folder or a device.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is not a regular file")
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}")
    handle = _open_unnamed(path.parent)
    unnamed = handle is not None
    if not unnamed:
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
        try:
            handle = os.open(temporary, flags, 0o666)
        except OSError as error:  # in the name that the caller knows
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
        temporary.unlink(missing_ok=True)  # where something failed, it is still there


def _open_unnamed(folder):
    """Return the handle of a file that has no name yet, or None where there are none such."""
    if not (hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd")):
        return None
    with contextlib.suppress(OSError):  # of the file system, or what a named file will meet too
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666)
    return None


def _name(file, path, temporary):
    """Give an unnamed file its name if that is free, else a temporary one to replace it from."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # only with a folder does Python follow the link that /proc has for the file
        here = {"src_dir_fd": folder, "follow_symlinks": True}
        try:
            os.link(f"/proc/self/fd/{file.fileno()}", path, **here)
        except FileExistsError:
            os.link(f"/proc/self/fd/{file.fileno()}", temporary, **here)
    finally:
        os.close(folder)


def _sync_folder(folder):
    """Wait until the names in a folder are on the disk, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some file systems have no such thing
            os.fsync(handle)
    finally:
        os.close(handle)
