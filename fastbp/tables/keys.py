"""The groups or the times of the rows of a table, read from a column."""

import logging

import numpy as np

from ..errors import DataError
from .columns.category import Category
from .columns.survey import Survey
from .columns.values import text
from .options import TrainOptions
from .read.table import Table
from .split import Keys
from .wording import counted, shown

_log = logging.getLogger("fastbp")
_MISSING = "%s: %s without a value of %r: %s"


def read_keys(table: Table, options: TrainOptions) -> Keys:
    """Return the `Keys` of a table's rows: by ``options.group``, by ``options.time``, or none."""
    if options.group is not None:
        return Keys(options.group, groups=_groups(table, options.group))
    if options.time is not None:
        return Keys(options.time, times=_times(table, options.time))
    return Keys()


def _groups(table, name):
    """Return the group of each row as a number; rows without one share one, which is logged."""
    table.require([name])
    hashes, missing = [], 0
    for frame in table.frames([name]):
        values = text(frame[name], table.missing_words)
        missing += values.null_count()
        hashes.append(values.hash().to_numpy())
    if missing:
        rows = counted(missing, "row")
        _log.warning(_MISSING, table.name, rows, name, "they are kept together as one group")
    _, first, place = np.unique(np.concatenate(hashes), return_index=True, return_inverse=True)
    # numbered in the order of their first rows, which no hash decides
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[place]


def _times(table, name):
    """Return the time of each row, in seconds or as it is written; NaN where missing, logged."""
    table.require([name])
    survey = Survey(name, table.dtypes[name], table.missing_words)
    where = f"{table.name}: column {shown(name)}"
    if not survey.is_readable:
        raise DataError(f"{where} holds {survey.dtype}: expected dates, times or numbers")
    first = 0
    for frame in table.frames([name]):
        survey.add(frame[name], first)
        first += len(frame)
    kind = survey.kind(table.name)
    if kind is Category or not survey.present:
        raise DataError(f"{where} holds no dates, times or numbers: it cannot order the rows")
    values = [kind.read(frame[name], table.missing_words)[0] for frame in table.frames([name])]
    times = np.concatenate(values)
    missing = int(np.isnan(times).sum())
    if missing:
        _log.warning(_MISSING, table.name, counted(missing, "row"), name, "they train")
    return times
