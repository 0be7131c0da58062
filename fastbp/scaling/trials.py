"""Measurements behind a plan: the steps of one of several ranks, and the link between them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from ..data.samples import samples
from ..engine.engine import Engine
from ..kernels.formulas.losses import LOSSES
from ..kernels.tuning import UPDATE_FLOPS
from ..quoted import quoted
from ..ranks.comm import Alone, Ranks
from ..ranks.cost import Link, rows_of_slowest, work_of_sum
from ..ranks.local import LocalSteps, averaged
from ..ranks.steps import JointSteps
from ..training.fit import options_of
from ..training.history import History
from ..training.interrupt import Interrupt
from ..training.loop import Loop, Policy
from ..training.state import State
from ..training.stopped import Stopped

# of a trial: its epochs, of which the first compiles, the seconds of each, and its steps
_EPOCHS, _SECONDS, _FEWEST, _MOST = 5, 0.1, 2, 512
_RATE = 2e10  # operations a second, by which the steps are first guessed
# the most steps between two averages in a trial, of two that tell a step from an average
_SELDOM = 32
_SMALL = 1000  # numbers of a small sum
_BYTES = 1 << 26  # of the rows of a trial, at most
_SAMPLE = 1024  # random rows


@dataclass(frozen=True)
class OwnWork:
    """Seconds of one of several ranks without the others, for each step.

    `joint` is a step whose gradient would be added, `local` one of its own, and `average` what
    it does at an average beside the sum.
    """

    joint: float
    local: float
    average: float


class _OwnSum:
    """In place of a sum over ranks: it has the numbers of one. `sums` may add others meanwhile."""

    def __init__(self, size, dtype, sums=None):
        self.grads = self.total = np.zeros(size, dtype)
        self._sums = sums

    def add(self, loss):
        """Return the loss of this rank."""
        if self._sums is not None:
            self._sums.add(0.0)
        return loss


class _Pretended(Ranks):
    """One of so many ranks that trains by itself: the others say what it says."""

    def __init__(self, count, average_every, sums=None):
        self.number, self.count, self.leads = 0, count, False
        self.average_every = average_every
        self._sums = sums

    def exchanged(self, value, error=None):
        """Return the value of this rank, for each; raise its error."""
        if error is not None:
            raise error
        return [value] * self.count

    def known_to_all(self, error):
        """Return an error that no other rank knows of."""
        return error

    def steps(self, engine, feed):
        """Return steps after which nothing is added that they use, or the gradient by `sums`."""
        dtype = engine.plan.dtype
        if self._sums is not None and self._sums.total.size == engine.plan.size:
            return JointSteps(engine, self._sums)
        if self.average_every is None:
            return JointSteps(engine, _OwnSum(engine.plan.size, dtype, self._sums))
        alone = _OwnSum(averaged(engine.plan, engine.optimizer), dtype)
        return LocalSteps(engine, feed, Alone(), alone, 1.0)


class _Timing(Policy):
    """Keeps the seconds of epochs; the weights stay what they are, for all rates are 0."""

    def __init__(self):
        self.seconds = []

    def rates(self, epoch, batches):
        """Return rates of 0."""
        return np.zeros(batches)

    def score(self, epoch, goes_on):
        """Keep the seconds of an epoch."""
        self.seconds.append(epoch.seconds)
        return True

    def verdict(self, epoch):
        """Go on."""

    def training_ended(self, stopped, last):
        """Raise KeyboardInterrupt if a signal ended the trial."""
        if stopped.by_signal:
            raise KeyboardInterrupt


class Trials:
    """Trials of a network on `threads` threads to a rank, which all ranks of `every` make.

    They take the rows `sample`, (X, y), again and again, and no more than `rows` of them.
    """

    def __init__(self, engine: Engine, sample: Any, rows: int, threads: int, every: Any) -> None:
        self._engine, self._sample, self._rows = engine, sample, rows
        self._threads, self._every = threads, every

    def own_work(self, batch: int, count: int) -> OwnWork:
        """Measure what one of `count` ranks does for a batch, beside what it waits for.

        The ranks measure at the same time, as they would train; what one rank does alone is
        measured on the first, while the others sleep. All get the time of the slowest.
        """
        every = self._every
        if count == 1:
            joint = self._of_slowest(batch, Alone() if every.number == 0 else None)
            return OwnWork(joint, joint, 0.0)
        joint = self._of_slowest(rows_of_slowest(batch, count), _Pretended(count, None))
        rows = -(-batch // count)  # local shares are even
        seldom = min(_SELDOM, self._steps(rows))
        often = max(1, seldom // 8)
        few, many = (self._of_slowest(rows, _Pretended(count, n)) for n in (seldom, often))
        average = max(0.0, (many - few) / (1 / often - 1 / seldom))
        return OwnWork(joint, max(few - average / seldom, 1e-9), average)

    def link(self, batch: int, per_machine: int) -> Link:
        """Measure the link of the ranks, by sums of few numbers and of as many as a gradient has.

        Each comes after a step of so many rows, as in training: ranks that share processors arrive
        at different times, and wait for each other.
        """
        every, plan = self._every, self._engine.plan
        rows, dtype = rows_of_slowest(batch, every.count), plan.dtype
        sizes = _SMALL, max(plan.size, 100 * _SMALL)
        ways = (None, *(every.reduction(dtype, size) for size in sizes))
        times = [self._of_slowest(rows, _Pretended(every.count, None, sums)) for sums in ways]
        works = [work_of_sum(size, dtype.itemsize, every.count, per_machine) for size in sizes]
        table = np.array([[work.messages, work.moved] for work in works])
        latency, per_byte = np.linalg.solve(table, np.subtract(times[1:], times[0]))
        # noise may make one of them negative
        return Link(max(latency, 1e-7), 1 / max(per_byte, 1e-12))

    def _of_slowest(self, rows, ranks):
        """Return the seconds of a step of the slowest rank, each with so many rows as `ranks`."""
        self._every.wait()
        found = 0.0 if ranks is None else self._seconds(rows, ranks)
        self._every.wait()
        return self._every.largest(found)

    def _steps(self, rows):
        """Return the steps of an epoch of a trial, a multiple of `_SELDOM` if they are as many."""
        plan = self._engine.plan
        flops = plan.flops_per_row * rows + UPDATE_FLOPS * plan.size
        width = plan.specs[0].n_in + plan.specs[-1].n_out
        most = min(_MOST, -(-self._rows // rows), _BYTES // (width * rows * plan.dtype.itemsize))
        steps = max(_FEWEST, min(most, int(_SECONDS * _RATE / flops)))
        return steps if steps < _SELDOM else steps // _SELDOM * _SELDOM

    def _seconds(self, rows, ranks):
        """Return the seconds of a step of `ranks`, of which this one has so many rows."""
        engine, threads, steps = self._engine, self._threads, self._steps(rows)
        X, y = (each[np.arange(rows * steps) % each.shape[0]] for each in self._sample)
        epochs = _EPOCHS if steps > 2 * _FEWEST else 3  # of steps that take long
        order = (rows * ranks.count, True, None, False)
        options = options_of(epochs, None, threads, False, (), None, *order)
        feed = ranks.feed(engine, X, y, None, options, 0, lambda: False)
        state = State(History(engine.plan.dtype.name), engine.params.copy())
        timing = _Timing()
        how = (Interrupt(terminable=False), epochs, threads, None, ranks)
        loop = Loop(engine, feed, timing, state, *how)
        loop.compile()
        if loop.run() is Stopped.DIVERGED:
            raise ValueError(
                "network: its loss is not finite on the rows of a trial; expected weights and rows "
                "of moderate size, as of a new network"
            )
        return median(timing.seconds[1:]) / feed.batches(0)


def sample_of(engine: Engine, sample: Any) -> tuple[Any, Any]:
    """Return rows and targets for a network, checked; of None random ones, which its loss takes."""
    first, last = engine.plan.specs[0], engine.plan.specs[-1]
    if sample is None:
        rng = np.random.default_rng(0)
        X = rng.standard_normal((_SAMPLE, first.n_in), np.float32)
        if LOSSES[engine.loss].targets == "classes":
            return X, rng.integers(last.n_out, size=_SAMPLE)
        return X, rng.integers(2, size=(_SAMPLE, last.n_out)).astype(np.float32)
    if not isinstance(sample, tuple) or len(sample) != 2:
        raise TypeError(f"sample={quoted(sample)}: expected a tuple (X, y)")
    data = samples(*sample, engine.plan, engine.loss, None, ("sample[0]", "sample[1]", ""))
    given = sample[0].tocsr() if data.is_sparse else data.x
    return given, data.y if data.labels is None else data.labels
