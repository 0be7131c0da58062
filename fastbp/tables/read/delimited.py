"""CSV files: a header of distinct names, and rows with one field for each.

polars fills short rows with nulls, cuts long ones where not all columns are asked for,
and renames duplicates, all silently. So files are scanned once before they are read.
"""

import codecs
import csv
import gzip
import io
import re
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from ...errors import DataError

SEPARATORS = ",;\t|"
_BLOCK = 1 << 17
_NEWLINE, _RETURN, _QUOTE = b'\n\r"'
# longer headers are not read: the file is something else
_LONGEST_HEADER = 1 << 24


class Shape(NamedTuple):
    """The number of rows, and the places of blank lines, (n,), from 0 after the header."""

    rows: int
    blank: npt.NDArray[np.int64]


def open_bytes(path: Path) -> gzip.GzipFile | BinaryIO:
    """Open a file for reading bytes, unpacked if its name ends in ``.gz``."""
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else open(path, "rb")


def header(path: Path, separator: str) -> list[str]:
    """Return the names of the columns, from the first row; DataError if it is no header."""
    try:
        text = _first_row(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(path, "its header") from error
    if "\0" in text:
        raise DataError(f"{path} holds NUL bytes in its header: it is not a text file in UTF-8")
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise DataError(
            f"{path}: its header cannot be read, a quote in it is not closed, or a name has more "
            f"than {csv.field_size_limit():,} characters: {error}"
        ) from error
    if len(lines) > 1:
        raise DataError(f"{path} has lines that end in CR alone: convert them to LF or CR LF")
    names = lines[0] if lines else []
    if not any(name.strip() for name in names):
        raise DataError(f"{path} has no header: expected the names of its columns in its first row")
    for place, name in enumerate(names, 1):
        if not name.strip():
            where = f"column {place} of {len(names)}"
            raise DataError(f"{path}: {where} has no name in the header: give it one")
    return names


def separator_of(path: Path) -> str:
    """Return the separator of a header: a comma, else a semicolon, a tab or a bar."""
    outside = re.sub(rb'"[^"]*"', b"", _first_row(path))
    return next((s for s in SEPARATORS if s.encode() in outside), SEPARATORS[0])


def _first_row(path):
    """Return the first row as bytes, over several lines if a quoted field has line ends."""
    row = bytearray()
    quotes = 0
    with open_bytes(path) as file:
        while True:
            line = file.readline(_LONGEST_HEADER)
            row += line
            quotes += line.count(b'"')
            if not line or (quotes % 2 == 0 and line.endswith(b"\n")):
                break
            if len(row) >= _LONGEST_HEADER:
                raise DataError(f"{path} has a header of more than {_LONGEST_HEADER:,} bytes")
    if not row:
        raise DataError(f"{path} is empty: expected a header and rows")
    return bytes(row).removesuffix(b"\n").removesuffix(b"\r")


def look_through(path: Path, separator: str, columns: int) -> Shape:
    """Return the `Shape` of a file whose header names `columns` columns.

    DataError, with the row, if a row has another number of fields, a quote is not closed, or
    the file is not UTF-8 or has NUL bytes.
    """
    scan = _Scan(path, separator, columns)
    with open_bytes(path) as file:
        while block := file.read(_BLOCK):
            scan.take(block)
    return scan.finish()


class _Scan:
    """Counts the fields of each row, block by block.

    A mark is a separator, a line end or a quote; of those outside quotes, a row with n
    fields has n, the last of which is its line end.
    """

    def __init__(self, path, separator, columns):
        self.path = path
        self.columns = columns
        self.separator = ord(separator)
        self.decoder = codecs.getincrementaldecoder("utf-8")()
        self.ended = 0  # rows and blank lines that ended, the header too
        self.blank = []
        self.fields = 0  # the marks of the row that goes on, and its bytes
        self.length = 0
        self.in_quotes = False
        self.last = _NEWLINE  # the byte before the block

    def take(self, block):
        self._check_text(block)
        data = np.frombuffer(block, np.uint8)
        # three comparisons: a table of 256 flags takes twice as long
        is_mark = (data == self.separator) | (data == _NEWLINE) | (data == _QUOTE)
        places = np.flatnonzero(is_mark)
        marks = data[places]
        quotes = marks == _QUOTE
        if self.in_quotes or quotes.any():
            inside = (np.cumsum(quotes) + self.in_quotes) % 2 == 1
            self.in_quotes = bool(inside[-1]) if inside.size else self.in_quotes
            outside = ~(inside | quotes)
            places, marks = places[outside], marks[outside]
        ends = np.flatnonzero(marks == _NEWLINE)
        if ends.size == 0:
            self.fields += len(marks)
            self.length += len(block)
        else:
            self._check_fields(data, ends, places[ends])
            self.ended += len(ends)
            self.fields = len(marks) - 1 - int(ends[-1])
            self.length = len(block) - 1 - int(places[ends[-1]])
        self.last = block[-1]

    def _check_fields(self, data, ends, places):
        fields = np.diff(ends, prepend=-1)
        fields[0] += self.fields
        for row in np.flatnonzero(fields != self.columns):
            start = int(places[row - 1]) + 1 if row else -self.length
            length = int(places[row]) - start
            before = data[places[row] - 1] if places[row] else self.last
            if length > 1 or (length == 1 and before != _RETURN):
                raise DataError(
                    f"{self.path}: row {self._row(self.ended + int(row)):,} has {fields[row]:,} "
                    f"fields but the header names {self.columns:,}: mend the row, or put quotes "
                    "around fields with separators"
                )
            self.blank.append(self.ended + int(row) - 1)

    def _row(self, line):
        return line - len(self.blank)

    def _check_text(self, block):
        if 0 in block:
            near = self._row(self.ended) + block[: block.index(0)].count(b"\n")
            raise DataError(
                f"{self.path} holds NUL bytes near row {near:,}: it is damaged, or no text in UTF-8"
            )
        try:
            self.decoder.decode(block)
        except UnicodeDecodeError as error:
            near = self._row(self.ended) + block[: error.start].count(b"\n")
            raise _not_utf8(self.path, f"row {near:,}") from error

    def finish(self):
        if self.in_quotes:
            raise DataError(
                f"{self.path}: a quote is opened in row {self._row(self.ended):,} "
                "and never closed: close it, or double it if it is a part of the field"
            )
        if self.length:
            self.take(b"\n")  # the last line has no line end
        try:
            self.decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            raise _not_utf8(self.path, f"row {self._row(self.ended):,}, the last") from error
        rows = self.ended - 1 - len(self.blank)
        return Shape(rows, np.array(self.blank, np.int64))


def _not_utf8(path, place):
    return DataError(
        f"{path} is not UTF-8 near {place}: convert it, as with iconv -f LATIN1 -t UTF-8, "
        "or, if it is no text, give it the suffix of its format"
    )
