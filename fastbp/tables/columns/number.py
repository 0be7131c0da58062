"""Columns of numbers: standardized, and 0 where missing."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl

from ...errors import DataError
from ...json_data import Finite, Positive
from ..wording import shown
from .column import Candidate, Column, Fit
from .values import NONE, Floats, Places, floats, is_text, parsed_text, seconds, unreadable, without

# standardized numbers and dates are clipped to this, so that float32 and a network stay finite
LARGEST = 1e6
FEWEST_ROWS_OF_AN_ID = 20
# integers looked at to say whether all are distinct; more rows than these cannot be held
_MOST_KEYS = 1_000_000
_NAME_OF_AN_ID = re.compile(
    r"(?:^|[^A-Za-z])(?i:ids?|idx|index|key|uuid|guid)$|^(?i:id|uuid|guid)[^A-Za-z]"
    r"|[a-z](?:Id|ID|Idx|Index|Key|Uuid|UUID|Guid|GUID)$"
)


class Standard:
    """The mean and the population standard deviation of numbers, frame by frame, in float64.

    The sum of squares of a frame is corrected for the rounding of its mean, and added to that of
    the frames before (Chan, Golub and LeVeque, The American Statistician 37(3), 1983, equations
    1.5 and 1.7). scikit-learn's StandardScaler does the same, but takes 0.6 s to import.
    """

    def __init__(self) -> None:
        self._count, self._mean, self._variance = 0, np.float64(0), np.float64(0)

    def add(self, values: Floats) -> None:
        """Add numbers; NaN does not count."""
        known = values[~np.isnan(values)]
        if not known.size:
            return
        with np.errstate(over="ignore", invalid="ignore"):
            count, total, total_before = known.size, known.sum(), self._mean * self._count
            apart = known - total / count
            squares = (apart**2).sum() - apart.sum() ** 2 / count
            both = self._count + count
            if self._count:
                ratio = self._count / count
                between = ratio / both * (total_before / ratio - total) ** 2
                squares = self._variance * self._count + squares + between
            self._count, self._mean = both, (total_before + total) / both
            self._variance = squares / both

    def mean_and_scale(self, name: str, table_name: str) -> tuple[float, float]:
        """Return both; (0, 1) without numbers, a scale of 1 where they differ by rounding alone.

        DataError if squares of the numbers overflow.
        """
        if not self._count:
            return 0.0, 1.0
        if not np.isfinite([self._mean, self._variance]).all():
            raise DataError(
                f"{table_name}: column {shown(name)} holds numbers too large to square: "
                "give it in another unit, or drop it"
            )
        rounding = self._count * np.finfo(np.float64).eps
        with np.errstate(over="ignore"):
            bound = rounding * self._variance + (rounding * self._mean) ** 2
        scale = 1.0 if self._variance <= bound else np.sqrt(self._variance)
        return float(self._mean), float(scale)


class StandardFit(Fit):
    """Fits mean and scale."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._standard = Standard()

    def add_values(self, values: Floats) -> None:
        """Add numbers, NaN where missing."""
        self._standard.add(values)

    def fields(self, table_name: str) -> dict[str, Any]:
        """Return mean and scale."""
        mean, scale = self._standard.mean_and_scale(self.name, table_name)
        return {"mean": mean, "scale": scale}


class Standardized(Column, frozen=True):
    """The base of columns whose first feature is (x - mean) / scale, within 1e6; 0 where missing.

    `mean` and `scale` are the mean and the standard deviation of training rows.
    """

    mean: Finite = 0.0
    scale: Positive = 1.0

    in_text = True
    reports_mistakes = True
    fit = StandardFit
    # types that are read though no column of them is of this kind
    also_read: ClassVar[tuple[Any, ...]] = (pl.Null,)

    @staticmethod
    def parsed(series: pl.Series) -> pl.Series:
        """Return the numbers that text stands for, null where it stands for none."""
        return series.cast(pl.Float64, strict=False)

    @classmethod
    def read(cls, series: pl.Series, words: Sequence[str]) -> tuple[Floats, Places]:
        """Read numbers, or times in seconds; see `Column.read`."""
        dtype = series.dtype
        bad = NONE
        if is_text(dtype):
            values, bad = parsed_text(series.cast(pl.String), words, cls.parsed)
        elif cls.holds(dtype) or dtype in cls.also_read:
            values = seconds(series) if dtype.is_temporal() else floats(series)
        else:
            raise unreadable(series, cls.plural)
        return without(values, words, cls.parsed), bad

    def write(self, values, missing, features) -> None:
        """Write the standardized values."""
        with np.errstate(over="ignore"):
            standardized = np.clip((values - self.mean) / self.scale, -LARGEST, LARGEST)
        features[:, 0] = np.where(missing, 0, standardized)


@dataclass
class _NumberCandidate(Candidate):
    """Also checks whether the numbers are finite, whole, or ids."""

    is_whole: bool = True

    def __post_init__(self):
        self._steps = _Steps(self.name, self.dtype)

    def add(self, series, values, first):
        infinite = np.isinf(values)
        if self.infinite is None and infinite.any():
            place = int(np.argmax(infinite))
            self.infinite = f"{values[place]} in row {first + place + 1:,}"
        if self.is_whole:
            known = values[~np.isnan(values)]
            self.is_whole = bool((np.isfinite(known) & (known == np.floor(known))).all())
        if self.is_whole:
            self._steps.add(series, values)

    def check(self, where):
        if self.infinite is not None:
            raise DataError(
                f"{where} holds {self.infinite}: expected finite numbers; mend it, or name it "
                "with --missing"
            )

    def why_an_id(self, rows):
        return self._steps.why_an_id(rows) if self.is_whole else None


class _Steps:
    """Whether integers identify rows: each is one more than the last, or no key occurs twice."""

    def __init__(self, name, dtype):
        is_possible = is_text(dtype) or dtype.is_integer()
        self.is_consecutive = is_possible
        self.is_key = is_possible and _NAME_OF_AN_ID.search(name) is not None
        self.first = None
        self.last = None
        self.keys = []
        self.held = 0

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


class Number(Standardized, frozen=True):
    """A column of numbers: one feature; durations and times of day are read as seconds."""

    plural = "numbers"
    expected = "a finite number"
    formula = "(value - {0.mean!r}) / {0.scale!r}"
    candidate = _NumberCandidate
    also_read = (pl.Boolean,)

    @classmethod
    def holds(cls, dtype: pl.DataType) -> bool:
        """Return whether a polars type holds numbers, durations or times of day."""
        return dtype.is_numeric() or dtype in (pl.Duration, pl.Time, pl.Null)

    def describe(self, number: Callable[[float], str]) -> list[tuple[str, bool]]:
        """Return mean and scale."""
        return [(f"mean {number(self.mean)}, deviation {number(self.scale)}", False)]
