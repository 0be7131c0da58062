"""The target: its task, its classes, and its values as a network learns them."""

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec.structs import replace

from ...errors import DataError
from ..losses import LOSSES, OF_RATES, ROBUST
from ..wording import counted, listed, shown
from .boolean import Boolean
from .category import LONGEST_CATEGORY, MOSTLY_DISTINCT, Category
from .column import Range
from .date import Date
from .number import FEWEST_ROWS_OF_AN_ID, OUTLYING, Number
from .scaling import Quartiles, Standard
from .schema import Target, Task
from .survey import Found, Habits, Survey
from .values import count, places_of, wrong_value

# whole numbers with at most this number of distinct values are classes
_MOST_INTEGER_CLASSES = 20
MOST_CLASSES = 1_000
# whole numbers below are exact in float64
_EXACT = 2**53
# squares of smaller numbers vanish in float64
_LEAST_RANGE = 1e-150


_log = logging.getLogger("fastbp")


class TargetSurvey:
    """Gathers the classes, or numbers, of a target over all rows; `task` is the user's choice."""

    def __init__(
        self,
        name: str,
        dtype: pl.DataType,
        words: Sequence[str],
        task: Task | None,
        loss: str | None = None,
    ):
        self.name = name
        self.task = task
        self.loss = loss
        self.doubt = ""
        self._survey = Survey(name, dtype, words, instead="task=classification")
        self._counts: Counter = Counter()
        self._lost: Counter = Counter()  # words that mean a missing value

    def add(self, series: pl.Series, first: int) -> None:
        """Add the values of a frame, which begins at row `first`, counted from 0."""
        if not self._survey.is_readable:
            return
        self._survey.add(series, first)
        if len(self._counts) <= MOST_CLASSES:
            count(series, self._survey.words, self._counts, self._lost)

    def target(self, table_name: str, habits: Habits) -> Target:
        """Return the `Target` without statistics; DataError if it does not suit the task."""
        survey = self._survey
        name = f"{table_name}: the target {shown(survey.name)}"
        if not survey.is_readable:
            raise DataError(f"{name} holds {survey.dtype}: expected numbers, text or booleans")
        if not survey.present:
            why = self._told_of_lost("; ")
            raise DataError(
                f"{name} is missing in all rows: give its values, or another target{why}"
            )
        self.found = found = self._find(table_name, habits)
        kind, candidate = found.kind, found.candidate
        self.doubt = found.doubt
        if kind is Date:
            raise DataError(f"{name} holds dates: expected numbers or classes")
        is_whole = kind is Number and candidate.is_whole
        is_few = is_whole and candidate.is_plain and len(self._counts) <= _MOST_INTEGER_CLASSES
        is_regression = kind is Number and not is_few
        if kind is Number and self.loss in LOSSES["regression"]:
            is_regression = True
        if self.task:
            is_regression = self.task == "regression"
        if not is_regression:
            return self._classes(kind, is_whole and candidate.is_plain, name)
        if kind is not Number:
            raise DataError(
                f"{name} holds {shown(min(self._counts))}, and regression needs numbers: "
                "leave `task` out, or name another target"
            )
        if candidate.low[0] == candidate.high[0]:
            raise DataError(
                f"{name} is {candidate.low[0]:.6g} in all rows: there is nothing to learn; name "
                "another target"
            )
        rate = self.loss in OF_RATES
        return Target(survey.name, "regression", "number", text=found.text, rate=rate)

    @property
    def known(self) -> int:
        """In how many rows the target has a value."""
        return self._survey.present

    def proved(self):
        """Return the only way in which the text can be written, None if it is open or plain."""
        return self._survey.proved()

    def _find(self, table_name, habits) -> Found:
        if self.task != "classification":
            return self._survey.find(table_name, habits)
        # dates, infinity and a few that are no numbers among numbers may be names of classes
        for each in self._survey.candidates:
            if each.kind is not Date and each.fits and each.infinite is None and not each.is_code:
                return Found(each.kind, each)
        return Found(Category)

    def _classes(self, kind, is_whole, name):
        values = list(self._counts)
        if len(values) > MOST_CLASSES:
            raise DataError(
                f"{name} has more than {MOST_CLASSES:,} classes: "
                "is it the right column, or a number for task=regression?"
            )
        longest = max(values, key=len)
        if len(longest) > LONGEST_CATEGORY:
            raise DataError(
                f"{name} holds a text of {len(longest):,} characters, {shown(longest)}: "
                "expected the names of classes"
            )
        rows = self._survey.present
        mostly = len(values) > MOSTLY_DISTINCT * rows
        if kind is Category and mostly and rows >= FEWEST_ROWS_OF_AN_ID:
            raise DataError(
                f"{name} has {len(values):,} distinct values in {rows:,} rows: it looks like "
                "an id or free text; name another target"
            )
        written, classes = _written(is_whole, values)
        present = {value.lower() for value in values} if kind is Boolean else classes
        if len(present) < 2:
            why = self._told_of_lost("; ")
            raise DataError(
                f"{name} has one class only, {listed(present)}: expected at least two{why}"
            )
        if self._lost and written == "text":
            _log.warning("%s: %s", name, self._told_of_lost())
        counts = (0,) * len(classes)
        return Target(self._survey.name, "classification", written, classes, counts)

    def _told_of_lost(self, before=""):
        """Say which word of the target counts as missing, though it may be that of a class."""
        if not self._lost:
            return ""
        word, rows = self._lost.most_common(1)[0]
        return (
            f"{before}{counted(rows, 'row')} with {shown(word)} {'is' if rows == 1 else 'are'} "
            "left out, for it counts as missing: if it is a class, say which words do by `missing`"
            "; '' alone leaves out the usual ones"
        )


def targets_of(surveys: Sequence[TargetSurvey], table_name: str, habits: Habits) -> list[Target]:
    """Return the targets without statistics; of several, all numbers or all of two classes.

    DataError if one does not suit the task, or several differ.
    """
    found = [survey.target(table_name, habits) for survey in surveys]
    kinds = {target.kind for target in found}
    if len(found) > 1 and kinds == {"integer", "number"}:  # numbers, a few of them whole
        for survey in surveys:
            survey.task = "regression"
        return [survey.target(table_name, habits) for survey in surveys]
    if len(found) > 1:
        classes = {len(target.classes) for target in found}
        if len({target.task for target in found}) > 1 or max(classes) > 2:
            described = (
                f"{shown(target.name)} ({len(target.classes)} classes)"
                if target.classes
                else f"{shown(target.name)} (numbers)"
                for target in found
            )
            raise DataError(
                f"{table_name}: several targets are all numbers, or have two classes each: "
                f"{', '.join(described)}; give task=regression, or train one model for each"
            )
    return found


def _written(are_whole, values):
    """Return the kind of classes and the classes, from the text of their values."""
    if are_whole and all(map(_is_exact, values)):
        return "integer", tuple(map(str, sorted({int(float(value)) for value in values})))
    if {value.lower() for value in values} <= {"true", "false"}:
        return "boolean", ("false", "true")
    return "text", tuple(sorted(values))


def _is_exact(text):
    """Return whether a text is a number that float64 holds: a word may be missing among numbers."""
    try:
        return abs(float(text)) < _EXACT
    except ValueError:
        return False


class TargetFit:
    """Counts the training rows of each class, or standardizes numbers."""

    def __init__(
        self,
        target: Target,
        words: Sequence[str],
        clip: float | None = None,
        loss: str | None = None,
    ):
        self.target = target
        self.words = words
        self.clip = clip
        self.loss = loss
        self._counts = np.zeros(len(target.classes), np.int64)
        self._standard = Standard()
        self._quartiles = Quartiles()
        self._range = Range()

    def read(self, series: pl.Series) -> tuple[npt.NDArray, npt.NDArray[np.bool_]]:
        """Return the values of a frame, and which rows have one; see `read_target`."""
        return read_target(self.target, series, self.words)

    def add(self, values: npt.NDArray) -> None:
        """Add values, as `read` returns them, of rows that train."""
        if self.target.task == "classification":
            self._counts += np.bincount(values, minlength=len(self._counts))
        else:
            self._standard.add(values)
            self._quartiles.add(values)
            self._range.add(values)

    def fitted(self, table_name: str) -> Target:
        """Return the target with its statistics; DataError if there are fewer than two classes."""
        target = self.target
        if target.task == "regression":
            return self._fitted_numbers(table_name)
        if np.count_nonzero(self._counts) < 2:
            raise DataError(
                f"{table_name}: the target {shown(target.name)} has fewer than two classes in the "
                "training rows: give more rows, or hold fewer back"
            )
        counts = self._counts.tolist()
        for name, rows in zip(target.classes, counts, strict=True):
            if not rows:
                _log.warning(
                    "%s: no training row has the class %s of %s: the model cannot predict it",
                    *(table_name, shown(name), shown(target.name)),
                )
        return replace(target, counts=tuple(counts))

    def _fitted_numbers(self, table_name):
        """Return the target with mean and scale, of what is near if the loss bears the rest."""
        target = self.target
        if 0 < self._range.high - self._range.low < _LEAST_RANGE:
            raise DataError(
                f"{table_name}: the target {shown(target.name)} holds numbers too small to square, "
                f"as {self._range.high:.3g}: give it in another unit"
            )
        center, scale, _ = self.spread
        if self.clip and not target.rate:
            bounds = (center - self.clip * scale, center + self.clip * scale)
            return replace(target, mean=center, scale=scale, low=bounds[0], high=bounds[1])
        if target.rate:
            return self._fitted_rate(table_name)
        far = max(self._range.high - center, center - self._range.low)
        if self.loss in ROBUST:
            # it changes no gradient, but a loss of 1e30 would hide how epochs differ, also where
            # it is of a validation row
            bounds = center - OUTLYING * scale, center + OUTLYING * scale
            target = replace(target, low=bounds[0], high=bounds[1])
            if far > OUTLYING * scale:
                return replace(target, mean=center, scale=scale)
        mean, scale = self._standard.mean_and_scale(target.name, table_name)
        return replace(target, mean=mean, scale=scale)

    def _fitted_rate(self, table_name):
        """Return a target of rates, in units of their mean: its logarithm is not shifted."""
        mean, _ = self._standard.mean_and_scale(self.target.name, table_name)
        center, scale, _ = self.spread
        bounds = {"low": 0.0, "high": center + self.clip * scale} if self.clip else {}
        return replace(self.target, mean=0.0, scale=mean or 1.0, **bounds)

    @property
    def spread(self):
        """The `Spread` of the numbers."""
        return self._quartiles.spread(self._range.low, self._range.high)


def read_target(
    target: Target, series: pl.Series, words: Sequence[str], first_row: int = 0
) -> tuple[npt.NDArray, npt.NDArray[np.bool_]]:
    """Return ``(values, kept)``, (n,) each: int64 labels or float64 numbers, and which are there.

    Labels are places in ``target.classes``; where the target is missing, `kept` is False.
    ColumnError if a value is no number, or of no known class; it names the row.
    """
    values: npt.NDArray
    if target.kind == "text":
        values, missing = places_of(target.classes, series, words)
        kept = ~missing
        unknown = np.flatnonzero(kept & (values < 0))
    else:
        kind = Boolean if target.kind == "boolean" else Number
        text = target.text if kind is Number else None
        read, unknown = kind.read(series, words, text)
        kept = ~np.isnan(read)
        if target.kind == "number":
            values = read
            bad = np.isinf(read) | (read < 0) if target.rate else np.isinf(read)
            unknown = np.union1d(unknown, np.flatnonzero(bad))
        elif target.kind == "integer":
            classes = np.array([float(name) for name in target.classes])
            values = np.searchsorted(classes, read).clip(max=len(classes) - 1)
            unknown = np.union1d(unknown, np.flatnonzero(kept & (classes[values] != read)))
        else:
            values = np.where(kept, read, 0).astype(np.int64)
    if len(unknown):
        expected = "a finite number of at least 0" if target.rate else "a finite number"
        if target.task == "classification":
            expected = f"one of the classes {listed(target.classes)}"
        raise wrong_value(f"the target {shown(target.name)}", series, unknown, first_row, expected)
    return values, kept
