"""Columns of categories: a feature for each, and one for all others."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from ...errors import DataError
from ...quoted import quoted
from ..wording import shown
from .column import Column, Fit
from .effects import MOST_MEANS, Effects
from .number import FEWEST_ROWS_OF_AN_ID
from .values import Places, count, places_of

# categories that become features: these, or more where there are this many rows for each, up to
MOST_CATEGORIES = 64
_ROWS_PER_CATEGORY = 4
_MOST_OF_ALL = 512
# longer text is no name of a category, and would make model files of any size
LONGEST_CATEGORY = 2_000
# more distinct values than these are not counted
MOST_COUNTED = 100_000
MOSTLY_DISTINCT = 0.5
_MOST_DESCRIBED = 6


class _CategoryFit(Fit):
    """Counts the categories of a column; a column that the user asked for is never free text."""

    def __post_init__(self):
        super().__post_init__()
        self._counts: Counter[str] = Counter()
        self._present = 0
        self._is_full = False
        self.rare: list[str] = []  # categories that do not become features, the most frequent first

    def add(self, series):
        if self._is_full:
            return
        missing = count(series, self.words, self._counts)
        self.missing = self.missing or missing > 0
        self._present += len(series) - missing
        self._is_full = len(self._counts) > MOST_COUNTED

    def column(self, table_name):
        where = f"{table_name}: column {shown(self.name)}"
        distinct = len(self._counts)
        if distinct == 0:
            return "all missing"
        if distinct == 1 and not self.missing:
            return "constant"
        if self.is_asked and self._is_full:
            raise DataError(
                f"{where} has more than {MOST_COUNTED:,} distinct values: too many for "
                "categories; drop it"
            )
        if not self.is_asked and self._identifies_rows():
            once = distinct == self._present
            is_id = once and not any(" " in value for value in self._counts)
            what = "an id" if is_id else "free text"
            more = "more than " if self._is_full else ""
            return f"{what}: {more}{distinct:,} distinct values in {self._present:,} rows"
        short = [name for name in self._counts if len(name) <= LONGEST_CATEGORY]
        if not short:
            return f"free text: over {LONGEST_CATEGORY:,} characters each"
        most = self.most or min(
            max(MOST_CATEGORIES, self._present // _ROWS_PER_CATEGORY), _MOST_OF_ALL
        )
        ranked = sorted(short, key=lambda name: (-self._counts[name], name))
        kept, self.rare = ranked[:most], ranked[most:]
        for name in kept:
            if "\0" in name:
                raise DataError(f"{where} holds NUL in {shown(name)}")
        rest = self._present - sum(self._counts[name] for name in kept)
        others = (distinct, rest / self._present) if rest else (0, 0.0)
        return Category(self.name, self.missing, tuple(sorted(kept)), rest > 0, *others)

    def with_effects(self, outputs: int) -> list[str]:
        """Return the rare categories whose effects on so many outputs can be told."""
        return [name for name in self.rare if "\0" not in name][: MOST_MEANS // outputs]

    def _identifies_rows(self):
        """Return whether most values differ: ids, or free text."""
        distinct = len(self._counts)
        mostly = distinct > MOSTLY_DISTINCT * self._present
        is_long = self._present >= FEWEST_ROWS_OF_AN_ID and distinct > MOST_CATEGORIES
        return self._is_full or (mostly and is_long)


class Category(Column, frozen=True):
    """A column of categories: one feature for each, 1 or 0, and one for all others if `other`.

    `categories` are the most frequent ones in training rows, sorted; `other` is True if there
    were more: `distinct` in all, and `rest` is the share of the rows of those that were left.
    `effects` are what the others tell of the targets: one more feature for each. A column of no
    other kind is one of categories, unless it is free text.
    """

    categories: tuple[str, ...] = ()
    other: bool = False
    distinct: int = 0
    rest: float = 0.0
    effects: Effects | None = None

    plural = "categories"
    expected = "text"
    formula = "1 or 0, and so for each of its categories"
    fit = _CategoryFit

    def __post_init__(self) -> None:
        if list(self.categories) != sorted(set(self.categories)):
            raise ValueError(
                f"the categories of {quoted(self.name)} are not sorted, or not distinct"
            )
        if self.width == 0:
            raise ValueError(f"column {quoted(self.name)} is a category without categories")

    @property
    def names(self) -> list[str]:
        """The names of the features of categories, and of all others."""
        names = [f"{self.name}={category}" for category in self.categories]
        names += [f"{self.name} is another"] * self.other
        return names + [f"effect of {self.name} on {on}" for on in self._on]

    @property
    def _on(self):
        return self.effects.on if self.effects else ()

    def encode(
        self,
        series: pl.Series,
        words: Sequence[str],
        features: npt.NDArray,
        first_row: int,
        parts: Places | None = None,
    ) -> int:
        """Write a frame; return how many values are unknown: see `Column.encode`."""
        places, missing = places_of(self.categories, series, words)
        known = places >= 0
        features[np.flatnonzero(known), places[known]] = 1
        unknown = ~(known | missing)
        if self.other:
            features[:, len(self.categories)] = unknown
        if self.effects is not None and unknown.any():
            rare, _ = places_of(self.effects.names, series.filter(pl.Series(unknown)), words)
            start = len(self.categories) + self.other
            own = 0 if parts is None else parts[unknown]
            features[unknown, start : start + len(self._on)] = self.effects.of(rare, own)
        if self.missing:
            features[:, -1] = missing
        return 0 if self.other else int(np.count_nonzero(unknown))

    def describe(self, number: Callable[[float], str]) -> list[tuple[str, bool]]:
        """Return the first categories, and how many more there are."""
        phrases = [(name, True) for name in self.categories[:_MOST_DESCRIBED]]
        more = len(self.categories) - len(phrases)
        if more:
            phrases.append((f"{more:,} more", False))
        phrases += [("all others", False)] * self.other
        if self.effects:
            phrases.append((f"and the effects of {len(self.effects.names):,} of them", False))
        return phrases
