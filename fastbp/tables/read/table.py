"""Tables from files, folders, globs and frames, read as frames of bounded size."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, TypeAlias, Union, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from ...annotations import FilePath
from ...errors import DataError
from ...kernels.support.once import cached_property
from ...memory import free_memory, require_addresses, require_memory
from ..options import ReadOptions
from ..wording import MISSING_WORDS, shown, unknown
from .forked import require_polars
from .formats import Opened, open_part
from .frames import as_known, is_pandas, kind_of, of_pandas
from .naming import Like, Reading, may_number_rows, numbers_rows
from .readers import FrameReader, ScanReader, from_arrays
from .remote import is_address, without_secrets
from .sources import STANDARD_INPUT, parts_of, standard_input
from .text import TextReader

# the rows per frame: the more columns, or features, the fewer; and the less memory is free
_MOST_ROWS = 65_536
_FEWEST_ROWS = 256
_MOST_CELLS = 2**23
_FEWEST_CELLS = 2**17
_AMPLE = 2**30
# a cell of text takes 16 bytes, beside what is longer
_CELL = 16
# what polars takes for its threads and the first frame
_LEAST_TO_READ = 2**24
# what polars, SciPy and LLVM reserve of addresses where they begin: with less, one of them ends the
# process (polars, LLVM), or waits for ever (OpenBLAS)
_ADDRESSES = 320 * 2**20
# smaller tables in memory are not worth a look at what is free
_FEW_CELLS = 2**20

# a little less than the largest block by which glibc learns
_LARGEST_KEPT = 2**25 - 2**16


class Frame(Protocol):
    """A frame of polars or pandas, or a table of pyarrow or of what has its stream."""

    @property
    def columns(self) -> Any:
        """Its columns, or their names."""


Data: TypeAlias = Union[FilePath, Sequence[FilePath], Frame, Mapping[str, Any], "Table"]


class Table:
    """Columns and rows of one or several files or frames; one frame at a time is in memory.

    `name` is the path, or "the table" for a frame; `dtypes` has the polars type of each column,
    text for files of rows of text. `how` are the options that it was opened with.
    """

    def __init__(
        self,
        name: str,
        parts: Sequence[Opened],
        files: Sequence[Path],
        missing_words: Sequence[str],
        how: ReadOptions | None = None,
    ) -> None:
        self.name = name
        self.how = how or ReadOptions()
        self.files = tuple(files)
        self.missing_words = tuple(missing_words)
        self._parts = parts
        self.dtypes = _common_types(parts)
        self.columns = list(self.dtypes)
        if not self.columns:
            raise DataError(f"{name} has no columns")

    def __repr__(self) -> str:
        return f"Table({self.name!r}, {len(self.columns)} columns)"

    def require(self, names: Iterable[str]) -> None:
        """Raise DataError, with the nearest name, unless all `names` are columns."""
        for name in names:
            if name not in self.dtypes:
                hint = self._parts[0].hint
                raise DataError(f"{self.name} has {unknown('column', name, self.columns)}{hint}")

    @property
    def types(self) -> dict[str, str]:
        """The names of the polars types of the columns."""
        return {name: str(dtype) for name, dtype in self.dtypes.items()}

    @property
    def reading(self) -> Reading:
        """How the table was read, for the tables that a model of it predicts."""
        text = [part.reader for part in self._parts if isinstance(part.reader, TextReader)]
        return Reading(all(reader.dialect.header for reader in text), tuple(self.columns))

    @cached_property
    def row_numbers(self) -> tuple[str, ...]:
        """The columns that have no name and only number or name the rows."""
        names = may_number_rows(self.columns, getattr(self._parts[0].reader, "unnamed", ()))
        first = next(self.frames(names, _MOST_ROWS), None) if names else None
        if first is None:
            return ()
        return tuple(name for name in names if numbers_rows(first[name]))

    def count(self) -> int:
        """Return the number of rows; files of rows of text are read once, in bounded memory."""
        return sum(self._counts)

    @cached_property
    def _counts(self) -> list[int]:
        return [part.reader.count() for part in self._parts]

    def require_rows(self) -> int:
        """Return the number of rows; DataError if there are none."""
        if not self.count():
            raise DataError(f"{self.name} has no rows")
        return self.count()

    def frames(
        self, columns: Sequence[str] | None = None, rows: int | None = None, width: int = 0
    ) -> Iterator[pl.DataFrame]:
        """Yield frames of `rows` rows, the last of fewer, in the order of the files.

        By default they have all columns and 65,536 rows, or fewer where columns, or `width`, the
        features or classes per row, are many, rows of text are long, or less than 1 GiB of memory
        was free at the first call. A table without rows has one frame, without rows.
        """
        columns = self.columns if columns is None else list(columns)
        types = self._types(columns)
        rows = rows or self._rows_at_once(len(columns), width)
        self._make_room()
        found = False
        raw = (self._frames_of(part, types, rows) for part in self._parts)
        for frame in _regrouped(chain.from_iterable(raw), rows):
            found = True
            yield frame
        if not found:
            yield pl.DataFrame(schema=types)

    def frames_among(
        self, among: npt.NDArray[np.bool_], columns: Sequence[str], width: int = 0
    ) -> Iterator[tuple[int, pl.DataFrame]]:
        """Yield frames, as `frames` does, that hold the rows `among` all, (rows,) bool.

        Before each comes the number of its first row. Files, row groups of Parquet and pieces of
        text in which none of the rows lies are not read.
        """
        types = self._types(columns)
        rows, first = self._rows_at_once(len(columns), width), 0
        self._make_room()
        for part, count in zip(self._parts, self._counts, strict=True):
            for span in _spans(np.flatnonzero(among[first : first + count])):
                row = first + span[0]
                for frame in _regrouped(self._frames_of(part, types, rows, span), rows):
                    yield row, frame
                    row += frame.height
            first += count

    def _types(self, columns):
        self.require(columns)
        return {name: self.dtypes[name] for name in columns}

    def _rows_at_once(self, columns, width):
        fitting = self._cells_at_once // max(1, width, columns, self._row_cells)
        return min(max(fitting, _FEWEST_ROWS), _MOST_ROWS)

    @cached_property
    def _cells_at_once(self) -> int:
        """The cells of a frame: all passes over the table have the same."""
        in_memory = all(isinstance(part.reader, FrameReader) for part in self._parts)
        if in_memory and self.count() * len(self.columns) < _FEW_CELLS:
            return _MOST_CELLS
        free = free_memory()
        share = 1.0 if free is None else min(1.0, free / _AMPLE)
        return max(_FEWEST_CELLS, int(_MOST_CELLS * share))

    def _make_room(self) -> None:
        """Prepare for a pass; MemoryError where memory is short and a frame may not fit."""
        if self._cells_at_once == _MOST_CELLS:
            _keep_what_is_freed()
            return
        require_memory(self.bytes_to_read, f"reading {self.name}", "give it more memory", small=0)

    @property
    def bytes_to_read(self) -> int:
        """What reading takes of memory beside the frames, at least."""
        return _LEAST_TO_READ + max(part.reader.bytes_at_once for part in self._parts)

    @cached_property
    def _row_cells(self) -> int:
        return max(part.reader.row_bytes for part in self._parts) // _CELL

    @staticmethod
    def _frames_of(part, types, rows, span=None):
        schema = part.reader.schema
        own = [name for name in types if name in schema]
        keys = [pl.lit(part.keys[name], pl.String).alias(name) for name in types if name not in own]
        for frame in part.reader.frames(own or list(schema)[:1], rows, span):
            frame = frame.with_columns(keys).select(list(types)) if keys else frame
            yield frame if dict(frame.schema) == types else frame.cast(types)


def _keep_what_is_freed():
    """Let the C library keep the arrays of a frame for those of the next.

    glibc gives them back to the system until a larger block of at most 32 MiB was freed: a third
    of the first pass over a table went to fetching pages again.
    """
    np.empty(_LARGEST_KEPT, np.uint8)


def open_table(
    data: Data,
    missing_words: Sequence[str] = MISSING_WORDS,
    how: ReadOptions | None = None,
    like: Like | None = None,
) -> Table:
    """Return the `Table` of one or several files, folders or globs, of a frame, or of arrays.

    `how` says how text is read; what it leaves open is told from each file. A table for a model
    is read `like` that of the model. DataError if it cannot be opened;
    TypeError if `data` is none of these; RuntimeError where polars would wait without end.
    """
    require_polars()
    if isinstance(data, Table):
        return data
    _require_addresses()
    paths = data if isinstance(data, (list, tuple)) else [data]
    if not paths or not all(isinstance(path, (str, os.PathLike)) for path in paths):
        frame = Opened("a frame", _frame_reader(data), {}, ())
        return Table("the table", [frame], (), missing_words, how)
    how = how or ReadOptions()
    if [*paths] == [STANDARD_INPUT]:
        part = standard_input()
        return Table(part.name, [open_part(part, how, like)], (), missing_words, how)
    first = str(paths[0])
    first = without_secrets(first) if is_address(paths[0]) else first
    name = first + (f" and {len(paths) - 1:,} more" if len(paths) > 1 else "")
    parts = [part for path in paths for part in parts_of(cast(FilePath, path))]
    return Table(name, _opened(name, parts, how, like), _local(parts), missing_words, how)


@cache
def _require_addresses():
    """Raise MemoryError if there are too few to begin with; once for a process."""
    require_addresses(_ADDRESSES, "a table")


def _local(parts):
    """Return the files that lie where they were named."""
    return [part.path for part in parts if not part.kept and part.scan is None]


def _opened(name, parts, how, like):
    """Open the files of a table; DataError if their formats differ."""
    first, *others = parts
    opened = [open_part(first, how, like)]
    if isinstance(opened[0].reader, TextReader) and like is None:
        # all files of a table have a header, or none has
        how = replace(how, header=opened[0].reader.dialect.header)
    for part in others:
        opened.append(open_part(part, how, like, opened[0].reader))
        if opened[-1].format != opened[0].format:
            raise DataError(
                f"{name} mixes formats: {first.name} holds {opened[0].format}, {part.name} "
                f"{opened[-1].format}: expected one; a glob such as *{part.path.suffix} chooses"
            )
    return opened


def _frame_reader(data):
    if isinstance(data, dict):
        return from_arrays("the table", {str(name): array for name, array in data.items()})
    frame = as_known(data)
    if isinstance(frame, pl.LazyFrame):
        return ScanReader("the table", frame)
    if is_pandas(frame):
        frame = of_pandas(frame)
    if isinstance(frame, pl.DataFrame):
        return FrameReader("the table", frame)
    raise TypeError(
        f"data is a {kind_of(data)}: expected a path, a frame of polars or pandas, a table of "
        "pyarrow or of what has its stream, or a dict of arrays"
    )


def _common_types(parts):
    """Return the type of each column that holds the values of all files."""
    first = parts[0].reader
    types = _types(parts[0])
    for part in parts[1:]:
        reader, own = part.reader, _types(part)
        only = types.keys() ^ own.keys()
        if only:
            name = next(name for name in [*types, *own] if name in only)
            lacking, other = (reader, first) if name in types else (first, reader)
            raise DataError(
                f"{lacking.name} has no column {shown(name)}, which {other.name} has: "
                "expected the same columns in all files"
            )
        for name, dtype in own.items():
            if dtype != types[name]:
                types[name] = _common_type(name, types[name], dtype, first, reader)
    return types


def _types(part):
    """Return the types of the columns of a file, those that its folders name too."""
    return {**dict.fromkeys(part.keys, pl.String), **part.reader.schema}


def _common_type(name, one, other, first, reader):
    try:
        empty = [pl.DataFrame(schema={name: dtype}) for dtype in (one, other)]
        return pl.concat(empty, how="vertical_relaxed").schema[name]
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"column {shown(name)} holds {other} in {reader.name} but {one} in {first.name}: "
            "expected one type in all files"
        ) from error


def _spans(places):
    """Return spans of rows that hold all ascending places, and no long gap between two."""
    if not len(places):
        return []
    gaps = np.flatnonzero(np.diff(places) > _MOST_ROWS)
    firsts, lasts = places[np.append(0, gaps + 1)], places[np.append(gaps, -1)]
    return list(zip(firsts.tolist(), (lasts + 1).tolist(), strict=True))


def _regrouped(frames, rows):
    """Yield frames of exactly `rows` rows, the last of fewer."""
    held = []
    height = 0
    for frame in frames:
        start = 0
        while height + frame.height - start >= rows:
            held.append(frame.slice(start, rows - height))
            start += rows - height
            yield pl.concat(held)
            held = []
            height = 0
        if start < frame.height:
            held.append(frame.slice(start))
            height += frame.height - start
    if held:
        yield pl.concat(held)
