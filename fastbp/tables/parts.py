"""The rows of a table in folds, by scikit-learn's splitters."""

import logging
import warnings

import numpy as np

from ..errors import DataError
from ..quoted import quoted
from .labels import labels_in
from .options import SEEDS
from .split import Keys, Mask
from .wording import counted, shown

_log = logging.getLogger("fastbp")
_steps = logging.getLogger("fastbp.steps")


def folds_of(job):
    """Return how the rows with a target are split, and of each fold which train and are tested."""
    name, count = job.table.name, job.options.folds
    labels, known = labels_in(job.table, job.schema.targets)
    known &= ~job.tested
    rows, keys = np.flatnonzero(known), job.keys
    if keys.times is not None:
        known &= ~np.isnan(keys.times)
        rows = np.flatnonzero(known)
        return "time", list(_by_time(rows, keys, count, name))
    check_enough(job, "folds", known)
    by, splitter = _splitter(job, labels, count)
    if labels is not None:
        _check_classes(job, labels[rows], count, f"folds={count}")
    groups = None if keys.groups is None else keys.groups[rows]
    classes = None if labels is None else labels[rows]
    with warnings.catch_warnings():
        # of rare classes, which `_check_classes` has told by their names
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        parts = list(splitter.split(np.zeros(len(rows)), classes, groups))
    return by, [_masks(known.shape, rows[train], rows[test]) for train, test in parts]


def _splitter(job, labels, count):
    """Return how rows are split, and scikit-learn's splitter for it."""
    _steps.info("loading scikit-learn")
    from sklearn import model_selection

    given = {"n_splits": count, "shuffle": True, "random_state": job.options.seed % SEEDS}
    if job.keys.groups is not None:
        if labels is None:
            return "group", model_selection.GroupKFold(count)
        return "group", model_selection.StratifiedGroupKFold(**given)
    if labels is None:
        return "row", model_selection.KFold(**given)
    return "class", model_selection.StratifiedKFold(**given)


def _by_time(rows, keys: Keys, count, table_name):
    """Yield the folds of scikit-learn's TimeSeriesSplit, rows at the time of a test left out.

    Rows at the time at which the tested rows begin do not train: those that train are earlier.
    """
    _steps.info("loading scikit-learn")
    from sklearn.model_selection import TimeSeriesSplit

    assert keys.times is not None
    times = keys.times
    there, what = len(np.unique(times[rows])), f"times in {quoted(keys.name)}"
    _check_enough(there, count + 1, what, table_name, f"folds={count}")
    ordered = rows[np.argsort(times[rows], kind="stable")]
    for train, test in TimeSeriesSplit(count).split(ordered):
        earlier = ordered[train][times[ordered[train]] < times[ordered[test]].min()]
        yield _masks(times.shape, earlier, ordered[test])


def _masks(shape, *parts) -> tuple[Mask, ...]:
    masks = tuple(np.zeros(shape, bool) for _ in parts)
    for mask, part in zip(masks, parts, strict=True):
        mask[part] = True
    return masks


def check_enough(job, option, known):
    """Raise DataError if the `known` rows, (rows,) bool, or their groups, are fewer than folds.

    `option` is the one that says how many folds there are.
    """
    count, keys, name = getattr(job.options, option), job.keys, job.table.name
    asked = f"{option}={count}"
    if keys.groups is not None:
        there = len(np.unique(keys.groups[known]))
        _check_enough(there, count, f"groups in {quoted(keys.name)}", name, asked)
    _check_enough(int(known.sum()), count, "rows with a target", name, asked)


def _check_enough(there, count, what, table_name, asked):
    if there < count:
        raise DataError(f"{table_name} has {there:,} {what}; {asked} needs {count:,} or more")


def _check_classes(job, labels, count, asked):
    """Warn of classes that some folds cannot test, and refuse a table where no class suffices."""
    classes, name = job.schema.target.classes, job.table.name
    rows = np.bincount(labels, minlength=len(classes))
    _check_enough(int(rows.max()), count, "rows of its most frequent class", name, asked)
    for each, n in zip(classes, rows.tolist(), strict=True):
        if 0 < n < count:
            message = "%s: the class %s has %s, fewer than the %d folds: not every fold tests it"
            _log.warning(message, name, shown(each), counted(n, "row"), count)
