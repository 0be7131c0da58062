"""Ctrl-C and SIGTERM while kernels run: the training loop acts on them between two slices."""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar

from .stopped import Stopped


class Stop:
    """Ends, in any thread, the trainings that begin within `applies`: at the next slice.

    It does so once `now` is called, after `max_time` seconds, or when a `Stop` ends all that
    applies where this one is made.
    """

    def __init__(self, max_time: float | None = None) -> None:
        self._deadline = math.inf if max_time is None else time.perf_counter() + max_time
        self._reason: Stopped | None = None
        self._around = _STOP.get()

    @property
    def seen(self) -> bool:
        """Whether the trainings must end."""
        if self._reason is not None or time.perf_counter() > self._deadline:
            return True
        return self._around is not None and self._around.seen

    @property
    def stopped(self) -> Stopped:
        """Why they must end."""
        if self._reason is None and self._around is not None and self._around.seen:
            return self._around.stopped
        return self._reason or Stopped.TIME

    def now(self, reason: Stopped) -> None:
        """End the trainings; the first reason counts."""
        self._reason = self._reason or reason

    @contextlib.contextmanager
    def applies(self) -> Iterator[None]:
        """Let it end the trainings that begin within, in this thread."""
        token = _STOP.set(self)
        try:
            yield
        finally:
            _STOP.reset(token)


_STOP: ContextVar[Stop | None] = ContextVar("fastbp_stop", default=None)


class Interrupt:
    """Records SIGINT, and SIGTERM if `terminable`, while a fit runs in the main thread."""

    def __init__(self, terminable=False):
        self._own = Stop()
        self._others = _STOP.get()
        self._signals = [signal.SIGINT, *([signal.SIGTERM] if terminable else [])]

    @property
    def seen(self):
        """Whether a signal arrived, or a `Stop` that applies ends the fit."""
        return self._own.seen or (self._others is not None and self._others.seen)

    @property
    def stopped(self):
        """The reason: of its own signal, or of the `Stop`."""
        if self._others is None or self._own.seen:
            return self._own.stopped
        return self._others.stopped

    def note(self, number, frame):
        """Handle a signal: record the first; raise at a second Ctrl-C."""
        if self._own.seen and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._own.now(Stopped.TERMINATED if number == signal.SIGTERM else Stopped.INTERRUPTED)

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
