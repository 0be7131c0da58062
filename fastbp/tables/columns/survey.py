"""The kind of a column, from all of its values, training rows or not."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from ...errors import DataError
from ..wording import shown
from .category import Category
from .column import Candidate, Column
from .kinds import KINDS
from .number import FEWEST_ROWS_OF_AN_ID
from .values import NONE, ColumnError, distinct, is_text

# if this share of the values of text are of a kind that reports mistakes, the others are mistakes
_NEARLY_ALL = 0.95


class Survey:
    """Finds the kind of a column from all of its values.

    It counts the `rows`, and the `present`: those whose value is not missing. `candidates` has
    each kind that the column may be of; `asked` is the kind that the user chose.
    """

    def __init__(
        self, name: str, dtype: pl.DataType, words: Sequence[str], asked: type[Column] | None = None
    ):
        self.name = name
        self.dtype = dtype
        self.words = words
        self.asked = asked
        self.rows = self.present = 0
        kinds = [kind for kind in KINDS if (kind.in_text if is_text(dtype) else kind.holds(dtype))]
        self.candidates: dict[type[Column], Candidate] = {
            kind: kind.candidate(name, dtype) for kind in kinds
        }

    @property
    def is_readable(self) -> bool:
        """Whether columns of its type can be encoded."""
        return bool(self.candidates)

    def add(self, series: pl.Series, first: int) -> None:
        """Add the values of a frame, which begins at row `first`, counted from 0."""
        self.rows += len(series)
        if self.asked is Category:
            return
        if is_text(self.dtype):
            self._add_text(series, first)
        else:
            ((kind, candidate),) = self.candidates.items()
            values, _ = kind.read(series, self.words)
            self.present += int(np.count_nonzero(~np.isnan(values)))
            candidate.add(series, values, first)

    def _add_text(self, series, first):
        """Offer the values to each kind in turn, without those that an earlier kind has read."""
        is_whole_series = next(iter(self.candidates.values())).count == 0
        if is_whole_series:
            values = series
            rows = np.ones(len(series), np.int64)
        else:  # values of several kinds are looked at once each
            values, rows = distinct(series)
        taken = NONE
        left = np.arange(len(values))
        for place, (kind, candidate) in enumerate(self.candidates.items()):
            known = bad = NONE
            if len(left):  # to gather none takes long
                offered = values if len(left) == len(values) else values.gather(left)
                read, bad = kind.read(offered, self.words)
                known = left[~np.isnan(read)]
                bad = left[bad]
                if is_whole_series and offered is series:
                    candidate.add(series, read, first)
            if place == 0:
                self.present += int(rows[known].sum() + rows[bad].sum())
            self._count(candidate, series, first, values, rows, np.concatenate([taken, bad]))
            taken = np.concatenate([taken, known])
            left = bad

    def _count(self, candidate, series, first, values, rows, places):
        """Count the values at `places`, each there in `rows` rows, as not of a kind."""
        if not candidate.count and len(places):
            candidate.value = values[int(places.min())]
            candidate.row = first + int((series == candidate.value).arg_max()) + 1
        candidate.count += int(rows[places].sum())

    def kind(self, table_name: str) -> type[Column]:
        """Return the kind.

        DataError if nearly all values are numbers, or dates, or a number is not finite.
        """
        where = f"{table_name}: column {shown(self.name)}"
        if self.asked is Category or not self.present:
            return Category
        if self.asked and not is_text(self.dtype) and not _reads(self.asked, self.dtype):
            raise DataError(f"{where} holds {self.dtype}: it cannot be read as {self.asked.plural}")
        for kind, candidate in self.candidates.items():
            if candidate.count == 0:
                candidate.check(where)
                return kind
        for kind, candidate in self.candidates.items():
            is_nearly = candidate.count <= (1 - _NEARLY_ALL) * self.present
            if kind is self.asked or (kind.reports_mistakes and is_nearly):
                raise self._mistakes(kind, candidate, where)
        return Category

    def _mistakes(self, kind, candidate, where):
        value = candidate.value.strip()
        word = value if value.isalnum() and len(value) < 40 else shown(value)
        ways = ["fix them", f"name them with --missing {word}"]
        if not self.asked:
            ways.append(f"say --categorical {shown(self.name)}")
        return DataError(
            f"{where}: {candidate.count:,} of {self.present:,} values are not {kind.plural}, "
            f"such as {shown(value)} in row {candidate.row:,}: "
            f"{', '.join(ways[:-1])}, or {ways[-1]}"
        )

    def reason_to_drop(self) -> str | None:
        """Return why it is no input whatever its values in training rows are, or None."""
        if not self.is_readable:
            return f"holds {self.dtype}"
        if self.asked:
            return None
        if not self.present:
            return "all missing"
        if self.present < self.rows or self.rows < FEWEST_ROWS_OF_AN_ID:
            return None
        fitting = (candidate for candidate in self.candidates.values() if candidate.count == 0)
        found = next(fitting, None)
        return found.why_an_id(self.rows) if found else None


def _reads(kind, dtype):
    """Return whether a kind reads values of a polars type."""
    try:
        kind.read(pl.Series([], dtype=dtype), ())
    except ColumnError:
        return False
    return True
