"""Messages that native libraries write to stderr, past Python."""

import os
import sys

_STDERR = 2


def drop_native_stderr():
    """Discard what native code writes to stderr from now on; Python's messages still appear.

    polars prints a report where one of its threads panics, also where that becomes an
    exception: for a damaged file a command prints one line.
    """
    stream = sys.stderr
    try:
        is_python_there = stream.fileno() == _STDERR
        kept = os.dup(_STDERR)
    except (AttributeError, OSError, ValueError):  # closed, or no file
        return
    if is_python_there:
        stream.flush()
        sys.stderr = os.fdopen(kept, "w", 1, encoding=stream.encoding, errors=stream.errors)
    else:
        os.close(kept)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, _STDERR)
    os.close(null)
