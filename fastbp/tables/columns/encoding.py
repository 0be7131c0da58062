"""From the columns of a table to the features of a net, by a fitted schema."""

from contextlib import contextmanager

import numpy as np

from ...errors import DataError
from ..wording import listed, shown
from .schema import LARGEST, PERIODS
from .target import read_target
from .values import READERS, OtherTypeError, places_of


class Encoder:
    """Encodes batches of one table, and counts the categories that the schema does not know.

    Parameters
    ----------
    schema : Schema
        Says how.
    source : str, optional
        What messages call the table.
    dtype : numpy dtype, default float32
        Of the features.

    Attributes
    ----------
    columns : list of str
        The columns that `encode` needs.
    unknown : dict
        Values, by column, whose category is not known; they are encoded as zeros. A column
        with `Column.other` has none: there they count as others.
    """

    def __init__(self, schema, source="", dtype=np.float32):
        self.schema, self.source, self.dtype = schema, source, np.dtype(dtype)
        self.columns = [column.name for column in schema.columns]
        self.unknown: dict[str, int] = {}

    def require(self, table):
        """Raise DataError unless a table, or a frame, has the columns that `encode` needs."""
        self._require(table, self.columns)

    def encode(self, frame, first_row=0):
        """Return the features (n, n_features) of a `polars.DataFrame`, C-contiguous.

        Columns may be in any order, and there may be others. `first_row` is the number of
        rows before it, for messages.

        Raises
        ------
        DataError
            If a column is missing, or holds a value that is not of its kind.
        """
        self.require(frame)
        features = np.zeros((len(frame), self.schema.n_features), self.dtype)
        start = 0
        for column in self.schema.columns:
            part = features[:, start : start + column.width]
            with self._naming_the_table():
                if column.kind == "category":
                    self._encode_category(column, frame[column.name], part)
                else:
                    self._encode_numbers(column, frame[column.name], part, first_row)
            start += column.width
        return features

    def encode_target(self, frame, first_row=0):
        """Return ``(y, kept)``: the target (n,), and which rows have one, (n,) bool.

        Classes are int64 labels; numbers are (y - mean) / scale in float64. Where `kept` is
        False, y has no meaning.

        Raises
        ------
        DataError
            If the column is missing, or holds what is no number, or no class that is known.
        """
        target = self.schema.target
        self._require(frame, [target.name])
        series = frame[target.name]
        words = self.schema.missing_words
        with self._naming_the_table():
            values, kept = read_target(target, series, words, first_row, self.source)
        if target.task == "regression":
            values = (values - target.mean) / target.scale
        return values, kept

    def batches(self, table, columns=()):
        """Yield frames of a table: the columns that `encode` needs, and others if they are named.

        They have the fewer rows the more features or classes there are: so memory is bounded.
        """
        names = [*dict.fromkeys([*columns, *self.columns])]
        width = max(self.schema.n_features, len(self.schema.target.classes))
        return table.batches(names, width=width)

    def encoded(self, table):
        """Yield ``(X, y, kept)`` of a table with its target, batch by batch.

        Raises
        ------
        DataError
            As of `encode` and `encode_target`.
        """
        first = 0
        for frame in self.batches(table, [self.schema.target.name]):
            y, kept = self.encode_target(frame, first)
            yield self.encode(frame, first), y, kept
            first += len(frame)

    @contextmanager
    def _naming_the_table(self):
        try:
            yield
        except OtherTypeError as error:
            raise DataError(f"{self._where}{error}") from error

    def _require(self, frame, names):
        lacking = [name for name in names if name not in frame.columns]
        if lacking:
            several = len(lacking) > 1
            raise DataError(
                f"{self._where}column{'s are' if several else ' is'} missing: {listed(lacking)}; "
                f"the model needs {'them' if several else 'it'}. Columns: {listed(frame.columns)}"
            )

    @property
    def _where(self):
        return f"{self.source}: " if self.source else ""

    def _encode_numbers(self, column, series, part, first_row):
        values, bad = READERS[column.kind](series, self.schema.missing_words)
        bad = bad if len(bad) else np.flatnonzero(np.isinf(values))
        if len(bad):
            place = int(bad[0])
            wanted = "finite number" if column.kind == "number" else column.kind
            raise DataError(
                f"{self._where}column {shown(column.name)} is {shown(series[place])} in row "
                f"{first_row + place + 1:,}: expected a {wanted}"
            )
        missing = np.isnan(values)
        if column.kind == "boolean":
            part[:, 0] = np.where(missing, 0.5, values)
        else:
            with np.errstate(over="ignore"):
                scaled = (values - column.mean) / column.scale
            part[:, 0] = np.where(missing, 0, np.clip(scaled, -LARGEST, LARGEST))
        for place, period in enumerate(column.periods):
            phase = 2 * np.pi * values / PERIODS[period]
            part[:, 1 + 2 * place] = np.where(missing, 0, np.sin(phase))
            part[:, 2 + 2 * place] = np.where(missing, 0, np.cos(phase))
        if column.missing:
            part[:, -1] = missing

    def _encode_category(self, column, series, part):
        places, missing = places_of(column.categories, series, self.schema.missing_words)
        known = places >= 0
        part[np.flatnonzero(known), places[known]] = 1
        unknown = ~(known | missing)
        if column.other:
            part[:, len(column.categories)] = unknown
        elif unknown.any():
            count = int(np.count_nonzero(unknown))
            self.unknown[column.name] = self.unknown.get(column.name, 0) + count
        if column.missing:
            part[:, -1] = missing
