"""A text file of rows: its encoding and dialect are told from its first rows, then it is read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from msgspec import structs

from ...errors import DataError
from ...kernels.support.once import cached_property
from ...memory import bytes_shown
from ..options import ReadOptions
from ..wording import counted, listed, shown
from .cells import total_in
from .delimited import Shape, Unfit, first_row, look_through
from .dialect import OF_SUFFIX, RUNS, SEPARATORS, Dialect, Known, sniff
from .encodings import UTF8, decoded, encoding_of
from .naming import Like, distinct, names_of
from .notes import say, step, warn, warn_of_total
from .plain import in_utf8, tidied
from .readers import Span, cut, reported
from .scratch import Scratch

SAMPLE = 1 << 18
_TAIL = 1 << 12  # bytes in which the last row lies, if it is one of totals
# a longer first line is the header of no table
_LONGEST_LINE = 1 << 24
# what polars takes of memory for a piece of text, in its bytes: 8 to 16
_TIMES = 8
_REWRITTEN = "rewritten, for lines end in CR, or blanks stand around fields, or quotes within"
_CALLED = {"\t": "tabs", " ": "blanks", RUNS: "blanks"}


class TextReader:
    """Reads rows of text: all columns are text, blank lines are no rows.

    `unnamed` are the columns that the file has no name for.

    Parameters
    ----------
    name, path : str, Path
        The name for messages, and where the file lies.
    how : ReadOptions
        What the user settled.
    like : Like, optional
        The table of the model that this one is for.
    suffix : str
        The end of the file's name, a hint on its separator.
    before : TextReader, optional
        That of another file of the table: one that begins with the same header is written alike.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        how: ReadOptions,
        like: Like | None = None,
        suffix: str = "",
        before: TextReader | None = None,
    ) -> None:
        self.name = name
        self._original = path
        self._how, self._like = how, like
        self._usual = OF_SUFFIX.get(suffix, ",")
        self._kept: Scratch | None = None
        self.encoding: str
        self.dialect: Dialect
        if before is not None and before.begins(path):
            self.encoding = before.encoding
            self.dialect = structs.replace(before.dialect, doubt=False)  # of its first row
        else:
            self._look(suffix)
        try:
            self._settle()
        except Unfit as error:
            self._adapt(error)
            self._settle()
        self._tell()

    def _look(self, suffix):
        """Tell encoding and dialect from the first rows."""
        how, like = self._how, self._like
        sample, whole = _sample_of(self._original)
        self.encoding = how.encoding or encoding_of(sample)
        if self.encoding not in UTF8 and not how.encoding:
            self._tell_encoding()
        # of what cannot be decoded, the reading of the rows says where it is
        text = decoded(sample, self.encoding, whole) or sample.decode(self.encoding, "replace")
        header = how.header
        if header is None and like is not None and like.reading.header:
            header = True
        names = like.names if like else frozenset()
        count = len(like.reading.columns) if like else 0
        widths = (count, count - 1) if count and not header else ()
        asked = how.named_columns
        known = Known(how.separator, how.skip_rows, header, names, widths, asked)
        self.dialect = sniff(text.removeprefix("\ufeff"), whole, known, suffix)

    @property
    def hint(self) -> str:
        """Where a column may be that the header lacks: in a later line, below a title."""
        is_doubtful = self.unnamed or not self.dialect.header
        told = "; if its header is a later line, `skip_rows` says how many are before it"
        return told if is_doubtful and not self._how.skip_rows else ""

    def begins(self, path: Path) -> bool:
        """Return whether another file begins with the bytes of the header of this one."""
        if self._kept or not self.dialect.header:
            return False
        length = self._start.offset
        with open(self._original, "rb") as own, open(path, "rb") as other:
            return own.read(length) == other.read(length)

    def _settle(self):
        """Find out where the rows lie, as UTF-8, and the names of the columns."""
        path, dialect = self._original, self.dialect
        self._kept = None
        if self.encoding not in UTF8:
            self._kept = in_utf8(self.name, path, self.encoding)
            path = self._kept.path
        if dialect.loose:
            self._kept = tidied(self.name, path, dialect)
            path = self._kept.path
            dialect = structs.replace(dialect, separator=",", skip=0)
        self._path, self._separator = path, dialect.separator
        row = first_row(self.name, path, dialect.separator, dialect.skip)
        names = names_of(self.name, row.fields, dialect, self._like)
        distinct(self.name, names.all)
        self._start = row.after if dialect.header else row.before
        for _ in range(dialect.under):
            self._start = first_row(self.name, path, self._separator, self._start.lines).after
        self.unnamed = names.unnamed
        self.schema = dict.fromkeys(names.all, pl.String)

    def _tell(self):
        """Say what is not as in plain CSV; warn of what may be told wrongly."""
        how, dialect = self._how, self.dialect
        if dialect.separator != self._usual and not how.separator:
            between = _CALLED.get(dialect.separator, shown(dialect.separator))
            say(self.name, f"fields are separated by {between}")
        if dialect.loose:
            say(self.name, _REWRITTEN)
        if dialect.skip and how.skip_rows is None:
            lines = counted(dialect.skip, "line")
            warn(self.name, f"{lines} before the table left out; `skip_rows` settles it")
        if not dialect.header and how.header is None and self._like is None:
            names = listed(self.schema, 2)
            warn(self.name, f"no header: columns are called {names}; `header` settles it")
        if dialect.beyond == "sign" and dialect.separator in SEPARATORS:
            sign = "the sign of a comment before the header left out"
            warn(self.name, f"{sign}; `skip_rows` settles it")
        if dialect.under:
            rows = counted(dialect.under, "row")
            warn(self.name, f"{rows} below the header left out, which describe it")
        if dialect.doubt and how.skip_rows is None:
            is_line = self._start.lines == dialect.skip + 1 and not dialect.loose
            header = f", or skip_rows={dialect.skip + 1} takes it as the header" * is_line
            what = f"leave it out{header}"
            warn(self.name, f"row 1 may be a second header, its words are there once: {what}")
        if self._like is None and (total := total_in(_last_row(self._path, self._separator))):
            warn_of_total(self.name, total)
        if self.unnamed:
            tell = warn if self._like is None else say
            tell(self.name, f"columns without a name are called {listed(self.unnamed)}")

    def _tell_encoding(self):
        if self.encoding.startswith("utf"):
            say(self.name, f"read as {self.encoding.upper()}")
        else:
            likely = f"not UTF-8: read as {self.encoding}, which is likely"
            warn(self.name, f"{likely}; `encoding` settles it")

    @cached_property
    def _shape(self) -> Shape:
        """The `Shape` of the rows, by reading them once."""
        step("reading", self.name, bytes_shown(self._path.stat().st_size))
        with reported(self.name):
            try:
                return self._look_through()
            except Unfit as error:
                self._adapt(error)
            self._settle()
            return self._look_through()

    def _look_through(self):
        width = len(self.schema)
        told = f"; or say what is between fields by `separator`, if not {shown(self._separator)}"
        hint = "" if self._how.separator else told
        return look_through(self.name, self._path, self._separator, width, self._start.offset, hint)

    def _adapt(self, unfit):
        """Read the file in another way from now on; raise where there is none."""
        if unfit.loose and not self.dialect.loose:
            say(self.name, _REWRITTEN)
            self.dialect = structs.replace(self.dialect, loose=True)
            return
        if unfit.loose or self.encoding not in UTF8 or self._how.encoding:
            raise unfit
        with open(self._original, "rb") as file:
            file.seek(max(0, unfit.place - SAMPLE // 2))
            encoding = encoding_of(file.read(SAMPLE))
        if encoding in UTF8:
            raise unfit
        self.encoding = encoding
        self._tell_encoding()

    def count(self) -> int:
        """Return the number of rows."""
        return self._shape.rows

    @property
    def row_bytes(self) -> int:
        """The bytes of a row in the file, on average."""
        return self._shape.row_bytes

    @property
    def bytes_at_once(self) -> int:
        """What polars takes for a piece of the file, at least."""
        return _TIMES * max(b.offset - a.offset for a, b in pairwise(self._shape.cuts))

    def frames(
        self, columns: Sequence[str], rows: int, span: Span | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield frames of some columns in order, one for each piece of the file."""
        if self.count() == 0:
            return
        first, last = span or (0, self.count())
        found = expected = 0
        starts = self._shape.starts
        with open(self._path, "rb") as file, reported(self.name):
            for places, (begin, end) in zip(
                pairwise(self._shape.cuts), pairwise(starts), strict=True
            ):
                if begin < last and first < end:
                    frame = self._piece(file, *places, columns)
                    found, expected = found + frame.height, expected + end - begin
                    yield from cut([frame], first - begin, last - begin)
        if found != expected:
            raise DataError(
                f"{self.name}: {found:,} of {expected:,} rows can be read: "
                "the file changed meanwhile"
            )

    def _piece(self, file, begin, end, columns):
        """Return some columns of the rows between two places of the file."""
        first, last = np.searchsorted(self._shape.blank, (begin.lines, end.lines))
        blank = self._shape.blank[first:last] - begin.lines
        # polars takes the number of fields from the first line
        leading = int(np.count_nonzero(blank == np.arange(len(blank))))
        file.seek(begin.offset)
        scan = pl.scan_csv(
            io.BytesIO(file.read(end.offset - begin.offset)),
            has_header=False,  # it was read above: polars renames duplicates
            skip_lines=leading,
            schema=self.schema,
            separator=self._separator,
        )
        if leading == end.lines - begin.lines:
            return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
        try:
            frame = scan.select(columns).collect()
        except pl.exceptions.ComputeError as error:
            where = f"between lines {begin.lines + 1:,} and {end.lines:,} of its rows"
            raise DataError(f"{self.name} cannot be read {where}: it changed meanwhile") from error
        if last == first:
            return frame
        keep = np.ones(frame.height, bool)
        keep[blank[leading:] - leading] = False
        return frame.filter(keep)


def _last_row(path, separator):
    """Return the fields of the last line of a file that is not blank."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        lines = file.read().decode(errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "")
    try:
        return next(csv.reader([last], delimiter=separator[0], skipinitialspace=True), [])
    except csv.Error:
        return []


def _sample_of(path):
    """Return the first bytes of a file, at least its first line, and whether that is all."""
    with open(path, "rb") as file:
        sample = file.read(SAMPLE)
        if len(sample) == SAMPLE and b"\n" not in sample and b"\r" not in sample:
            sample += file.readline(_LONGEST_LINE)
            sample += file.read(SAMPLE)
        return sample, not file.read(1)
