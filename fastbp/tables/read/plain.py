"""Text in any encoding and with any line ends, written anew as polars reads it."""

import codecs
import csv
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ...errors import DataError
from ...memory import bytes_shown
from .delimited import not_utf8
from .dialect import RUNS, Dialect, blanks_behind_quotes
from .notes import step
from .scratch import Scratch

_BLOCK = 1 << 20
# what the csv module says of quotes, and what is to be mended
_REFUSED = {
    "expected after": "text stands behind the quote that closes a field; double quotes within it",
    "end of data": "a quote is opened and never closed; close it, or double it within quotes",
}


def in_utf8(name: str, path: Path, encoding: str) -> Scratch:
    """Return a text file in UTF-8; DataError, with the line, if it is not in its encoding."""
    scratch = Scratch()
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    step("decoding", name, _size(path))
    with open(path, "rb") as file:
        while True:
            block = file.read(_BLOCK)
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                near = line + block[: error.start].count(b"\n")
                raise DataError(
                    f"{name} is not {encoding} near line {near:,}: it is damaged, or `encoding` "
                    "says what it is"
                ) from error
            scratch.file.write(text.encode())
            line += text.count("\n")
            if not block:
                break
    return scratch.written()


def tidied(name: str, path: Path, dialect: Dialect) -> Scratch:
    """Return a loosely written file in UTF-8 with commas, LF, and no lines before its rows.

    DataError, with the row, if it cannot be read.
    """
    scratch = Scratch()
    step("rewriting", name, _size(path))
    with (
        open(path, "rb") as raw,
        io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file,
        open(scratch.path, "w", encoding="utf-8", newline="") as out,
    ):
        lines: Iterator[str] = islice(file, dialect.skip, None)
        if dialect.separator == RUNS:
            lines = (line.replace("\t", " ").strip(" \r\n") + "\n" for line in lines)
        elif dialect.separator != " ":
            behind = blanks_behind_quotes(dialect.separator)
            lines = (behind.sub('"', line) for line in lines)
        rows = csv.reader(
            lines,
            delimiter=dialect.separator[0],
            skipinitialspace=dialect.separator != " ",
            strict=True,
        )
        write = csv.writer(out, lineterminator="\n").writerow
        line = dialect.skip + 1  # where the next row begins
        try:
            for row in rows:
                write(row)
                line = dialect.skip + 1 + rows.line_num
        except csv.Error as error:
            why = next((why for start, why in _REFUSED.items() if start in str(error)), str(error))
            raise DataError(f"{name}: line {line:,} cannot be read: {why}") from error
        except UnicodeDecodeError as error:
            raise not_utf8(name, f"line {line:,}", raw.tell()) from error
    return scratch.written()


def _size(path):
    return bytes_shown(path.stat().st_size)
