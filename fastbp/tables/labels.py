"""Of each row of a table its class, and whether it has all targets."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .columns.schema import Target
from .columns.target import read_target
from .read.table import Table


def labels_in(
    table: Table, targets: Sequence[Target]
) -> tuple[npt.NDArray[np.int64] | None, npt.NDArray[np.bool_]]:
    """Return the labels (rows,), and which rows (rows,) have a value of all targets.

    A label is the place of the row's class in ``target.classes``, -1 where it has none. There are
    no labels of several targets, or of numbers. The targets need not be fitted.
    """
    first = targets[0]
    classifies = bool(first.classes) and len(targets) == 1
    by_name = {target.name: target for target in targets}
    labels, known, row = [], [], 0
    for frame in table.frames(list(by_name)):
        read = [read_target(t, frame[t.name], table.missing_words, row) for t in by_name.values()]
        known.append(np.logical_and.reduce([kept for _, kept in read]))
        if classifies:
            labels.append(np.where(known[-1], read[0][0], -1))
        row += len(frame)
    return np.concatenate(labels) if classifies else None, np.concatenate(known)
