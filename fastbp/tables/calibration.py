"""Temperature scaling: the last layer of trained classifiers, so that probabilities are true.

The logits z are divided by one number T (Guo, Pleiss, Sun and Weinberger, On Calibration of Modern
Neural Networks, ICML 2017, section 4.2). As z is linear in the weights and biases of the last
layer, it is these that are divided: the network that is saved and exported is the calibrated one.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..annotations import Threads
from ..network import Network
from .columns.schema import Schema
from .unseen import Unseen

_LIMITS = math.log(0.05), math.log(20)
# ln T is about 0, give or take this, before any row is seen: rows that are all predicted right,
# as few may be, would make T as small as it can be
_PRIOR = 0.5
# standard errors that ln T differs from 0, or the probabilities stay: with fewer T is often one by
# chance, as those of networks that stop early by their loss are about right
_SURE = 2.0
# rows are predicted out of fold by one network, and later by the mean of all, which is less sure
# and more often right. On 13 tables, two seeds each, the T that fits the mean of five was 0.89 of
# that of one, give or take 0.08; it follows the variance that a mean takes away, 1 - 1 / n
_OF_A_MEAN, _OF_A_MEAN_ERROR = math.log(0.89) / 0.8, 0.08 / 0.8
# logits of all networks that are held at once, and rows that are enough
_MOST_NUMBERS = 500_000
_FEWEST_ROWS = 2_000

Part = tuple[npt.NDArray, npt.NDArray, npt.NDArray]


class Temperature(NamedTuple):
    """ln T, and its standard error."""

    log: float
    error: float

    @property
    def value(self) -> float:
        """T; 1 where it may be by chance that it differs."""
        return math.exp(self.log) if abs(self.log) > _SURE * self.error else 1.0


def calibrate(
    networks: Sequence[Network], unseen: Sequence[Unseen], schema: Schema, n_threads: Threads
) -> float | list[float] | None:
    """Divide the last layer of the networks of a classifier by T, in place; return T.

    T is the same for all networks. It has the least log loss, weighted by the rows' own weights,
    on rows that did not train: of what is predicted, the mean of all networks' probabilities,
    or out of fold of one network's, less what the mean of several makes of it. It is 1 where the
    difference may be by chance (two standard errors). Each of several targets has its own T.
    None of a regression, or without such rows.
    """
    if schema.target.task == "regression":
        return None
    numbers = sum(len(each.X) * len(each.networks) for each in unseen) * schema.n_outputs
    share = min(1.0, _MOST_NUMBERS / max(numbers, 1))
    thinned = [
        each.thinned(max(_FEWEST_ROWS // len(unseen), int(share * len(each.X)))) for each in unseen
    ]
    thinned = [each for each in thinned if len(each.X)]
    if not thinned:
        return None
    parts = [(each, each.logits(n_threads).astype(np.float64)) for each in thinned]
    fewer = 1 / len(thinned[0].networks) - 1 / len(networks)
    found = []
    for target in range(len(schema.targets)):
        log, error = fitted(_part(schema, each, logits, target) for each, logits in parts)
        error = math.hypot(error, _OF_A_MEAN_ERROR * fewer)
        found.append(Temperature(log + _OF_A_MEAN * fewer, error).value)
    if any(value != 1 for value in found):
        _scale(networks, np.array(found))
    return found if schema.more_targets else found[0]


def _part(schema, unseen, logits, target):
    """Return the logits (networks, rows, classes), labels and weights of rows of a target."""
    weight = np.ones(len(logits[0])) if unseen.weight is None else unseen.weight
    if not schema.more_targets:
        return logits, unseen.y, weight
    # a sigmoid is a softmax of two classes, of which the first has a logit of 0
    two = np.stack([np.zeros_like(logits[..., target]), logits[..., target]], axis=-1)
    return two, unseen.y[:, target].astype(np.int64), weight


def fitted(parts: Iterable[Part]) -> Temperature:
    """Return the temperature of the least log loss of the mean probabilities of networks.

    Each part is (logits (networks, rows, classes), labels (rows,), weights (rows,)). The loss is
    -sum of w log p, with p the mean over the networks of softmax(z / T) at the label, and the
    weights w scaled to the number of rows that they are worth (Kish, 1965: (sum of w)^2 / sum of
    w^2). Beside it is the logarithm of a normal prior of ln T, about 0. The standard error is that
    of the curvature at the minimum.
    """
    known = [(*_gaps(z, y), weight.astype(np.float64)) for z, y, weight in parts]
    weights = np.concatenate([weight for *_, weight in known])
    unit = weights.sum() / (weights @ weights)

    def loss(log):
        total = sum(weight @ _losses(gaps, most, math.exp(log)) for gaps, most, weight in known)
        return unit * total + (log / _PRIOR) ** 2 / 2

    log = least(loss, *_LIMITS)
    step = 0.05
    curvature = (loss(log + step) - 2 * loss(log) + loss(log - step)) / step**2
    return Temperature(log, 1 / math.sqrt(max(curvature, _PRIOR**-2)))


def _gaps(logits, labels):
    """Return how far logits are above that of the label, less the most, and the most.

    They are (classes, networks, rows) and (networks, rows): classes first, as sums over them are
    quicker so.
    """
    right = np.take_along_axis(logits, labels[None, :, None], axis=2)
    gaps = np.ascontiguousarray(np.moveaxis(logits - right, 2, 0))
    most = gaps.max(axis=0)
    return gaps - most, most


def _losses(gaps, most, temperature):
    """Return -log of the mean over the networks of softmax(z / T) at the label (rows,)."""
    logs = most / temperature + np.log(np.exp(gaps / temperature).sum(axis=0))
    return math.log(len(logs)) - np.logaddexp.reduce(-logs, axis=0) if len(logs) > 1 else logs[0]


def least(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function of one minimum is least, to 0.001 (golden-section search)."""
    ratio = (math.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > 1e-3:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = function(right)
    return (low + high) / 2


def _scale(networks, temperatures):
    """Divide weights (n_in, n_out) and biases (n_out,) of last layers by T, (1,) or (n_out,)."""
    for network in networks:
        for array in (network.weights[-1], network.biases[-1]):
            if array.size:
                array /= temperatures.astype(array.dtype)
