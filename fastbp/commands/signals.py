"""SIGTERM, by which schedulers say that a job's time is over."""

import contextlib
import signal
import threading


class Terminated(BaseException):
    """SIGTERM came where no training could note it."""


@contextlib.contextmanager
def terminable():
    """Raise `Terminated` on SIGTERM within, unless it is ignored; a training may take over."""

    def end(number, frame):
        raise Terminated

    before = signal.getsignal(signal.SIGTERM)
    mine = threading.current_thread() is threading.main_thread() and before != signal.SIG_IGN
    if mine:
        signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if mine:
            signal.signal(signal.SIGTERM, before)
