"""Columns of numbers: standardized, and 0 where missing."""

import re
from collections.abc import Callable, Sequence
from typing import Any

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
    """The mean and the population standard deviation of numbers, frame by frame, in float64."""

    def __init__(self) -> None:
        # its import takes a second, which predicting does not need
        from sklearn.preprocessing import StandardScaler

        self._scaler, self._seen = StandardScaler(), False

    def add(self, values: Floats) -> None:
        """Take numbers; NaN does not count."""
        # an empty array would make NaN of scikit-learn's mean for good
        known = values[~np.isnan(values)]
        if known.size:
            with np.errstate(over="ignore", invalid="ignore"):
                self._scaler.partial_fit(known[:, None])
            self._seen = True

    def mean_and_scale(self, name: str, table_name: str) -> tuple[float, float]:
        """Return both, (0, 1) without numbers; messages name the column and the table.

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
                f"{table_name}: column {shown(name)} holds numbers too large to square: "
                "give it in another unit, or drop it"
            )
        return float(scaler.mean_[0]), float(scaler.scale_[0])


def standardized(values: Floats, mean: float, scale: float) -> Floats:
    """Return (values - mean) / scale, within `LARGEST`."""
    with np.errstate(over="ignore"):
        return np.clip((values - mean) / scale, -LARGEST, LARGEST)


class NumberFit(Fit):
    """Fits mean and scale."""

    def __init__(self, *about):
        super().__init__(*about)
        self._standard = Standard()

    def add_values(self, values: Floats) -> None:
        """Take numbers, NaN where missing."""
        self._standard.add(values)

    def fields(self, table_name: str) -> dict[str, Any]:
        """Return mean and scale."""
        mean, scale = self._standard.mean_and_scale(self.name, table_name)
        return {"mean": mean, "scale": scale}


class NumberCandidate(Candidate):
    """Gathers besides whether numbers are finite, whole, or ids."""

    def __init__(self, name: str, dtype: pl.DataType):
        super().__init__(name, dtype)
        self.is_whole = True
        self._steps = _Steps(name, dtype)

    def add(self, series: pl.Series, values: Floats, first: int) -> None:
        """Take a frame and its numbers; it begins at row `first`, from 0."""
        infinite = np.isinf(values)
        if self.infinite is None and infinite.any():
            place = int(np.argmax(infinite))
            self.infinite = f"{values[place]} in row {first + place + 1:,}"
        if self.is_whole:
            known = values[~np.isnan(values)]
            self.is_whole = bool((np.isfinite(known) & (known == np.floor(known))).all())
        if self.is_whole:
            self._steps.add(series, values)

    def check(self, where: str) -> None:
        """Raise DataError if a number is infinite."""
        if self.infinite is not None:
            raise DataError(
                f"{where} holds {self.infinite}: expected finite numbers; mend it, or name it "
                "with --missing"
            )

    def why_an_id(self, rows: int) -> str | None:
        """Return why the numbers only name rows, or None."""
        return self._steps.why_an_id(rows) if self.is_whole else None


class Number(Column, frozen=True):
    """A column of numbers: one feature (x - mean) / scale, within 1e6; 0 where x is missing.

    Durations and times of day are read as seconds, booleans as 1 and 0.

    Attributes
    ----------
    mean, scale : float
        The mean and the standard deviation of training rows.
    """

    mean: Finite = 0.0
    scale: Positive = 1.0

    plural = "numbers"
    expected = "a finite number"
    formula = "(value - {0.mean!r}) / {0.scale!r}"
    in_text = True
    reports_mistakes = True
    candidate = NumberCandidate
    fit = NumberFit

    @classmethod
    def holds(cls, dtype: pl.DataType) -> bool:
        """Return whether a polars type holds numbers, durations or times of day."""
        return dtype.is_numeric() or dtype in (pl.Duration, pl.Time, pl.Null)

    @classmethod
    def read(cls, series: pl.Series, words: Sequence[str]) -> tuple[Floats, Places]:
        """Read numbers; see `Column.read`."""
        dtype, bad = series.dtype, NONE
        if is_text(dtype):
            values, bad = parsed_text(series.cast(pl.String), words, _parsed)
        elif dtype in (pl.Duration, pl.Time):
            values = seconds(series)
        elif dtype == pl.Boolean or cls.holds(dtype):
            values = floats(series)
        else:
            raise unreadable(series, cls.plural)
        return without(values, words, _parsed), bad

    def write(self, values, missing, features) -> None:
        """Write standardized numbers."""
        features[:, 0] = np.where(missing, 0, standardized(values, self.mean, self.scale))

    def describe(self, number: Callable[[float], str]) -> list[tuple[str, bool]]:
        """Return mean and scale."""
        return [(f"mean {number(self.mean)}, deviation {number(self.scale)}", False)]


def _parsed(series):
    return series.cast(pl.Float64, strict=False)


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
