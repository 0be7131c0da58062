"""From the columns of a table to the features of a network, by a fitted schema."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from ...errors import DataError
from ..wording import listed
from .effects import parts_of
from .schema import Schema, Weight
from .target import read_target
from .values import ColumnError
from .weights import read_weights


class EncodedFrame(NamedTuple):
    """Rows: features (n, n_features), targets (n,), which of them are there, and weights or None.

    Of targets that are not there, neither features nor weights count.
    """

    X: npt.NDArray
    y: npt.NDArray
    kept: npt.NDArray[np.bool_]
    weight: npt.NDArray | None


class Encoder:
    """Encodes frames of one table, of the columns `columns`, as features of a dtype.

    `unknown` counts by column the values whose category the schema does not know; their
    features are zeros. With `Category.other` there are none: they count as others. `trains` says
    which rows of the table the schema was fitted to, (rows,) bool; by default none. `groups` are
    those of `infer`.
    """

    def __init__(
        self,
        schema: Schema,
        table_name: str = "",
        dtype: npt.DTypeLike = np.float32,
        trains: npt.NDArray[np.bool_] | None = None,
        groups: npt.NDArray | None = None,
    ) -> None:
        self.schema = schema
        self.table_name = table_name
        self.dtype = np.dtype(dtype)
        self._trains = trains
        self._groups = groups
        self.columns = [column.name for column in schema.columns]
        self.unknown: dict[str, int] = {}
        self._where = f"{table_name}: " if table_name else ""

    def require(self, table, names: Sequence[str] | None = None) -> None:
        """Raise DataError unless a table, or a frame, has the columns that `encode` needs."""
        lacking = [name for name in names or self.columns if name not in table.columns]
        if lacking:
            several = len(lacking) > 1
            raise DataError(
                f"{self._where}column{'s are' if several else ' is'} missing: {listed(lacking)}; "
                f"the model needs {'them' if several else 'it'}. Columns: {listed(table.columns)}"
            )

    def encode(self, frame: pl.DataFrame, first_row: int = 0) -> npt.NDArray:
        """Return the features (n, n_features) of a frame, C-contiguous, computed in float64.

        The columns may be in any order, beside others. `first_row` is the number of rows before
        the frame, for the DataError if a column is missing or a value is not of its kind.
        """
        self.require(frame)
        features = np.zeros((len(frame), self.schema.n_features), self.dtype)
        parts = self._parts(first_row, len(frame))
        start = 0
        for column in self.schema.columns:
            stop = start + column.width
            with self._naming_the_table():
                own = features[:, start:stop]
                words = self.schema.missing_words
                unknown = column.encode(frame[column.name], words, own, first_row, parts)
            if unknown:
                self.unknown[column.name] = self.unknown.get(column.name, 0) + unknown
            start = stop
        return features

    def _parts(self, first_row, rows):
        if self._trains is None:
            return None
        trains = self._trains[first_row : first_row + rows]
        return np.where(trains, 1 + parts_of(first_row + np.arange(rows), self._groups), 0)

    def encode_target(
        self, frame: pl.DataFrame, first_row: int = 0
    ) -> tuple[npt.NDArray, npt.NDArray[np.bool_]]:
        """Return ``(y, kept)``: the target (n,), and which rows have one, (n,) bool.

        Classes are int64 labels; numbers are (y - mean) / scale in float64. Several targets are
        (n, n_targets) float64, and their labels 0 and 1; rows that lack one are not kept. A target
        of several quantiles is several targets. Where `kept` is False, y has no meaning. DataError
        as of `encode`.
        """
        self.require(frame, self.schema.target_names)
        targets = {target.name: target for target in self.schema.targets}
        read = {name: self._read(each, frame, first_row) for name, each in targets.items()}
        if not self.schema.more_targets:
            return read[self.schema.target.name]
        values, kept = zip(*(read[target.name] for target in self.schema.targets), strict=True)
        return np.stack(values, axis=1).astype(np.float64), np.logical_and.reduce(kept)

    def _read(self, target, frame, first_row):
        with self._naming_the_table():
            words = self.schema.missing_words
            values, kept = read_target(target, frame[target.name], words, first_row)
        if target.task == "regression":
            values = (values - target.mean) / target.scale
        return values, kept

    def frames(self, table, columns: Sequence[str] = ()) -> Iterator[pl.DataFrame]:
        """Yield frames of a table: the columns that `encode` needs, and those named.

        The more features or classes there are, the fewer rows a frame has: memory is bounded.
        """
        return table.frames(self._names(columns), width=self._width)

    def _names(self, columns):
        return [*dict.fromkeys([*columns, *self.columns])]

    @property
    def _width(self):
        return max(self.schema.n_features, self.schema.n_outputs)

    def _numbered(self, table, columns, among):
        if among is not None:
            yield from table.frames_among(among, self._names(columns), self._width)
            return
        first = 0
        for frame in self.frames(table, columns):
            yield first, frame
            first += len(frame)

    def weights(self, frame: pl.DataFrame, weight: Weight, first_row: int = 0) -> npt.NDArray:
        """Return the weights (n,) float64 in a column; DataError if one is missing or below 0."""
        self.require(frame, [weight.name])
        with self._naming_the_table():
            return read_weights(weight, frame[weight.name], self.schema.missing_words, first_row)

    def encoded(
        self, table, weight: Weight | None = None, among: npt.NDArray[np.bool_] | None = None
    ) -> "Iterator[tuple[int, EncodedFrame]]":
        """Yield the rows of a table with their targets and weights, frame by frame.

        Before each frame comes the number of its first row. Rows far from those `among` all,
        (rows,) bool, are not read.
        """
        names = [*self.schema.target_names, *([weight.name] if weight else [])]
        for first, frame in self._numbered(table, names, among):
            y, kept = self.encode_target(frame, first)
            weights = self.weights(frame, weight, first) if weight else None
            yield first, EncodedFrame(self.encode(frame, first), y, kept, weights)

    @contextmanager
    def _naming_the_table(self):
        try:
            yield
        except ColumnError as error:
            raise DataError(f"{self._where}{error}") from error
