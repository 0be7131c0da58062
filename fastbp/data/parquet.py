"""Samples in Parquet files, read by their row groups (extra ``parquet``)."""

import glob
from os import PathLike, fspath
from pathlib import Path

import numpy as np

from .source import Source


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

    Raises
    ------
    ModuleNotFoundError
        If pyarrow is not installed.
    FileNotFoundError, ValueError
        If there is no such file or column, or a column holds no numbers.
    """

    def __init__(self, files, target, features=None, weight=None, *, window_rows=None):
        parquet = _pyarrow_parquet()
        self._files = [parquet.ParquetFile(path, memory_map=True) for path in _paths(files)]
        schema = self._files[0].schema_arrow
        one = isinstance(target, str)
        self._target, self._weight = [target] if one else list(target), weight
        apart = {*self._target, weight}
        if features is None:
            features = [name for name in schema.names if name not in apart]
        self._features, self._flat = list(features), one
        for file in self._files:
            _check_columns(file.schema_arrow, [*self._features, *self._target], weight)
        groups = [(file, n) for file in self._files for n in range(file.num_row_groups)]
        sizes = [file.metadata.row_group(n).num_rows for file, n in groups]
        self._groups = [group for group, rows in zip(groups, sizes, strict=True) if rows]
        super().__init__([rows for rows in sizes if rows], len(self._features), window_rows)

    def read(self, block):
        """Return block number `block` as ``(X, y, sample_weight)``."""
        file, group = self._groups[block]
        apart = [] if self._weight is None else [self._weight]
        names = [*self._features, *self._target, *apart]
        table = file.read_row_group(group, columns=names, use_threads=False)
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


def _check_columns(schema, names, weight):
    for name in names if weight is None else [*names, weight]:
        if name not in schema.names:
            raise ValueError(f"column {name!r} is not in the file, which has {schema.names}")
        kind = schema.field(name).type.to_pandas_dtype()
        if np.dtype(kind).kind not in "fiub":
            raise ValueError(f"column {name!r} is {schema.field(name).type}: expected numbers")


def _matrix(table, names):
    """Return columns as one array (n, columns), of the narrowest dtype that holds them all."""
    columns = [table.column(name).to_numpy() for name in names]
    out = np.empty((len(table), len(columns)), np.result_type(*columns))
    for place, column in enumerate(columns):
        out[:, place] = column
    return out
