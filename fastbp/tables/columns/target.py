"""The target: which task it poses, its classes, and its values as a net learns them."""

from collections import Counter

import numpy as np

from ...errors import DataError
from ..wording import listed, shown
from .schema import Target
from .statistics import LONGEST_CATEGORY, MOSTLY_DISTINCT, Standard
from .survey import FEWEST_ROWS_OF_AN_ID, Survey
from .values import booleans, count, numbers, places_of

# whole numbers of at most so many distinct values are classes
_MOST_INTEGER_CLASSES = 20
MOST_CLASSES = 1_000
# whole numbers below are exact in float64
_EXACT = 2**53


class TargetSurvey:
    """Gathers the classes, or numbers, of a target over all rows.

    Parameters
    ----------
    name : str
        Of the column.
    dtype : polars.DataType
        Of its values.
    words : sequence of str
        What text is missing.
    task : {"classification", "regression"} or None
        What is asked for.
    """

    def __init__(self, name, dtype, words, task):
        self.name, self.dtype, self.words, self.task = name, dtype, words, task
        self._survey = Survey(name, dtype, words)
        self._counts: Counter = Counter()

    def add(self, series, first):
        """Take the values of a batch, whose first row is row `first`, counted from 0."""
        if not self._survey.is_readable:
            return
        self._survey.add(series, first)
        if len(self._counts) <= MOST_CLASSES:
            count(series, self.words, self._counts)

    def target(self, source):
        """Return the `Target`, before its statistics are known.

        Raises
        ------
        DataError
            If it poses no task, or not the one that was asked for.
        """
        name, survey = f"{source}: the target {shown(self.name)}", self._survey
        if not survey.is_readable:
            raise DataError(f"{name} holds {self.dtype}: expected numbers, text or booleans")
        if not survey.present:
            raise DataError(f"{name} is missing in all rows: give its values, or another target")
        kind = self._kind(source)
        if kind == "date":
            raise DataError(f"{name} holds dates: expected numbers or classes")
        task = self.task or self._task_of(kind)
        if task == "regression":
            if kind != "number":
                example = min(self._counts)
                raise DataError(
                    f"{name} holds {shown(example)}, and regression needs numbers: "
                    "leave --task out, or name another target"
                )
            return Target(self.name, task, "number")
        return self._classes(kind, name)

    def _kind(self, source):
        if self.task != "classification":
            return self._survey.kind(source)
        # a few classes that are no numbers are no mistakes, and nor are dates or infinity
        number = self._survey.misses.get("number")
        boolean = self._survey.misses.get("boolean")
        if number and number.count == 0 and self._survey.infinite is None:
            return "number"
        return "boolean" if boolean and boolean.count == 0 else "category"

    def _task_of(self, kind):
        few = self._survey.is_whole and len(self._counts) <= _MOST_INTEGER_CLASSES
        return "regression" if kind == "number" and not few else "classification"

    def _classes(self, kind, name):
        values = list(self._counts)
        if len(values) > MOST_CLASSES:
            raise DataError(
                f"{name} has more than {MOST_CLASSES:,} classes: "
                "is it the right column, or a number for --task regression?"
            )
        longest = max(values, key=len)
        if len(longest) > LONGEST_CATEGORY:
            raise DataError(
                f"{name} holds a text of {len(longest):,} characters, {shown(longest)}: "
                "expected the names of classes"
            )
        rows = self._survey.present
        if (
            kind == "category"
            and rows >= FEWEST_ROWS_OF_AN_ID
            and len(values) > MOSTLY_DISTINCT * rows
        ):
            raise DataError(
                f"{name} has {len(values):,} distinct values in {rows:,} rows: it looks like "
                "an id or free text; name another target"
            )
        kind, classes = _written(kind, self._survey.is_whole, values)
        present = {value.lower() for value in values} if kind == "boolean" else classes
        if len(present) < 2:
            raise DataError(f"{name} has one class only, {listed(present)}: expected at least two")
        return Target(self.name, "classification", kind, classes, (0,) * len(classes))


def _written(kind, is_whole, values):
    """Return the kind of classes and the classes, from the text of their values."""
    if kind == "number" and is_whole and all(abs(float(value)) < _EXACT for value in values):
        return "integer", tuple(map(str, sorted({int(float(value)) for value in values})))
    if {value.lower() for value in values} <= {"true", "false"}:
        return "boolean", ("false", "true")
    return "text", tuple(sorted(values))


class TargetFit:
    """Counts the training rows of each class, or standardises numbers."""

    def __init__(self, target, words):
        self.target, self.words = target, words
        self._counts = np.zeros(len(target.classes), np.int64)
        self._standard = Standard()

    def add(self, series, is_training):
        """Take a batch; return which rows, (n,) bool, train: with a target, among `is_training`."""
        values, kept = read_target(self.target, series, self.words)
        trains = kept & is_training
        if self.target.task == "classification":
            self._counts += np.bincount(values[trains], minlength=len(self._counts))
        else:
            self._standard.add(values[trains])
        return trains

    def fitted(self, source):
        """Return the target with its statistics.

        Raises
        ------
        DataError
            If training rows have no target, or one class only.
        """
        target, name = self.target, f"{source}: the target {shown(self.target.name)}"
        if target.task == "regression":
            mean, scale = self._standard.mean_and_scale(target.name, source)
            return Target(target.name, target.task, target.kind, mean=mean, scale=scale)
        if np.count_nonzero(self._counts) < 2:
            raise DataError(
                f"{name} has fewer than two classes in the training rows: give more rows, "
                "or hold fewer back"
            )
        counts = tuple(map(int, self._counts))
        return Target(target.name, target.task, target.kind, target.classes, counts)


def read_target(target, series, words, first_row=0, source=""):
    """Return ``(values, kept)``: labels, int64, or numbers, float64, (n,), and where they are.

    Labels are places in ``target.classes``; where the target is missing, `kept` is False.

    Raises
    ------
    DataError
        If a value is no number, or of no class that is known; it names the row.
    """
    if target.kind == "text":
        values, missing = places_of(target.classes, series, words)
        kept = ~missing
        unknown = np.flatnonzero(kept & (values < 0))
    else:
        read = booleans if target.kind == "boolean" else numbers
        values, unknown = read(series, words)
        kept = ~np.isnan(values)
        if target.kind == "number":
            unknown = np.union1d(unknown, np.flatnonzero(np.isinf(values)))
        elif target.kind == "integer":
            classes = np.array([float(name) for name in target.classes])
            labels = np.searchsorted(classes, values).clip(max=len(classes) - 1)
            unknown = np.union1d(unknown, np.flatnonzero(kept & (classes[labels] != values)))
            values = labels
        else:
            values = np.where(kept, values, 0).astype(np.int64)
    if len(unknown):
        raise _unknown(target, series, int(unknown[0]), first_row, source)
    return values, kept


def _unknown(target, series, place, first_row, source):
    wanted = "a finite number"
    if target.task == "classification":
        wanted = f"one of the classes {listed(target.classes)}"
    where = f"{source}: " if source else ""
    return DataError(
        f"{where}the target {shown(target.name)} is {shown(series[place])} in row "
        f"{first_row + place + 1:,}: expected {wanted}"
    )
