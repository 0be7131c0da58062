"""Of each row of a table its class, and whether it has all targets."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .columns.schema import Target
from .columns.target import read_target
from .read.table import Table


def labels_in(table: Table, target: Target) -> npt.NDArray[np.int64]:
    """Return the place of each row's class in ``target.classes``, -1 where it has none."""
    found, first = [], 0
    for frame in table.frames([target.name]):
        labels, kept = read_target(target, frame[target.name], table.missing_words, first)
        found.append(np.where(kept, labels, -1))
        first += len(frame)
    return np.concatenate(found)


def rows_with(table: Table, targets: Sequence[Target]) -> npt.NDArray[np.bool_]:
    """Return which rows (rows,) have a value of all targets, which may not be fitted yet."""
    found, first = [], 0
    for frame in table.frames([*dict.fromkeys(target.name for target in targets)]):
        known = np.ones(len(frame), bool)
        for target in targets:
            known &= read_target(target, frame[target.name], table.missing_words, first)[1]
        found.append(known)
        first += len(frame)
    return np.concatenate(found)
