"""Rows with ramps, stored short: one position for all ramps of a number; checked for kernels."""

from dataclasses import dataclass

import numpy as np

from ...quoted import quoted
from ..tuning import MULTIPLY_ADD_FLOPS
from . import arrays
from .scalars import a_number

# the kernels keep a table of the ramps of one number in their scratch memory
MOST_RAMPS = 4096


@dataclass(frozen=True)
class RampRows:
    """A matrix in which one number stands for the ramps of a column; kernels rely on its checks.

    Column c of `values` stands for the features from ``starts[c]`` to ``starts[c + 1]``. If that
    is one, it is the feature. If there are B, it is a position p from 0 to B: feature i of them
    is ``height clip(p - i, 0, 1)``, so that those before the bin that p is in are `height`, and
    those after it 0.

    Attributes
    ----------
    values : numpy.ndarray
        (rows, columns) float32 or float64, C-contiguous.
    starts : numpy.ndarray
        (columns + 1,) int64, ascending from 0 to the number of features.
    height : float
        The largest value of a ramp.
    """

    values: np.ndarray
    starts: np.ndarray
    height: float = 1.0

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        """Return the rows of a slice, which share memory, or a copy of those of indices."""
        values = np.ascontiguousarray(self.values[rows])
        return RampRows(values, self.starts, self.height)

    @property
    def shape(self):
        """The numbers of rows and of features."""
        return len(self.values), int(self.starts[-1])

    @property
    def nbytes(self):
        """The size of the values in bytes."""
        return self.values.nbytes

    @property
    def ramps(self):
        """The number of ramps of each column (columns,), 1 for one that is no position."""
        return np.diff(self.starts)

    def dense(self):
        """Return all features, (rows, features)."""
        features = np.empty(self.shape, self.values.dtype)
        for c, (first, end) in enumerate(zip(self.starts[:-1], self.starts[1:], strict=True)):
            x = self.values[:, c, None]
            if end - first > 1:
                x = x - np.arange(end - first, dtype=x.dtype)
                x = x.dtype.type(self.height) * np.clip(x, 0, 1)
            features[:, first:end] = x
        return features


def ramp_rows(name, values, starts, height=1.0):
    """Return checked `RampRows`; values and starts are not copied if their form allows.

    Raises
    ------
    TypeError
        If the values are neither float32 nor float64, the starts no integers, or the height no
        number.
    ValueError
        If a shape, the starts or the height are wrong, or a position is not from 0 to its number
        of ramps.
    """
    values = np.ascontiguousarray(arrays.floats(name, values, 2))
    starts = np.asarray(starts)
    if starts.dtype.kind not in "iu":
        raise TypeError(f"starts has dtype {starts.dtype}: expected integers")
    starts = np.ascontiguousarray(starts, np.int64)
    arrays.expect("starts", starts, (values.shape[1] + 1,))
    if starts[0] != 0 or (starts[1:] <= starts[:-1]).any():
        raise ValueError(f"starts={quoted(starts.tolist())} does not ascend from 0")
    rows = RampRows(values, starts, a_number("height", height, above=0))
    if (rows.ramps > MOST_RAMPS).any():
        raise ValueError(f"starts: a column has {rows.ramps.max()} ramps, of at most {MOST_RAMPS}")
    _check_positions(name, rows)
    return rows


def _check_positions(name, rows):
    """Raise ValueError unless each position is from 0 to its number of ramps, as kernels assume."""
    ramped = np.flatnonzero(rows.ramps > 1)
    positions, most = rows.values[:, ramped], rows.ramps[ramped]
    inside = (positions >= 0) & (positions <= most)
    if not inside.all():
        row, place = np.argwhere(~inside)[0]
        raise ValueError(
            f"{name} has the position {positions[row, place]} in row {row}, column "
            f"{ramped[place]}: expected 0 to its number of ramps, {most[place]}"
        )


def ramp_work(X, n_out):
    """Return the cost of a product with `n_out` columns, in operations."""
    # two multiply-adds for a position, and one for each ramp in the tables
    return MULTIPLY_ADD_FLOPS * n_out * (2 * X.values.size + X.shape[1])
