"""A column of a table, fitted to training rows: what every kind of column provides."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec import Struct

from ..wording import shown
from .values import Floats, Places, wrong_value


@dataclass
class Candidate:
    """Counts the values of a column that are not of a kind; keeps the first, and its row from 1.

    `infinite` is the first infinite number and its row; only `Number` sets it and `is_whole`.
    """

    name: str
    dtype: pl.DataType
    count: int = 0
    value: str = ""
    row: int = 0
    infinite: str | None = None
    is_whole: bool = False

    def add(self, series: pl.Series, values: Floats, first: int) -> None:
        """Add a frame and its values as the kind reads them; it begins at row `first`, from 0."""

    def check(self, where: str) -> None:
        """Raise DataError if values of the kind cannot be used; `where` names the column."""

    def why_an_id(self, rows: int) -> str | None:
        """Return why the values, none of them missing, only identify rows; else None."""


class Range:
    """The least and the largest of values, frame by frame; NaN does not count."""

    def __init__(self) -> None:
        self.low = np.inf
        self.high = -np.inf

    def add(self, values: Floats) -> None:
        """Add values."""
        self.low = float(np.fmin.reduce(values, initial=self.low))
        self.high = float(np.fmax.reduce(values, initial=self.high))

    @property
    def varies(self) -> bool:
        """Whether there were two different values."""
        return self.low < self.high


@dataclass
class Fit:
    """Fits a column to training rows; `is_asked` if the user chose the kind.

    A subclass adds float64 values in `add_values`, and returns what was fitted in `fields`.
    """

    kind: "type[Column]"
    name: str
    words: Sequence[str]
    is_asked: bool

    def __post_init__(self) -> None:
        self.missing = False
        self._range = Range()

    def add(self, series: pl.Series) -> None:
        """Add the values of training rows."""
        values, _ = self.kind.read(series, self.words)
        self.missing = self.missing or bool(np.isnan(values).any())
        self._range.add(values)
        self.add_values(values)

    def add_values(self, values: Floats) -> None:
        """Add values, NaN where missing."""

    def column(self, table_name: str) -> "Column | str":
        """Return the fitted column, or why it is no input; DataError if none can be fitted."""
        if self._range.low > self._range.high:
            return "all missing"
        if not self._range.varies and not self.missing:
            return "constant"
        return self.kind(self.name, self.missing, **self.fields(table_name))

    def fields(self, table_name: str) -> dict[str, Any]:
        """Return the fitted fields of the column by name, except `missing`."""
        return {}


class Column(Struct, frozen=True, tag_field="kind", tag=str.lower, forbid_unknown_fields=True):
    """One input column, fitted; a subclass for each kind, listed in `kinds`.

    The fields of a subclass are its part of the schema in a model file, and its name in lower
    case is the value of ``kind`` there. If training rows had missing values, `missing` is True
    and the last feature is 1 where the value is missing, else 0.
    """

    name: str
    missing: bool

    # the plural of the kind; what messages expect a value to be; and how the first feature is
    # computed, a format of the column, for people who use the network alone
    plural: ClassVar[str]
    expected: ClassVar[str]
    formula: ClassVar[str]
    # whether text may be recognized as this kind, and whether a few other values are mistakes then
    in_text: ClassVar[bool] = False
    reports_mistakes: ClassVar[bool] = False
    candidate: ClassVar[type[Candidate]] = Candidate
    fit: ClassVar[type[Fit]] = Fit

    @classmethod
    def holds(cls, dtype: pl.DataType) -> bool:
        """Return whether a column of this polars type, no text, is of this kind."""
        return False

    @classmethod
    def read(cls, series: pl.Series, words: Sequence[str]) -> tuple[Floats, Places]:
        """Return ``(values, bad)``: float64 (n,), NaN where missing or bad, and the bad places.

        Text is read without the spaces around it; `words` count as missing. ColumnError if no
        value of the series' type is of this kind.
        """
        raise _lacking(cls, "read")

    def write(self, values: Floats, missing: npt.NDArray[np.bool_], features: npt.NDArray) -> None:
        """Write the features of values (n,) to (n, width), except that of missing values."""
        raise _lacking(type(self), "write")

    def describe(self, number: Callable[[float], str]) -> list[tuple[str, bool]]:
        """Return what was fitted as phrases, and whether each is text from the table.

        `number` formats a number.
        """
        return []

    @property
    def kind(self) -> str:
        """The name of the kind."""
        return type(self).__name__.lower()

    @property
    def names(self) -> list[str]:
        """The names of the features before that of missing values."""
        return [self.name]

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of all features, in order."""
        return (*self.names, *[f"{self.name} is missing"] * self.missing)

    @property
    def width(self) -> int:
        """The number of features."""
        return len(self.feature_names)

    def encode(
        self, series: pl.Series, words: Sequence[str], features: npt.NDArray, first_row: int
    ) -> int:
        """Write a frame to `features` (n, width), zeros on entry; return the unknown categories.

        `first_row` is the number of rows before the frame, for the ColumnError if a value, or
        the type of all, is not of this kind.
        """
        values, bad = self.read(series, words)
        bad = bad if len(bad) else np.flatnonzero(np.isinf(values))
        if len(bad):
            raise wrong_value(f"column {shown(self.name)}", series, bad, first_row, self.expected)
        missing = np.isnan(values)
        self.write(values, missing, features)
        if self.missing:
            features[:, -1] = missing
        return 0


def _lacking(kind: type, name: str) -> NotImplementedError:
    return NotImplementedError(f"columns of kind {kind.__name__.lower()} have no {name}")
