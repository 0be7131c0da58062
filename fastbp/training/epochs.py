"""Epochs of compiled slices: mini-batches at the engine's speed, Python between two slices."""

import time

import numpy as np

from ..kernels.compiler.threads import available_threads
from ..kernels.tuning import (
    FIRST_SLICE_FLOPS,
    FIRST_SLICE_STEPS,
    LONG_STEP_FLOPS,
    READING_STEPS,
    UPDATE_FLOPS_FROM_MEMORY,
)
from .pace import Pace


class Epochs:
    """Runs epochs over one data set.

    Parameters
    ----------
    engine : Engine
        The net, trained in place.
    data : Samples
        Checked data.
    rows, batch_size : int
        Samples an epoch, all of the data or some of them, and samples a step.
    n_threads : int or "auto"
        What the caller asked.

    Attributes
    ----------
    batch, batches : int
        Samples a step, and steps an epoch.
    threads : int
        On how many threads steps run at most.
    losses, penalties : numpy.ndarray
        (batches,) float64: what `loop.train` gave for the steps of the last epoch.
    """

    def __init__(self, engine, data, rows, batch_size, n_threads):
        self.engine, self.data = engine, data
        self.batch = min(batch_size, rows)
        self.batches = -(-rows // self.batch)
        self.threads = engine.threads_of_step(n_threads, data, self.batch)
        step = self.batch / len(data) * engine.plan.flops_of(data.x)
        step += UPDATE_FLOPS_FROM_MEMORY * engine.plan.size
        first = max(1, min(int(FIRST_SLICE_FLOPS / step), FIRST_SLICE_STEPS))
        adapts = n_threads == "auto" and step < LONG_STEP_FLOPS
        self._pace = Pace(first, self.threads, adapts)
        self._all_busy = adapts and 1 < self.threads >= available_threads()
        self.losses, self.penalties = np.zeros(self.batches), np.zeros(self.batches)

    def compile(self, order):
        """Compile or load what training runs, so that Ctrl-C need not wait for a compiler."""
        self.engine.start_training(self.data, self.batch, self.threads)
        nothing = (np.zeros(0), 0, self.batch, np.zeros(0), np.zeros(0))
        for threads in self._pace.choices:
            self.engine.train(self.data, order, *nothing, threads)

    def begin(self, batches):
        """Make room for what the steps of an epoch give, if it has another number of them."""
        if batches != self.batches:
            self.batches = batches
            self.losses, self.penalties = np.zeros(batches), np.zeros(batches)

    def run(self, order, rates, must_end, data=None, first=0, done=0, reading=None):
        """Train an epoch, or one window of it; return how many steps of the epoch are made.

        Parameters
        ----------
        order : numpy.ndarray or None
            (rows,) int64: the samples in their order, None for that of the data.
        rates : numpy.ndarray
            (batches,) learning rates of the epoch.
        must_end : callable
            ``must_end(done)``, asked after every slice; where it says True no other is begun.
        data : Samples, optional
            Those of the window, if it is not all.
        first, done : int
            The steps of the epoch before the window, and those that are made already.
        reading : callable, optional
            ``reading()``: whether a thread reads meanwhile. It has a processor of its own then:
            threads that wait for each other would wait for it too.

        Returns
        -------
        int
            Less than the window's last where it was to end, or where the loss of the next
            step, ``losses[done]``, is not finite.
        """
        engine, data = self.engine, self.data if data is None else data
        last = first + -(-(len(data) if order is None else len(order)) // self.batch)
        engine.start_training(data, self.batch, self.threads)
        while done < last:
            steps, threads = self._pace.next_slice()
            if threads > 1 and self._all_busy and reading is not None and reading():
                steps, threads = min(steps, READING_STEPS), threads - 1
            end, begin = min(done + steps, last), time.perf_counter()
            place, part = (done - first) * self.batch, slice(done, end)
            done += engine.train(
                data, order, rates[part], place, self.batch, self.losses[part],
                self.penalties[part], threads,
            )  # fmt: skip
            if done < end:
                break
            if threads in self._pace.choices:
                self._pace.took(part.stop - part.start, threads, time.perf_counter() - begin)
            if must_end(done):
                break
        return done
