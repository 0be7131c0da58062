"""Ctrl-C and SIGTERM while kernels run: the training loop acts on them between two slices."""

import contextlib
import signal
import threading

from .stopped import Stopped


class Interrupt:
    """Records SIGINT, and SIGTERM if `terminable`, while a fit runs in the main thread.

    `seen` is whether a signal arrived; `stopped` is INTERRUPTED, or TERMINATED after SIGTERM.
    """

    def __init__(self, terminable=False):
        self.seen = False
        self.stopped = Stopped.INTERRUPTED
        self._signals = [signal.SIGINT, *([signal.SIGTERM] if terminable else [])]

    def note(self, number, frame):
        """Handle a signal: record the first; raise at a second Ctrl-C."""
        if self.seen and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.seen:
            terminated = number == signal.SIGTERM
            self.stopped = Stopped.TERMINATED if terminated else Stopped.INTERRUPTED
        self.seen = True

    @contextlib.contextmanager
    def watching(self):
        """Handle the signals within, except ignored ones and those handled outside Python."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # the handler is None where it was not set from Python
        before = {number: signal.getsignal(number) for number in self._signals}
        taken = {n: h for n, h in before.items() if h not in (None, signal.SIG_IGN)}
        for number in taken:
            signal.signal(number, self.note)
        try:
            yield
        finally:
            for number, handler in taken.items():
                signal.signal(number, handler)


def unless_interrupted(history):
    """Return a `History`; raise the KeyboardInterrupt that its fit noted and kept to itself.

    For callers that fit a network on the way to something else.
    """
    if history.stopped is Stopped.INTERRUPTED:
        raise KeyboardInterrupt
    return history
