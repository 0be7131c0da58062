"""Standardized numbers: mean and scale of training rows, and numbers by them."""

import numpy as np

from ...errors import DataError
from ..wording import shown
from .values import Floats

# standardized numbers and dates are clipped to this, so that float32 and a network stay finite
LARGEST = 1e6


class Standard:
    """The mean and the population standard deviation of numbers, frame by frame, in float64."""

    def __init__(self) -> None:
        # its import takes a second, which predicting does not need
        from sklearn.preprocessing import StandardScaler

        self._scaler, self._seen = StandardScaler(), False

    def add(self, values: Floats) -> None:
        """Take numbers; NaN does not count."""
        # an empty array would make NaN of scikit-learn's mean for good
        known = values[~np.isnan(values)]
        if known.size:
            with np.errstate(over="ignore", invalid="ignore"):
                self._scaler.partial_fit(known[:, None])
            self._seen = True

    def mean_and_scale(self, name: str, table_name: str) -> tuple[float, float]:
        """Return both, (0, 1) without numbers; messages name the column and the table.

        Raises
        ------
        DataError
            If squares of the numbers overflow.
        """
        if not self._seen:
            return 0.0, 1.0
        scaler = self._scaler
        if not np.isfinite([scaler.mean_[0], scaler.var_[0]]).all():
            raise DataError(
                f"{table_name}: column {shown(name)} holds numbers too large to square: "
                "give it in another unit, or drop it"
            )
        return float(scaler.mean_[0]), float(scaler.scale_[0])


def standardized(values: Floats, mean: float, scale: float) -> Floats:
    """Return (values - mean) / scale, within `LARGEST`."""
    with np.errstate(over="ignore"):
        return np.clip((values - mean) / scale, -LARGEST, LARGEST)
