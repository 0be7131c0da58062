"""Samples in Parquet files, read by their row groups (extra ``parquet``)."""

import glob
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from .source import Source

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

    Notes
    -----
    Every epoch unpacks the files anew, which takes a few ns a number: about as long as a small
    net trains on it. `spooled` of this source unpacks them once.

    Raises
    ------
    ModuleNotFoundError
        If pyarrow is not installed.
    FileNotFoundError, ValueError
        If there is no such file or column, or a column holds no numbers.
    """

    def __init__(self, files, target, features=None, weight=None, *, window_rows=None):
        one = isinstance(target, str)
        self._target, self._weight = [target] if one else list(target), weight
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

    def _described(self, path):
        """Return what a file says of itself, checked."""
        try:
            with _pyarrow_parquet().ParquetFile(path) as file:
                schema, metadata = file.schema_arrow, file.metadata
        except ValueError as error:
            raise ValueError(f"{path} is not a Parquet file: {error}") from error
        apart = {*self._target, self._weight}
        if self._features is None:
            self._features = [name for name in schema.names if name not in apart]
        if not self._features:
            raise ValueError(f"features: {path} has {schema.names}, expected more than the target")
        weights = [] if self._weight is None else [self._weight]
        for name in (*self._features, *self._target, *weights):
            _check_column(path, schema, name)
        return metadata

    def read(self, block):
        """Return block number `block` as ``(X, y, sample_weight)``."""
        path, metadata, group = self._groups[block]
        apart = [] if self._weight is None else [self._weight]
        names = [*self._features, *self._target, *apart]
        # opened for as long as it is read: there may be more files than a process may have open
        with _pyarrow_parquet().ParquetFile(path, metadata=metadata) as file:
            table = file.read_row_group(group, columns=names, use_threads=False)
        for name, column in zip(table.column_names, table.columns, strict=True):
            if column.null_count:
                raise ValueError(
                    f"column {name!r} has {column.null_count} nulls in row group {group} of "
                    f"{path}: expected numbers; impute or drop such rows"
                )
        y = _matrix(table, self._target)
        weight = None if self._weight is None else _matrix(table, apart)[:, 0]
        return _matrix(table, self._features), y[:, 0] if self._flat else y, weight


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


def _check_column(path, schema, name):
    if schema.names.count(name) != 1:
        what = "is twice in" if name in schema.names else "is not in"
        raise ValueError(f"column {name!r} {what} {path}, which has {schema.names}")
    kind = schema.field(name).type
    try:
        numeric = np.dtype(kind.to_pandas_dtype()).kind in "fiub"
    except NotImplementedError:
        numeric = False
    if not numeric:
        raise ValueError(f"column {name!r} of {path} is {kind}: expected numbers")


def _matrix(table, names):
    """Return columns as one array (n, columns), of the narrowest dtype that holds them all."""
    columns = [table.column(name).to_numpy() for name in names]
    out = np.empty((len(table), len(columns)), np.result_type(*columns))
    for first in range(0, len(table), _ROWS_AT_ONCE):
        rows = slice(first, first + _ROWS_AT_ONCE)
        for place, column in enumerate(columns):
            out[rows, place] = column[rows]
    return out
