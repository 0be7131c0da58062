"""Samples of weight 0 are no rows of the table: what is told of the others names rows of X."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident

from ..annotations import Array
from ..errors import DataError

_log = logging.getLogger("fastbp")
# values in quotes are as they were
_ROW = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\bin row (\d{1,3}(?:,\d{3})*)""")


@contextmanager
def told_by_rows_of_x(kept: Array) -> Iterator[None]:
    """Let errors and the log of this thread name rows of X, of which a table has those `kept`."""
    thread = get_ident()

    def moved(found):
        row = int((found[1] or "0").replace(",", ""))
        return f"in row {kept[row - 1] + 1:,}" if 1 <= row <= len(kept) else found[0]

    def move(record):
        if record.thread == thread:
            record.msg, record.args = _ROW.sub(moved, record.getMessage()), None
        return True

    _log.addFilter(move)
    try:
        yield
    except DataError as error:
        error.args = (_ROW.sub(moved, str(error)),)
        raise
    finally:
        _log.removeFilter(move)
