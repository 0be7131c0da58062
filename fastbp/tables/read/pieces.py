"""Files of Parquet and Arrow: by polars, or piece by piece by pyarrow where memory is short."""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path
from typing import Any

import polars as pl

from ...errors import DataError
from ...kernels.support.once import cached_property
from ...memory import free_memory
from ..wording import one_line
from .readers import ScanReader, Span, cut, reported

# polars keeps so many groups of rows ahead of the one that is wanted, and a copy of what it reads
_GROUPS_AHEAD = 16
_COPIES = 2
# with less free memory files are read in pieces
_AMPLE = 2**30
# the most that a file grows where it is unpacked, but for columns that hold little
_GROWTH = 8
# what pyarrow takes where it is not imported yet
_IMPORTED = 2**24
_BUFFER = 2**16  # of a column that is read [bytes]
# pyarrow's allocator keeps what it freed of longer arrays: 94 MB, not 29, for 20 columns of numbers
_ROWS_AT_ONCE = 4096


class GroupReader(ScanReader):
    """Reads a file whose rows lie in groups: those of Parquet, or the record batches of Arrow.

    `groups` opens the file, and returns what yields its rows and the bytes of its groups.
    """

    def __init__(
        self, name: str, path: Path, scan: pl.LazyFrame, groups: Callable[[Path], Groups]
    ) -> None:
        super().__init__(name, scan, has_count=True)
        self._path = path
        self._groups_of = groups

    @property
    def bytes_at_once(self) -> int:  # type: ignore[override]
        """What reading takes beside the frame, at least."""
        if not _has_pyarrow():
            return self._path.stat().st_size
        imported = 0 if "pyarrow" in sys.modules else _IMPORTED
        return imported + self._groups.least

    @cached_property
    def _groups(self):
        with reported(self.name):
            return self._groups_of(self._path)

    def frames(
        self, columns: Sequence[str], rows: int, span: Span | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield frames of some columns in order, of at most or about `rows` rows each."""
        if not self._is_short():
            yield from super().frames(columns, rows, span)
        elif span is None:
            yield from self._in_pieces(columns, rows)
        else:
            start, numbers = self._groups.around(*span)
            pieces = self._in_pieces(columns, rows, numbers)
            found = 0
            for frame in cut(pieces, *(row - start for row in span)):
                found += frame.height
                yield frame
            self._check(found, span)

    def _in_pieces(self, columns, rows, numbers=None):
        import pyarrow as pa

        found = 0
        try:
            with reported(self.name):
                for batch in self._groups.batches(columns, min(rows, _ROWS_AT_ONCE), numbers):
                    found += batch.num_rows
                    yield pl.DataFrame(pl.from_arrow(batch)).select(columns)
        except pa.ArrowException as error:
            raise DataError(
                f"{self.name} cannot be read, it may be damaged: {one_line(error)}"
            ) from error
        finally:
            pa.default_memory_pool().release_unused()
        if numbers is None:
            self._check(found)

    def _is_short(self):
        """Return whether what polars keeps in memory may be more than is free."""
        free = free_memory()
        if free is None or free > max(_AMPLE, _GROWTH * _COPIES * self._path.stat().st_size):
            return False
        if not _has_pyarrow():
            return False
        groups = self._groups
        ahead = min(groups.total, _GROUPS_AHEAD * groups.largest)
        return free < max(_AMPLE, _COPIES * ahead)


def _has_pyarrow():
    return find_spec("pyarrow") is not None


class Groups:
    """The groups of rows of a file, in bytes: all, the largest, and what a batch takes at least."""

    total = largest = least = 0

    def around(self, first: int, last: int) -> tuple[int, list[int] | None]:
        """Return where the groups that hold rows `first` up to `last` begin, and their numbers.

        None is all groups: those of which the rows are not known before they are read.
        """
        return 0, None

    def batches(
        self, columns: Sequence[str], rows: int, numbers: list[int] | None = None
    ) -> Iterator[Any]:
        """Yield record batches of pyarrow that have some columns, and maybe others.

        They are those of the groups of some `numbers`; None: of all.
        """
        raise NotImplementedError


class ParquetGroups(Groups):
    """The row groups of a Parquet file; pyarrow unpacks as many pages as a batch of rows takes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        groups = self._bytes_and_rows()
        sizes = [size for size, _ in groups]
        self.total, self.largest = sum(sizes), max(sizes, default=0)
        self._starts = [0, *accumulate(rows for _, rows in groups)]

    def _bytes_and_rows(self):
        with self._open() as file:
            data = file.metadata
        groups = (data.row_group(n) for n in range(data.num_row_groups))
        return [(group.total_byte_size, group.num_rows) for group in groups]

    def _open(self):
        from pyarrow import parquet

        return parquet.ParquetFile(self._path, buffer_size=_BUFFER, pre_buffer=False)

    def around(self, first: int, last: int) -> tuple[int, list[int] | None]:
        """Return the first row of the groups that hold rows, and their numbers."""
        least = bisect_right(self._starts, first) - 1
        return self._starts[least], [*range(least, bisect_left(self._starts, last))]

    def batches(
        self, columns: Sequence[str], rows: int, numbers: list[int] | None = None
    ) -> Iterator[Any]:
        """Yield record batches of `rows` rows."""
        with self._open() as file:
            yield from file.iter_batches(rows, numbers, list(columns), use_threads=False)


class ArrowGroups(Groups):
    """The record batches of an Arrow file; those that are not packed stay in the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.total = path.stat().st_size
        with self._open() as file:
            count = file.num_record_batches
        self.largest = self.total // max(1, count)
        self._is_packed = count > 0 and self._may_be_packed()
        self.least = self.largest if self._is_packed else 0

    def _may_be_packed(self):
        """Return whether batches are packed, or too large to look at one."""
        free = free_memory()
        if free is not None and self.largest > free // 2:
            return True
        with self._open([0]) as file:
            buffers = [each for each in file.get_batch(0).column(0).buffers() if each]
        # what is not packed is a part of something larger
        return any(each.parent is None for each in buffers)

    def _open(self, places=None):
        from pyarrow import ipc, memory_map

        options = ipc.IpcReadOptions(use_threads=False, included_fields=places)
        return ipc.open_file(memory_map(str(self._path)), options=options)

    def batches(
        self, columns: Sequence[str], rows: int, numbers: list[int] | None = None
    ) -> Iterator[Any]:
        """Yield the record batches, of as many rows as they have."""
        places = None
        if self._is_packed:  # where it is not, pyarrow would copy all columns to name some
            with self._open() as file:
                places = [file.schema.names.index(name) for name in columns]
        with self._open(places) as file:
            for number in range(file.num_record_batches):
                yield file.get_batch(number)
