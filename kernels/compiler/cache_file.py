"""One file of the cache: written and read by those alone whom `cache_folder` trusts.

A file is sealed: it begins with a digest of its key and its payload. Under another name, for
another processor or with a changed byte it is not opened.
"""

import contextlib
import hashlib
import os
import stat

from ..support.files import write_whole
from .cache_folder import distrust

_SEAL_BYTES = 32
_MOST_BYTES = 1 << 24  # the largest kernel takes 0.1 MB
# a link is not followed, and a pipe is not waited for
_CAREFULLY = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY")
)


def read_sealed(path, key):
    """Return the payload that `write_sealed` wrote under this key, or None if there is none.

    Parameters
    ----------
    path : pathlib.Path
        The file. It and its folder must be trusted: see `distrust`.
    key : str
        All that the payload depends on.
    """
    try:
        with _opened(path) as file:
            content = None if file is None else file.read()
    except OSError:
        return None
    if content is None:
        return None
    seal, payload = content[:_SEAL_BYTES], content[_SEAL_BYTES:]
    return payload if seal == _seal(key, payload) else None


def write_sealed(path, key, payload):
    """Write a file for this user alone, in the place of whatever is there.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.lstat(path).st_mode):
            path.unlink()
    write_whole(path, _seal(key, payload) + payload, mode=0o600)


def _seal(key, payload):
    return hashlib.sha256(hashlib.sha256(key.encode()).digest() + payload).digest()


@contextlib.contextmanager
def _opened(path):
    """Open a regular file that is trusted, in a folder that is; None for another."""
    with contextlib.ExitStack() as closing:
        if os.open in os.supports_dir_fd:  # the folder that is judged is the one that is read
            flags = _CAREFULLY | os.O_DIRECTORY
            folder = os.open(path.parent, flags)
            closing.callback(os.close, folder)
            is_trusted = not distrust(os.fstat(folder))
            handle = os.open(path.name, _CAREFULLY, dir_fd=folder)
        else:
            is_trusted, handle = True, os.open(path, _CAREFULLY)
        file = closing.enter_context(os.fdopen(handle, "rb"))
        status = os.fstat(handle)
        is_trusted &= stat.S_ISREG(status.st_mode) and not distrust(status)
        yield file if is_trusted and status.st_size <= _MOST_BYTES else None
