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
# standard errors that ln T differs from 0, or the probabilities stay: of networks that stop early
# by their loss they were about right on 24 trainings, and T by chance made them no better
_SURE = 2.0
# rows are predicted out of fold by one network, and later by the mean of all, which is less sure
# and more often right. Of five, the best T was 0.87 of that of one in the median of 24 trainings
# on 12 tables, give or take 0.1; it follows the variance that the mean takes away, 1 - 1 / n
_OF_A_MEAN, _OF_A_MEAN_ERROR = math.log(0.87) / 0.8, 0.1 / 0.8
# enough for T; logits of all networks that are held at once
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
    if schema.target.task == "regression" or not unseen:
        return None
    per_row = sum(len(each.networks) for each in unseen) * schema.n_outputs // len(unseen)
    rows = sum(len(each.X) for each in unseen)
    share = min(1.0, max(_FEWEST_ROWS, _MOST_NUMBERS // per_row) / max(rows, 1))
    thinned = [each.thinned(math.ceil(share * len(each.X))) for each in unseen]
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
    parts = list(parts)
    weights = np.concatenate([weight for *_, weight in parts]).astype(np.float64)
    unit = weights.sum() / (weights @ weights)

    def loss(log):
        total = sum(weight @ log_losses(z, y, math.exp(log)) for z, y, weight in parts)
        return unit * total + (log / _PRIOR) ** 2 / 2

    log = least(loss, *_LIMITS)
    step = 0.05
    curvature = (loss(log + step) - 2 * loss(log) + loss(log - step)) / step**2
    return Temperature(log, 1 / math.sqrt(max(curvature, _PRIOR**-2)))


def log_losses(logits: npt.NDArray, labels: npt.NDArray, temperature: float) -> npt.NDArray:
    """Return -log of the mean over the networks of softmax(z / T) at the label (rows,)."""
    z = logits / temperature
    z -= z.max(axis=2, keepdims=True)
    right = np.take_along_axis(z, labels[None, :, None], axis=2)[..., 0]
    logs = right - np.log(np.exp(z).sum(axis=2))
    return math.log(len(logs)) - np.logaddexp.reduce(logs, axis=0)


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
