"""The training loop: epochs of compiled slices, with Python in between.

A slice is one compiled call of about 50 ms (`pace`). After each slice the loop looks for
signals and the time limit; after each epoch its policy records, scores and decides.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..annotations import Threads
from ..data.samples import Samples
from ..data.windows import Feed
from ..engine.engine import Engine
from ..kernels import tuning
from ..kernels.compiler.processors import available_threads
from ..ranks.comm import Alone
from .interrupt import Interrupt
from .state import State
from .stopped import Stopped

_REASONS = (None, *Stopped)  # in the order of their ranks


@dataclass
class Batch:
    """The batch of a step: rows of a window, from a place of its order on."""

    number: int  # in its epoch, from 0
    epoch: Epoch
    order: np.ndarray | None  # as of `Window`
    rows: slice

    @property
    def samples(self) -> Samples:
        """A copy of its rows."""
        data = self.epoch.data
        rows = np.arange(len(data)) if self.order is None else self.order
        return data.take(rows[self.rows])


@dataclass
class Epoch:
    """The steps of one epoch; the arrays are (batches,) float64."""

    rates: np.ndarray  # learning rates
    losses: np.ndarray  # weighted sums of the losses
    penalties: np.ndarray  # L2 penalties of the weights before each step
    data: Samples  # the last window
    seconds: float = 0.0  # training time, that of an interrupted part included
    number: int = 0  # of those of this training
    last: Batch | None = None  # the last that was trained on


class Policy:
    """What one kind of training decides: rates, scores and when to stop."""

    def rates(self, epoch, batches):
        """Return the learning rates (batches,) of the steps of an epoch, counted from 0."""
        raise NotImplementedError

    def train_ahead(self, epoch, most):
        """Train some epochs at once, at most so many, of which only the last may have a verdict.

        Return each as an `Epoch` with the number of its steps that are done; all but those of the
        last, if its loss is not finite. `epoch` is the one before, which tells how long one takes.
        By default it trains none.
        """
        return ()

    def epoch_begins(self):
        """Act before an epoch."""

    def slice_ended(self):
        """Act after a slice that ends neither by a signal nor at the time limit."""

    def score(self, epoch, goes_on):
        """Record an `Epoch` whose steps are all made; return False if it must be scored again.

        ``goes_on()`` tells between slices whether a validation may go on.
        """
        raise NotImplementedError

    def verdict(self, epoch):
        """Return the reason to stop after a recorded `Epoch`, or None."""
        raise NotImplementedError

    def training_ended(self, stopped, last):
        """Act at the end, while signals are still handled; not called after divergence.

        `last` is the last `Batch` of the training, None if it had none.
        """


class Loop:
    """One training of the network of `engine`, in place: windows come from `feed`.

    It stops after `epochs` epochs, when `policy` says so, at a signal that `interrupt` has seen,
    or `max_time` seconds after the call of `run`. `state` is where it stands, `epoch` the last
    `Epoch`, complete or not, and `threads` the number of threads that a step may use. `steps_of`
    makes the steps of an engine and a feed, where those on batches are not wanted.
    """

    def __init__(
        self,
        engine: Engine,
        feed: Feed,
        policy: Policy,
        state: State,
        interrupt: Interrupt,
        epochs: int,
        n_threads: Threads,
        max_time: float | None = None,
        ranks: Alone | None = None,
        steps_of: Any = None,
    ) -> None:
        self.engine = engine
        self.feed = feed
        self.policy = policy
        self.state = state
        self.interrupt = interrupt
        self.epochs = epochs
        self.ranks = ranks or Alone()
        limits = (n_threads, feed.head, feed.batch, tuning.REGIONS_PER_STEP)
        self.threads = engine.threads_of_step(*limits)
        if n_threads == "auto":
            self.threads = min(self.threads, self.ranks.most_threads)
        step = feed.batch / len(feed.head) * engine.plan.flops_of(feed.head.x)
        step += tuning.UPDATE_FLOPS_FROM_MEMORY * engine.plan.size
        self._pace = self.ranks.pace(step, self.threads)
        self._steps = (steps_of or self.ranks.steps)(engine, feed)
        if steps_of is not None:
            self._steps.recall(state.recalled)
            state.remembers = self._steps.remembered
        self._all_busy = 1 < self.threads >= available_threads()
        self._max_time = np.inf if max_time is None else max_time
        self._reason: Stopped | None = None
        self._last: Batch | None = None
        self.epoch: Any = None

    def compile(self):
        """Compile or load what training runs, so that Ctrl-C need not wait for a compiler."""
        feed = self.feed
        self.engine.start_training(feed.head, feed.batch, self.threads)
        self._steps.compile(self.threads)

    def run(self, over: Stopped | None = None) -> Stopped:
        """Train until there is a reason to stop, or there is one already; return it."""
        self._deadline = time.perf_counter() + self._max_time
        with self.interrupt.watching(), closing(self.feed):
            stopped = over or self._epochs()
            if stopped is not Stopped.DIVERGED:
                self.policy.training_ended(stopped, self._last)
        return stopped

    def _epochs(self):
        state = self.state
        while state.epoch < self.epochs:
            before = state.epoch
            reason = self._several()
            if state.epoch == before and reason is None:
                reason = self._one()
            if reason:
                return reason
        return Stopped.EPOCHS

    def _one(self):
        """Train an epoch; return the reason to stop after it, or None."""
        state = self.state
        self.policy.epoch_begins()
        self._train_epoch()
        if state.done < len(state.losses) or not len(state.losses):
            return self._reason or Stopped.DIVERGED
        self.epoch.seconds = time.perf_counter() - self._started
        return self._judged()

    def _several(self):
        """Train as many epochs as the policy trains at once, perhaps none; as `_one`."""
        if self.threads > 1 or self.epoch is None:
            return None
        state, reason = self.state, None
        for epoch, done in self.policy.train_ahead(self.epoch, self.epochs - state.epoch):
            self.epoch, state.losses, state.done = epoch, epoch.losses, done
            if done < len(epoch.losses):
                return Stopped.DIVERGED
            reason = self._judged()
        return reason

    def _judged(self):
        """Record an epoch that is done; return the reason to stop after it, or None."""
        state = self.state
        if not self.policy.score(self.epoch, self._scoring_goes_on):
            self._look_for_limits()
            return self._reason
        self.engine.epochs += 1
        verdict = self.policy.verdict(self.epoch)
        state.next_epoch()
        if self._steps.has_converged:
            verdict = verdict or Stopped.CONVERGED
        self._look_for_limits()
        is_late = self._reason is Stopped.TIME and state.epoch >= self.epochs
        return verdict or (None if is_late else self._reason)

    def _train_epoch(self):
        """Train the batches of an epoch that are not done yet."""
        state = self.state
        number = self.engine.epochs
        batches = self.feed.batches(number)
        self._started = time.perf_counter() - state.seconds
        state.begin(batches)
        rates = self.policy.rates(number, batches)
        self.epoch = Epoch(rates, state.losses, np.zeros(batches), self.feed.head)
        self.epoch.number = state.epoch
        more = state.epoch + 1 < self.epochs
        for window in self.feed.windows(number, state.done, more, self._must_end):
            self.epoch.data = window.data
            if not self._train_window(window) or self._reason:
                break
        else:
            if state.done < batches and self._reason is None:
                self._cut(state.done)

    def _cut(self, batches):
        """End the epoch, and the training, after fewer batches: the data have ended."""
        epoch = self.epoch
        epoch.rates, epoch.penalties = epoch.rates[:batches], epoch.penalties[:batches]
        epoch.losses = self.state.losses = epoch.losses[:batches]
        self._reason = Stopped.DATA

    def _train_window(self, window):
        """Train on one window, slice by slice; return whether all of it is done."""
        state = self.state
        epoch = self.epoch
        batch = self.feed.batch
        self.engine.start_training(window.data, batch, self.threads)
        last = window.first + window.batches(batch)
        while state.done < last:
            steps, threads = self._next_slice()
            part = slice(state.done, min(state.done + steps, last))
            here = slice(part.start - window.first, part.stop - window.first)
            results = (epoch.losses[part], epoch.penalties[part])
            begin = time.perf_counter()
            state.done += self._steps.train(window, here, epoch.rates[part], results, threads)
            if state.done < part.stop:  # the loss of the next batch is not finite
                return False
            rows = window.rows_of(here.stop - 1, batch)
            epoch.last = self._last = Batch(state.done - 1, epoch, window.order, rows)
            self._pace.took(part.stop - part.start, threads, time.perf_counter() - begin)
            if state.done == last:
                state.weight += window.weight
            if self._must_end():
                break
        return state.done == last

    def _next_slice(self):
        """Return the steps and the threads of the next slice.

        A thread that reads the next window keeps a processor: threads that wait for each
        other would wait for it too.
        """
        if not (self._all_busy and self.feed.is_reading()):
            return self._pace.next_slice()
        steps, threads = self._pace.next_slice(self.threads - 1)
        return min(steps, tuning.READING_STEPS), threads

    def _must_end(self):
        """Return whether a signal or the time limit ends the training after this slice."""
        self.state.seconds = time.perf_counter() - self._started
        self._look_for_limits()
        if self._reason is None:
            self.policy.slice_ended()
        return self._reason is not None

    def _scoring_goes_on(self):
        """Return whether there is no signal, and the time limit is not long ago."""
        late = time.perf_counter() - self._deadline
        return not self.interrupt.seen and late < tuning.SCORING_SECONDS

    def _look_for_limits(self):
        """Note a signal, which outranks the time limit; or one that another rank has seen."""
        if self.interrupt.seen:
            self._reason = self.interrupt.stopped
        elif self._reason is None and time.perf_counter() > self._deadline:
            self._reason = Stopped.TIME
        self._reason = _REASONS[int(self.ranks.largest(_REASONS.index(self._reason)))]
