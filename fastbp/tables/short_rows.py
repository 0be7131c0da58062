"""Encoded rows in memory: a number's ramps as one position, where that makes rows much shorter."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ..kernels.support.ramp_rows import MOST_RAMPS, RampRows
from .columns.number import Standardized
from .columns.ramps import HEIGHT
from .columns.schema import Schema

# below this many features for each number that is kept, the dense product is as quick
_FEATURES_OF_EACH = 4


class ShortRows:
    """How the encoded rows of a schema are kept: short, as `RampRows`, or as they are.

    Attributes
    ----------
    columns : int
        The numbers that are kept of each row.
    """

    def __init__(self, schema: Schema) -> None:
        sizes = [size for column in schema.columns for size in _sizes(column)]
        self._starts: npt.NDArray | None = None
        self.columns = schema.n_features
        if schema.n_features >= _FEATURES_OF_EACH * len(sizes) and max(sizes) <= MOST_RAMPS:
            self._starts = np.cumsum([0, *sizes], dtype=np.int64)
            self._ramped = np.array(sizes) > 1
            self.columns = len(sizes)

    def kept(self, X: npt.NDArray) -> npt.NDArray:
        """Return what is kept of encoded rows (n, n_features): (n, columns)."""
        if self._starts is None:
            return X
        # ramps of a position p are p HEIGHT in all: exact but for the last addition
        values: npt.NDArray = np.add.reduceat(X, self._starts[:-1], axis=1)
        values[:, self._ramped] /= HEIGHT
        return values

    def rows(self, kept: npt.NDArray) -> Any:
        """Return the rows that a network takes for those that are kept."""
        return kept if self._starts is None else RampRows(kept, self._starts, HEIGHT)


def _sizes(column):
    """Return how many features each number stands for that is kept of a column."""
    ramps = column.n_ramps if isinstance(column, Standardized) else 0
    if not ramps:
        return [1] * column.width
    return [1, ramps, *[1] * (column.width - 1 - ramps)]
