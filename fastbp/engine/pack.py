"""Many small networks of one shape, trained one after the other in few calls of a kernel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..kernels.net.many import FIT, train_many
from ..kernels.net.records import gathered
from ..kernels.support.arrays import address
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


class Fit(NamedTuple):
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


class Trained(NamedTuple):
    """What became of one network.

    `losses` (epochs, batches) are the sums of the losses of the steps of the epochs that are done,
    and `rates` (epochs, batches) the learning rates; (1, batches) if those of all epochs are the
    same. `best` is the epoch of the lowest sum. `seconds` is its share of the time of the calls. If
    it `failed`, a number was not finite.
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
        layers, run, _, grads, _, work = leader.arrays()
        self._leader, self._data, self._engines = leader, data, engines
        order = np.empty(len(data), np.int64)
        own = gathered([engine.run for engine in engines])
        self._runs = gathered([run] * len(engines))
        for name in _OWN:
            self._runs[name] = own[name]
        updates = [UPDATES[engine.optimizer.name].address(plan.dtype) for engine in engines]
        self._runs["update"], self._runs["batch"] = updates, batch
        in_order = shuffle or any(fit.rows is not None for fit in fits)
        self._runs["order"] = address(order) if in_order else 0
        self._records = self._records_of(fits, batch)
        self._arrays = (shuffle, order, layers, self._runs, grads, work)

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
        records["params"] = [address(fit.engine.params) for fit in fits]
        records["moments"] = [address(fit.engine.moments) for fit in fits]
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
        while number < len(self._engines):
            began, before = time.perf_counter(), self._runs["step"].copy()
            ended = train_many.serial(self._records, number, steps, *self._arrays)
            spent, made = time.perf_counter() - began, self._runs["step"] - before
            seconds += spent * made / max(int(made.sum()), 1)
            growth = min(SLICE_GROWTH, SLICE_SECONDS / max(spent, 1e-9))
            steps = max(1, int(steps * growth))
            more = goes_on()
            # without more slices, one that has begun is at its end too
            last = ended if more else min(ended + 1, len(self._engines))
            yield from self._ended(slice(number, last), seconds)
            if not more:
                return
            number = ended

    def _ended(self, part, seconds):
        """Tell engines how far they have come; yield what became of each."""
        records, losses = self._records[part], self._losses[part]
        steps, best = self._runs["step"][part].tolist(), losses.sum(axis=2).argmin(axis=1).tolist()
        numbers = (records["epoch"].tolist(), records["failed"].tolist(), seconds[part].tolist())
        own = (self._engines[part], self._rates[part], losses, steps, best, *numbers)
        for engine, rates, lost, step, lowest, epochs, failed, spent in zip(*own, strict=True):
            engine.steps = step
            engine.epochs += epochs
            kept = lost[:epochs].copy()  # no history holds those of others
            if epochs < len(lost):
                lowest = int(kept.sum(axis=1).argmin()) if epochs else None
            yield Trained(kept, rates, lowest, spent, bool(failed))


def _rates_of(optimizer, first, epochs, batches):
    """Return the learning rates (epochs, batches), or (1, batches) if all epochs have the same."""
    times = np.arange(batches) / batches
    if not optimizer.is_scheduled:
        return optimizer.rates(first + times)[None]
    return np.stack([optimizer.rates(first + epoch + times) for epoch in range(epochs)])
