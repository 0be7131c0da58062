"""Local steps: each rank trains on its own rows, and all average their weights now and then.

Reference: Lin et al., Don't use large mini-batches, use local SGD, ICLR 2020.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.windows import Feed, MustEnd, Window
from ..engine.engine import Engine
from ..engine.plan import Plan
from ..kernels.random import WINDOWS, fill_permutation
from ..kernels.support.arrays import address
from .shard import Held, PartWindow
from .steps import OwnSteps


@dataclass(frozen=True)
class LocalWindow(PartWindow):
    """The rows of this rank in an epoch; it may have fewer batches than `whole_batches`."""

    whole_batches: int

    def batches(self, batch: int) -> int:
        """Return the number of batches of the rank that has the most."""
        return self.whole_batches


class LocalShard(Feed):
    """The samples of rank `number`, in an order of its own; a batch is its share of a whole one.

    An epoch has as many batches as that of one process on the rows of all ranks.
    """

    def __init__(
        self, held: Held, batch_size: int, shuffle: bool, seed: int, number: int, average_every: int
    ) -> None:
        rows, data = held.rows, held.data
        self.rows, self.head = rows, data
        self._batches = -(-rows // min(batch_size, rows))
        self.batch = -(-len(data) // self._batches)
        self.order = np.arange(len(data))
        self.key = {"rows": rows, "batch_size": batch_size, "shuffle": shuffle}
        self.key |= {"sync": "local"}  # other ranks may average after other steps
        self._shuffle, self._seed, self._number = shuffle, seed, number
        self._weight = held.whole_weight
        self._places = np.arange(len(data)) % self.batch + number * batch_size

    def batches(self, epoch: int) -> int:
        """Return the number of batches in an epoch."""
        return self._batches

    def windows(
        self, epoch: int, done: int = 0, more: bool = False, must_end: MustEnd | None = None
    ) -> Iterator[Window]:
        """Yield the one window of an epoch."""
        if self._shuffle:  # in another order on each rank
            place = (epoch << 32) + self._number
            fill_permutation.serial(self._seed, WINDOWS, place, self.order)
        others = (self._weight, self._places, self._batches)
        yield LocalWindow(self.head, self.order, 0, *others)


class LocalSteps:
    """Steps of this rank alone, and then the average of the weights and moments of all.

    `reduction` adds `averaged` numbers, and `share` is this rank's share of the rows. Where steps
    are divided by the root of second moments, as Adam's, the rates are multiplied by the root of
    the number of ranks: the moments of a share of a batch are larger by it, for it is noisier.
    Reference: Malladi et al., On the SDEs and scaling rules for adaptive gradient algorithms,
    NeurIPS 2022.
    """

    has_converged = False

    def __init__(self, engine: Engine, feed: Feed, ranks: Any, reduction: Any, share: float):
        self._engine, self._feed, self._ranks = engine, feed, ranks
        self._reduction, self._share = reduction, share
        self._own = OwnSteps(engine, feed)
        is_adaptive = engine.optimizer.hyper_parameters.get("beta2", 0) > 0
        self._factor = math.sqrt(ranks.count) if is_adaptive else 1.0
        self.compile = self._own.compile

    def train(self, window: Any, part: slice, rates: Any, results: Any, threads: int) -> int:
        """Make the steps of the batches `part` of a window, as `OwnSteps` does, and average."""
        engine, losses = self._engine, results[0]
        losses[:] = 0
        last = min(part.stop, -(-window.rows // self._feed.batch))
        if part.start < last:
            count = last - part.start
            engine.run[0]["places"] = address(window.places)
            here = [each[:count] for each in results]
            mine = rates[:count] * self._factor
            self._own.train(window, slice(part.start, last), mine, here, threads)
            engine.run[0]["places"] = 0
        found = self._ranks.all((losses.copy(), engine.steps))
        losses[:] = sum(each for each, _ in found)
        if not np.isfinite(losses).all():
            return int(np.argmin(np.isfinite(losses)))
        self._average()
        engine.steps = max(steps for _, steps in found)
        return part.stop - part.start

    def _average(self):
        engine, size = self._engine, self._engine.plan.size
        own, total = self._reduction.grads, self._reduction.total
        moments = total.size - size
        np.multiply(engine.params, self._share, out=own[:size])
        np.multiply(engine.moments[:moments], self._share, out=own[size:])
        self._reduction.add(0.0)

        def take():
            for part in engine.plan.frozen:  # an average may be off by a rounding
                total[part] = engine.params[part]
            engine.params[:], engine.moments[:moments] = total[:size], total[size:]

        engine.gate.change(take)
        engine.refresh()


def averaged(plan: Plan, optimizer: Any) -> int:
    """Return how many numbers ranks average: the weights, and the moments that there are."""
    numbers = optimizer.hyper_parameters
    has_moments = any(numbers.get(name, 0) > 0 for name in ("beta1", "beta2"))
    return plan.size * (3 if has_moments else 1)


class EvenPace:
    """A pace of slices of so many steps, at whose ends ranks average."""

    def __init__(self, steps: int, threads: int) -> None:
        self._slice = steps, threads

    def next_slice(self, most: int | None = None) -> tuple[int, int]:
        """Return the steps and the threads of the next slice."""
        return self._slice

    def took(self, steps: int, threads: int, seconds: float) -> None:
        """Learn nothing."""
