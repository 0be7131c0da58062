"""Ctrl-C while kernels run: noted at once, acted upon between two slices."""

import contextlib
import signal
import threading


class Interrupt:
    """Notes SIGINT while a fit runs in the main thread, so that it can end in good order."""

    def __init__(self):
        self.seen = False

    def note(self, number, frame):
        """Handle the signal: the first is noted, a second one does not wait."""
        if self.seen:
            raise KeyboardInterrupt
        self.seen = True

    @contextlib.contextmanager
    def watching(self):
        """Handle the signal within, unless it is someone else's to handle."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        if signal.getsignal(signal.SIGINT) in (None, signal.SIG_IGN):
            yield  # someone else's, or none wanted: leave it
            return
        before = signal.signal(signal.SIGINT, self.note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
