"""Tables from files, folders, globs and frames, read as frames of bounded size."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from glob import glob
from pathlib import Path
from typing import Any, Protocol, TypeAlias, Union, cast

import numpy as np
import polars as pl

from ...annotations import FilePath
from ...errors import DataError
from ..wording import MISSING_WORDS, one_line, shown, unknown
from .readers import FORMATS, FrameReader, Reader, ScanReader, from_arrays, reported, suffix_of

# the rows per frame: the more columns, or features, the fewer
_MOST_ROWS = 65_536
_FEWEST_ROWS = 256
_MOST_CELLS = 2**23


class Frame(Protocol):
    """A frame of polars or pandas, or a pyarrow table."""

    @property
    def columns(self) -> Any:
        """Its columns, or their names."""


Data: TypeAlias = Union[FilePath, Sequence[FilePath], Frame, Mapping[str, Any], "Table"]


class Table:
    """Columns and rows of one or several files or frames; one frame at a time is in memory.

    `name` is the path, or "the table" for a frame; `dtypes` has the polars type of each column,
    text for CSV files.
    """

    def __init__(
        self,
        name: str,
        readers: Sequence[Reader],
        files: Sequence[Path],
        missing_words: Sequence[str],
    ) -> None:
        self.name = name
        self.files = tuple(files)
        self.missing_words = tuple(missing_words)
        self._readers = readers
        self.dtypes = _common_types(readers)
        self.columns = list(self.dtypes)
        self._count: int | None = None
        if not self.columns:
            raise DataError(f"{name} has no columns")

    def __repr__(self) -> str:
        return f"Table({self.name!r}, {len(self.columns)} columns)"

    def require(self, names: Iterable[str]) -> None:
        """Raise DataError, with the nearest name, unless all `names` are columns."""
        for name in names:
            if name not in self.dtypes:
                raise DataError(f"{self.name} has {unknown('column', name, self.columns)}")

    def count(self) -> int:
        """Return the number of rows, above 0; CSV files are read once, in bounded memory."""
        if self._count is None:
            count = sum(reader.count() for reader in self._readers)
            if count == 0:
                raise DataError(f"{self.name} has no rows")
            self._count = count
        return self._count

    def frames(
        self, columns: Sequence[str] | None = None, rows: int | None = None, width: int = 0
    ) -> Iterator[pl.DataFrame]:
        """Yield frames of `rows` rows, the last of fewer, in the order of the files.

        By default they have all columns and 65,536 rows, or fewer where columns, or `width`, the
        features or classes per row, are many.
        """
        columns = self.columns if columns is None else list(columns)
        self.require(columns)
        types = {name: self.dtypes[name] for name in columns}
        if rows is None:
            fitting = _MOST_CELLS // max(1, width, len(columns))
            rows = min(max(fitting, _FEWEST_ROWS), _MOST_ROWS)
        found = False
        for frame in _regrouped(self._raw_frames(types, rows), rows):
            found = True
            yield frame
        if not found:
            raise DataError(f"{self.name} has no rows")

    def _raw_frames(self, types, rows):
        for reader in self._readers:
            for frame in reader.frames(list(types), rows):
                yield frame if dict(frame.schema) == types else frame.cast(types)


def open_table(data: Data, missing_words: Sequence[str] = MISSING_WORDS) -> Table:
    """Return the `Table` of one or several files, folders or globs, of a frame, or of arrays.

    DataError if it cannot be opened; TypeError if `data` is none of these.
    """
    if isinstance(data, Table):
        return data
    paths = data if isinstance(data, (list, tuple)) else [data]
    if not paths or not all(isinstance(path, (str, os.PathLike)) for path in paths):
        return Table("the table", [_frame_reader(data)], (), missing_words)
    files = [file for path in paths for file in _files(path)]
    name = str(paths[0]) + (f" and {len(paths) - 1:,} more" if len(paths) > 1 else "")
    _check_one_format(name, files)
    readers = [FORMATS[suffix_of(file)](file) for file in files]
    return Table(name, readers, files, missing_words)


def _files(path):
    """Return the files that a path, a folder or a glob names."""
    if not str(path):  # as a path it would be the folder that this runs in
        raise DataError(f"{path!r}: expected the name of a file, a folder or a glob")
    path = Path(path)
    if not str(path).isprintable():
        raise DataError(f"{str(path)!r}: expected a path of printable characters")
    with reported(path):
        if path.is_dir():
            entries = sorted(path.iterdir(), key=lambda entry: entry.name)
            files = [entry for entry in entries if suffix_of(entry) and entry.is_file()]
        elif path.exists() or not any(sign in str(path) for sign in "*?["):
            files = [path]
        else:
            files = sorted(Path(entry) for entry in glob(str(path)) if Path(entry).is_file())
    # such as .part.csv and _SUCCESS.csv, which writers leave beside the data
    files = [file for file in files if file == path or file.name[0] not in "._"]
    if not files:
        raise DataError(f"{path} holds no table: expected files named {', '.join(FORMATS)}")
    for file in files:
        if not file.exists():
            raise DataError(f"{file} does not exist: expected a file, a folder or a glob")
        if not file.is_file():  # a pipe would be waited for, and a device has no end
            raise DataError(f"{file} is no regular file: copy its rows to one")
        if suffix_of(file) is None:
            expected = ", ".join(FORMATS)
            raise DataError(f"{file} has no suffix of a known format: expected {expected}")
    return files


def _check_one_format(name, files):
    for file in files:
        if suffix_of(file) != suffix_of(files[0]):
            raise DataError(
                f"{name} mixes formats, {files[0].name} and {file.name}: expected one; "
                f"a glob such as *{suffix_of(file)} chooses"
            )


def _frame_reader(data):
    kind = f"{type(data).__module__.partition('.')[0]}.{type(data).__name__}"
    if isinstance(data, dict):
        return from_arrays("the table", {str(name): array for name, array in data.items()})
    if isinstance(data, pl.DataFrame):
        return FrameReader("the table", data)
    if isinstance(data, pl.LazyFrame):
        return ScanReader("the table", data)
    convert = {"pandas.DataFrame": _of_pandas, "pyarrow.Table": _of_arrow}.get(kind)
    if convert is None:
        raise TypeError(
            f"data is a {kind}: expected a path, a frame of polars or pandas, a pyarrow table, "
            "or a dict of arrays"
        )
    try:
        with reported("the table"):
            return convert(data)
    except (ValueError, TypeError) as error:  # mixed objects, or a name used twice
        raise DataError(f"the table cannot be read: {one_line(error)}") from error


def _of_arrow(table):
    return FrameReader("the table", cast(pl.DataFrame, pl.from_arrow(table)))


def _of_pandas(frame):
    frame = frame.rename(columns=str)
    try:
        return FrameReader("the table", pl.from_pandas(frame))
    except ImportError:  # polars has pyarrow read what is no plain array
        if not frame.columns.is_unique:
            raise ValueError("two columns have the same name") from None
    return from_arrays("the table", {name: _array_of(column) for name, column in frame.items()})


def _array_of(column):
    """Return a column of pandas as numbers, or as objects with None where one is missing."""
    if isinstance(column.dtype, np.dtype) and column.dtype != object:
        return column.to_numpy()
    return column.astype(object).where(column.notna(), None).to_numpy()


def _common_types(readers):
    """Return the type of each column that holds the values of all files."""
    first, *others = readers
    types = dict(first.schema)
    for reader in others:
        only = set(types) ^ set(reader.schema)
        if only:
            name = next(name for name in [*types, *reader.schema] if name in only)
            lacking, other = (reader, first) if name in types else (first, reader)
            raise DataError(
                f"{lacking.name} has no column {shown(name)}, which {other.name} has: "
                "expected the same columns in all files"
            )
        for name, dtype in reader.schema.items():
            if dtype != types[name]:
                types[name] = _common_type(name, types[name], dtype, first, reader)
    return types


def _common_type(name, one, other, first, reader):
    try:
        empty = [pl.DataFrame(schema={name: dtype}) for dtype in (one, other)]
        return pl.concat(empty, how="vertical_relaxed").schema[name]
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"column {shown(name)} holds {other} in {reader.name} but {one} in {first.name}: "
            "expected one type in all files"
        ) from error


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
