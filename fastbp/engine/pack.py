"""Many small networks of one shape, trained one after the other in few calls of a kernel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..kernels.net.many import FIT, train_many
from ..kernels.net.records import gathered
from ..kernels.support.arrays import address, aligned_zeros
from ..kernels.tuning import FIRST_SLICE_STEPS, SLICE_GROWTH, SLICE_SECONDS
from ..kernels.update import UPDATES
from .engine import Engine

if TYPE_CHECKING:
    from ..data.samples import Samples

# the fields of a run that belong to one network; the others say where data and buffers lie
_OWN = (
    *("seed", "step", "corrects", "beta1", "beta2", "epsilon"),
    *("l1", "l2", "own_l2", "decay", "clip_norm"),
)


@dataclass(frozen=True, slots=True)
class Fit:
    """The training of one network: epochs, and the numbers of its rows, or None for all."""

    engine: Engine
    epochs: int
    rows: npt.NDArray[np.intp] | None = None

    @property
    def which(self) -> Any:
        """The index of its rows among those of the data."""
        return slice(None) if self.rows is None else self.rows

    def count(self, data: Samples) -> int:
        """Return the number of its rows."""
        return len(data) if self.rows is None else len(self.rows)


@dataclass(frozen=True, slots=True)
class Trained:
    """What became of one network.

    `losses` (epochs, batches) are the sums of the losses of the steps of the epochs that are done,
    and `rates` (epochs, batches) the learning rates; (1, batches) if those of all epochs are the
    same. `best` is the epoch of the lowest sum. `seconds` is its share of the time of the calls. If
    it `failed`, a number was not finite, and the engine is as it was.
    """

    losses: npt.NDArray[np.float64]
    rates: npt.NDArray[np.float64]
    best: int | None
    seconds: float
    failed: bool


class Pack:
    """The trainings of networks whose plans and losses are equal, on one thread.

    They share the data, which are dense, and the buffers; all have `batch` rows a step, and the
    same numbers of epochs and of rows.
    """

    def __init__(self, fits: Sequence[Fit], data: Samples, batch: int, shuffle: bool) -> None:
        engines = [fit.engine for fit in fits]
        first = engines[0]
        plan = first.plan
        # one engine more, whose buffers serve all: those of the others are not touched
        leader = Engine(plan, first.loss, first.loss_parameter, first.optimizer, 0)
        leader.start_training(data, batch, 1)
        self._layers, run, _, self._grads, _, self._work = leader.arrays()
        self._leader, self._data, self._engines = leader, data, engines
        self._params = aligned_zeros(len(fits) * plan.row, plan.dtype)
        self._moments = aligned_zeros(2 * len(fits) * plan.row, plan.dtype)
        # views of the part of each network
        self._own_params = self._params.reshape(len(fits), -1)[:, : plan.size]
        self._own_moments = self._moments.reshape(len(fits), -1)[:, : 2 * plan.size]
        for number, engine in enumerate(engines):
            self._own_params[number] = engine.params
            if engine.steps:
                self._own_moments[number] = engine.moments
        self._shuffle, self._order = shuffle, np.empty(len(data), np.int64)
        own = gathered([engine.run for engine in engines])
        self._runs = gathered([run] * len(engines))
        for name in _OWN:
            self._runs[name] = own[name]
        updates = [UPDATES[engine.optimizer.name].address(plan.dtype) for engine in engines]
        self._runs["update"], self._runs["batch"] = updates, batch
        in_order = shuffle or any(fit.rows is not None for fit in fits)
        self._runs["order"] = address(self._order) if in_order else 0
        self._records = self._records_of(fits, batch)

    def _records_of(self, fits, batch):
        """Return the records of the fits; keep the arrays that they point at."""
        records = np.zeros(len(fits), FIT)
        epochs, count = fits[0].epochs, fits[0].count(self._data)
        batches = -(-count // batch)
        rates_of = cache(_rates_of)
        self._rates = [
            rates_of(fit.engine.optimizer, fit.engine.epochs, epochs, batches) for fit in fits
        ]
        self._losses = np.empty((len(fits), epochs, batches))
        self._penalties = np.empty(batches)
        records["rows"] = [address(fit.rows) for fit in fits]
        records["count"], records["epochs"] = count, epochs
        records["first"] = [fit.engine.epochs for fit in fits]
        records["rates"] = [address(rates) for rates in self._rates]
        records["rates_row"] = [8 * batches * (len(rates) > 1) for rates in self._rates]
        places = address(self._losses) + self._losses.strides[0] * np.arange(len(fits))
        records["losses"], records["penalties"] = places, address(self._penalties)
        return records

    def train(self, goes_on: Callable[[], bool]) -> Iterator[Trained]:
        """Train all in order; yield what became of each as it ends.

        ``goes_on()`` is asked after each slice of about 50 ms; if it returns False, the training
        of one network ends within an epoch, and those after it do not begin.
        """
        number, steps, seconds = 0, FIRST_SLICE_STEPS, np.zeros(len(self._engines))
        arrays = (self._layers, self._runs, self._params, self._grads, self._moments, self._work)
        order = (self._shuffle, self._order)
        while number < len(self._engines):
            began, before = time.perf_counter(), self._runs["step"].copy()
            ended = train_many.serial(self._records, number, steps, *order, *arrays)
            spent, made = time.perf_counter() - began, self._runs["step"] - before
            seconds += spent * made / max(int(made.sum()), 1)
            growth = min(SLICE_GROWTH, SLICE_SECONDS / max(spent, 1e-9))
            steps = max(1, int(steps * growth))
            more = goes_on()
            # without more slices, one that has begun is at its end too
            last = ended if more else min(ended + 1, len(self._engines))
            best = self._losses[number:last].sum(axis=2).argmin(axis=1)
            for each in range(number, last):
                yield self._ended(each, float(seconds[each]), int(best[each - number]))
            if not more:
                return
            number = ended

    def _ended(self, number, seconds, best):
        """Give an engine what it has learned; return what became of it."""
        record, engine = self._records[number], self._engines[number]
        failed, epochs = bool(record["failed"]), int(record["epoch"])
        losses = self._losses[number].copy()  # no history holds those of others
        if not failed:
            engine.params[:] = self._own_params[number]
            engine.moments[:] = self._own_moments[number]
            engine.steps = self._runs["step"][number]
            engine.epochs += epochs
        if epochs < len(losses):
            losses = losses[:epochs]
            best = int(losses.sum(axis=1).argmin()) if epochs else None
        return Trained(losses, self._rates[number], best, seconds, failed)


def _rates_of(optimizer, first, epochs, batches):
    """Return the learning rates (epochs, batches), or (1, batches) if all epochs have the same."""
    times = np.arange(batches) / batches
    if not optimizer.is_scheduled:
        return optimizer.rates(first + times)[None]
    return np.stack([optimizer.rates(first + epoch + times) for epoch in range(epochs)])
