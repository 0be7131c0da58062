"""Jobs of small networks of one shape, which train many to a call of a kernel."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..checks import all_finite
from ..components.schedules import is_own
from ..components.second_order import WholeBatch
from ..engine.pack import Fit, Judging, Pack
from ..kernels.tuning import (
    PACK_FLOPS_LEAST,
    PACK_FLOPS_MOST,
    PACK_STEPS,
    PACKED_EPOCH_FLOPS,
    PACKED_STEPS,
    PACKS_PER_THREAD,
)
from ..training.history import History, entry_of
from ..training.metrics import metric_of, scores_of, targets_of
from ..training.overflow import may_overflow, overflows
from ..training.stopped import Stopped
from ..training.stopping import EarlyStopping, as_stopping
from .jobs import Job, Result

if TYPE_CHECKING:
    from ..network import Network
    from ..training.interrupt import Stop
    from .shared import Shared

# arguments of `Network.fit` that a pack takes; others only if they are falsy
_TAKEN = frozenset({"epochs", "batch_size", "shuffle", "validation_data", "early_stopping"})


class Steps(NamedTuple):
    """What the networks of a pack have in common in their training; see `Network.fit`."""

    epochs: int
    batch: int
    shuffle: bool
    stopping: EarlyStopping | None
    validation: int | None  # the identity of the validation data

    def count(self, rows: int) -> int:
        """Return how many steps there are on so many rows."""
        return self.epochs * -(-rows // min(self.batch, rows))

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Steps | None:
        """Return that of the arguments of `Network.fit`; None if a pack does not train so."""
        batch, shuffle = options.get("batch_size", 128), options.get("shuffle", True)
        if type(batch) is not int or batch < 1 or type(shuffle) is not bool:
            return None
        if any(not _is_nothing(options[name]) for name in options.keys() - _TAKEN):
            return None
        epochs, validation = options.get("epochs", 10), options.get("validation_data")
        validated = None if validation is None else id(validation)
        early = options.get("early_stopping")
        if _is_nothing(early):
            return cls(epochs, batch, shuffle, None, validated)
        try:
            stopping = as_stopping(early)
        except (TypeError, ValueError):  # which `fit` tells
            return None
        # the training loss is summed in Python
        return None if validated is None else cls(epochs, batch, shuffle, stopping, validated)


def _is_nothing(value):
    return value is None or (type(value) in (bool, tuple, list) and not value)


# what a task yields: a job with its result, or None if the job must run alone
Ended = Iterator[tuple[Job, Result | None]]


@dataclass(frozen=True)
class Alone:
    """A task of one job."""

    job: Job
    work: float = 0.0

    @property
    def jobs(self) -> tuple[Job]:
        """The job."""
        return (self.job,)

    def run(self, shared: Shared, stop: Stop, n_threads: Any) -> Ended:
        """Train it; yield its result."""
        yield self.job, self.job.run(shared, stop, n_threads)


@dataclass(frozen=True)
class Packed:
    """A task of several jobs whose networks have one shape, trained in the same steps."""

    jobs: Sequence[Job]
    work: float
    steps: Steps

    def run(self, shared: Shared, stop: Stop, n_threads: Any) -> Ended:
        """Train all on one thread; yield each with its result, or None if it must run alone.

        Those run alone whose data or weights do not suit, or that diverge, so that they end, and
        say why, as they do by themselves.
        """
        if stop.seen:
            yield from ((job, job.result(stopped=stop.stopped)) for job in self.jobs)
            return
        networks = [job.made() for job in self.jobs]
        data = self._data(networks[0].engine, shared)
        here: list[tuple[Job, Network, Fit]] = []
        try:
            fit_of = partial(self._fit, data=data, shared=shared, rates_of=cache(_rates_of))
            for job, network in zip(self.jobs, networks, strict=True):
                fit = None if data is None else fit_of(job, network.engine)
                if fit is not None and network.engine.gate.in_use.acquire(blocking=False):
                    here.append((job, network, fit))
                else:
                    yield job, None
            if here:
                yield from self._trained(here, data, shared, stop)
        finally:
            for _, network, _ in here:
                network.engine.gate.in_use.release()

    def _data(self, engine, shared):
        """Return all rows, checked for one network, which stands for all: they have one shape.

        None if these, or the rows to validate, do not suit.
        """
        try:
            data = shared.samples(engine, None)
            if self.steps.validation is not None:
                valid = shared.validation(engine, self._given)
                work = len(valid) * engine.plan.flops_per_row_forward
                if not valid.is_plain or work > PACKED_EPOCH_FLOPS:
                    return None
        except (TypeError, ValueError):
            return None
        return data

    @property
    def _given(self):
        return self.jobs[0].options["validation_data"]

    def _fit(self, job, engine, data, shared, rates_of):
        """Return the training of one network; None if it cannot be one of the pack."""
        rows, weight = job.trains, data.weight
        if job.model is not None and not all_finite(engine.params):
            return None
        total = float(len(data) if rows is None else len(rows))
        if weight is not None:
            total = float(weight[slice(None) if rows is None else rows].sum(dtype=np.float64))
        epochs = self.steps.epochs
        batches = self.steps.count(job.rows_of(shared.count)) // epochs
        try:
            rates = rates_of(engine.optimizer, engine.epochs, epochs, batches)
            if job.fold is not None:
                shared.samples(engine, job.fold)
        except (TypeError, ValueError):  # of a rate too large, or rows that `evaluate` refuses
            return None
        return Fit(engine, epochs, rows, total, rates, job.model is not None) if total else None

    def _judging(self, engine, shared):
        """Return how a pack scores its epochs, or None."""
        if self.steps.validation is None:
            return None
        data, metric = shared.validation(engine, self._given), metric_of(engine.loss)
        like = np.empty((0, engine.plan.specs[-1].n_out), engine.plan.dtype)
        stopping, targets = self.steps.stopping, targets_of(data, like)
        if stopping is None:
            return Judging(data, metric.kind, targets)
        facts = (stopping.patience, stopping.min_delta, stopping.restore_best)
        return Judging(data, metric.kind, targets, *facts)

    def _trained(self, here, data, shared, stop):
        """Train networks, and take them off the list as they end; yield each job with its result.

        It is None if the network diverged.
        """
        fits = [fit for _, _, fit in here]
        first, plan = fits[0], fits[0].engine.plan
        # one that is the caller's must begin anew from where it was
        before = [None if job.model is None else fit.engine.progress() for job, _, fit in here]
        rows = first.count(data)
        judging = self._judging(first.engine, shared)
        pack = Pack(fits, data, min(self.steps.batch, rows), self.steps.shuffle, judging)
        dtype, facts = (
            plan.dtype.name,
            (rows, plan.flops_per_row, metric_of(first.engine.loss).name),
        )
        trained = pack.train(lambda: not stop.seen)
        for fit, progress, one in zip(fits, before, trained, strict=False):
            job, network, _ = here.pop(0)
            lost = one.failed or self._overflows(fit, data)
            if lost and progress is not None:
                fit.engine.set_progress(*progress)
            fit.engine.gate.in_use.release()
            if lost:
                yield job, None
                continue
            entries = partial(_entries, one, *facts)
            history = network.history = History(dtype, entries=entries)
            history.best_epoch, history.stopped = one.best, Stopped.EARLY
            if not one.stopped:
                is_whole = len(one.losses) == fit.epochs
                history.stopped = Stopped.EPOCHS if is_whole else stop.stopped
            scores = self._scores(job, network.engine, shared, stop)
            told = {"network": network, "history": history, "scores": scores}
            yield job, job.result(**told, stopped=history.stopped, seconds=one.seconds)
        yield from ((job, job.result(stopped=stop.stopped)) for job, *_ in here)

    @staticmethod
    def _overflows(fit, data):
        """Return whether the outputs for one of its rows are not finite."""
        if not may_overflow(fit.engine):
            return False
        try:
            return overflows(fit.engine, data if fit.rows is None else data.take(fit.rows), 1)
        finally:
            fit.engine.release()  # of all networks, workspaces would take much

    def _scores(self, job, engine, shared, stop):
        """Return the scores of the rows that a fold holds back, if there is one."""
        if job.fold is None or stop.seen:
            return {}
        scores = scores_of(engine, shared.samples(engine, job.fold), 1, lambda: not stop.seen)
        engine.release()
        return scores


def _rates_of(optimizer, first, epochs, batches):
    """Return the learning rates of epochs, as `Fit` has them."""
    times = np.arange(batches) / batches
    if not optimizer.is_scheduled:
        return optimizer.rates(first + times)[None]
    with np.errstate(over="ignore"):  # which the rates are checked for
        return np.stack([optimizer.rates(first + epoch + times) for epoch in range(epochs)])


def _entries(trained, rows, flops_per_row, metric):
    """Return the epochs of a history; the time of each is their mean."""
    seconds = trained.seconds / max(len(trained.losses), 1)
    rates = np.broadcast_to(trained.rates, len(trained.losses))
    entries = [
        entry_of(epoch, loss, rate, seconds, rows, flops_per_row)
        for epoch, (loss, rate) in enumerate(zip(trained.losses, rates, strict=True))
    ]
    if trained.valid is not None:
        for entry, loss, score in zip(entries, *trained.valid.tolist(), strict=True):
            entry["val_loss"], entry[f"val_{metric}"] = loss, score
    return entries


def tasks_of(jobs: Sequence[Job], shared: Shared, threads: int) -> list[Alone | Packed]:
    """Return the tasks of jobs, the longest first: packs of small networks, and the others."""
    tasks: list[Alone | Packed] = []
    groups: dict[Any, list[tuple[Job, float]]] = {}
    for job in jobs:
        work = job.work(shared.count)
        steps = Steps.of(job.options) if shared.is_plain and _is_small(job) else None
        rows = job.rows_of(shared.count)
        if steps is None or len(jobs) == 1 or not _is_short(steps, rows, work):
            tasks.append(Alone(job, work))
        else:
            groups.setdefault((job.kind.shape, rows, steps), []).append((job, work))
    for (_, rows, steps), group in groups.items():
        work = group[0][1]  # of each
        share = work * len(group) / (PACKS_PER_THREAD * threads)
        size = math.ceil(min(max(share, PACK_FLOPS_LEAST), PACK_FLOPS_MOST) / work)
        size = min(size, PACK_STEPS // steps.count(rows))
        for first in range(0, len(group), size):
            pack = [job for job, _ in group[first : first + size]]
            tasks.append(Packed(pack, work * len(pack), steps))
    return sorted(tasks, key=lambda task: -task.work)


def _is_short(steps, rows, work):
    """Return whether an epoch takes little time, and the losses of all steps little memory."""
    return work <= PACKED_EPOCH_FLOPS * steps.epochs and steps.count(rows) <= PACKED_STEPS


def _is_small(job):
    """Return whether a job is one of a small network, without checkpoints or weights of its own."""
    network = job.kind.network
    if network is None or job.checkpoints is not None or job.weight is not None:
        return False
    optimizer = network.optimizer
    return is_own(optimizer.schedule) and not isinstance(optimizer, WholeBatch)
