"""From a table to its schema: the kind of each column, fitted to training rows."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from ...errors import DataError
from ...memory import require_memory
from ..read.table import Table
from ..wording import shown
from .category import Category
from .column import Column
from .date import Date
from .date_text import order_of, patterns_of
from .effects import EffectsFit, names_of, outputs_of, parts_of
from .kinds import AnyColumn
from .number import Number
from .number_text import NumberText
from .schema import Dropped, Schema, Target, Task
from .survey import Found, Habits, Survey
from .target import TargetFit, TargetSurvey, targets_of
from .telling import tell, tell_target
from .values import places_of

# what columns may keep of their rows without a look at what is free
_LITTLE = 2**24
_log = logging.getLogger("fastbp")
Mask: TypeAlias = npt.NDArray[np.bool_]


def infer(
    table: Table,
    target: str | Sequence[str],
    *,
    task: Task | None = None,
    ids: Sequence[str] = (),
    drop: Sequence[str] = (),
    categorical: Sequence[str] = (),
    numeric: Sequence[str] = (),
    decimal: Literal[".", ","] | None = None,
    date_format: Sequence[str] = (),
    max_categories: int | None = None,
    clip_target: float | None = None,
    loss: str | None = None,
    is_training: Mask | Callable[[Sequence[Target], int], Mask] | None = None,
    groups: npt.NDArray | None = None,
) -> Schema:
    """Return the `Schema` of a table, in two passes that hold one frame at a time.

    The first finds the kind of each column, from all rows; the second means, scales,
    categories and missing values, from training rows that have a target.

    By default the task is classification of text, booleans, and whole numbers of at most 20
    values, and all rows train; `is_training` is (rows,) bool, or returns that, given the targets
    and how many rows have them. `loss` is the loss that is asked for: one of numbers
    makes a regression of whole numbers. `groups` (rows,) are those that rows are split by: no row
    that trains is told the targets of its group. The other arguments are those of `TrainOptions`.
    What was guessed or lies far out is logged. DataError if a column is absent or unfit, or no
    input is left.
    """
    targets = [target] if isinstance(target, str) else list(target)
    ids = tuple(ids)
    drop = tuple(drop)
    _check_roles(table, targets, ids, drop, categorical, numeric)
    habits = _habits(table, decimal, date_format)
    asked: dict[str, type[Column]] = {
        **dict.fromkeys(filter(None, habits.patterns), Date),
        **dict.fromkeys(categorical, Category),
        **dict.fromkeys(numeric, Number),
    }
    inputs = [name for name in table.columns if name not in {*targets, *ids, *drop}]
    surveys = {
        name: Survey(
            name, table.dtypes[name], table.missing_words, asked.get(name), habits.pattern(name)
        )
        for name in inputs
    }
    words = table.missing_words
    learned = [TargetSurvey(name, table.dtypes[name], words, task, loss) for name in targets]
    _look_at_all_rows(table, surveys, learned)
    proved = [each.proved() for each in learned] + [each.proved() for each in surveys.values()]
    habits.proved += [text for text in proved if text]
    unfitted = targets_of(learned, table.name, habits)
    if callable(is_training):
        is_training = is_training(unfitted, min(each.known for each in learned))
    reasons = {name: survey.reason_to_drop() for name, survey in surveys.items()}
    found = {
        name: survey.find(table.name, habits)
        for name, survey in surveys.items()
        if reasons[name] is None
    }
    fits = {
        name: each.kind.fit(
            each.kind, name, table.missing_words, asked.get(name) is each.kind, each.text
        )
        for name, each in found.items()
    }
    for fit in fits.values():
        fit.most = max_categories
    _require_memory(table, fits, is_training)
    target_fits = [TargetFit(each, words, clip_target, loss) for each in unfitted]
    _look_at_training_rows(table, fits, target_fits, is_training)
    first, *others = [each.fitted(table.name) for each in target_fits]
    results = {name: reasons[name] or fits[name].column(table.name) for name in inputs}
    columns = tuple(result for result in results.values() if isinstance(result, AnyColumn))
    dropped = [Dropped(name, "asked") for name in drop]
    dropped += [Dropped(name, why) for name, why in results.items() if isinstance(why, str)]
    if not columns:
        why = "; ".join(f"{shown(column.name)}: {column.reason}" for column in dropped[:5])
        raise DataError(
            f"{table.name} has no column left to learn from: {why or 'only the target'}. "
            "categorical= and numeric= keep a column whatever it looks like"
        )
    fitted_targets = [first, *others]
    rows = _training_rows(table, _crowded(columns), target_fits, is_training)
    columns = _with_effects(table, columns, fits, fitted_targets, rows, groups)
    tell(table.name, columns, found)
    for survey, target_fit, fitted in zip(learned, target_fits, fitted_targets, strict=True):
        tell_target(table.name, survey, target_fit, fitted)
    more = [column.name for column in dropped if column.reason.startswith("an id")]
    ids = (*ids, *more)
    return Schema(columns, first, tuple(dropped), ids, words, more_targets=tuple(others))


def find_column(
    table: Table,
    name: str,
    decimal: Literal[".", ","] | None = None,
    date_format: Sequence[str] = (),
) -> Found:
    """Return the kind of one column, and how it is written, from all of its values.

    DataError as of `infer`. What was guessed is logged.
    """
    habits = _habits(table, decimal, date_format)
    words = table.missing_words
    survey = Survey(name, table.dtypes[name], words, pattern=habits.pattern(name))
    if not survey.is_readable:
        return Found(Category)
    first = 0
    for frame in table.frames([name]):
        survey.add(frame[name], first)
        first += len(frame)
    found = survey.find(table.name, habits)
    if found.doubt:
        _log.warning("%s: column %s: %s", table.name, shown(name), found.doubt)
    return found


def _habits(table, decimal, date_format):
    """Return what the user chose."""
    patterns = patterns_of(date_format)
    table.require(filter(None, patterns))
    chosen: list[Any] = [NumberText(decimal)] if decimal else []
    chosen += [order_of(patterns[""])] if "" in patterns else []
    return Habits(chosen, patterns=patterns)


def _check_roles(table, targets, ids, drop, categorical, numeric):
    table.require([*targets, *ids, *drop, *categorical, *numeric])
    roles = [("the target", targets), ("an id", ids), ("to drop", drop)]
    roles += [("categorical", categorical), ("numeric", numeric)]
    given: dict[str, str] = {}
    for role, names in roles:
        for name in names:
            if name in given:
                raise DataError(
                    f"column {shown(name)} is named as {given[name]} and as {role}: choose one"
                )
            given[name] = role


def _look_at_all_rows(table, surveys, learned):
    """Fill the surveys of the inputs, and `learned`, those of the targets."""
    targets = [survey.name for survey in learned]
    readable = [name for name, survey in surveys.items() if survey.is_readable]
    first = 0
    for frame in table.frames([*readable, *targets]):
        for name in readable:
            surveys[name].add(frame[name], first)
        for survey in learned:
            survey.add(frame[survey.name], first)
        first += len(frame)


def _require_memory(table, fits, is_training):
    """Raise MemoryError if what the columns keep of their rows does not fit beside a frame."""
    rows = table.count() if is_training is None else int(is_training.sum())
    kept = sum(fit.bytes_kept(rows) for fit in fits.values())
    if kept >= _LITTLE:
        what = f"looking at {len(fits):,} columns of {table.name}"
        remedy = "give it more memory, or name columns in `drop`"
        require_memory(kept + table.bytes_to_read, what, remedy, small=0)


def _look_at_training_rows(table, fits, target_fits, is_training):
    """Fill the fits of the inputs, and those of the targets, from rows that have all targets."""
    for _, frame, values in _training_rows(table, fits, target_fits, is_training):
        for fit, own in zip(target_fits, values, strict=True):
            fit.add(own)
        for name, column in fits.items() if len(frame) else ():
            column.add(frame[name])


def _training_rows(table, inputs, target_fits, is_training):
    """Yield the numbers of training rows with all targets, their inputs, and their targets."""
    first = 0
    for frame in table.frames([*inputs, *(fit.target.name for fit in target_fits)]):
        rows = slice(first, first + len(frame))
        among = np.ones(len(frame), bool) if is_training is None else is_training[rows]
        if len(among) != len(frame):
            raise ValueError(f"is_training has {len(is_training):,} rows but {table.name} has more")
        read = [fit.read(frame[fit.target.name]) for fit in target_fits]
        trains = np.logical_and.reduce([among, *(kept for _, kept in read)])
        frame = frame if trains.all() else frame.filter(trains)
        yield first + np.flatnonzero(trains), frame, [values[trains] for values, _ in read]
        first += len(trains)
    if is_training is not None and len(is_training) != first:
        raise ValueError(f"is_training has {len(is_training):,} rows but {table.name} {first:,}")


def _crowded(columns):
    """Return the names of columns with categories that are no features."""
    return [each.name for each in columns if isinstance(each, Category) and each.other]


def _with_effects(table, columns, fits, targets, training_rows, groups):
    """Return the columns, those of many categories with the effects of the rare ones."""
    on = [name for target in targets for name in names_of(target)]
    rare = {name: fits[name].with_effects(len(on)) for name in _crowded(columns)}
    sums = {name: EffectsFit(names, on) for name, names in rare.items() if names}
    if not sums:
        return columns
    for rows, frame, values in training_rows:
        outputs = np.hstack([outputs_of(*each) for each in zip(targets, values, strict=True)])
        for name, effects in sums.items():
            places, _ = places_of(effects.names, frame[name], table.missing_words)
            effects.add(places, parts_of(rows, groups), outputs)
    found = {name: effects.fitted() for name, effects in sums.items()}
    return tuple(
        replace(each, effects=found[each.name]) if found.get(each.name) else each
        for each in columns
    )
