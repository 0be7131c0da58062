"""Where numbers lie and how far apart they are: quartiles for inputs, deviations for targets."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ..wording import shown
from .values import Floats, golden_fractions

# the distance of the quartiles of a normal distribution, in deviations
_NORMAL_QUARTILES = 1.349
# the bound of scaled numbers, as in the paper; where their 95th percentile says that tails are
# heavy, this multiple of it: what is far out is no mistake there (fares of taxis: R2 0.82 -> 0.88)
_LEAST_BOUND, _TAIL, _HEAVY, _BOUND_OF_TAIL = 3.0, 0.95, 2.5, 4.0
# scaled numbers are clipped to this before they are bent, so that squares stay finite
LARGEST = 1e6
# numbers from which quartiles are taken, at least
_SAMPLE = 2**16
_ALL = 2**64 - 1


class Quartiles:
    """Quartiles of numbers, frame by frame: of all, or of a sample where there are many.

    Whether the n-th number is in the sample depends on n alone: on the fraction of n times the
    golden ratio, which is spread evenly whatever the period of the data.
    """

    def __init__(self) -> None:
        self._count = 0
        self._held = 0
        self._limit = _ALL
        self._parts: list[tuple[Floats, npt.NDArray[np.uint64]]] = []

    def bytes_kept(self, rows: int) -> int:
        """Return what is kept of so many numbers, at least: these, and their fractions."""
        return 16 * min(rows, _SAMPLE)

    def add(self, values: Floats) -> None:
        """Add numbers; NaN does not count."""
        missing = np.isnan(values)
        known = values[~missing] if missing.any() else values
        chosen, places = _sampled(self._count, known.size, self._limit)
        self._count += known.size
        self._parts.append((known[chosen], places))
        self._held += chosen.size
        while self._held > 2 * _SAMPLE:
            self._limit >>= 1
            parts = [(part, at, at <= self._limit) for part, at in self._parts]
            self._parts = [(part[within], at[within]) for part, at, within in parts]
            self._held = sum(part.size for part, _ in self._parts)

    def spread(self, low: float, high: float) -> "Spread":
        """Return the `Spread` of the numbers, which lie from `low` to `high`."""
        values = np.concatenate([np.empty(0), *(part for part, _ in self._parts)])
        if not values.size:
            return Spread(0.0, 1.0, _LEAST_BOUND)
        with np.errstate(over="ignore", invalid="ignore"):
            lower, center, upper = np.quantile(values, (0.25, 0.5, 0.75))
            scale = (upper - lower) / _NORMAL_QUARTILES
            if scale == 0:
                apart = np.abs(values[values != center] - center)
                scale = (np.median(apart) if apart.size else high - low) / 2
            rounding = 4 * np.finfo(np.float64).eps * abs(center)
            scale = 1.0 if scale <= rounding else scale
            x = (values - center) / scale
            tail = float(np.quantile(np.abs(x), _TAIL, method="lower"))
            bound = _BOUND_OF_TAIL * tail if tail > _HEAVY else _LEAST_BOUND
            near = np.clip(values, center - bound * scale, center + bound * scale)
            deviation = 1.0 if near.std() <= rounding else float(near.std())
        return Spread(float(near.mean()), deviation, bound * float(scale) / deviation)


@lru_cache(maxsize=8)
def _sampled(first, size, limit):
    """Return which of `size` numbers from the n-th on are in a sample, and their fractions.

    Columns of one table without missing values ask for the same.
    """
    fractions = golden_fractions(np.arange(first, first + size))
    chosen = np.flatnonzero(fractions <= limit)
    return chosen, fractions[chosen]


def bent(x: Floats, bound: float) -> Floats:
    """Return ``x / sqrt(1 + (x / bound)^2)``, for x up to 1e6."""
    x = np.clip(x, -LARGEST, LARGEST)
    divisor = x / bound
    divisor *= divisor
    divisor += 1
    np.sqrt(divisor, out=divisor)
    return np.divide(x, divisor, out=x)


class Spread(NamedTuple):
    """Where numbers lie and how far apart, whatever a few of them are.

    With the median m and q, the distance of the quartiles over 1.349 (the deviation of a normal
    distribution), numbers are clipped to m +- b q. b is 3, or four times the 95th percentile of
    ``|number - m| / q`` where that is above 2.5: for heavy tails. `center` and `scale` are mean
    and deviation of what is left, and `bound` is ``b q / scale``.

    Where both quartiles are one number, q is half of the median distance of the others from it, or
    half of the range if a sample has no others. Numbers that differ by rounding alone have a scale
    of 1.
    """

    center: float
    scale: float
    bound: float


class Standard:
    """The mean and the population standard deviation of numbers, frame by frame, in float64.

    The sum of squares of a frame is corrected for the rounding of its mean, and added to that of
    the frames before (Chan, Golub and LeVeque, The American Statistician 37(3), 1983, equations
    1.5 and 1.7). scikit-learn's StandardScaler does the same, but takes 0.6 s to import.
    """

    def __init__(self) -> None:
        self._count, self._mean, self._variance = 0, np.float64(0), np.float64(0)

    def add(self, values: Floats) -> None:
        """Add numbers; NaN does not count."""
        known = values[~np.isnan(values)]
        if not known.size:
            return
        with np.errstate(over="ignore", invalid="ignore"):
            count, total, total_before = known.size, known.sum(), self._mean * self._count
            apart = known - total / count
            squares = (apart**2).sum() - apart.sum() ** 2 / count
            both = self._count + count
            if self._count:
                ratio = self._count / count
                between = ratio / both * (total_before / ratio - total) ** 2
                squares = self._variance * self._count + squares + between
            self._count, self._mean = both, (total_before + total) / both
            self._variance = squares / both

    def mean_and_scale(self, name: str, table_name: str) -> tuple[float, float]:
        """Return both; (0, 1) without numbers, a scale of 1 where they differ by rounding alone.

        DataError if squares of the numbers overflow.
        """
        if not self._count:
            return 0.0, 1.0
        if not np.isfinite([self._mean, self._variance]).all():
            raise DataError(
                f"{table_name}: column {shown(name)} holds numbers too large to square: "
                "give it in another unit, or drop it"
            )
        rounding = self._count * np.finfo(np.float64).eps
        with np.errstate(over="ignore"):
            bound = rounding * self._variance + (rounding * self._mean) ** 2
        scale = 1.0 if self._variance <= bound else np.sqrt(self._variance)
        return float(self._mean), float(scale)
