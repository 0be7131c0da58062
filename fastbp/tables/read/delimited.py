"""Rows of text in UTF-8: a header of distinct names, and rows with one field for each.

polars fills short rows with nulls, cuts long ones where not all columns are asked for,
and renames duplicates, all silently. So files are scanned once before they are read.
"""

import codecs
import csv
import io
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...errors import DataError

_BLOCK = 1 << 17
# rows are read in pieces of about so many bytes, or so many for each column: polars takes about
# twelve times as much for one, and is as fast as with a whole file, for which it takes 130 MB
_PIECE = 1 << 21
_PIECE_OF_COLUMN = 1 << 12
_NEWLINE, _RETURN, _QUOTE = b'\n\r"'
# longer headers are not read: the file is something else
_LONGEST_HEADER = 1 << 24


class Unfit(DataError):
    """A file is not as its first rows are: it may be in another encoding, or loosely written.

    `place` is where, in bytes; `loose` says whether it is the writing.
    """

    def __init__(self, message: str, place: int, loose: bool) -> None:
        super().__init__(message)
        self.place = place
        self.loose = loose

    def __reduce__(self):
        return type(self), (str(self), self.place, self.loose)


class Place(NamedTuple):
    """A place in a file: how many bytes, and how many lines, are before it."""

    offset: int
    lines: int


class Shape(NamedTuple):
    """The number of rows, and the places of blank lines, (n,), from 0 for the first line.

    The rows lie in pieces of some MiB, between one of `cuts` and the next; a line is a row here,
    blank or not, or one of several physical lines.
    """

    rows: int
    blank: npt.NDArray[np.int64]
    cuts: list[Place]

    @property
    def starts(self) -> list[int]:
        """The number of rows before each of the cuts."""
        lines = [cut.lines for cut in self.cuts]
        blanks = np.searchsorted(self.blank, lines)
        rows = np.subtract(lines, blanks)
        return (rows - rows[0]).tolist()

    @property
    def row_bytes(self) -> int:
        """The bytes of a row, on average."""
        return (self.cuts[-1].offset - self.cuts[0].offset) // max(1, self.rows)


class Row(NamedTuple):
    """The fields of the first row, and the places `before` and `after` it."""

    fields: list[str]
    before: Place
    after: Place


def first_row(name: str, path: Path, separator: str, skip: int) -> Row:
    """Return the first row that is not blank behind `skip` lines; DataError if it cannot be one."""
    row = bytearray()
    with open(path, "rb") as file:
        for _ in islice(file, skip):
            pass
        before = file.tell()
        reader = csv.reader(_lines(name, file, row), delimiter=separator, strict=True)
        try:
            fields = next(reader, [])
        except UnicodeDecodeError as error:
            raise not_utf8(name, "its header", before + len(row) + error.start) from error
        except csv.Error as error:
            raise DataError(
                f"{name}: its header cannot be read, a quote in it is not closed, or a name has "
                f"more than {csv.field_size_limit():,} characters: {error}"
            ) from error
        after = file.tell()
    if b"\0" in row:
        raise DataError(f"{name} holds NUL bytes in its header: it is not a text file in UTF-8")
    if not row:
        raise DataError(f"{name} is empty: expected a header and rows")
    if not any(field.strip() for field in fields):
        raise DataError(f"{name} has no header: expected the names of its columns in its first row")
    lines = skip + row.count(b"\n")
    return Row(fields, Place(before, skip), Place(after, lines))


def _lines(name, file, row):
    """Yield the lines of a row as text as long as more are asked for, and keep them in `row`."""
    while line := file.readline(_LONGEST_HEADER):
        text = line.decode("utf-8" if row else "utf-8-sig")
        row += line
        if len(row) >= _LONGEST_HEADER:
            raise DataError(f"{name} has a header of more than {_LONGEST_HEADER:,} bytes")
        yield from io.StringIO(text, newline="")  # it may end in CR


def look_through(
    name: str, path: Path, separator: str, columns: int, offset: int, hint: str = ""
) -> Shape:
    """Return the `Shape` of the rows of `columns` fields that begin at byte `offset`.

    DataError, with the row and a further `hint`, if a row has another number of fields, a quote
    is not closed, or there are NUL bytes; `Unfit` if it is not UTF-8, lines end in CR, or
    quotes are within fields.
    """
    scan = _Scan(name, separator, columns, offset, hint)
    with open(path, "rb") as file:
        file.seek(offset)
        while block := file.read(_BLOCK):
            scan.take(block)
    return scan.finish()


class _Scan:
    """Counts the fields of each row, block by block.

    A mark is a separator, a line end or a quote; of those outside quotes, a row with n
    fields has n, the last of which is its line end.
    """

    def __init__(self, name, separator, columns, offset, hint):
        self.name = name
        self.hint = hint
        self.offset = offset
        self.columns = columns
        self.separator = ord(separator)
        self.decoder = codecs.getincrementaldecoder("utf-8")()
        self.ended = 0  # rows and blank lines that ended
        self.blank = []
        self.piece = max(_PIECE, _PIECE_OF_COLUMN * columns)
        self.cuts = [Place(offset, 0)]
        self.fields = 0  # the marks of the row that goes on, and its bytes
        self.length = 0
        self.in_quotes = False
        self.last = _NEWLINE  # the byte before the block
        # the bytes before a quote that opens, and behind one that closes: two in a field are one
        self.may_stand_before = np.zeros(256, bool)
        self.may_stand_before[[self.separator, _NEWLINE, _QUOTE]] = True
        self.may_stand_behind = self.may_stand_before.copy()
        self.may_stand_behind[_RETURN] = True

    def take(self, block):
        self._check_text(block)
        data = np.frombuffer(block, np.uint8)
        # three comparisons: a table of 256 flags takes twice as long
        is_mark = (data == self.separator) | (data == _NEWLINE) | (data == _QUOTE)
        places = np.flatnonzero(is_mark)
        marks = data[places]
        quotes = marks == _QUOTE
        if self.last == _QUOTE and not self.in_quotes:
            self._check_quotes(np.insert(data[:1], 0, _QUOTE), np.zeros(0, int), np.zeros(1, int))
        if self.in_quotes or quotes.any():
            inside = (np.cumsum(quotes) + self.in_quotes) % 2 == 1
            self._check_quotes(data, places[quotes & inside], places[quotes & ~inside])
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
            end = self.offset - len(block) + int(places[ends[-1]]) + 1
            if end - self.cuts[-1].offset >= self.piece:
                self.cuts.append(Place(end, self.ended))
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
                line = self.ended + int(row)
                message = (
                    f"{self.name}: row {self._row(line):,} has {fields[row]:,} fields but the "
                    f"header names {self.columns:,}: mend the row, or put quotes around fields "
                    f"with separators{self.hint}"
                )
                if _RETURN in data[max(0, start) : places[row] - 1]:
                    raise Unfit(message, self.offset, loose=True)
                raise DataError(message)
            self.blank.append(self.ended + int(row))

    def _check_quotes(self, data, opening, closing):
        """Raise `Unfit` if a quote does not begin a field, or not end it: it is a character."""
        before = np.where(opening > 0, data[opening - 1], self.last)
        behind = data[closing[closing < len(data) - 1] + 1]
        if not (self.may_stand_before[before].all() and self.may_stand_behind[behind].all()):
            raise Unfit(f"{self.name} has quotes within fields", self.offset, loose=True)

    def _row(self, line):
        """Return the number of the row, from 1, in a line from 0."""
        return line + 1 - len(self.blank)

    def _check_text(self, block):
        if 0 in block:
            near = self._row(self.ended + block[: block.index(0)].count(b"\n"))
            raise DataError(
                f"{self.name} holds NUL bytes near row {near:,}: it is damaged, or no text in UTF-8"
            )
        try:
            self.decoder.decode(block)
        except UnicodeDecodeError as error:
            near = self._row(self.ended + block[: error.start].count(b"\n"))
            raise not_utf8(self.name, f"row {near:,}", self.offset + error.start) from error
        self.offset += len(block)

    def finish(self):
        if self.in_quotes:
            raise DataError(
                f"{self.name}: a quote is opened in row {self._row(self.ended):,} "
                "and never closed: close it, or double it if it is a part of the field"
            )
        if self.length:
            self.take(b"\n")  # the last line has no line end
        rows = self.ended - len(self.blank)
        cuts = [*self.cuts, Place(self.offset, self.ended)]
        return Shape(rows, np.array(self.blank, np.int64), cuts)


def not_utf8(name: str, where: str, place: int) -> Unfit:
    """Return the error of text that is not UTF-8, near byte `place`."""
    message = f"{name} is not UTF-8 near {where}: it is damaged, or `encoding` says what it is"
    return Unfit(message, place, loose=False)
