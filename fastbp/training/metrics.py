"""What outputs mean: predictions, and the score beside a loss, accuracy or R2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..annotations import Array, Floats
from ..data.samples import Samples
from ..kernels.formulas.losses import LOSSES
from ..kernels.net.score import BITS, CLASSES, NUMBERS, score, score_by_output

if TYPE_CHECKING:
    from ..annotations import Threads
    from ..engine.engine import Engine

_NO_LABELS = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Metric:
    """A score of outputs against samples; `kind` is one of `kernels.net.score`."""

    name: str  # in a history
    kind: int

    def score(self, outputs: Floats, samples: Samples) -> float:
        """Return the score of outputs (n, n_out): the higher, the better."""
        if samples.output_weight is not None:
            of_outputs = (samples.y, samples.output_weight)
            return float(score_by_output.serial(self.kind, outputs, *of_outputs))
        return float(score.serial(self.kind, outputs, *targets_of(samples, outputs)))


def targets_of(samples: Samples, outputs: Floats) -> tuple[Array, Array, Array]:
    """Return targets, labels and weights of samples, as `kernels.net.score` takes them."""
    y = outputs[:0] if samples.y is None else samples.y
    weight = outputs[:0, 0].copy() if samples.weight is None else samples.weight
    return y, _NO_LABELS if samples.labels is None else samples.labels, weight


def scores_of(
    engine: Engine, data: Samples, n_threads: Threads, go_on: Callable[[], bool] | None = None
) -> dict[str, float]:
    """Return the mean loss of an engine's network on `Samples`, and its metric, by name.

    There are none if ``go_on()``, which is called between slices, returns False.
    """
    metric = metric_of(engine.loss)
    scored = engine.evaluate(data, n_threads, go_on)
    if scored is None:
        return {}
    outputs, loss = scored
    return {"loss": loss, metric.name: metric.score(outputs, data)}


def metric_of(loss: str) -> Metric:
    """Return the metric for the targets of the loss of a given name."""
    targets = LOSSES[loss].targets
    if targets == "classes":
        return Metric("accuracy", CLASSES)
    return Metric("accuracy", BITS) if targets == "unit" else Metric("r2", NUMBERS)


def predicted(loss: str, outputs: Floats) -> Array:
    """Return the predictions that outputs (n, n_out) of networks of a loss mean."""
    targets = LOSSES[loss].targets
    if targets == "classes":
        return outputs.argmax(axis=1)
    if targets == "unit":
        outputs = (outputs > 0.5).astype(np.int64)
    return outputs[:, 0] if outputs.shape[1] == 1 else outputs
