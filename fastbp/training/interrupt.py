"""Ctrl-C, and the word that a job is to end, while kernels run: acted upon between two slices."""

import contextlib
import signal
import threading


class Interrupt:
    """Notes signals while a fit runs in the main thread, so that it can end in good order.

    Parameters
    ----------
    terminable : bool, default False
        Whether SIGTERM is noted as well as SIGINT.

    Attributes
    ----------
    seen : bool
        Whether there was one.
    stopped : str
        What a history says then: "interrupted", or "terminated" after SIGTERM.
    """

    def __init__(self, terminable=False):
        self.seen, self.stopped = False, "interrupted"
        self._signals = [signal.SIGINT, *([signal.SIGTERM] if terminable else [])]

    def note(self, number, frame):
        """Handle a signal: the first is noted, a second Ctrl-C does not wait."""
        if self.seen and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.seen:
            self.stopped = "terminated" if number == signal.SIGTERM else "interrupted"
        self.seen = True

    @contextlib.contextmanager
    def watching(self):
        """Handle the signals within, unless they are someone else's to handle."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # of a signal that someone else handles, or that is not wanted, there is None
        before = {number: signal.getsignal(number) for number in self._signals}
        taken = {n: handler for n, handler in before.items() if handler not in (None, _IGNORED)}
        for number in taken:
            signal.signal(number, self.note)
        try:
            yield
        finally:
            for number, handler in taken.items():
                signal.signal(number, handler)


_IGNORED = signal.SIG_IGN


def unless_interrupted(history):
    """Return a `History`; raise the KeyboardInterrupt that its fit noted and kept to itself.

    For whoever fits on the way to something else, and must end where the user says so.
    """
    if history.stopped == "interrupted":
        raise KeyboardInterrupt
    return history
