"""What native libraries write to stderr by themselves, past Python."""

import os
import sys

_STDERR = 2


def drop_native_stderr():
    """From now on drop what native code writes to stderr; what Python writes goes where it went.

    polars tells at length where one of its threads panicked, also where that becomes an
    exception, and maybe later: of a damaged file a command says one line.
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
