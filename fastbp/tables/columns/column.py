"""A column of a table, fitted to training rows: what every kind of column provides."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec import Struct

from ...kernels.support.once import cached_property
from ..wording import shown
from .values import Floats, Places, floats, is_text, wrong_value
from .values import distinct as distinct_values

# a kind is given up if this many values are not of it, and this times as many as are
_ENOUGH_AGAINST, _LEAST_GOOD = 1_000, 20


class Offered:
    """Values of a column that a candidate looks at: all of a frame, or the distinct ones.

    `series` holds them.
    """

    def __init__(self, frame: pl.Series, first: int, distinct: bool = False) -> None:
        self.frame = frame
        self.first = first
        self.is_distinct = distinct
        self.series = frame
        self._counts: Places | None = None
        if distinct:
            self.series, self._counts = distinct_values(frame)

    def rows_of(self, chosen: Places) -> int:
        """Return how many rows hold the values at some places."""
        return len(chosen) if self._counts is None else int(self._counts[chosen].sum())

    @cached_property
    def leading_zeros(self) -> Places:
        """The places of text such as 007."""
        zeros = self.series.str.starts_with("0").fill_null(False)
        if zeros.any():
            zeros &= self.series.str.contains(r"^0\d+$")
        return zeros.arg_true().to_numpy()

    @cached_property
    def widths(self) -> Floats:
        """The bytes of each text, NaN where there is none."""
        return floats(self.series.str.len_bytes())

    def row(self, place: int) -> int:
        """Return the row of a value, from 1: of the first that holds it."""
        if self.is_distinct:
            place = int((self.frame == self.series[place]).arg_max() or 0)
        return self.first + place + 1

    def first_of(self, places: Places) -> tuple[str, int]:
        """Return the first of some values, in the order of rows, as text, and its row."""
        place = int(places[0])
        if self.is_distinct:
            place = int(self.frame.is_in(self.series.gather(places).implode()).arg_max() or 0)
        return str(self.frame[place]), self.first + place + 1


@dataclass
class Candidate:
    """A kind that a column may be of, and a way of writing it: what speaks for it and against it.

    `good` counts the rows of values of the kind, `count` those of others; `value` is the first of
    the others and `row` its row, from 1. `infinite` is the first infinite number and its row.
    """

    kind: "type[Column]"
    text: Any
    name: str
    dtype: pl.DataType
    words: Sequence[str]
    good: int = 0
    count: int = 0
    value: str = ""
    row: int = 0
    infinite: str | None = None

    def add(self, offered: Offered) -> None:
        """Add values; those that are missing do not count."""
        values, bad = self.kind.read(offered.series, self.words, self.text)
        self.good += offered.rows_of(np.flatnonzero(~np.isnan(values)))
        self.refuse(offered, bad)
        self.add_values(values)

    def add_values(self, values: Floats) -> None:
        """Look at values, NaN where missing or of another kind."""

    def add_plain(self, kind: "type[Column]", values: Floats, offered: Offered) -> None:
        """Add text of a kind in its plainest form, `values` with NaN where missing."""
        known = ~np.isnan(values)
        if kind is self.kind:
            self.good += int(np.count_nonzero(known))
            self.add_values(values)
        elif self.count:
            self.count += int(np.count_nonzero(known))
        else:
            self.refuse(offered, np.flatnonzero(known))

    def refuse(self, offered: Offered, places: Places) -> None:
        """Count the values at some places as not of the kind."""
        if len(places) and not self.count:
            self.value, self.row = offered.first_of(places)
        self.count += offered.rows_of(places)

    @property
    def is_hopeless(self) -> bool:
        """Whether so many values are not of the kind that no more need to be looked at."""
        return self.count >= _ENOUGH_AGAINST and _LEAST_GOOD * self.good < self.count

    @property
    def fits(self) -> bool:
        """Whether all values are of the kind, and there are some."""
        return self.good > 0 and self.count == 0

    @property
    def mistakes(self) -> tuple[int, str, int]:
        """The rows of values that are not of the kind, the first of them, and its row."""
        return self.count, self.value, self.row

    @property
    def tells(self) -> bool:
        """Whether the values depend on the way of writing, if several fit."""
        return False

    @property
    def is_code(self) -> bool:
        """Whether the values are names though they look like values of the kind."""
        return False

    def doubt(self, chosen: Any, why: str) -> str:
        """Return that the way of writing `chosen` was guessed, why, and how to settle it."""
        return ""

    def check(self, where: str, instead: str) -> None:
        """Raise DataError if values of the kind cannot be used.

        `where` names the column, `instead` is the option that makes categories of it.
        """

    def why_an_id(self, rows: int) -> str | None:
        """Return why the values, none of them missing, only identify rows; else None."""
        return None

    def fitted_text(self, asked: bool) -> Any:
        """Return the way of writing, with what the values, or the user if `asked`, say of it."""
        return self.text


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
    text: Any = None

    def __post_init__(self) -> None:
        self.missing = False
        self.most: int | None = None  # categories that become features, of columns that have some
        self._range = Range()

    def bytes_kept(self, rows: int) -> int:
        """Return what is kept of so many rows, at least."""
        return 0

    def add(self, series: pl.Series) -> None:
        """Add the values of training rows."""
        values, _ = self.kind.read(series, self.words, self.text)
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
    # the ways in which text of the kind may be written; a column of the kind has one in `text`
    texts: ClassVar[tuple[Any, ...]] = (None,)
    candidate: ClassVar[type[Candidate]] = Candidate
    fit: ClassVar[type[Fit]] = Fit

    @classmethod
    def likely(cls, fitting: list[Any]) -> list[Any]:
        """Return which of the candidates that fit are likely; all of them by default."""
        return fitting

    @classmethod
    def holds(cls, dtype: pl.DataType) -> bool:
        """Return whether a column of this polars type, no text, is of this kind."""
        return False

    @classmethod
    def read(
        cls, series: pl.Series, words: Sequence[str], text: Any = None
    ) -> tuple[Floats, Places]:
        """Return ``(values, bad)``: float64 (n,), NaN where missing or bad, and the bad places.

        Text, written as `text` says, is read without the spaces around it; `words` count as
        missing. ColumnError if no value of the series' type is of this kind.
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
    def wanted(self) -> str:
        """What messages expect a value of the column to be."""
        return self.expected

    @property
    def written(self) -> Any:
        """How text of the column is written, None for kinds that are written in one way."""
        return getattr(self, "text", None)

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
        self,
        series: pl.Series,
        words: Sequence[str],
        features: npt.NDArray,
        first_row: int,
        parts: Places | None = None,
    ) -> int:
        """Write a frame to `features` (n, width), zeros on entry; return the unknown categories.

        `first_row` is the number of rows before the frame, for the ColumnError if a value, or
        the type of all, is not of this kind. `parts` (n,) is 1 + the part of each training row,
        whose own target must not tell of itself (see `Effects`), and 0 for other rows.
        """
        values, bad = self.read(series, words, self.written)
        bad = bad if len(bad) else np.flatnonzero(np.isinf(values))
        if len(bad):
            wanted = self.wanted
            if self.written and is_text(series.dtype):
                wanted += self.written.hint(series[bad[:1]].cast(pl.String))
            raise wrong_value(f"column {shown(self.name)}", series, bad, first_row, wanted)
        missing = np.isnan(values)
        self.write(values, missing, features)
        if self.missing:
            features[:, -1] = missing
        return 0


def _lacking(kind: type, name: str) -> NotImplementedError:
    return NotImplementedError(f"columns of kind {kind.__name__.lower()} have no {name}")
