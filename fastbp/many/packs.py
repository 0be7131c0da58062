"""Jobs of small networks of one shape, which train many to a call of a kernel."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..checks import all_finite
from ..engine.pack import Fit, Judging, Pack
from ..kernels.tuning import PACK_FLOPS_LEAST, PACK_FLOPS_MOST, PACKED_EPOCH_FLOPS, PACKS_PER_THREAD
from ..training.history import History, entry_of
from ..training.metrics import metric_of, scores_of, targets_of
from ..training.stopped import Stopped
from ..training.stopping import EarlyStopping, as_stopping
from .jobs import Job, Result

if TYPE_CHECKING:
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

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Steps | None:
        """Return that of the arguments of `Network.fit`; None if a pack does not train so."""
        batch, shuffle = options.get("batch_size", 128), options.get("shuffle", True)
        if type(batch) is not int or batch < 1 or type(shuffle) is not bool:
            return None
        if any(options[name] for name in options.keys() - _TAKEN):
            return None
        epochs, validation = options.get("epochs", 10), options.get("validation_data")
        if not options.get("early_stopping"):
            return cls(epochs, batch, shuffle, None, None if validation is None else id(validation))
        try:
            stopping = as_stopping(options["early_stopping"])
        except (TypeError, ValueError):
            return None
        # the training loss is summed in Python
        is_judged = validation is not None
        return cls(epochs, batch, shuffle, stopping, id(validation)) if is_judged else None


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
        networks = [(job, job.made()) for job in self.jobs]
        able = [self._is_able(*each, shared) for each in networks]
        yield from (
            (job, None) for (job, _), is_able in zip(networks, able, strict=True) if not is_able
        )
        here = list(itertools.compress(networks, able))
        try:
            if here:
                yield from self._trained(here, shared, stop)
        finally:
            for _, network in here:
                network.engine.in_use.release()

    def _is_able(self, job, network, shared):
        """Return whether a network can train in the pack; then hold its lock."""
        engine = network.engine
        try:
            data = shared.samples(engine, None)
            if job.fold is not None:
                shared.samples(engine, job.fold)
            if self.steps.validation is not None and self._valid(job, engine, shared).is_sparse:
                return False
        except (TypeError, ValueError):
            return False
        weighs = data.weight is None or job.trains is None or data.weight[job.trains].any()
        is_finite = job.model is None or all_finite(engine.params)
        return weighs and is_finite and engine.in_use.acquire(blocking=False)

    def _valid(self, job, engine, shared):
        return shared.validation(engine, job.options["validation_data"])

    def _judging(self, job, engine, shared):
        """Return how a pack scores its epochs, or None."""
        if self.steps.validation is None:
            return None
        data, metric = self._valid(job, engine, shared), metric_of(engine.loss)
        like = np.empty((0, engine.plan.specs[-1].n_out), engine.plan.dtype)
        stopping, targets = self.steps.stopping, targets_of(data, like)
        if stopping is None:
            return Judging(data, metric.kind, targets)
        facts = (stopping.patience, stopping.min_delta, stopping.restore_best)
        return Judging(data, metric.kind, targets, *facts)

    def _trained(self, here, shared, stop):
        """Train networks, and take them off the list as they end; yield each job with its result.

        It is None if the network diverged.
        """
        data = shared.samples(here[0][1].engine, None)
        epochs, batch = self.steps.epochs, self.steps.batch
        fits = [Fit(network.engine, epochs, job.trains) for job, network in here]
        judging = self._judging(here[0][0], fits[0].engine, shared)
        plan, sums_of = fits[0].engine.plan, _sums_of(data)
        name, flops, metric = (
            plan.dtype.name,
            plan.flops_per_row,
            metric_of(fits[0].engine.loss).name,
        )
        # one that is the caller's must begin anew from where it was
        before = [
            None if job.model is None else _state(fit.engine)
            for fit, (job, _) in zip(fits, here, strict=True)
        ]
        most = min(batch, fits[0].count(data))
        pack = Pack(fits, data, most, self.steps.shuffle, judging)
        for fit, state, one in zip(fits, before, pack.train(lambda: not stop.seen), strict=False):
            job, network = here.pop(0)
            if one.failed and state is not None:
                _set_state(fit.engine, *state)
            fit.engine.in_use.release()
            if one.failed:
                yield job, None
                continue
            rows, weight = sums_of(fit.rows)
            entries = partial(_entries, one, rows, weight, flops, metric)
            history = network.history = History(name, entries=entries)
            history.best_epoch, history.stopped = one.best, Stopped.EARLY
            if not one.stopped:
                is_whole = len(one.losses) == epochs
                history.stopped = Stopped.EPOCHS if is_whole else stop.stopped
            scores = {}
            if job.fold is not None and not stop.seen:
                scores = scores_of(network.engine, shared.samples(network.engine, job.fold), 1)
                network.engine.release()
            facts = {"network": network, "history": history, "scores": scores}
            yield job, job.result(**facts, stopped=history.stopped, seconds=one.seconds)
        yield from ((job, job.result(stopped=stop.stopped)) for job, _ in here)


def _state(engine):
    return engine.params.copy(), engine.moments.copy(), engine.steps, engine.epochs


def _set_state(engine, params, moments, steps, epochs):
    engine.params[:], engine.moments[:] = params, moments
    engine.steps, engine.epochs = steps, epochs


def _sums_of(data):
    """Return a function that returns how many rows there are of some, and the sum of weights."""
    all_rows = len(data), data.total_weight

    def sums_of(rows):
        if rows is None:
            return all_rows
        weight = data.weight
        return len(rows), len(rows) if weight is None else weight[rows].sum(dtype=np.float64)

    return sums_of


def _entries(trained, rows, weight, flops_per_row, metric):
    """Return the epochs of a history; the time of each is their mean."""
    count = len(trained.losses)
    seconds = trained.seconds / max(count, 1)
    rates = np.broadcast_to(trained.rates[:count, -1], count)
    entries = [
        entry_of(epoch, losses.sum() / weight, rate, seconds, rows, flops_per_row)
        for epoch, (losses, rate) in enumerate(zip(trained.losses, rates, strict=True))
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
        steps = Steps.of(job.options) if shared.is_dense and _is_small(job) else None
        if steps is None or len(jobs) == 1 or work > PACKED_EPOCH_FLOPS * steps.epochs:
            tasks.append(Alone(job, work))
        else:
            key = (job.kind.shape, job.rows_of(shared.count), steps)
            groups.setdefault(key, []).append((job, work))
    for (*_, steps), group in groups.items():
        work = group[0][1]  # of each
        share = work * len(group) / (PACKS_PER_THREAD * threads)
        size = math.ceil(min(max(share, PACK_FLOPS_LEAST), PACK_FLOPS_MOST) / work)
        for first in range(0, len(group), size):
            pack = [job for job, _ in group[first : first + size]]
            tasks.append(Packed(pack, work * len(pack), steps))
    return sorted(tasks, key=lambda task: -task.work)


def _is_small(job):
    """Return whether a job is one of a small network, without checkpoints or weights of its own."""
    return job.kind.shape is not None and job.checkpoints is None and job.weight is None
