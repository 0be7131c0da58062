"""The score shown beside a loss: accuracy for classes, R2 for numbers."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Metric:
    """A score of outputs against samples.

    Attributes
    ----------
    name : str
        Its name in a history.
    score : callable
        ``score(outputs, samples) -> float``; higher is better.
    """

    name: str
    score: object


def _accuracy_of_classes(outputs, samples):
    labels = samples.y.argmax(axis=1) if samples.labels is None else samples.labels
    return _weighted_mean(outputs.argmax(axis=1) == labels, samples.weight)


def _accuracy_of_bits(outputs, samples):
    right = ((outputs > 0.5) == (samples.y > 0.5)).all(axis=1)
    return _weighted_mean(right, samples.weight)


def _weighted_mean(values, weight):
    return float(np.average(values, weights=weight))


def _r2(outputs, samples):
    """Return 1 - residual / total sum of squares, the mean over outputs that vary."""
    y, weight = samples.y.astype(np.float64), samples.weight
    residual = np.average((outputs - y) ** 2, axis=0, weights=weight)
    total = np.average((y - np.average(y, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
    varies = total > 0
    if not varies.any():
        return 1.0 if not residual.any() else 0.0
    return float(np.mean(1 - residual[varies] / total[varies]))


_CLASSES = Metric("accuracy", _accuracy_of_classes)
_BITS = Metric("accuracy", _accuracy_of_bits)
_NUMBERS = Metric("r2", _r2)


def metric_of(loss):
    """Return the metric that suits the loss of a given name."""
    return {"cross_entropy": _CLASSES, "binary_cross_entropy": _BITS}.get(loss, _NUMBERS)
