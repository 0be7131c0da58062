"""When candidates of a search are compared while they train, and which of them go on.

At each rung all candidates that are left have trained the same number of epochs, on all folds, so
that the choice depends on no thread.
"""

from collections.abc import Mapping, Sequence
from math import ceil, floor, log
from typing import Any

import numpy as np

from ..kernels.support.scalars import a_number, a_whole_number

# scores of a candidate at the rungs that it has reached, by its number
Curves = Mapping[int, Sequence[float]]


class Rungs:
    """One rung: all candidates are trained as far as their own parameters say."""

    epochs: Sequence[int | None] = (None,)  # after which each rung is reached

    def going_on(self, left: Sequence[int], curves: Curves) -> list[int]:
        """Return which of the candidates that are left go on."""
        return list(left)

    def attributes(self, left: Sequence[Sequence[int]]) -> dict[str, Any]:
        """Return what a search tells of its rungs, by the candidates left at each."""
        return {}


class _Race(Rungs):
    epochs: Sequence[int]
    most: int

    def attributes(self, left):
        """Return the attributes of scikit-learn's halving searches."""
        return {
            "n_resources_": list(self.epochs),
            "n_candidates_": [len(each) for each in left],
            "n_iterations_": len(self.epochs),
            "min_resources_": self.epochs[0],
            "max_resources_": self.most,
        }


class Halving(_Race):
    """Successive halving: of `count` candidates the best 1 / `factor` go on at each rung.

    The epochs grow by `factor` from rung to rung, from `least` or, if that is None, from such a
    number that the last rung comes closest to `most` epochs: scikit-learn's ``HalvingGridSearchCV``
    with ``min_resources="exhaust"`` (Karnin, Koren and Somekh, ICML 2013; Jamieson and Talwalkar,
    AISTATS 2016).
    """

    def __init__(self, count: int, most: int, factor: float, least: int | None) -> None:
        self.most = most
        self._factor = factor
        self._required = 1 + floor(log(count, factor))
        if least is None:
            least = max(1, int(most // factor ** (self._required - 1)))
        self._possible = 1 + floor(log(most // least, factor))
        count = min(self._required, self._possible)
        self.epochs = [min(int(factor**n * least), most) for n in range(count)]

    def going_on(self, left, curves):
        """Return the best, the very best last, as scikit-learn orders them."""
        scores = np.array([curves[candidate][-1] for candidate in left])
        # NaN comes first, as the worst
        order = np.roll(np.argsort(scores), np.count_nonzero(np.isnan(scores)))
        return [left[place] for place in order[-ceil(len(left) / self._factor) :]]

    def attributes(self, left):
        """Return the attributes of scikit-learn's halving searches."""
        return super().attributes(left) | {
            "n_remaining_candidates_": ceil(len(left[-1]) / self._factor),
            "n_required_iterations_": self._required,
            "n_possible_iterations_": self._possible,
        }


class Median(_Race):
    """The median rule: every `every` epochs those that fall behind by their learning curves stop.

    A candidate stops if its best score so far is lower than the median, over the candidates that
    have come as far, of the mean of their scores so far (Golovin et al., Google Vizier, KDD 2017,
    section 3.2.2).
    """

    def __init__(self, most: int, every: int) -> None:
        self.most = most
        self.epochs = [*range(every, most, every), most]

    def going_on(self, left, curves):
        """Return those that do not fall behind, in their order."""
        known = {number: np.nan_to_num(curves[number], nan=-np.inf) for number in left}
        median = np.median([np.mean(curve) for curve in known.values()])
        return [number for number in left if np.max(known[number]) >= median]

    def attributes(self, left):
        """Return those of halving that the rule has."""
        return super().attributes(left) | {"n_remaining_candidates_": len(left[-1])}


def rungs_of(
    pruning: str | None, factor: Any, min_epochs: Any, max_epochs: int, count: int
) -> Rungs:
    """Return the rungs of so many candidates; ValueError if an argument is wrong."""
    if pruning is None:
        return Rungs()
    factor = a_number("factor", factor, above=1)
    least = None
    if min_epochs is not None:
        least = a_whole_number("min_epochs", min_epochs, least=1)
        if least > max_epochs:
            raise ValueError(
                f"min_epochs={least}: expected at most {max_epochs}, the max_iter of the estimator"
            )
    if pruning == "halving":
        return Halving(count, max_epochs, factor, least)
    return Median(max_epochs, least or max(1, max_epochs // 10))
