"""What outputs mean: predictions, and the score beside a loss, accuracy or R2."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..annotations import Array, Floats
from ..data.samples import Samples
from ..kernels.formulas.losses import LOSSES


@dataclass(frozen=True)
class Metric:
    """A score of outputs against samples, with its name in a history."""

    name: str
    score: Callable[[Floats, Samples], float]  # higher is better


def _accuracy_of_classes(outputs, samples):
    labels = samples.y.argmax(axis=1) if samples.labels is None else samples.labels
    return float(np.average(outputs.argmax(axis=1) == labels, weights=samples.weight))


def _accuracy_of_bits(outputs, samples):
    right = ((outputs > 0.5) == (samples.y > 0.5)).all(axis=1)
    return float(np.average(right, weights=samples.weight))


def _r2(outputs, samples):
    """Return 1 - residual / total sum of squares, the mean over outputs that vary."""
    y = samples.y.astype(np.float64)
    weight = samples.weight
    residual = np.average((outputs - y) ** 2, axis=0, weights=weight)
    total = np.average((y - np.average(y, axis=0, weights=weight)) ** 2, axis=0, weights=weight)
    varies = total > 0
    if not varies.any():
        return 1.0 if not residual.any() else 0.0
    return float(np.mean(1 - residual[varies] / total[varies]))


def scores_of(engine, data, n_threads):
    """Return the mean loss of an engine's network on `Samples`, and its metric, by name."""
    metric = metric_of(engine.loss)
    outputs, loss = engine.evaluate(data, n_threads)
    return {"loss": loss, metric.name: metric.score(outputs, data)}


def metric_of(loss):
    """Return the metric for the targets of the loss of a given name."""
    targets = LOSSES[loss].targets
    if targets == "classes":
        return Metric("accuracy", _accuracy_of_classes)
    return Metric("accuracy", _accuracy_of_bits) if targets == "unit" else Metric("r2", _r2)


def predicted(loss: str, outputs: Floats) -> Array:
    """Return the predictions that outputs (n, n_out) of networks of a loss mean."""
    targets = LOSSES[loss].targets
    if targets == "classes":
        return outputs.argmax(axis=1)
    if targets == "unit":
        outputs = (outputs > 0.5).astype(np.int64)
    return outputs[:, 0] if outputs.shape[1] == 1 else outputs
