"""Writing a file as a whole: under a temporary name, then renamed."""

import os
import secrets


def write_whole(path, content, sync=False):
    """Write `content` to `path` so that no reader ever sees a part of it.

    The file has the permissions that the user's umask gives; of a link, what it points to
    is written. `sync` waits until it is on the disk. What cannot be written leaves `path`
    as it was.

    Raises
    ------
    OSError
        If `path` cannot be written, or is a folder or a device.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is not a regular file")
    name = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    handle = os.open(name, flags, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(name, path)
    finally:
        name.unlink(missing_ok=True)  # where something failed, it is still there
