"""Tables from files, folders, globs and frames, read in batches of bounded memory."""

import os
from glob import glob
from pathlib import Path

import numpy as np
import polars as pl

from ...errors import DataError
from ..wording import MISSING_WORDS, one_line, shown, unknown
from .files import FORMATS, FramePart, ScanPart, from_arrays, reported, suffix_of

# of a batch: its rows are the fewer the more columns, or features, they have
_MOST_ROWS, _FEWEST_ROWS, _MOST_CELLS = 65_536, 256, 2**23


class Table:
    """Columns and rows in one or several parts, of which only a batch is in memory.

    Attributes
    ----------
    name : str
        What messages call it: the path, or "the table" of a frame.
    files : tuple of pathlib.Path
        The files, in the order of their rows; none for a frame.
    columns : list of str
        The names of the columns.
    dtypes : dict
        The polars type of each column: of CSV files, text.
    missing_words : tuple of str
        What text counts as missing.
    """

    def __init__(self, name, parts, files, missing_words):
        self.name, self.files, self.missing_words = name, tuple(files), tuple(missing_words)
        self._parts = parts
        self.dtypes = _common_types(parts)
        self.columns = list(self.dtypes)
        self._count = None
        if not self.columns:
            raise DataError(f"{name} has no columns")

    def __repr__(self):
        """Return its name and its columns."""
        return f"Table({self.name!r}, {len(self.columns)} columns)"

    def require(self, names):
        """Raise DataError, with the nearest name, unless all `names` are columns."""
        for name in names:
            if name not in self.dtypes:
                raise DataError(f"{self.name} has {unknown('column', name, self.columns)}")

    def count(self):
        """Return the number of rows; a CSV file is looked through, and no table is held.

        Raises
        ------
        DataError
            If there are none, or a file is damaged.
        """
        if self._count is None:
            count = sum(part.count() for part in self._parts)
            if count == 0:
                raise DataError(f"{self.name} has no rows")
            self._count = count
        return self._count

    def batches(self, columns=None, rows=None, width=0):
        """Yield `polars.DataFrame`s of `rows` rows, the last of fewer, in the order of the file.

        Parameters
        ----------
        columns : sequence of str, optional
            Which columns, in this order; all by default.
        rows : int, optional
            The rows of a batch; default: 65,536, or fewer where they are wide.
        width : int, optional
            How many numbers are made of a row.

        Raises
        ------
        DataError
            If a column is unknown, a file is damaged, or there are no rows.
        """
        columns = self.columns if columns is None else list(columns)
        self.require(columns)
        types = {name: self.dtypes[name] for name in columns}
        if rows is None:
            fitting = _MOST_CELLS // max(1, width, len(columns))
            rows = min(max(fitting, _FEWEST_ROWS), _MOST_ROWS)
        found = False
        for batch in _regrouped(self._frames(types, rows), rows):
            found = True
            yield batch
        if not found:
            raise DataError(f"{self.name} has no rows")

    def _frames(self, types, rows):
        for part in self._parts:
            for frame in part.frames(list(types), rows):
                yield frame if dict(frame.schema) == types else frame.cast(types)


def open_table(data, missing_words=MISSING_WORDS):
    """Return the `Table` of files, a folder, a glob, a frame or arrays.

    Parameters
    ----------
    data : str, os.PathLike, sequence of them, frame or dict
        A path with a suffix of `FORMATS`, a folder of files of one such suffix, or a glob of
        them; several of these; or a polars frame (lazy or not), a pandas frame, a pyarrow
        table, or a dict of arrays of one length.
    missing_words : sequence of str, optional
        What text counts as missing: all words, in place of `MISSING_WORDS`.

    Raises
    ------
    DataError
        If it cannot be opened: the message says what, where, and what to do.
    TypeError
        If `data` is none of these.
    """
    if isinstance(data, Table):
        return data
    paths = data if isinstance(data, (list, tuple)) else [data]
    if not paths or not all(isinstance(path, (str, os.PathLike)) for path in paths):
        return Table("the table", [_frame_part(data)], (), missing_words)
    files = [file for path in paths for file in _files(path)]
    name = str(paths[0]) + (f" and {len(paths) - 1:,} more" if len(paths) > 1 else "")
    _check_one_format(name, files)
    parts = [FORMATS[suffix_of(file)](file) for file in files]
    return Table(name, parts, files, missing_words)


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
            raise DataError(
                f"{file} has no suffix of a known format: expected {', '.join(FORMATS)}"
            )
    return files


def _check_one_format(name, files):
    for file in files:
        if suffix_of(file) != suffix_of(files[0]):
            raise DataError(
                f"{name} mixes formats, {files[0].name} and {file.name}: expected one; "
                f"a glob such as *{suffix_of(file)} chooses"
            )


def _frame_part(data):
    kind = f"{type(data).__module__.partition('.')[0]}.{type(data).__name__}"
    if isinstance(data, dict):
        return from_arrays("the table", {str(name): array for name, array in data.items()})
    if isinstance(data, pl.DataFrame):
        return FramePart("the table", data)
    if isinstance(data, pl.LazyFrame):
        return ScanPart("the table", data)
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
    return FramePart("the table", pl.from_arrow(table))


def _of_pandas(frame):
    frame = frame.rename(columns=str)
    try:
        return FramePart("the table", pl.from_pandas(frame))
    except ImportError:  # polars has pyarrow read what is no plain array
        if not frame.columns.is_unique:
            raise ValueError("two columns have the same name") from None
    return from_arrays("the table", {name: _array_of(column) for name, column in frame.items()})


def _array_of(column):
    """Return a column of pandas as numbers, or as objects with None where one is missing."""
    if isinstance(column.dtype, np.dtype) and column.dtype != object:
        return column.to_numpy()
    return column.astype(object).where(column.notna(), None).to_numpy()


def _common_types(parts):
    """Return the type of each column that holds the values of all parts."""
    first = parts[0]
    types = dict(first.schema)
    for part in parts[1:]:
        only = set(types) ^ set(part.schema)
        if only:
            name = next(name for name in [*types, *part.schema] if name in only)
            lacking, other = (part, first) if name in types else (first, part)
            raise DataError(
                f"{lacking.name} has no column {shown(name)}, which {other.name} has: "
                "expected the same columns in all files"
            )
        for name, dtype in part.schema.items():
            if dtype != types[name]:
                types[name] = _common_type(name, types[name], dtype, first, part)
    return types


def _common_type(name, one, other, first, part):
    try:
        empty = [pl.DataFrame(schema={name: dtype}) for dtype in (one, other)]
        return pl.concat(empty, how="vertical_relaxed").schema[name]
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"column {shown(name)} holds {other} in {part.name} but {one} in {first.name}: "
            "expected one type in all files"
        ) from error


def _regrouped(frames, rows):
    """Yield frames of exactly `rows` rows, the last of fewer."""
    held, height = [], 0
    for frame in frames:
        start = 0
        while height + frame.height - start >= rows:
            held.append(frame.slice(start, rows - height))
            start += rows - height
            yield pl.concat(held)
            held, height = [], 0
        if start < frame.height:
            held.append(frame.slice(start))
            height += frame.height - start
    if held:
        yield pl.concat(held)
