"""A split in which every class has a row to train on."""

import logging

import numpy as np

from .columns.schema import Target
from .columns.target import read_target
from .read.table import Table
from .split import Split
from .wording import listed

_log = logging.getLogger("fastbp")


def with_all_classes(table: Table, target: Target, split: Split) -> Split:
    """Return a split in which each class that only validates trains with its first row instead.

    The split is returned as it is if no row would be left to validate on, or there are no classes.
    """
    if not target.classes or not split.validates.any():
        return split
    trained = np.zeros(len(target.classes), bool)
    first = np.full(len(target.classes), -1)
    start = 0
    for frame in table.frames([target.name]):
        rows = slice(start, start + len(frame))
        labels, kept = read_target(target, frame[target.name], table.missing_words, start)
        trained[labels[kept & split.trains[rows]]] = True
        held = np.flatnonzero(kept & split.validates[rows])
        classes, places = np.unique(labels[held], return_index=True)
        new = first[classes] < 0
        first[classes[new]] = start + held[places[new]]
        start += len(frame)
    alone = np.flatnonzero(~trained & (first >= 0))
    if not len(alone) or len(alone) >= split.validates.sum():
        return split
    names = listed(target.classes[place] for place in alone)
    _log.info("%s: rare classes train and do not validate: %s", table.name, names)
    trains, validates = split.trains.copy(), split.validates.copy()
    trains[first[alone]], validates[first[alone]] = True, False
    return Split(trains, validates)
