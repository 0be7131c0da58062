"""The pace of training: how many steps a slice runs, and on how many threads.

A slice is the number of steps that take about 50 ms, so that Python can look for Ctrl-C and
the time limit between two. How many threads pay is first the answer of a model
(`kernels.compiler.threads`), which cannot know of other processes: where one of them takes a
processor, threads that wait for each other after every part of a step are a hundred times
slower than one alone. So short steps are measured: one thread first, then a few steps on
all, and those win only while they are quicker. The bits of a result depend on neither.
"""

from ..kernels.tuning import (
    FEWEST_STEPS,
    MEASUREMENT_WEIGHT,
    MOST_STEPS,
    PATIENCE,
    SLICE_GROWTH,
    SLICE_SECONDS,
    STEPS_GROWTH,
    WAKING,
)


class Pace:
    """Chooses the length and the threads of the next slice from the times of the earlier ones.

    The first slice has `steps` steps. `threads` is the model's choice; if the pace `adapts`, one
    thread may run instead. `choices` holds the numbers of threads that a slice may run on.
    """

    def __init__(self, steps, threads, adapts):
        self._steps = steps
        self._threads = threads
        self._adapts = adapts and threads > 1
        self.choices = {1, threads} if adapts else {threads}
        self._seconds_per_step = {}
        self._proved = FEWEST_STEPS
        self._debt = 0.0
        self._awake = False

    def next_slice(self):
        """Return the steps and the threads of the next slice."""
        if not self._adapts:
            return self._steps, self._threads
        if 1 not in self._seconds_per_step or self._debt > 0:
            return self._steps, 1
        return min(self._steps, self._proved), self._threads

    def took(self, steps, threads, seconds):
        """Take the time of a slice into account: `steps` on `threads` took `seconds`."""
        waking = self._adapts and threads > 1 and not self._awake and steps <= FEWEST_STEPS
        self._awake = threads > 1
        if waking and seconds < WAKING * steps * self._seconds_per_step[1]:
            return  # they had fallen asleep: the next slice tells
        new = max(seconds, 1e-9) / steps
        old = self._seconds_per_step.get(threads, new)
        self._seconds_per_step[threads] = old + MEASUREMENT_WEIGHT * (new - old)
        if self._adapts:
            self._settle(steps, threads, seconds)
        wanted = int(SLICE_SECONDS / self._seconds_per_step[threads])
        self._steps = max(1, min(wanted, SLICE_GROWTH * self._steps))

    def _settle(self, steps, threads, seconds):
        """Keep account of what several threads lost against one."""
        lost = seconds - steps * self._seconds_per_step[1]
        if threads == 1:
            self._debt -= seconds
        elif lost > 0:
            self._debt = PATIENCE * lost
            self._proved = FEWEST_STEPS
        else:
            self._proved = min(STEPS_GROWTH * self._proved, MOST_STEPS)
