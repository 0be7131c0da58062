"""Machines of many processors that take simulated time for the steps of a training.

Costs are those that are published: a barrier and a fork of a parallel region grow with the
threads (Bull, EPCC OpenMP micro-benchmarks: from 0.5 us for 2 threads to 20 us and more for
256), two threads on one core do together what 1.0 to 1.3 threads do, memory has the bandwidth of
some threads, and a thread that waits for one that shares its processor with another process waits
for a time slice of the scheduler (3 ms and more).
"""

from dataclasses import dataclass, field

import numpy as np

TIME_SLICE = 4e-3  # of the scheduler
ASLEEP_AFTER = 2e-3  # an idle thread sleeps, and takes this long to wake:
WAKING = 50e-6


@dataclass
class Machine:
    """Steps of `work` seconds on one thread of a machine of `cores`.

    `siblings` is what two threads on one core do together, 1.0 to 1.3; 0 if a core runs one.
    `memory` is the part of the work that waits for memory, whose bandwidth `lanes` threads use
    up; `parts` the equal parts that the work can be shared in; `meetings` the barriers of a step.
    `others(now)` is the number of processors that other processes take, and until when they do.
    """

    cores: int
    work: float
    siblings: float = 0.0
    memory: float = 0.0
    lanes: float = 8.0
    parts: int = 1 << 20
    meetings: int = 2
    noise: float = 0.02
    others: object = None
    now: float = 0.0
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    awake: dict = field(default_factory=dict)

    @property
    def processors(self):
        """The number of processors that the system sees."""
        return 2 * self.cores if self.siblings else self.cores

    def step(self, threads, busy=0):
        """Return the seconds of a step beside so many busy processors, without noise, awake."""
        share = -(-self.parts // threads) / self.parts
        rate = 1.0 if threads <= self.cores else self.siblings / 2
        seconds = (1 - self.memory) * self.work * share / rate
        seconds += self.memory * self.work * max(share, 1 / self.lanes)
        if threads > 1:
            barrier = 0.3e-6 * np.log2(threads) + 0.08e-6 * threads
            seconds += self.meetings * barrier
        if threads + busy <= self.processors:
            return seconds
        if threads == 1:
            return seconds * (busy + 1) / self.processors
        # some thread runs only every other time slice, and all wait for it
        return max(2 * seconds, self.meetings * TIME_SLICE)

    def slice(self, steps, threads):
        """Run steps; return their time."""
        seconds = self.constant(steps, threads, self.now) * self.rng.lognormal(0, self.noise)
        if threads > 1 and self.now - self.awake.get(threads, -1.0) > ASLEEP_AFTER:
            seconds += WAKING * np.log2(2 * threads)
        self.now += seconds
        for count in range(2, threads + 1):
            self.awake[count] = self.now
        return seconds

    def constant(self, steps, threads, now):
        """Return the seconds of steps that begin at a time, as `step`."""
        if self.others is None:
            return steps * self.step(threads)
        begin, end = now, now
        while steps > 0:
            busy, until = self.others(now)
            step = self.step(threads, busy)
            here = min(steps, max(1.0, (until - now) / step))
            steps -= here
            end = now = now + here * step
        return end - begin


def bursts(processors, every, length, start=0.0):
    """Return what other processes take at a time, and until when: processors, from time to time."""

    def others(now):
        if now < start:
            return 0, start
        turn, since = divmod(now - start, every)
        is_busy = since < length
        return processors * is_busy, start + turn * every + (length if is_busy else every)

    return others
