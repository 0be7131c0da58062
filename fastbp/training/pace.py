"""The pace of training: how many steps a slice runs, and on how many threads.

A slice is as many steps as take about 50 ms, so that Python can look for Ctrl-C and the
time budget between two. How many threads pay is first the answer of a model
(`kernels.threads`), which cannot know of other processes: where one of them takes a
processor, threads that wait for each other after every part of a step are a hundred times
slower than one alone. So short steps are measured: one thread first, then a few steps on
all, and those win only while they are quicker. The bits of a result depend on neither.
"""

_SLICE_SECONDS = 0.05
# a slice on several threads is short, the shorter the less they have proved: another process
# may come at any time
_FEWEST_STEPS, _MOST_STEPS, _GROWTH = 4, 64, 4
# one thread runs so many times as long as several lost before they are tried again
_PATIENCE = 32
# the first steps after a slice on one thread wait for the others to wake, but not so many times
# as long as one thread takes
_WAKING = 5
# what a new measurement counts against those before it
_WEIGHT = 0.5


class Pace:
    """Says what the next slice is to be, and learns from what each took.

    Parameters
    ----------
    steps : int
        The length of the first slice.
    threads : int
        What the model chose.
    adapts : bool
        Whether one thread may run instead, if it is quicker.

    Attributes
    ----------
    choices : set of int
        The numbers of threads that a slice may run on.
    """

    def __init__(self, steps, threads, adapts):
        self._steps, self._threads = steps, threads
        self._adapts = adapts and threads > 1
        self.choices = {1, threads} if adapts else {threads}
        self._seconds_a_step = {}
        self._proved, self._debt, self._awake = _FEWEST_STEPS, 0.0, False

    def next_slice(self):
        """Return the steps and the threads of the next slice."""
        if not self._adapts:
            return self._steps, self._threads
        if 1 not in self._seconds_a_step or self._debt > 0:
            return self._steps, 1
        return min(self._steps, self._proved), self._threads

    def took(self, steps, threads, seconds):
        """Learn that a slice of `steps` on `threads` took so many `seconds`."""
        waking = self._adapts and threads > 1 and not self._awake and steps <= _FEWEST_STEPS
        self._awake = threads > 1
        if waking and seconds < _WAKING * steps * self._seconds_a_step[1]:
            return  # they had fallen asleep: the next slice tells
        new = max(seconds, 1e-9) / steps
        old = self._seconds_a_step.get(threads, new)
        self._seconds_a_step[threads] = old + _WEIGHT * (new - old)
        if self._adapts:
            self._settle(steps, threads, seconds)
        wanted = int(_SLICE_SECONDS / self._seconds_a_step[threads])
        self._steps = max(1, min(wanted, 4 * self._steps))

    def _settle(self, steps, threads, seconds):
        """Keep account of what several threads lost against one."""
        lost = seconds - steps * self._seconds_a_step[1]
        if threads == 1:
            self._debt -= seconds
        elif lost > 0:
            self._debt, self._proved = _PATIENCE * lost, _FEWEST_STEPS
        else:
            self._proved = min(_GROWTH * self._proved, _MOST_STEPS)
