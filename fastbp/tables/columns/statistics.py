"""What is learned of a column from training rows: scikit-learn fits, and data is what is left."""

from collections import Counter

import numpy as np

from ...errors import DataError
from ..wording import shown
from .schema import Column
from .survey import FEWEST_ROWS_OF_AN_ID
from .values import READERS, count

MOST_CATEGORIES = 64
# what is longer is no name of a category, and would make model files of any size
LONGEST_CATEGORY = 2_000
# more distinct values than these are not counted
MOST_COUNTED = 100_000
MOSTLY_DISTINCT = 0.5
_DAY = 86_400


class Standard:
    """The mean and the population standard deviation of numbers, batch by batch, in float64."""

    def __init__(self):
        # its import takes a second, which whoever predicts need not wait for
        from sklearn.preprocessing import StandardScaler

        self._scaler, self._seen = StandardScaler(), False

    def add(self, values):
        """Take numbers; NaN does not count."""
        # an empty batch would make NaN of scikit-learn's mean for good
        known = values[~np.isnan(values)]
        if known.size:
            with np.errstate(over="ignore", invalid="ignore"):
                self._scaler.partial_fit(known[:, None])
            self._seen = True

    def mean_and_scale(self, name, source):
        """Return both, (0, 1) of no numbers; `name` of `source` is what messages call them.

        Raises
        ------
        DataError
            If squares of the numbers overflow.
        """
        if not self._seen:
            return 0.0, 1.0
        scaler = self._scaler
        if not np.isfinite([scaler.mean_[0], scaler.var_[0]]).all():
            raise DataError(
                f"{source}: column {shown(name)} holds numbers too large to square: "
                "give it in another unit, or drop it"
            )
        return float(scaler.mean_[0]), float(scaler.scale_[0])


class NumberFit:
    """Fits a column of numbers, dates or booleans."""

    def __init__(self, name, kind, words):
        self.name, self.kind, self.words = name, kind, words
        self._standard = Standard()
        self._missing = False
        self._range, self._clock = _Range(), _Range()

    def add(self, series):
        """Take the values of training rows."""
        values, _ = READERS[self.kind](series, self.words)
        self._missing = self._missing or bool(np.isnan(values).any())
        self._range.add(values)
        if self.kind != "boolean":
            self._standard.add(values)
        if self.kind == "date":
            self._clock.add(values % _DAY)

    def column(self, source):
        """Return the fitted column, or why it is no input."""
        if self._range.is_empty:
            return "all missing"
        if not self._range.varies and not self._missing:
            return "constant"
        mean, scale = self._standard.mean_and_scale(self.name, source)
        return Column(self.name, self.kind, self._missing, mean, scale, clock=self._clock.varies)


class CategoryFit:
    """Counts the categories of a column; `is_asked` keeps what would be taken for free text."""

    def __init__(self, name, words, is_asked):
        self.name, self.words, self.is_asked = name, words, is_asked
        self._counts: Counter = Counter()
        self._present = 0
        self._missing = self._is_full = False

    def add(self, series):
        """Take the values of training rows."""
        if self._is_full:
            return
        missing = count(series, self.words, self._counts)
        self._missing = self._missing or missing > 0
        self._present += len(series) - missing
        self._is_full = len(self._counts) > MOST_COUNTED

    @property
    def is_id(self):
        """Whether each value is there once, and is one word."""
        once = len(self._counts) == self._present
        return once and not any(" " in value for value in self._counts)

    def column(self, source):
        """Return the fitted column, or why it is no input.

        Raises
        ------
        DataError
            If it was asked for, and has more categories than can be counted.
        """
        distinct = len(self._counts)
        if distinct == 0:
            return "all missing"
        if distinct == 1 and not self._missing:
            return "constant"
        if self.is_asked and self._is_full:
            raise DataError(
                f"{source}: column {shown(self.name)} has more than {MOST_COUNTED:,} distinct "
                "values: too many for categories; drop it"
            )
        if not self.is_asked and self._is_free_text:
            what = "an id" if self.is_id else "free text"
            more = "more than " if self._is_full else ""
            return f"{what}: {more}{distinct:,} distinct values in {self._present:,} rows"
        short = [name for name in self._counts if len(name) <= LONGEST_CATEGORY]
        if not short:
            return f"free text: over {LONGEST_CATEGORY:,} characters each"
        kept = sorted(short, key=lambda name: (-self._counts[name], name))[:MOST_CATEGORIES]
        for name in kept:
            if "\0" in name:
                raise DataError(f"{source}: column {shown(self.name)} holds NUL in {shown(name)}")
        return Column(
            self.name,
            "category",
            self._missing,
            categories=tuple(sorted(kept)),
            other=distinct > len(kept),
        )

    @property
    def _is_free_text(self):
        distinct = len(self._counts)
        if self._is_full:
            return True
        mostly = distinct > MOSTLY_DISTINCT * self._present
        return mostly and self._present >= FEWEST_ROWS_OF_AN_ID and distinct > MOST_CATEGORIES


class _Range:
    def __init__(self):
        self.low, self.high = np.inf, -np.inf

    def add(self, values):
        # fmin and fmax pass over NaN
        self.low = float(np.fmin.reduce(values, initial=self.low))
        self.high = float(np.fmax.reduce(values, initial=self.high))

    @property
    def is_empty(self):
        return self.low > self.high

    @property
    def varies(self):
        return self.low < self.high
