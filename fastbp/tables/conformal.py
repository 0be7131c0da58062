"""Intervals of regressions by split-conformal prediction: residuals of rows that did not train.

The interval of a row is its prediction give or take the residual that a share of the rows do not
exceed (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005; Lei, G'Sell,
Rinaldo, Tibshirani and Wasserman, Distribution-Free Predictive Inference for Regression, JASA
113(523), 2018, section 2.2). Of several quantiles it reaches from the lowest to the highest, give
or take what the rows lie beyond them, which may be negative: they lie within (Romano, Patterson and
Candes, Conformalized Quantile Regression, NeurIPS 2019).

By folds one network predicts a row that it has not seen, and later the mean of all predicts, which
is nearer: the mean squared error of K networks is that of their mean and the mean square of their
distance from it (Krogh and Vedelsby, Neural Network Ensembles, Cross Validation, and Active
Learning, NIPS 1994, eq. 6). Residuals are scaled to it.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
from msgspec import Meta, Struct

from ..annotations import Threads
from ..errors import ModelFileError
from ..json_data import Count, Finite, read_as
from ..model_file import Model
from .columns.schema import Schema
from .result.outputs import in_units
from .unseen import Unseen
from .wording import one_line

SECTION = "residuals"
# residuals that a file keeps of more: so many evenly spread, and so many towards the largest
_EVENLY, _OF_THE_LARGEST = 500, 500
# rows that tell how far networks lie apart
_ROWS_APART = 2_000
# rounding of sums of weights, and of 1 - level
_SLACK = 1e-9

Share = Annotated[float, Meta(gt=0, lt=1)]


class Residuals(Struct, frozen=True, forbid_unknown_fields=True):
    """How far targets lie from their predictions, in units of the target, ascending.

    `shares` says of each how many do not exceed it: the sum of the weights of these rows, over
    that of all `rows` and one more, of mean weight, whose target is to be predicted. Rows that
    weigh as much have k / (n + 1).
    """

    rows: Count
    sizes: tuple[Finite, ...]
    shares: tuple[Share, ...]

    def __post_init__(self) -> None:
        if len(self.sizes) != len(self.shares):
            raise ValueError(f"{len(self.sizes)} sizes, but {len(self.shares)} shares")
        for name in ("sizes", "shares"):
            values = getattr(self, name)
            if any(before > after for before, after in itertools.pairwise(values)):
                raise ValueError(f"{name}: expected ascending numbers")

    def within(self, level: float) -> float:
        """Return the least residual that a share of at least `level` of the rows do not exceed.

        ValueError if no row is that far out, so that the interval would be infinite.
        """
        place = int(np.searchsorted(self.shares, level - _SLACK))
        if place < len(self.sizes):
            return self.sizes[place]
        needed = math.ceil(level / (1 - level) * (1 - _SLACK))
        if self.rows < needed:
            raise ValueError(
                f"interval={level}: it takes {needed:,} or more rows that did not train, and the "
                f"model has {self.rows:,}: ask for less, or train on more rows"
            )
        raise ValueError(
            f"interval={level}: the targets of more than {1 - level:.3g} of the rows were clipped, "
            "so that it is unknown how far out they lie: ask for less, or train without clip_target"
        )


def residuals_of(
    schema: Schema, unseen: Sequence[Unseen], n_threads: Threads
) -> tuple[Residuals, ...]:
    """Return the residuals of each column that a regression learns; none of a classification.

    A target that was clipped may lie anywhere beyond: its row counts, and its residual does not.
    """
    if schema.target.task == "classification" or not unseen:
        return ()
    outputs = np.concatenate([each.outputs(n_threads) for each in unseen])
    y = np.concatenate([each.y for each in unseen]).reshape(outputs.shape)
    weights = np.concatenate([each.weights for each in unseen])
    clipped = schema.at_bounds(y)
    apart = _apart(schema, unseen, n_threads)
    found = []
    for (first, (low, high)), variance in zip(_ends(schema, outputs), apart, strict=True):
        known = ~clipped[:, first]
        away = np.abs(in_units(schema.targets[first], y[:, first]) - (low + high) / 2)
        away *= _nearer(away[known], weights[known], variance, len(unseen))
        found.append(_kept(np.where(known, away - (high - low) / 2, np.inf), weights))
    return tuple(found)


def _apart(schema, unseen, n_threads):
    """Return the variance of what networks predict of a row, the mean of rows, of each column.

    It is that of networks that trained on the row, which lie no further apart than they would of
    others; 0 where there are no two.
    """
    count = len(schema.target_names)
    if len(unseen[0].others) < 2:
        return np.zeros(count)
    thinned = [each.thinned(max(1, _ROWS_APART // len(unseen))) for each in unseen]
    total = np.zeros(count)
    for each in thinned:
        outputs = (network.forward(each.X, n_threads) for network in each.others)
        ends = [[low + high for _, (low, high) in _ends(schema, found)] for found in outputs]
        total += np.var(np.array(ends) / 2, axis=0, ddof=1) @ each.weights
    return total / sum(each.weights.sum() for each in thinned)


def _nearer(away, weights, variance, networks):
    """Return how much nearer to targets the mean of networks lies than one of them.

    It is sqrt(1 - (1 - 1 / K) variance / e) where one of K is off by e in the mean square, and at
    least 1 / sqrt(K), as of networks that err independently.
    """
    error = away**2 @ weights
    if not variance or not error:
        return 1.0
    taken = (1 - 1 / networks) * variance * weights.sum() / error
    return math.sqrt(max(1 - taken, 1 / networks))


def intervals_of(
    schema: Schema, outputs: npt.NDArray, radii: Sequence[float]
) -> list[tuple[npt.NDArray, npt.NDArray]]:
    """Return the bounds (n,), (n,) of each column, from outputs (n, n_out) and a radius of each.

    Those of a rate are at least 0.
    """
    found = []
    for (first, (low, high)), radius in zip(_ends(schema, outputs), radii, strict=True):
        both = np.sort([low - radius, high + radius], axis=0)
        found.append(tuple(both.clip(min=0) if schema.targets[first].rate else both))
    return found


def radii_of(schema: Schema, residuals: Sequence[Residuals], level: float) -> list[float]:
    """Return the residual of each column that a share `level` of the rows do not exceed.

    ValueError if there are none, or too few for this level.
    """
    if schema.target.task == "classification":
        raise ValueError(
            f"interval={level}: classes have no intervals: the probabilities of all classes are "
            "among the predictions"
        )
    if not residuals:
        raise ValueError(
            f"interval={level}: the model keeps no residuals of rows that did not train: train it "
            "again, with rows that validate"
        )
    return [each.within(level) for each in residuals]


def residuals_in(model: Model, schema: Schema, path: object) -> tuple[Residuals, ...]:
    """Return the residuals in a model file, none if it has none; ModelFileError if it is wrong."""
    if SECTION not in model.sections:
        return ()
    try:
        found = read_as(tuple[Residuals, ...], model.sections[SECTION], SECTION)
        if len(found) != len(schema.target_names):
            raise ValueError(f"{len(found)} of {len(schema.target_names)} targets")
    except ValueError as error:
        raise ModelFileError(
            f"{path} describes residuals that cannot be: {one_line(error)}"
        ) from error
    return found


def _ends(schema, outputs):
    """Yield the first target of each column, and its lowest and highest prediction (n,), (n,).

    They are the same, but for columns of which several quantiles are learned.
    """
    levels = len(schema.targets) // len(schema.target_names)
    outputs = schema.uncrossed(outputs)
    for first in range(0, len(schema.targets), levels):
        places = (first, first + levels - 1)
        yield first, tuple(in_units(schema.targets[n], outputs[:, n]) for n in places)


def _kept(sizes, weights):
    """Return the residuals of rows of weights; of very many the file has some."""
    sizes, weights = sizes[weights > 0], weights[weights > 0]
    order = np.argsort(sizes)
    rows = len(order)
    shares = np.cumsum(weights[order]) / (weights.sum() + weights.mean())
    known = int(np.isfinite(sizes).sum())
    if not known:
        return Residuals(rows, (), ())
    evenly = np.linspace(0, known - 1, _EVENLY)
    largest = known - np.geomspace(1, known, _OF_THE_LARGEST)
    places = np.unique(np.concatenate([evenly, largest]).round().astype(int))[-known:]
    return Residuals(rows, tuple(sizes[order][places].tolist()), tuple(shares[places].tolist()))
