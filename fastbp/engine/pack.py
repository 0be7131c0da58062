"""Many small networks of one shape, trained one after the other in few calls of a kernel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..kernels.net.many import FIT, train_many
from ..kernels.net.records import gathered
from ..kernels.support.arrays import address
from ..kernels.tuning import FIRST_SLICE_FLOPS, FIRST_SLICE_STEPS, SLICE_GROWTH, SLICE_SECONDS
from ..kernels.update import UPDATES
from .engine import Engine
from .gate import changing_all

if TYPE_CHECKING:
    from ..data.samples import Samples

# the fields of a run that belong to one network; the others say where data and buffers lie
_OWN = (
    *("seed", "step", "corrects", "beta1", "beta2", "epsilon"),
    *("l1", "l2", "own_l2", "decay", "clip_norm", "penalty", "loss_limit"),
    *("clip_sample_norm", "clip_samples"),
)


class Fit(NamedTuple):
    """The training of one network: epochs, its rows or None for all, and their total weight.

    `rates` are the learning rates (epochs, batches), or (1, batches) if all epochs have the same.
    One that is `watched` is the caller's, who may copy it from another thread meanwhile.
    """

    engine: Engine
    epochs: int
    rows: npt.NDArray[np.intp] | None
    weight: float
    rates: npt.NDArray[np.float64]
    watched: bool = False

    def count(self, data: Samples) -> int:
        """Return the number of its rows."""
        return len(data) if self.rows is None else len(self.rows)


class Judging(NamedTuple):
    """Validation data, their targets as `kernels.net.score` takes them, and early stopping.

    `patience` is 0 without it; `restores` says that the network gets the best weights back.
    """

    data: Samples
    kind: int
    targets: tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]
    patience: int = 0
    min_delta: float = 0.0
    restores: bool = False


class Trained(NamedTuple):
    """What became of one network.

    `losses` (epochs,) are the mean losses of the epochs that are done, `rates` (epochs,) the
    learning rates of their last steps, or one if all are the same. `best` is the epoch of the
    lowest loss, that of the validation data if there are any, whose losses and scores are `valid`
    (2, epochs). `seconds` is its share of the time of the calls. If it `failed`, a number was not
    finite; if it `stopped`, the patience was over.
    """

    losses: npt.NDArray[np.float64]
    rates: npt.NDArray[np.float64]
    best: int | None
    seconds: float
    failed: bool
    valid: npt.NDArray[np.float64] | None
    stopped: bool


class Pack:
    """The trainings of networks whose plans and losses are equal, on one thread.

    They share the data, which are dense, and the buffers; all have `batch` rows a step, and the
    same numbers of epochs and of rows.
    """

    def __init__(
        self,
        fits: Sequence[Fit],
        data: Samples,
        batch: int,
        shuffle: bool,
        judging: Judging | None = None,
    ) -> None:
        engines = [fit.engine for fit in fits]
        first = engines[0]
        plan = first.plan
        # one engine more, whose buffers serve all: those of the others are not touched
        leader = Engine(plan, first.loss, first.loss_parameter, first.optimizer, 0)
        leader.start_training(data, batch, 1)
        layers, run, _, grads, _, work = leader.arrays()
        self._leader, self._data, self._engines = leader, data, engines
        self._gates = [fit.engine.gate for fit in fits if fit.watched]
        order = np.empty(fits[0].count(data), np.int64)  # a bag may have more rows than the data
        own = gathered([engine.run for engine in engines])
        self._runs = gathered([run] * len(engines))
        for name in _OWN:
            self._runs[name] = own[name]
        updates = [UPDATES[engine.optimizer.name].address(plan.dtype) for engine in engines]
        self._runs["update"], self._runs["batch"] = updates, batch
        in_order = shuffle or any(fit.rows is not None for fit in fits)
        self._runs["order"] = address(order) if in_order else 0
        self._records = self._records_of(fits, batch)
        self._judging, valid = judging, self._judged(judging, layers, run, work)
        step, judged = batch * plan.flops_per_row, 0
        if judging is not None:  # in steps
            judged = -(-len(judging.data) * plan.flops_per_row_forward // step)
        self._arrays = (judged, shuffle, order, layers, self._runs, grads, work, valid)
        self._first_steps = max(1, min(FIRST_SLICE_FLOPS // step, FIRST_SLICE_STEPS))

    def _records_of(self, fits, batch):
        """Return the records of the fits; keep the arrays that they point at."""
        records = np.zeros(len(fits), FIT)
        epochs, count = fits[0].epochs, fits[0].count(self._data)
        batches = -(-count // batch)
        self._rates = [fit.rates for fit in fits]
        self._weights = np.array([[fit.weight] for fit in fits])
        self._losses = np.zeros((len(fits), epochs, batches))
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

    def _judged(self, judging, layers, run, work):
        """Set the records for validation; return what `many.judge` takes of it."""
        plan, total = self._engines[0].plan, np.zeros(1)
        if judging is None:
            out = np.empty((0, plan.specs[-1].n_out), plan.dtype)
            nothing = np.empty(0, plan.dtype)
            return (0, 1.0, 1, total, layers, run, work, out, out, np.empty(0, np.int64), nothing)
        records, count = self._records, len(self._engines)
        # losses and scores of all epochs of each
        self._valid = np.empty((count, 2, records[0]["epochs"]))
        places = address(self._valid) + self._valid.strides[0] * np.arange(count)
        records["valid_losses"], records["valid_scores"] = places, places + self._valid.strides[1]
        records["patience"], records["min_delta"] = judging.patience, judging.min_delta
        records["best_loss"] = np.inf
        if judging.restores:
            self._best = np.empty((count, plan.size), plan.dtype)
            records["best"] = address(self._best) + self._best.strides[0] * np.arange(count)
        layers, run, work, batch = self._leader.scoring(judging.data)
        out = np.empty((len(judging.data), plan.specs[-1].n_out), plan.dtype)
        weights = judging.data.total_weight
        return (judging.kind, weights, batch, total, layers, run, work, out, *judging.targets)

    def train(self, goes_on: Callable[[], bool]) -> Iterator[Trained]:
        """Train all in order; yield what became of each as it ends.

        ``goes_on()`` is asked after each slice of about 50 ms; if it returns False, the training
        of one network ends within an epoch, and those after it do not begin.
        """
        number, steps, seconds = 0, self._first_steps, np.zeros(len(self._engines))
        while number < len(self._engines):
            began, before = time.perf_counter(), self._runs["step"].copy()
            ended = self._train_slice(number, steps)
            spent, made = time.perf_counter() - began, self._runs["step"] - before
            seconds += spent * made / max(int(made.sum()), 1)
            growth = min(SLICE_GROWTH, SLICE_SECONDS / max(spent, 1e-9))
            steps = max(1, int(steps * growth))
            more = goes_on()
            # without more slices, one that has begun is at its end too
            last = ended if more else min(ended + 1, len(self._engines))
            yield from self._ended(number, last, seconds.tolist())
            if not more:
                return
            number = ended

    def _train_slice(self, number, steps):
        """Train a slice of steps, from one network on; return which of them is the next."""
        with changing_all(self._gates):
            ended = train_many.serial(self._records, number, steps, *self._arrays)
            part = slice(number, ended + 1)
            steps, records = self._runs["step"][part].tolist(), self._records[part]
            epochs = (records["first"] + records["epoch"]).tolist()
            for engine, *made in zip(self._engines[part], steps, epochs, strict=True):
                engine.steps, engine.epochs = made
        return ended

    def _ended(self, first, last, seconds):
        """Yield what became of each network that has ended."""
        records = self._records[first:last]
        all_epochs, failed, stopped = (
            records[name].tolist() for name in ("epoch", "failed", "stopped")
        )
        with np.errstate(over="ignore", invalid="ignore"):  # of those that failed
            means = self._losses[first:last].sum(axis=2) / self._weights[first:last]
        lowest = means.argmin(axis=1).tolist()
        for i, engine in enumerate(self._engines[first:last]):
            epochs, best = all_epochs[i], lowest[i]
            losses, rates = means[i, :epochs], self._rates[first + i][:epochs, -1].copy()
            if epochs < means.shape[1]:
                best = int(losses.argmin()) if epochs else None
            valid = None
            if self._judging is not None and epochs:
                valid = self._valid[first + i, :, :epochs].copy()
                best = int(records["best_epoch"][i])
                if self._judging.restores:
                    engine.set_parameters(self._best[first + i])
            facts = (seconds[first + i], bool(failed[i]), valid, bool(stopped[i]))
            yield Trained(losses.copy(), rates, best, *facts)
