"""The kind of a column, and how its text is written, from all of its values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ...errors import DataError
from ..wording import shown
from .category import Category
from .column import Candidate, Column, Offered
from .date import Date
from .date_text import DateText
from .kinds import KINDS
from .number import FEWEST_ROWS_OF_AN_ID, Number
from .number_text import NumberText
from .values import ColumnError, Parse, is_text

# if this share of the values of text are of a kind that reports mistakes, the others are mistakes
_NEARLY_ALL = 0.95
# values that are looked at first, to find out whether all may be plain
_FEW = 100
# what fewer values speak against is looked at, where no kind fits
_ENOUGH_AGAINST = 1_000


@dataclass
class Habits:
    """How text is written where the values of a column leave it open.

    `chosen` has the ways that the user has chosen, `proved` those that other columns have: the
    first that fits decides. `patterns` are the formats of dates by column, "" for all columns.
    """

    chosen: list[Any] = field(default_factory=list)
    proved: list[Any] = field(default_factory=list)
    patterns: dict[str, str] = field(default_factory=dict)

    def pattern(self, name: str) -> str:
        """Return the format of the dates of a column, empty if none was chosen."""
        return self.patterns.get(name, self.patterns.get("", ""))


@dataclass(frozen=True)
class Found:
    """The kind of a column, and the candidate of it.

    `doubt` says what was guessed of how its text is written, `is_asked` that the user chose it.
    """

    kind: type[Column]
    candidate: Any = None
    doubt: str = ""
    is_asked: bool = False

    @property
    def text(self) -> Any:
        """How the text is written, None for kinds that are written in one way."""
        return self.candidate.fitted_text(self.is_asked) if self.candidate else None


class Survey:
    """Finds the kind of a column from all of its values.

    It counts the `rows`, and the `present`: those whose value is not missing. `candidates` are
    the kinds, and the ways of writing them, that the column may be of; `asked` is the kind that
    the user chose, and `instead` the option that makes names of the values.
    """

    def __init__(
        self,
        name: str,
        dtype: pl.DataType,
        words: Sequence[str],
        asked: type[Column] | None = None,
        pattern: str = "",
        instead: str = "",
    ):
        self.name = name
        self.dtype = dtype
        self.words = words
        self.asked = asked
        self.instead = instead or f"categorical={shown(name)}"
        self.rows = self.present = 0
        kinds = [kind for kind in KINDS if (kind.in_text if is_text(dtype) else kind.holds(dtype))]
        pairs = [(k, text) for k in kinds for text in (k.texts if is_text(dtype) else k.texts[:1])]
        self.candidates = [kind.candidate(kind, text, name, dtype, words) for kind, text in pairs]
        self._by_pattern: Candidate | None = None
        if pattern and is_text(dtype):
            text = DateText(pattern=pattern)
            self._by_pattern = Date.candidate(Date, text, name, dtype, words)
            self.candidates.insert(0, self._by_pattern)

    @property
    def is_readable(self) -> bool:
        """Whether columns of its type can be encoded."""
        return bool(self.candidates)

    def add(self, series: pl.Series, first: int) -> None:
        """Add the values of a frame, which begins at row `first`, counted from 0."""
        self.rows += len(series)
        if self.asked is Category:
            return
        offered = Offered(series.cast(pl.String) if is_text(self.dtype) else series, first)
        if is_text(self.dtype):
            self._add_text(offered)
        else:
            (candidate,) = self.candidates
            candidate.add(offered)
            self.present = candidate.good + candidate.count

    def _add_text(self, offered):
        """Offer plain values of a kind to all candidates at once, others to each that may fit."""
        if all(each.is_hopeless for each in self.candidates):
            self.present += len(offered.frame) - offered.frame.null_count()
            return
        for kind, plain in _PLAIN.items():
            if kind is Date and self._by_pattern:
                continue
            first = next(each for each in self.candidates if each.kind is kind)
            if first.count:
                continue
            head = offered.frame[:_FEW]
            if first.good or not len(kind.read(head, self.words, plain)[1]):
                values, bad = kind.read(offered.frame, self.words, plain)
                if not len(bad):
                    self.present += int(np.count_nonzero(~np.isnan(values)))
                    for candidate in self.candidates:
                        if candidate is self._by_pattern:
                            candidate.add(Offered(offered.frame, offered.first, distinct=True))
                        else:
                            candidate.add_plain(kind, values, offered)
                    return
        distinct = Offered(offered.frame, offered.first, distinct=True)
        text = distinct.series.str.strip_chars()
        there = text.is_not_null() & ~text.is_in(["", *self.words])
        present = distinct.rows_of(there.arg_true().to_numpy())
        self.present += present
        # what does not fit is not looked at while others do, nor what most of many values are not
        some_fit = any(each.count == 0 for each in self.candidates)
        for each in self.candidates:
            most = 0 if some_fit else max(_ENOUGH_AGAINST, each.good)
            if each.count <= most:
                each.add(distinct)
            else:
                each.count += present

    def find(self, table_name: str, habits: Habits) -> Found:
        """Return the kind and how it is written.

        DataError if nearly all values are numbers, or dates, or a number is not finite, or the
        units are several.
        """
        where = f"{table_name}: column {shown(self.name)}"
        if self.asked and not self._is_read_as(self.asked):
            raise DataError(f"{where} holds {self.dtype}: it cannot be read as {self.asked.plural}")
        if self.asked is Category or not self.present:
            return Found(Category)
        if self.asked is Date and self._by_pattern and not self._by_pattern.fits:
            raise self._mistakes(Date, self._by_pattern, where)
        if fitting := self._likely():
            found = self._of_kind(fitting, habits)
            if found.candidate.is_code and self.asked is not found.kind:
                return Found(Category)
            found.candidate.check(where, self.instead)
            return found
        for kind in dict.fromkeys(each.kind for each in self.candidates):
            nearest = min((c for c in self.candidates if c.kind is kind), key=lambda c: c.mistakes)
            count, _, _ = nearest.mistakes
            if kind is self.asked and not count:
                nearest.check(where, self.instead)
                return Found(kind, nearest)
            is_nearly = nearest.good > 0 and count <= (1 - _NEARLY_ALL) * self.present
            if kind is self.asked or (kind.reports_mistakes and is_nearly and count):
                raise self._mistakes(kind, nearest, where)
        return Found(Category, doubt=self._doubt_of_text())

    def _is_read_as(self, kind):
        if kind is Category or is_text(self.dtype):
            return self.is_readable
        try:
            kind.read(pl.Series([], dtype=self.dtype), ())
        except ColumnError:
            return False
        return True

    def _doubt_of_text(self):
        """Return what speaks against categories: that most values are numbers, or dates."""
        likely = [c for c in self.candidates if c.kind.reports_mistakes and c.good > c.count]
        if not likely:
            return ""
        best = max(likely, key=lambda each: each.good)
        count, value, row = best.mistakes
        if not count:  # they are numbers in several units
            return ""
        return (
            f"{count:,} of {self.present:,} values are not {best.kind.plural} as the others are, "
            f"such as {shown(value.strip())} in row {row:,}: it is read as text; fix them, or name "
            f"them with missing={shown(value.strip())}"
        )

    def _of_kind(self, fitting, habits):
        """Return the kind of the candidates `fitting`, in the usual way of writing, or first."""
        asked, usual = (
            [each for text in texts for each in fitting if text == each.text]
            for texts in (habits.chosen, habits.proved)
        )
        best = [*asked, *usual, *fitting][0]
        telling = [each for each in fitting if each.tells]
        is_plain = not best.tells and not usual
        if asked or is_plain or not telling or len(fitting) == 1:
            return Found(best.kind, best, is_asked=bool(asked))
        why = ", as in other columns" if usual else ""
        return Found(best.kind, best, telling[0].doubt(best.text, why))

    def _likely(self):
        """Return the candidates that fit, of the first kind that does, and are likely."""
        fitting = [each for each in self.candidates if each.fits]
        if not fitting or fitting[0] is self._by_pattern:
            return fitting[:1]
        kind = fitting[0].kind
        return kind.likely([each for each in fitting if each.kind is kind])

    def _mistakes(self, kind, candidate, where):
        count, value, row = candidate.mistakes
        value = value.strip()
        ways = ["fix them", f"name them with missing={shown(value)}"]
        if not self.asked:
            ways.append(f"say {self.instead}")
        form = candidate.text.form if candidate.text else ""
        return DataError(
            f"{where}: {count:,} of {self.present:,} values are not {kind.plural}{form}, "
            f"such as {shown(value)} in row {row:,}: {', '.join(ways[:-1])}, or {ways[-1]}"
        )

    def proved(self) -> Any:
        """Return the only way in which the text can be written, None if it is open or plain."""
        likely = self._likely() if is_text(self.dtype) else []
        return likely[0].text if len(likely) == 1 else None

    def reason_to_drop(self) -> str | None:
        """Return why it is no input whatever its values in training rows are, or None."""
        if self.asked:
            return None
        if not self.is_readable:
            return f"holds {self.dtype}"
        if not self.present:
            return "all missing"
        if self.present < self.rows or self.rows < FEWEST_ROWS_OF_AN_ID:
            return None
        found = next((each for each in self.candidates if each.fits), None)
        return found.why_an_id(self.rows) if found else None


class _Plain(NamedTuple):
    """The way of writing that most text of a kind has."""

    parsed: Parse

    @property
    def plain(self) -> Parse:
        """The same: it has no other form."""
        return self.parsed


_PLAIN: dict[type[Column], _Plain] = {
    Number: _Plain(NumberText().plain),
    Date: _Plain(DateText().plain),
}
