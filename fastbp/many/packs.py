"""Jobs of small networks of one shape, which train many to a call of a kernel."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import all_finite
from ..engine.pack import Fit, Pack
from ..kernels.tuning import PACK_FLOPS_LEAST, PACK_FLOPS_MOST, PACKED_EPOCH_FLOPS, PACKS_PER_THREAD
from ..training.history import History, entry_of
from ..training.metrics import scores_of
from ..training.stopped import Stopped
from .jobs import Job, Result

if TYPE_CHECKING:
    from ..training.interrupt import Stop
    from .shared import Shared

# arguments of `Network.fit` that a pack takes, with their defaults; others only if they are falsy
_TAKEN = {"epochs": 10, "batch_size": 128, "shuffle": True}


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
        except (TypeError, ValueError):
            return False
        weighs = data.weight is None or job.trains is None or data.weight[job.trains].any()
        is_finite = job.model is None or all_finite(engine.params)
        return weighs and is_finite and engine.in_use.acquire(blocking=False)

    def _trained(self, here, shared, stop):
        """Train networks, and take them off the list as they end; yield each job with its result.

        It is None if the network diverged.
        """
        data = shared.samples(here[0][1].engine, None)
        epochs, batch, shuffle = steps_of(self.jobs[0].options)
        fits = [Fit(network.engine, epochs, job.trains) for job, network in here]
        plan, sums_of = fits[0].engine.plan, _sums_of(data)
        name, flops = plan.dtype.name, plan.flops_per_row
        # one that is the caller's must begin anew from where it was
        before = [
            None if job.model is None else _state(fit.engine)
            for fit, (job, _) in zip(fits, here, strict=True)
        ]
        pack = Pack(fits, data, min(batch, fits[0].count(data)), shuffle)
        for fit, state, one in zip(fits, before, pack.train(lambda: not stop.seen), strict=False):
            job, network = here.pop(0)
            if one.failed and state is not None:
                _set_state(fit.engine, *state)
            fit.engine.in_use.release()
            if one.failed:
                yield job, None
                continue
            rows, weight = sums_of(fit.rows)
            history = History(name, entries=partial(_entries, one, rows, weight, flops))
            history.best_epoch, network.history = one.best, history
            history.stopped = Stopped.EPOCHS if len(one.losses) == epochs else stop.stopped
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


def _entries(trained, rows, weight, flops_per_row):
    seconds = trained.seconds / max(len(trained.losses), 1)
    rates = np.broadcast_to(trained.rates[: len(trained.losses), -1], len(trained.losses))
    return [
        entry_of(epoch, losses.sum() / weight, rate, seconds, rows, flops_per_row)
        for epoch, (losses, rate) in enumerate(zip(trained.losses, rates, strict=True))
    ]


def tasks_of(jobs: Sequence[Job], shared: Shared, threads: int) -> list[Alone | Packed]:
    """Return the tasks of jobs, the longest first: packs of small networks, and the others."""
    tasks: list[Alone | Packed] = []
    groups: dict[Any, list[tuple[Job, float]]] = {}
    for job in jobs:
        work = job.work(shared.count)
        if len(jobs) > 1 and shared.is_dense and _is_small(job, work):
            key = (job.kind.shape, job.rows_of(shared.count), *steps_of(job.options))
            groups.setdefault(key, []).append((job, work))
        else:
            tasks.append(Alone(job, work))
    for group in groups.values():
        work = group[0][1]  # of each
        share = work * len(group) / (PACKS_PER_THREAD * threads)
        size = math.ceil(min(max(share, PACK_FLOPS_LEAST), PACK_FLOPS_MOST) / work)
        for first in range(0, len(group), size):
            pack = [job for job, _ in group[first : first + size]]
            tasks.append(Packed(pack, work * len(pack)))
    return sorted(tasks, key=lambda task: -task.work)


def _is_small(job, work):
    """Return whether a job is one of a small network, with nothing to do between its epochs."""
    options = job.options
    if job.kind.shape is None or job.checkpoints is not None:
        return False
    if any(options[name] for name in options.keys() - _TAKEN.keys()):
        return False
    epochs, batch, shuffle = steps_of(options)
    is_plain = type(batch) is int and batch >= 1 and type(shuffle) is bool
    return is_plain and work <= PACKED_EPOCH_FLOPS * epochs


def steps_of(options: Mapping[str, Any]) -> tuple[int, int, bool]:
    """Return the epochs, the batch size and whether to shuffle, of the arguments of a fit."""
    epochs, batch, shuffle = (options.get(name, value) for name, value in _TAKEN.items())
    return epochs, batch, shuffle
