"""Scores of a network on rows that lie on several ranks: those of all rows together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..data.samples import Samples
from ..engine.engine import Engine
from ..kernels.net.score import CLASSES, NUMBERS


class OwnScore:
    """The loss and the metric of the validation rows of one process."""

    def __init__(self, metric: Any, data: Samples) -> None:
        self._metric, self._data = metric, data

    def of(
        self, engine: Engine, threads: Any, goes_on: Callable[[], bool]
    ) -> tuple[float, float] | None:
        """Return the mean loss and the metric of a network; None if ``goes_on()`` was False."""
        scored = engine.evaluate(self._data, threads, goes_on)
        return None if scored is None else (scored[1], self._metric.score(scored[0], self._data))


class JointScore:
    """The loss and the metric of validation rows; `kind` is one of `kernels.net.score`."""

    def __init__(self, ranks: Any, kind: int, data: Samples) -> None:
        self._ranks, self._kind, self._data = ranks, kind, data
        weight = np.ones(len(data)) if data.weight is None else data.weight
        self._weight = weight.astype(np.float64)
        self._total = float(ranks.sums(self._weight.sum()))
        if not self._total:
            error = "validation_data[2]: all weights are 0; at least one must be positive"
            raise ranks.known_to_all(ValueError(error))
        self._y = y = np.asarray(data.y, np.float64)
        if kind == NUMBERS:
            means = ranks.sums(self._weight @ y) / self._total
            varies = np.max(ranks.all(y.max(0)), 0) > np.min(ranks.all(y.min(0)), 0)
            self._spread = np.where(varies, ranks.sums(self._weight @ (y - means) ** 2), 0)

    def of(
        self, engine: Engine, threads: Any, goes_on: Callable[[], bool]
    ) -> tuple[float, float] | None:
        """Return the mean loss and the metric; None if ``goes_on()`` was False on a rank."""
        scored = engine.evaluate(self._data, threads, goes_on)
        own = None
        if scored is not None:
            own = np.append(scored[1] * self._weight.sum(), self._sums(scored[0]))
        found = self._ranks.all(own)
        if any(each is None for each in found):
            return None
        loss, *sums = np.add.reduce(found)
        return float(loss / self._total), self._metric(np.array(sums))

    def _sums(self, outputs):
        """Return the weight of the rows that are right, or the residuals of each output."""
        data = self._data
        if self._kind == NUMBERS:
            return self._weight @ (outputs - self._y) ** 2
        if self._kind == CLASSES:
            labels = self._y.argmax(1) if data.labels is None else data.labels
            return self._weight @ (outputs.argmax(1) == labels)
        return self._weight @ ((outputs > 0.5) == (self._y > 0.5)).all(1)

    def _metric(self, sums):
        if self._kind != NUMBERS:
            return float(sums[0] / self._total)
        varying = self._spread > 0
        if varying.any():
            return float(np.mean(1 - sums[varying] / self._spread[varying]))
        return float((sums == 0).all())
