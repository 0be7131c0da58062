"""The class of each row of a table."""

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
