"""The groups or the times of the rows of a table, read from a column."""

import logging

import numpy as np

from ..errors import DataError
from .columns.date import Date
from .columns.inference import find_column
from .columns.number import Number
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
        return Keys(options.time, times=_times(table, options))
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


def _times(table, options):
    """Return the time of each row, in seconds or as it is written; NaN where missing, logged."""
    name = options.time
    table.require([name])
    found = find_column(table, name, options.decimal, options.date_format)
    if found.kind not in (Date, Number):
        where = f"{table.name}: column {shown(name)}"
        raise DataError(f"{where} holds no dates, times or numbers: it cannot order the rows")
    words, frames = table.missing_words, table.frames([name])
    times = np.concatenate([found.kind.read(frame[name], words, found.text)[0] for frame in frames])
    missing = int(np.isnan(times).sum())
    if missing:
        _log.warning(_MISSING, table.name, counted(missing, "row"), name, "they train")
    return times
