"""What kind of column it is, from all of its values, training rows or not."""

import re

import numpy as np
import polars as pl

from ...errors import DataError
from ..wording import shown
from .values import READERS, distinct, is_text, numbers

# if this share of the values of text are numbers, or dates, the others are taken for mistakes
_NEARLY_ALL = 0.95
FEWEST_ROWS_OF_AN_ID = 20
# integers looked at to say whether all are distinct; more rows than these cannot be held
_MOST_KEYS = 1_000_000
_NAME_OF_AN_ID = re.compile(
    r"(?:^|[^A-Za-z])(?i:ids?|idx|index|key|uuid|guid)$|^(?i:id|uuid|guid)[^A-Za-z]"
    r"|[a-z](?:Id|ID|Idx|Index|Key|Uuid|UUID|Guid|GUID)$"
)


class Survey:
    """Gathers what the values of a column are.

    Parameters
    ----------
    name : str
        Of the column.
    dtype : polars.DataType
        Of its values.
    words : sequence of str
        What text is missing.
    asked : {"category", "number"}, optional
        The kind that it is to be, whatever it looks like.

    Attributes
    ----------
    rows, present : int
        How many values there are, and how many are not missing.
    is_whole : bool
        Whether all are whole numbers.
    """

    def __init__(self, name, dtype, words, asked=None):
        self.name, self.dtype, self.words, self.asked = name, dtype, words, asked
        self.rows = self.present = 0
        self.misses = {kind: _Misses() for kind in _kinds_of(dtype)}
        self.infinite = None
        self.is_whole = True
        self._steps = _Steps(name, dtype)

    @property
    def is_readable(self):
        """Whether its type is one of those that can be encoded."""
        return bool(self.misses)

    def add(self, series, first):
        """Take the values of a batch, whose first row is row `first`, counted from 0."""
        self.rows += len(series)
        if self.asked == "category":
            return
        if is_text(self.dtype):
            self._add_text(series, first)
        else:
            (kind,) = self.misses
            values, _ = READERS[kind](series, self.words)
            self.present += int(np.count_nonzero(~np.isnan(values)))
            self._add_numbers(series, values, first)

    def _add_text(self, series, first):
        if self.misses["number"].count:
            # categories, dates or booleans: each value is looked at once
            values, rows = distinct(series)
        else:
            values, rows = series, np.ones(len(series), np.int64)
        parsed, others = numbers(values, self.words)
        are_numbers = np.flatnonzero(~np.isnan(parsed))
        self.present += int(rows[are_numbers].sum() + rows[others].sum())
        self._miss("number", series, first, values, rows, others)
        if values is series:
            self._add_numbers(series, parsed, first)
        rest = values.gather(others) if len(others) else values  # to gather none takes long
        for kind in ("boolean", "date"):
            bad = others[READERS[kind](rest, self.words)[1]] if len(others) else others
            self._miss(kind, series, first, values, rows, np.concatenate([are_numbers, bad]))

    def _miss(self, kind, series, first, values, rows, places):
        """Count the values, each of so many rows, at `places` as not of a kind."""
        misses = self.misses[kind]
        if not misses.count and len(places):
            misses.value = values[int(places.min())]
            misses.row = first + int((series == misses.value).arg_max()) + 1
        misses.count += int(rows[places].sum())

    def _add_numbers(self, series, values, first):
        infinite = np.isinf(values)
        if self.infinite is None and infinite.any():
            place = int(np.argmax(infinite))
            self.infinite = f"{values[place]} in row {first + place + 1:,}"
        if self.is_whole:
            known = values[~np.isnan(values)]
            self.is_whole = bool((np.isfinite(known) & (known == np.floor(known))).all())
        if self.is_whole:
            self._steps.add(series, values)

    def kind(self, source):
        """Return the kind; `source` is the table's name.

        Raises
        ------
        DataError
            If nearly all values are numbers, or dates, or a number is not finite.
        """
        if self.asked == "category" or not self.present:
            return "category"
        if self.asked and "date" in self.misses and "number" not in self.misses:
            raise DataError(
                f"{source}: column {shown(self.name)} holds {self.dtype}: it cannot be numeric"
            )
        for kind, misses in self.misses.items():
            if misses.count == 0:
                self._check_finite(kind, source)
                return kind
        for kind in ("number", "date"):
            misses = self.misses[kind]
            if misses.count <= (1 - _NEARLY_ALL) * self.present or kind == self.asked:
                ways = ["mend them", f"name them with --missing {misses.word}"]
                if not self.asked:
                    ways.append(f"say --categorical {shown(self.name)}")
                raise DataError(
                    f"{source}: column {shown(self.name)}: {misses.count:,} of {self.present:,} "
                    f"values are not {kind}s, such as {misses.example}: "
                    f"{', '.join(ways[:-1])}, or {ways[-1]}"
                )
        return "category"

    def _check_finite(self, kind, source):
        if kind == "number" and self.infinite is not None:
            raise DataError(
                f"{source}: column {shown(self.name)} holds {self.infinite}: expected finite "
                "numbers; mend it, or name it with --missing"
            )

    def reason_to_drop(self):
        """Return why it is no input whatever its values in training rows are, or None."""
        if not self.is_readable:
            return f"holds {self.dtype}"
        if self.asked:
            return None
        if not self.present:
            return "all missing"
        return self.why_an_id()

    def why_an_id(self):
        """Return why its numbers only name rows, or None."""
        full = self.present == self.rows >= FEWEST_ROWS_OF_AN_ID
        is_number = full and "number" in self.misses and self.misses["number"].count == 0
        return self._steps.why_an_id(self.rows) if is_number and self.is_whole else None


def _kinds_of(dtype):
    if is_text(dtype):
        return ("number", "boolean", "date")
    if dtype == pl.Boolean:
        return ("boolean",)
    if dtype in (pl.Date, pl.Datetime):
        return ("date",)
    if dtype.is_numeric() or dtype in (pl.Duration, pl.Time, pl.Null):
        return ("number",)
    return ()


class _Misses:
    """Counts values that are not of a kind, and keeps one of them."""

    def __init__(self):
        self.count, self.value, self.row = 0, "", 0

    @property
    def example(self):
        return f"{shown(self.value.strip())} in row {self.row:,}"

    @property
    def word(self):
        """The value as an argument of a command."""
        word = self.value.strip()
        return word if word.isalnum() and len(word) < 40 else shown(word)


class _Steps:
    """Whether integers name rows: each is one more than the last, or a key has no value twice."""

    def __init__(self, name, dtype):
        is_possible = is_text(dtype) or dtype.is_integer()
        self.is_consecutive, self.first, self.last = is_possible, None, None
        self.is_key = is_possible and _NAME_OF_AN_ID.search(name) is not None
        self.keys, self.held = [], 0

    def add(self, series, values):
        if (self.is_consecutive or self.is_key) and _has_points(series):
            self.is_consecutive = self.is_key = False
        if self.is_consecutive:
            before = [] if self.last is None else [self.last]
            self.is_consecutive = bool((np.diff(values, prepend=before) == 1).all())
            self.first = values[0] if self.first is None else self.first
            self.last = values[-1]
        if self.is_key and self.held < _MOST_KEYS:
            self.keys.append(series)
            self.held += len(series)

    def why_an_id(self, rows):
        if self.is_consecutive:
            return f"an id: consecutive, {self.first:,.0f} to {self.last:,.0f}"
        if self.is_key and pl.concat(self.keys).n_unique() == self.held:
            seen = "rows" if self.held == rows else f"rows of {rows:,}"
            return f"an id: {self.held:,} distinct values in {self.held:,} {seen}"
        return None


def _has_points(series):
    """Return whether text holds numbers such as 1.0: floats, as in a file that has types."""
    return is_text(series.dtype) and series.cast(pl.String).str.contains(".", literal=True).any()
