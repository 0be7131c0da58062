"""Samples in Parquet files, read by their row groups (extra ``parquet``)."""

import glob
from os import PathLike, fspath
from pathlib import Path
from shutil import disk_usage
from tempfile import gettempdir
from typing import Any

import numpy as np

from ..kernels.support.scalars import a_flag
from ..machine import file_system
from .source import Source
from .spool import spooled

# columns are put side by side so many rows at a time: a part that a cache holds
_ROWS_AT_ONCE = 4096


class ParquetSource(Source):
    """Columns of numbers in Parquet files; a block is a row group.

    Parameters
    ----------
    files : path, glob, folder, or sequence of paths
        Parquet files with the same columns.
    target : str or sequence of str
        The column, or columns, of y.
    features : sequence of str, optional
        The columns of X; default: all but the target and the weight.
    weight : str, optional
        The column of sample weights.
    window_rows : int, optional
        Rows that are shuffled together; see `Source`.
    unpack : bool, default True
        Whether a fit of several epochs unpacks the rows into a scratch file first, where the
        folder for temporary files is on a disk with room for twice as many. It changes no bit.

    Notes
    -----
    To unpack the files takes a few ns a number: about as long as a small net trains on it. So
    an epoch that reads them as they are may wait for them.

    Raises
    ------
    ModuleNotFoundError
        If pyarrow is not installed.
    FileNotFoundError, ValueError
        If there is no such file or column, or a column holds no numbers.
    """

    def __init__(self, files, target, features=None, weight=None, *, window_rows=None, unpack=True):
        self._unpack, self._unpacked = a_flag("unpack", unpack), None
        self._types: dict[str, Any] = {}
        one = isinstance(target, str)
        self._target = [target] if one else list(target)
        self._weights = [] if weight is None else [weight]
        chosen: Any = None if features is None else list(features)
        self._features = chosen
        self._flat = one
        self._groups, sizes = [], []
        for path in _paths(files):
            metadata = self._described(path)
            for group in range(metadata.num_row_groups):
                if rows := metadata.row_group(group).num_rows:
                    self._groups.append((path, metadata, group))
                    sizes.append(rows)
        super().__init__(sizes, len(self._features), window_rows)
        self._dtypes = [
            np.result_type(*map(self._types.get, names)) if names else None
            for names in (self._features, self._target, self._weights)
        ]

    def __getstate__(self):
        """Return what copies and pickles hold: they unpack for themselves."""
        return {**super().__getstate__(), "_unpacked": None}

    def for_epochs(self, epochs):
        """Return the scratch file that several epochs are read from, or this source."""
        if epochs > 1 and self._unpack and self._unpacked is None and self._has_room():
            self._unpacked = spooled(self)
        return self if self._unpacked is None else self._unpacked

    def _has_room(self):
        """Return whether twice the rows fit on the disk of temporary files, if it is one."""
        folder, columns = gettempdir(), (self.columns, len(self._target), len(self._weights))
        sizes = zip(columns, self._dtypes, strict=True)
        a_row = sum(count * dtype.itemsize for count, dtype in sizes if dtype is not None)
        is_disk = file_system(folder) not in ("tmpfs", "ramfs")
        return is_disk and disk_usage(folder).free >= 2 * len(self) * a_row

    def _described(self, path):
        """Return what a file says of itself, checked."""
        try:
            with _pyarrow_parquet().ParquetFile(path) as file:
                schema, metadata = file.schema_arrow, file.metadata
        except ValueError as error:
            raise ValueError(f"{path} is not a Parquet file: {error}") from error
        apart = {*self._target, *self._weights}
        if self._features is None:
            self._features = [name for name in schema.names if name not in apart]
        if not self._features:
            raise ValueError(f"features: {path} has {schema.names}, expected more than the target")
        for name in (*self._features, *self._target, *self._weights):
            dtype = _type_of(path, schema, name)
            self._types[name] = np.result_type(dtype, self._types.get(name, dtype))
        return metadata

    def read(self, block):
        """Return block number `block` as ``(X, y, sample_weight)``."""
        path, metadata, group = self._groups[block]
        columns = (self._features, self._target, self._weights)
        names = [name for each in columns for name in each]
        # opened for as long as it is read: there may be more files than a process may have open
        with _pyarrow_parquet().ParquetFile(path, metadata=metadata) as file:
            table = file.read_row_group(group, columns=names, use_threads=False)
        for name, column in zip(table.column_names, table.columns, strict=True):
            if column.null_count:
                raise ValueError(
                    f"column {name!r} has {column.null_count} nulls in row group {group} of "
                    f"{path}: expected numbers; impute or drop such rows"
                )
        matrices: list[Any] = [
            None if dtype is None else _matrix(table, each, dtype)
            for each, dtype in zip(columns, self._dtypes, strict=True)
        ]
        X, y, weight = matrices
        return X, y[:, 0] if self._flat else y, None if weight is None else weight[:, 0]


def _pyarrow_parquet():
    try:
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'ParquetSource needs pyarrow: python -m pip install "fastbp[parquet]"', name="pyarrow"
        ) from error
    return parquet


def _paths(files):
    if not isinstance(files, (str, PathLike)):
        found = [Path(file) for file in files]
    elif Path(files).is_dir():
        found = sorted(Path(files).glob("*.parquet"))
    elif Path(files).is_file():
        found = [Path(files)]
    else:
        found = sorted(map(Path, glob.glob(fspath(files))))
    if not found:
        raise FileNotFoundError(f"files={files!r}: no Parquet file there")
    return found


def _type_of(path, schema, name):
    """Return the dtype of a column, which holds numbers."""
    if schema.names.count(name) != 1:
        what = "is twice in" if name in schema.names else "is not in"
        raise ValueError(f"column {name!r} {what} {path}, which has {schema.names}")
    kind = schema.field(name).type
    try:
        dtype = np.dtype(kind.to_pandas_dtype())
    except NotImplementedError:
        dtype = np.dtype(object)
    if dtype.kind not in "fiub":
        raise ValueError(f"column {name!r} of {path} is {kind}: expected numbers")
    return dtype


def _matrix(table, names, dtype):
    """Return columns as one array (n, columns)."""
    columns = [table.column(name).to_numpy() for name in names]
    out = np.empty((len(table), len(columns)), dtype)
    for first in range(0, len(table), _ROWS_AT_ONCE):
        rows = slice(first, first + _ROWS_AT_ONCE)
        for place, column in enumerate(columns):
            out[rows, place] = column[rows]
    return out
