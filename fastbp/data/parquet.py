"""Samples in Parquet files, read by row groups (extra ``parquet``)."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from os import PathLike, fspath
from pathlib import Path
from shutil import disk_usage
from tempfile import gettempdir
from typing import Any

import numpy as np

from ..annotations import Array, Arrays, FilePath
from ..kernels.support.scalars import a_flag
from ..machine import file_system
from ..quoted import quoted, quoted_path
from .source import Source
from .spool import spooled

# rows that are interleaved at a time: their columns fit into the cache
_ROWS_AT_ONCE = 4096


class ParquetSource(Source):
    """Numeric columns of Parquet files; a block is a row group.

    Parameters
    ----------
    files : path, glob, folder, or sequence of paths
        Parquet files with the same columns.
    target : str or sequence of str
        Column or columns of y.
    features : sequence of str, optional
        Columns of X; default: all except target and weight.
    weight : str, optional
        Column of sample weights.
    window_rows : int, optional
        Rows that are shuffled together; see `Source`.
    unpack : bool, default True
        Whether a fit of several epochs first unpacks the rows into a scratch file, provided
        that the folder for temporary files is on a disk with twice the space they need. The
        result does not depend on it.

    Notes
    -----
    Unpacking takes a few ns per number, about as long as training a small network on it. An
    epoch that reads the files directly may therefore wait for them.

    Raises
    ------
    ModuleNotFoundError
        If pyarrow is not installed.
    FileNotFoundError, ValueError
        If a file or column does not exist, or a column is not numeric.
    """

    def __init__(
        self,
        files: FilePath | Iterable[FilePath],
        target: str | Sequence[str],
        features: Sequence[str] | None = None,
        weight: str | None = None,
        *,
        window_rows: int | None = None,
        unpack: bool = True,
    ) -> None:
        self._unpack: bool = a_flag("unpack", unpack)
        self._unpacked: Source | None = None
        self._types: dict[str, Any] = {}
        self._flat = isinstance(target, str)
        self._target = [target] if isinstance(target, str) else list(target)
        self._weights = [] if weight is None else [weight]
        self._features = [] if features is None else list(features)
        self._chosen = features is not None
        self._groups: list[tuple[Path, Any, int]] = []
        sizes = []
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
        """Leave out the scratch file: each copy unpacks its own."""
        return {**super().__getstate__(), "_unpacked": None}

    def for_epochs(self, epochs: int) -> Source:
        """Return the source to read `epochs` epochs from: a scratch file if they are several."""
        if epochs > 1 and self._unpack and self._unpacked is None and self._has_room():
            self._unpacked = spooled(self)
        return self if self._unpacked is None else self._unpacked

    def _has_room(self):
        """Return whether the folder for temporary files is on a disk with twice the space."""
        folder = gettempdir()
        counts = (self.columns, len(self._target), len(self._weights))
        columns = zip(counts, self._dtypes, strict=True)
        row_bytes = sum(count * dtype.itemsize for count, dtype in columns if dtype is not None)
        is_disk = file_system(folder) not in ("tmpfs", "ramfs")
        return is_disk and disk_usage(folder).free >= 2 * len(self) * row_bytes

    def _described(self, path: Path) -> Any:
        """Check the schema of a file, and return its metadata."""
        try:
            with _pyarrow_parquet().ParquetFile(path) as file:
                schema = file.schema_arrow
                metadata = file.metadata
        except ValueError as error:
            raise ValueError(f"{path} is not a Parquet file: {error}") from error
        if not self._features and not self._chosen:
            apart = {*self._target, *self._weights}
            self._features = [name for name in schema.names if name not in apart]
        if not self._features:
            raise ValueError(f"features: {path} has {schema.names}, expected more than the target")
        for name in (*self._features, *self._target, *self._weights):
            dtype = _type_of(path, schema, name)
            self._types[name] = np.result_type(dtype, self._types.get(name, dtype))
        return metadata

    def read(self, block: int) -> Arrays:
        """Return block number `block` as ``(X, y, sample_weight)``."""
        path, metadata, group = self._groups[block]
        columns = (self._features, self._target, self._weights)
        names = [name for each in columns for name in each]
        # opened only while it is read: there may be more files than a process may open
        with _pyarrow_parquet().ParquetFile(path, metadata=metadata) as file:
            table = file.read_row_group(group, columns=names, use_threads=False)
        for name, column in zip(table.column_names, table.columns, strict=True):
            if column.null_count:
                raise ValueError(
                    f"column {quoted(name)} has {column.null_count} nulls in row group {group} of "
                    f"{path}: expected numbers; impute or drop such rows"
                )
        X, y, weight = (
            np.empty((len(table), 0)) if dtype is None else _matrix(table, each, dtype)
            for each, dtype in zip(columns, self._dtypes, strict=True)
        )
        return X, y[:, 0] if self._flat else y, weight[:, 0] if self._weights else None


def _pyarrow_parquet():
    try:
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'ParquetSource needs pyarrow: python -m pip install "fastbp[parquet]"', name="pyarrow"
        ) from error
    return parquet


def _paths(files: FilePath | Iterable[FilePath]) -> list[Path]:
    if not isinstance(files, (str, PathLike)):
        found = [Path(file) for file in files]
    elif Path(files).is_dir():
        found = sorted(Path(files).glob("*.parquet"))
    elif Path(files).is_file():
        found = [Path(files)]
    else:
        found = sorted(map(Path, glob.glob(fspath(files))))
    if not found:
        raise FileNotFoundError(f"files={quoted_path(files)}: found no Parquet file")
    return found


def _type_of(path, schema, name):
    """Return the dtype of a numeric column."""
    if schema.names.count(name) != 1:
        place = "is twice in" if name in schema.names else "is not in"
        raise ValueError(f"column {quoted(name)} {place} {path}, which has {schema.names}")
    kind = schema.field(name).type
    try:
        dtype = np.dtype(kind.to_pandas_dtype())
    except NotImplementedError:
        dtype = np.dtype(object)
    if dtype.kind not in "fiub":
        raise ValueError(f"column {quoted(name)} of {path} is {kind}: expected numbers")
    return dtype


def _matrix(table: Any, names: list[str], dtype: Any) -> Array:
    """Interleave columns to one array (n, columns)."""
    columns = [table.column(name).to_numpy() for name in names]
    out = np.empty((len(table), len(columns)), dtype)
    for first in range(0, len(table), _ROWS_AT_ONCE):
        rows = slice(first, first + _ROWS_AT_ONCE)
        for place, column in enumerate(columns):
            out[rows, place] = column[rows]
    return out
