"""The pace of long work: how many steps a slice runs, and on how many threads.

A slice is the number of steps that take about 50 ms, so that Python can look for Ctrl-C and
the time limit between two. How many threads pay depends on what no model knows: where another
process takes a processor, threads that wait for each other are a hundred times slower than one
alone. So 1, 2, 4, ... and all threads are tried, a few steps each, and what is quicker runs. The
bits of a result depend on neither.

What trying costs is bounded. A try that lost time is repeated only after `PATIENCE` times as
much useful time, the more often it lost the later, and no other try begins before: of any time
at most 2 % is lost. Only threads that were quicker on the whole are tried again at once, then
after twice as long each time: other processes often come for a moment. The rule reads no clock;
it is told what slices took.
"""

import math

from ..kernels.compiler.processors import is_crowded
from ..kernels.tuning import (
    CLEARLY_SLOWER,
    CROWDED_SECONDS,
    FEWEST_STEPS,
    FIRST_SHARED_FLOPS,
    FIRST_SLICE_FLOPS,
    FIRST_SLICE_STEPS,
    JUDGED_SECONDS,
    LONG_STEP_FLOPS,
    LOOK_SECONDS,
    MEASUREMENT_WEIGHT,
    MOST_PATIENCE,
    MOST_STEPS,
    PATIENCE,
    SLICE_GROWTH,
    SLICE_SECONDS,
    SLICES_OF_TRY,
    STEPS_GROWTH,
    WAKING,
)


class Pace:
    """Chooses the length and the threads of the next slice from the times of the earlier ones.

    The first slice has `steps` steps. `choices` holds the numbers of threads that a slice may run
    on, `threads` at most. Short steps begin on one thread; steps that take `long` begin on all,
    as nothing slows them down much. While `is_crowded()`, those that began on one thread try no
    more for a while; those that began on all try fewer soon.
    """

    def __init__(self, steps, threads, long=False, is_crowded=lambda: False):
        self.choices = choices_up_to(threads)
        self._steps = steps
        self._is_crowded = is_crowded
        self._best = self.choices[-1 if long else 0]
        self._seconds_per_step = {}
        self._totals = {n: [0, 0.0] for n in self.choices}  # steps and seconds
        self._useful = 0.0  # seconds, of slices that are no tries
        self._closed = 0.0  # no try begins before so much useful time
        self._due = dict.fromkeys(self.choices, 0.0)  # nor one of a choice before this
        self._look = math.inf if long else 0.0  # when to look again whether it is crowded
        self._defeats = dict.fromkeys(self.choices, 0)  # tries in turn that lost time
        self._proved = FEWEST_STEPS
        self._tried = None
        self._slices_tried = 0
        self._lost = 0.0

    def next_slice(self, most=None):
        """Return the steps and the threads of the next slice.

        While no more than `most` threads may run, fewer than all, nothing else is tried.
        """
        if most is not None and most < self.choices[-1]:
            return self._within(most)
        if self._tried is None and len(self.choices) > 1:
            self._tried = self._next_try()
        if self._tried:
            return min(self._steps, self._steps_of_try()), self._tried
        if self._best == 1:
            return self._steps, 1
        return min(self._steps, self._proved), self._best

    def _within(self, most):
        """Return a slice on the quickest number of threads up to `most`; each runs once."""
        mean = self._seconds_per_step
        fitting = [n for n in self.choices if n <= most]
        unknown = [n for n in fitting if n not in mean]
        if unknown:
            # threads wake in the first of short steps
            more = STEPS_GROWTH if self._steps > 1 else 1
            return min(more * self._steps, MOST_STEPS), unknown[-1]
        threads = min(fitting, key=mean.__getitem__)
        return max(1, int(SLICE_SECONDS / mean[threads])), threads

    def took(self, steps, threads, seconds):
        """Take the time of a slice into account: `steps` on `threads` took `seconds`."""
        new = max(seconds, 1e-9) / steps
        if threads in self._totals:
            self._totals[threads][0] += steps
            self._totals[threads][1] += seconds
        if threads == self._tried:
            self._judge(steps, new)
            return
        old = self._seconds_per_step.get(threads, new)
        mean = self._seconds_per_step[threads] = old + MEASUREMENT_WEIGHT * (new - old)
        if threads != self._best:
            return
        if not self._useful and threads > 1:
            self._wait_for_fewer(new)
        self._useful += seconds
        self._proved = min(STEPS_GROWTH * self._proved, MOST_STEPS)
        self._steps = max(1, min(int(SLICE_SECONDS / mean), SLICE_GROWTH * self._steps))

    def _next_try(self):
        """Return the threads to try now, None for none."""
        mean = self._seconds_per_step
        if self._best not in mean or self._waits():
            return None
        fewer = [n for n in self.choices if n < self._best and n in mean]
        was_quickest = min(fewer, key=mean.__getitem__, default=self._best)
        if mean[self._best] > CLEARLY_SLOWER * mean[was_quickest]:
            return was_quickest  # it lost to more threads, which have become slower since
        is_closed = self._useful < self._closed
        due = (n for n in self.choices if n != self._best and self._due[n] <= self._useful)
        may = (n for n in due if not is_closed or self._was_quicker(n))
        return min(may, key=self._due.__getitem__, default=None)

    def _waits(self):
        """Return whether the first try waits until fewer processes want to run."""
        if self._look <= self._useful:
            waits = self._useful < CROWDED_SECONDS and self._is_crowded()
            self._look = self._useful + LOOK_SECONDS if waits else math.inf
        return self._look < math.inf

    def _was_quicker(self, threads):
        """Return whether threads were on the whole quicker than the best are now."""
        steps, seconds = self._totals[threads]
        return seconds < steps * self._seconds_per_step[self._best]

    def _steps_of_try(self):
        return FEWEST_STEPS * STEPS_GROWTH**self._slices_tried

    def _judge(self, steps, new):
        """Decide whether the threads that were tried go on, or are tried a little longer."""
        threads, seconds = self._tried, steps * new
        best = self._seconds_per_step[self._best]
        self._lost += seconds - steps * best
        self._slices_tried += 1
        may_have_slept = self._slices_tried == 1 and threads > self._best
        limit = WAKING if may_have_slept else CLEARLY_SLOWER
        has_lost = seconds > JUDGED_SECONDS and new > limit * best
        if self._slices_tried < SLICES_OF_TRY and not has_lost:
            return  # more steps tell
        self._seconds_per_step[threads] = new
        if new < best:
            before, self._best = self._best, threads
            self._defeats[threads] = 0
            self._put_off(before, FEWEST_STEPS * (best - new))
            self._proved = self._steps_of_try()
        else:
            self._closed = self._useful + self._put_off(threads, self._lost)
        self._tried, self._slices_tried, self._lost = None, 0, 0.0

    def _put_off(self, threads, lost):
        """Let threads that lost time be tried later, and ever later where they lose again."""
        most = PATIENCE * (MOST_PATIENCE if threads < self._best else len(self.choices))
        # what was quicker on the whole may soon be so again
        first = 1 if self._was_quicker(threads) else PATIENCE
        factor = min(first << self._defeats[threads], most)
        self._defeats[threads] += factor < most
        self._due[threads] = self._useful + factor * max(0.0, lost)
        return min(factor, PATIENCE) * max(0.0, lost)

    def _wait_for_fewer(self, step):
        """Put off the tries of a pace that began on several threads; one loses a step or more."""
        is_crowded = self._is_crowded()
        for threads in self.choices:
            soon = is_crowded and 2 * threads >= self._best
            patience = STEPS_GROWTH if soon else 2 * PATIENCE
            self._due[threads] = patience * step * (self._best / threads - 1)


def pace_of_steps(flops, threads):
    """Return the pace of steps of so many operations."""
    first = FIRST_SLICE_FLOPS if threads == 1 else FIRST_SHARED_FLOPS
    steps = max(1, min(int(first / flops), FIRST_SLICE_STEPS))
    return Pace(steps, threads, flops >= LONG_STEP_FLOPS, is_crowded)


def choices_up_to(threads):
    """Return 1, 2, 4, ... and `threads`."""
    return (*(1 << n for n in range((threads - 1).bit_length())), threads)
