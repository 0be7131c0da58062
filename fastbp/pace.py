"""The pace of training: how many steps a slice runs, and on how many threads.

A slice is as many steps as take about 50 ms, so that Python can look for Ctrl-C and the
time budget between two. How many threads pay is first the answer of a model
(`kernels.threads`), which cannot know of other processes: where one of them takes a
processor, threads that wait for each other after every part of a step are a hundred times
slower than one alone. So short steps are measured: one thread first, then a few steps on
all, and those win only while they are quicker. The bits of a result depend on neither.
"""

_SLICE_SECONDS = 0.05
# a slice on several threads is short, for another process may come at any time
_MOST_STEPS, _TRIAL_STEPS = 64, 8
# slices on one thread between two trials of all; a failed trial doubles the number
_FIRST_WAIT, _LONGEST_WAIT = 4, 256
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
    """

    def __init__(self, steps, threads, adapts):
        self._steps, self._threads = steps, threads
        self._adapts = adapts and threads > 1
        self._seconds_a_step = {}
        self._waited, self._wait = 0, _FIRST_WAIT

    def next_slice(self):
        """Return the steps and the threads of the next slice."""
        if not self._adapts:
            return self._steps, self._threads
        alone, together = (self._seconds_a_step.get(n) for n in (1, self._threads))
        if alone is None:
            return self._steps, 1
        if together is None or (together > alone and self._waited >= self._wait):
            return min(self._steps, _TRIAL_STEPS), self._threads
        if together > alone:
            return self._steps, 1
        return min(self._steps, _MOST_STEPS), self._threads

    def took(self, steps, threads, seconds):
        """Learn that a slice of `steps` on `threads` took so many `seconds`."""
        new, old = max(seconds, 1e-9) / steps, self._seconds_a_step.get(threads)
        trial = threads > 1 and self._waited >= self._wait
        self._seconds_a_step[threads] = new if old is None or trial else old + _WEIGHT * (new - old)
        if threads == 1:
            self._waited += 1
        elif self._adapts:
            failed = new > self._seconds_a_step[1]
            self._wait = min(2 * self._wait, _LONGEST_WAIT) if failed else _FIRST_WAIT
            self._waited = 0
        wanted = int(_SLICE_SECONDS / min(self._seconds_a_step.values()))
        self._steps = max(1, min(wanted, 4 * self._steps))
