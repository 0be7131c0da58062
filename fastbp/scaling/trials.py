"""Measurements behind a plan: the steps of one of several ranks, and the link between them."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from ..engine.engine import Engine
from ..kernels.formulas.losses import LOSSES
from ..kernels.tuning import UPDATE_FLOPS
from ..ranks.comm import Alone, Ranks
from ..ranks.cost import Link, work_of_sum
from ..ranks.local import LocalSteps, averaged
from ..ranks.steps import JointSteps
from ..training.fit import options_of
from ..training.history import History
from ..training.interrupt import Interrupt
from ..training.loop import Loop, Policy
from ..training.state import State

# of a trial: its epochs, of which the first compiles, the seconds of each, and its steps
_EPOCHS, _SECONDS, _FEWEST, _MOST = 5, 0.1, 2, 512
_RATE = 2e10  # operations a second, by which the steps are first guessed
# the most steps between two averages in a trial, of two that tell a step from an average
_SELDOM = 32
_SMALL = 1000  # numbers of a small sum


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

    def all(self, value):
        """Return the value of this rank, for each."""
        return [value] * self.count

    def steps(self, engine, feed):
        """Return steps after which nothing is added that they use."""
        dtype = engine.plan.dtype
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


def own_work(engine: Engine, rows: int, count: int, threads: int, every: Alone) -> OwnWork:
    """Measure what a rank does that has so many rows of a batch of `count` ranks.

    The ranks of `every` measure at the same time, as they would train; what one rank does alone
    is measured on the first, while the others sleep. All get the time of the slowest.
    """
    steps = _steps(engine, rows)
    seldom = min(_SELDOM, steps)
    X, y = _random_rows(engine, rows * steps)

    def seconds(average_every=None):
        every.wait()
        found = 0.0
        if count > 1 or every.number == 0:
            ranks = Alone() if count == 1 else _Pretended(count, average_every)
            found = _seconds_per_step(engine, X, y, rows, threads, ranks)
        every.wait()
        return every.largest(found)

    joint = seconds()
    if count == 1:
        return OwnWork(joint, joint, 0.0)
    often = max(1, seldom // 8)
    few, many = seconds(seldom), seconds(often)  # averages
    average = max(0.0, (many - few) / (1 / often - 1 / seldom))
    return OwnWork(joint, max(few - average / seldom, 1e-9), average)


def _steps(engine, rows):
    """Return the steps of an epoch of a trial, a multiple of `_SELDOM` if they are as many."""
    flops = engine.plan.flops_per_row * rows + UPDATE_FLOPS * engine.plan.size
    steps = max(_FEWEST, min(_MOST, int(_SECONDS * _RATE / flops)))
    return steps if steps < _SELDOM else steps // _SELDOM * _SELDOM


def _seconds_per_step(engine, X, y, rows, threads, ranks):
    """Return the seconds of a step of `ranks`, of which this one has so many rows."""
    epochs = _EPOCHS if len(X) > 2 * _FEWEST * rows else 3  # of steps that take long
    order = (rows * ranks.count, True, None, False)
    options = options_of(epochs, None, threads, False, (), None, *order)
    feed = ranks.feed(engine, X, y, None, options, 0, lambda: False)
    state = State(History(engine.plan.dtype.name), engine.params.copy())
    timing = _Timing()
    how = (Interrupt(terminable=False), epochs, threads, None, ranks)
    loop = Loop(engine, feed, timing, state, *how)
    loop.compile()
    loop.run()
    return median(timing.seconds[1:]) / feed.batches(0)


def _random_rows(engine, count):
    """Return rows, and targets that the loss of a network takes."""
    rng = np.random.default_rng(0)
    first, last = engine.plan.specs[0], engine.plan.specs[-1]
    X = rng.standard_normal((count, first.n_in), np.float32)
    if LOSSES[engine.loss].targets == "classes":
        return X, rng.integers(last.n_out, size=count)
    return X, rng.integers(2, size=(count, last.n_out)).astype(np.float32)


def measured_link(engine: Engine, rows: int, threads: int, every: Any) -> Link:
    """Measure the link of the ranks, by sums of few numbers and of as many as an average has.

    Each comes after a step of so many rows, as in training: ranks that share processors arrive at
    different times, and wait for each other.
    """
    dtype, per_machine = engine.plan.dtype, every.count if every.is_one_machine else 1
    steps = _steps(engine, rows)
    X, y = _random_rows(engine, rows * steps)
    sizes = _SMALL, max(averaged(engine.plan, engine.optimizer), 100 * _SMALL)
    times = []
    for sums in (None, *(every.reduction(dtype, size) for size in sizes)):
        every.wait()
        ranks = _Pretended(every.count, None, sums)
        times.append(every.largest(_seconds_per_step(engine, X, y, rows, threads, ranks)))
    every.wait()
    works = [work_of_sum(size, dtype.itemsize, every.count, per_machine) for size in sizes]
    table = np.array([[work.messages, work.moved] for work in works])
    latency, per_byte = np.linalg.solve(table, np.subtract(times[1:], times[0]))
    # noise may make one of them negative
    return Link(max(latency, 1e-7), 1 / max(per_byte, 1e-12))
