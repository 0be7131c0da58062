"""What rare categories tell of the targets: shrunken means, for training rows without their own."""

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from ...json_data import Finite
from ...kernels.support.once import cached_property
from .values import Floats, Places, golden_fractions

# parts of the training rows; a row is told the means of the others
PARTS = 5
# categories times outputs that have means, at most, so that model files stay small
MOST_MEANS = 16_384
# a target this many deviations from the mean says as much as one further out
_FURTHEST = 10.0
_DECIMALS = 6


class Effects(Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """The effects of categories on the targets `on`.

    `names` are the categories, sorted. `means` holds, for each of them, its effect on each target
    as all training rows have it, and then as those outside of each of the `PARTS` parts do:
    (names, 1 + PARTS, on) numbers in a row.

    The effect of a category of n rows is ``n (m - M) / (n + s^2 / t^2) / t``, with its mean m, the
    mean M of all, and the variances s^2 within and t^2 among categories: the best linear unbiased
    prediction of a random effect (Robinson, Statistical Science 6(1), 1991, section 5.2).
    """

    names: tuple[str, ...]
    on: tuple[str, ...]
    means: tuple[Finite, ...]

    def __post_init__(self) -> None:
        if list(self.names) != sorted(set(self.names)) or not self.names or not self.on:
            raise ValueError("effects: the names are not sorted, not distinct, or none")
        if len(self.means) != len(self.names) * (1 + PARTS) * len(self.on):
            raise ValueError(f"effects of {len(self.names)} categories and {len(self.means)} means")

    @cached_property
    def _table(self) -> Floats:
        """The means (names + 1, 1 + PARTS, on), the last 0: those of unknown categories."""
        shape = (len(self.names), 1 + PARTS, len(self.on))
        return np.concatenate([np.reshape(self.means, shape), np.zeros((1, *shape[1:]))])

    def of(self, places: Places, parts: Places | int = 0) -> Floats:
        """Return the effects (n, on) of categories by their places in `names`, -1 for others.

        `parts` is 0 for all training rows, or 1 + the part to leave out.
        """
        return self._table[places, parts]


def parts_of(rows: Places, groups: npt.NDArray | None = None) -> Places:
    """Return the parts of rows, (n,), by their numbers: spread evenly, whatever their order.

    With `groups`, the number of each row's group in the table, a group is in one part.
    """
    fractions = golden_fractions(rows if groups is None else groups[rows])
    return ((fractions >> np.uint64(32)) % np.uint64(PARTS)).astype(np.int64)


class EffectsFit:
    """Adds up targets by category and part, frame by frame."""

    def __init__(self, names: list[str], on: list[str]) -> None:
        self.names = sorted(names)
        self.on = on
        self._rows = np.zeros((len(names), PARTS))
        self._sums = np.zeros((len(on), len(names), PARTS))
        self._squares = np.zeros(len(on))

    def add(self, places: Places, parts: Places, outputs: Floats) -> None:
        """Add rows: places in `names` (n,), -1 for others, their parts (n,), targets (n, on)."""
        known = places >= 0
        cells = places[known] * PARTS + parts[known]
        shape = self._rows.shape
        self._rows += np.bincount(cells, minlength=self._rows.size).reshape(shape)
        for place, output in enumerate(outputs[known].T):
            near = np.clip(output, -_FURTHEST, _FURTHEST)
            self._squares[place] += float(near @ near)
            self._sums[place] += np.bincount(cells, near, self._rows.size).reshape(shape)

    def fitted(self) -> Effects | None:
        """Return the effects; None if the targets do not vary among the categories."""
        found = [self._of_one(*each) for each in zip(self._sums, self._squares, strict=True)]
        means = np.stack(found, axis=2)
        if not means.any():
            return None
        numbers = np.round(means, _DECIMALS).ravel().tolist()
        return Effects(tuple(self.names), tuple(self.on), tuple(numbers))

    def _of_one(self, sums, squares):
        """Return the effects (names, 1 + PARTS) on one target.

        The variances are those of a one-way analysis of variance (Searle, Casella and McCulloch,
        Variance Components, 1992, section 3.6).
        """
        rows, totals = self._rows.sum(axis=1), sums.sum(axis=1)
        there = rows > 0
        n, groups = rows.sum(), np.count_nonzero(there)
        nothing = np.zeros((len(rows), 1 + PARTS))
        if groups < 2 or n <= groups:
            return nothing
        mean = totals.sum() / n
        among = float((totals[there] ** 2 / rows[there]).sum())
        within = max(squares - among, 0.0) / (n - groups)
        typical = (n - (rows**2).sum() / n) / (groups - 1)
        variance = ((among - n * mean**2) / (groups - 1) - within) / typical
        # what rounding leaves of categories that are alike
        if variance <= np.finfo(np.float64).eps * squares:
            return nothing
        rows = np.column_stack([rows, rows[:, None] - self._rows])
        totals = np.column_stack([totals, totals[:, None] - sums])
        divisors = np.where(rows > 0, rows + within / variance, 1.0)
        return (totals - rows * mean) / divisors / np.sqrt(variance)


def outputs_of(target, values: npt.NDArray) -> Floats:
    """Return a target as numbers (n, outputs): standardized, of the second class, or of each."""
    if target.task == "regression":
        low = -np.inf if target.low is None else target.low
        high = np.inf if target.high is None else target.high
        return ((np.clip(values, low, high) - target.mean) / target.scale)[:, None]
    classes = np.arange(len(target.classes))
    return (values[:, None] == (classes if len(classes) > 2 else classes[1:])).astype(np.float64)


def names_of(target) -> list[str]:
    """Return the names of the numbers of `outputs_of`."""
    if target.task == "regression":
        return [target.name]
    classes = target.classes if len(target.classes) > 2 else target.classes[1:]
    return [f"{target.name}={name}" for name in classes]
