"""From a table to its schema: the kind of each column, fitted to training rows."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from ...errors import DataError
from ...memory import require_memory
from ...ranks.comm import Alone
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
from .telling import remarks_of, tell, tell_target
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
    ranks: Alone | None = None,
) -> Schema:
    """Return the `Schema` of a table, in two passes that hold one frame at a time.

    The first finds the kind of each column, from all rows; the second means, scales,
    categories and missing values, from training rows that have a target.

    By default the task is classification of text, booleans, and whole numbers of at most 20
    values, and all rows train; `is_training` is (rows,) bool, or returns that, given the targets
    and how many rows have them. `loss` is the loss that is asked for: one of numbers
    makes a regression of whole numbers. `groups` (rows,) are those that rows are split by: no row
    that trains is told the targets of its group. Each of the `ranks` looks at columns of its own,
    and at the targets. The other arguments are those of `TrainOptions`.
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
    ranks = ranks or Alone()
    inputs = [name for name in table.columns if name not in {*targets, *ids, *drop}]
    words = table.missing_words
    learned = [TargetSurvey(name, table.dtypes[name], words, task, loss) for name in targets]
    surveys = _surveyed(table, inputs, learned, asked, habits, ranks)
    unfitted = targets_of(learned, table.name, habits)
    if callable(is_training):
        is_training = is_training(unfitted, min(each.known for each in learned))
    own_reasons = {name: survey.reason_to_drop() for name, survey in surveys.items()}
    found = {
        name: survey.find(table.name, habits)
        for name, survey in surveys.items()
        if own_reasons[name] is None
    }
    fits = _fits_of(found, words, asked, max_categories)
    _require_memory(table, fits, is_training, ranks)
    target_fits = [TargetFit(each, words, clip_target, loss) for each in unfitted]
    width = len(targets) + list(ranks.merged(own_reasons).values()).count(None)
    rows = _training_rows(table, [*fits], target_fits, is_training, width)
    _look_at_training_rows(rows, fits, target_fits)
    fitted_targets = [each.fitted(table.name) for each in target_fits]
    # where ranks find other memory free, their frames differ, and so do sums in the last bits
    first, *others = fitted_targets = ranks.all(fitted_targets)[0]
    results = ranks.merged(
        {name: why or fits[name].column(table.name) for name, why in own_reasons.items()}
    )
    ordered = {name: results[name] for name in inputs}
    columns = {name: each for name, each in ordered.items() if isinstance(each, AnyColumn)}
    dropped = [Dropped(name, "asked") for name in drop]
    dropped += [Dropped(name, why) for name, why in ordered.items() if isinstance(why, str)]
    if not columns:
        raise _none_left(table.name, dropped)
    crowded = [n for n, each in columns.items() if isinstance(each, Category) and each.other]
    own = [name for name in crowded if name in fits]
    rows = _training_rows(table, own, target_fits, is_training, len(targets) + len(crowded))
    effects = _effects(own, fits, fitted_targets, words, rows, groups)
    for name, each in ranks.merged(effects).items():
        columns[name] = replace(columns[name], effects=each)
    said = ranks.merged({n: remarks_of(n, each, columns.get(n)) for n, each in found.items()})
    tell(table.name, [remark for name in inputs for remark in said.get(name, ())])
    for survey, target_fit, fitted in zip(learned, target_fits, fitted_targets, strict=True):
        tell_target(table.name, survey, target_fit, fitted)
    more = [column.name for column in dropped if column.reason.startswith("an id")]
    ids = (*ids, *more)
    inputs_fitted = tuple(columns.values())
    return Schema(inputs_fitted, first, tuple(dropped), ids, words, more_targets=tuple(others))


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


def _surveyed(table, inputs, learned, asked, habits, ranks):
    """Return the surveys of the inputs that are this rank's, and fill `learned`, of the targets.

    What the columns of all ranks prove of how the table is written is noted in `habits`.
    """
    every = {
        name: Survey(
            name, table.dtypes[name], table.missing_words, asked.get(name), habits.pattern(name)
        )
        for name in inputs
    }
    surveys = {name: every[name] for name in ranks.own(inputs)}
    width = len(learned) + sum(survey.is_readable for survey in every.values())
    _look_at_all_rows(table, surveys, learned, width)
    proved = ranks.merged({name: survey.proved() for name, survey in surveys.items()})
    ways = [*(each.proved() for each in learned), *(proved[name] for name in inputs)]
    habits.proved += [text for text in ways if text]
    return surveys


def _look_at_all_rows(table, surveys, learned, width):
    """Fill the surveys of the inputs, and `learned`, those of the targets."""
    targets = [survey.name for survey in learned]
    readable = [name for name, survey in surveys.items() if survey.is_readable]
    first = 0
    for frame in table.frames([*readable, *targets], width=width):
        for name in readable:
            surveys[name].add(frame[name], first)
        for survey in learned:
            survey.add(frame[survey.name], first)
        first += len(frame)


def _fits_of(found, words, asked, most):
    """Return what fits each column of a kind that was found; of categories, so many at most."""
    fits = {}
    for name, each in found.items():
        is_asked = asked.get(name) is each.kind
        fits[name] = each.kind.fit(each.kind, name, words, is_asked, each.text)
        fits[name].most = most
    return fits


def _none_left(table_name, dropped):
    why = "; ".join(f"{shown(column.name)}: {column.reason}" for column in dropped[:5])
    return DataError(
        f"{table_name} has no column left to learn from: {why or 'only the target'}. "
        "categorical= and numeric= keep a column whatever it looks like"
    )


def _require_memory(table, fits, is_training, ranks):
    """Raise MemoryError if what the columns keep of their rows does not fit beside a frame."""
    rows = table.count() if is_training is None else int(is_training.sum())
    kept = ranks.sum_here(sum(fit.bytes_kept(rows) for fit in fits.values()))
    if kept >= _LITTLE:
        what = f"looking at {len(fits):,} columns of {table.name}"
        remedy = "give it more memory, or name columns in `drop`"
        require_memory(kept + table.bytes_to_read, what, remedy, small=0)


def _training_rows(table, inputs, target_fits, is_training, width):
    """Yield the numbers of training rows with all targets, their inputs, and their targets.

    A frame has the rows that it would have with `width` columns.
    """
    first = 0
    names = [*inputs, *(fit.target.name for fit in target_fits)]
    for frame in table.frames(names, width=width):
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


def _look_at_training_rows(rows, fits, target_fits):
    """Fill the fits of the inputs, and those of the targets, from rows that have all targets."""
    for _, frame, values in rows:
        for fit, own in zip(target_fits, values, strict=True):
            fit.add(own)
        for name, column in fits.items() if len(frame) else ():
            column.add(frame[name])


def _effects(names, fits, targets, words, training_rows, groups):
    """Return the effects of the rare categories of columns of many, by their names."""
    on = [name for target in targets for name in names_of(target)]
    rare = {name: fits[name].with_effects(len(on)) for name in names}
    sums = {name: EffectsFit(those, on) for name, those in rare.items() if those}
    for rows, frame, values in training_rows if sums else ():
        outputs = np.hstack([outputs_of(*each) for each in zip(targets, values, strict=True)])
        for name, effects in sums.items():
            places, _ = places_of(effects.names, frame[name], words)
            effects.add(places, parts_of(rows, groups), outputs)
    found = {name: effects.fitted() for name, effects in sums.items()}
    return {name: effects for name, effects in found.items() if effects}
