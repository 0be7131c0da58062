"""A reader for each file, or frame, of a table: its columns, number of rows, and rows as frames."""

from __future__ import annotations

import errno
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import Any, Protocol, TypeAlias

import numpy as np
import polars as pl

from ...errors import DataError
from ..wording import one_line, shown
from .naming import distinct

# pyo3's panics are no Exception; damaged files can cause them
_FAILURES = (
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    NotImplementedError,  # of a packing within a zip
)
# rows from one number up to another
Span: TypeAlias = tuple[int, int]
# objects, headers and packings that NumPy refuses, and shapes larger than memory
_BAD_ARRAYS = (ValueError, RuntimeError, MemoryError, OverflowError, SyntaxError, TokenError)


# what this process or machine lacks, and no file is to blame for: handles, threads, disk, memory
_LACKS = {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOSPC, errno.EDQUOT, errno.ENOMEM}
# how polars tells the number of an error of the system
_NUMBER = re.compile(r"Os \{ code: (\d+)|\(os error (\d+)\)")


@contextmanager
def reported(name):
    """Turn what polars, zlib and the system raise into a `DataError` that names the part.

    A lack of the process or the machine, such as of handles of files, is an OSError that names it.
    """
    try:
        yield
    except _FAILURES as error:
        number = getattr(error, "errno", None) or _number_in(error)
        if number in _LACKS:
            raise OSError(number, os.strerror(number), str(name)) from error
        reason = getattr(error, "strerror", None)  # of the system, in its words
        if reason:
            raise DataError(f"{name} cannot be opened: {reason}") from error
        raise DataError(
            f"{name} cannot be read, it may be damaged or of another format than its name says: "
            f"{one_line(error) or type(error).__name__}"
        ) from error


def _number_in(error):
    found = _NUMBER.search(str(error))
    return int(found[1] or found[2]) if found else None


def cut(frames: Iterable[pl.DataFrame], first: int, last: int) -> Iterator[pl.DataFrame]:
    """Yield the rows from number `first` up to `last` of frames, and look at none behind them."""
    row = 0
    for frame in frames:
        begin, end = max(first - row, 0), min(last - row, frame.height)
        if begin < end:
            yield frame[begin:end]
        row += frame.height
        if row >= last:
            return


class FrameReader:
    """Reads a frame in memory; `unnamed` are the columns that its file had no name for."""

    row_bytes = bytes_at_once = 0

    def __init__(self, name: str, frame: pl.DataFrame, unnamed: tuple[str, ...] = ()) -> None:
        self.name = name
        self.frame = frame
        self.unnamed = unnamed
        self.schema = dict(frame.schema)

    def count(self) -> int:
        """Return the number of rows."""
        return self.frame.height

    def frames(
        self, columns: Sequence[str], rows: int, span: Span | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield views of some columns in order, of at most `rows` rows each."""
        frame = self.frame.select(columns)
        yield from (frame if span is None else frame[slice(*span)]).iter_slices(rows)


class ScanReader:
    """Reads what polars scans; `has_count` if the file holds its number of rows."""

    row_bytes = bytes_at_once = 0

    def __init__(self, name: str, scan: pl.LazyFrame, has_count: bool = False) -> None:
        self.name = name
        self.scan = scan
        self.has_count = has_count
        with reported(name):
            self.schema = dict(scan.collect_schema())

    def count(self) -> int:
        """Return the number of rows."""
        with reported(self.name):
            return self.scan.select(pl.len()).collect(engine="streaming").item()

    def frames(
        self, columns: Sequence[str], rows: int, span: Span | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield frames of some columns in order, of about `rows` rows each."""
        found = 0
        scan = self.scan.select(columns)
        if span is not None:
            scan = scan.slice(span[0], span[1] - span[0])
        with reported(self.name):
            # on its own threads; to leave the generator early ends the scan
            for frame in scan.collect_batches(chunk_size=rows):
                found += frame.height
                yield frame
        self._check(found, span)

    def _check(self, found, span=None):
        """Raise DataError where damage ended the rows without an error, as a thread of polars."""
        if not self.has_count:
            return
        expected = self.count() if span is None else span[1] - span[0]
        if found != expected:
            raise DataError(
                f"{self.name}: {found:,} of {expected:,} rows can be read: it is damaged"
            )


class Reader(Protocol):
    """Reads a part: `name` is for messages, `schema` has the polars type of each column."""

    name: str
    schema: dict[str, Any]

    @property
    def row_bytes(self) -> int:
        """The bytes of a row of text, on average; 0 of other formats."""

    @property
    def bytes_at_once(self) -> int:
        """What reading takes beside the frame, at least; 0 of other formats."""

    def count(self) -> int:
        """Return the number of rows."""

    def frames(
        self, columns: Sequence[str], rows: int, span: Span | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield frames of some columns in order, of about `rows` rows each: of all, or a span."""


def arrays_of(name: str, path: Path) -> FrameReader:
    """Return the arrays of an ``.npz`` archive; DataError if it holds something else."""
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise DataError(f"{name} is no .npz archive, or its end is missing")
        file.seek(0)
        try:
            with np.load(file, allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in archive.files}
        except _BAD_ARRAYS as error:
            raise DataError(f"{name} cannot be read as arrays: {one_line(error)}") from error
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise DataError(f"{name}: {shown(key)} in the archive is no array")
    return from_arrays(name, arrays)


def from_arrays(name, arrays):
    """Return the part of arrays by name: (n,) is a column, (n, k) of `X` is X0 to X<k-1>.

    A single column (n, 1) has the array's name. DataError for other ranks or dtypes, and for
    several lengths.
    """
    columns: list[pl.Series] = []
    for key, value in arrays.items():
        array = np.asarray(value)
        if array.dtype == object and array.ndim == 1:
            columns.append(_of_objects(name, key, array))
            continue
        if array.ndim not in (1, 2) or array.dtype.kind not in "biufUmM":
            raise DataError(
                f"{name}: array {shown(key)} has shape {array.shape} and dtype {array.dtype}: "
                "expected (n,) or (n, k) of numbers, booleans, text or dates"
            )
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        parts = {key: array} if array.ndim == 1 else {f"{key}{i}": a for i, a in enumerate(array.T)}
        columns += [pl.Series(column, _native(part)) for column, part in parts.items()]
    distinct(name, [column.name for column in columns])
    lengths = {len(column): column.name for column in columns}
    if len(lengths) > 1:
        (one, key), (other, another) = list(lengths.items())[:2]
        raise DataError(
            f"{name}: array {shown(key)} has {one:,} rows but {shown(another)} has {other:,}"
        )
    return FrameReader(name, pl.DataFrame(columns))


def _of_objects(name, key, array):
    """Return objects of one type as a series; None and NaN are missing."""
    try:
        return pl.Series(key, [None if value != value else value for value in array.tolist()])
    except TypeError as error:
        raise DataError(
            f"{name}: array {shown(key)} holds objects of several types: expected numbers, "
            "booleans, text or dates"
        ) from error


def _native(array):
    """Return an array that polars takes: contiguous, of this machine's byte order."""
    kind = array.dtype.kind
    units = {"m": ("ms", "us", "ns"), "M": ("D", "ms", "us", "ns")}
    if kind in units and np.datetime_data(array.dtype)[0] not in units[kind]:
        array = array.astype(f"{kind}8[us]")
    elif array.dtype == np.float16 or array.dtype == np.longdouble:
        array = array.astype(np.float64)
    return np.ascontiguousarray(array, array.dtype.newbyteorder("="))
