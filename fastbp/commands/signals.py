"""Ctrl-C and SIGTERM, wherever they arrive: reported once, and never lost."""

import _thread
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator

from .codes import Code

# seconds after which a command should have ended
_AGAIN_SECONDS = 0.2


class Terminated(BaseException):
    """SIGTERM; schedulers send it when the time of a job is over."""


_SIGNALS = {KeyboardInterrupt: signal.SIGINT, Terminated: signal.SIGTERM}


def raise_terminated():
    """Raise `Terminated` on SIGTERM from now on, unless it is ignored; a training may take over."""
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminated)


def _terminated(number, frame):
    raise Terminated


def told(error: BaseException) -> tuple[Code, str]:
    """Return the exit code and the message of a command that Ctrl-C or SIGTERM ended."""
    if isinstance(error, KeyboardInterrupt):
        return Code.INTERRUPTED, "interrupted"
    words = sys.argv[1:]
    if words[:1] == ["train"] and any(w.startswith(("--checkpoint", "--config")) for w in words):
        return Code.PREEMPTED, "terminated before it began; run it again with --resume"
    return Code.TERMINATED, "terminated"


@contextlib.contextmanager
def unwrapped() -> Iterator[None]:
    """Raise the exception of a signal unwrapped: Python wraps it where it creates a class."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, tuple(_SIGNALS)):
            context = None if cause.__suppress_context__ else cause.__context__
            cause = cause.__cause__ or context
        if cause is None:
            raise
        raise cause from None


@contextlib.contextmanager
def told_once() -> Iterator[None]:
    """Report a signal once, wherever it arrives.

    Python cannot raise in a destructor or a callback, and the signal would be lost: it is sent
    again, unless the command ends first. polars raises a signal by itself, and Python once more.
    """
    before, timers = sys.unraisablehook, list[threading.Timer]()

    def tell(unraisable):
        number = _SIGNALS.get(unraisable.exc_type)
        if number is None:
            before(unraisable)
        elif not timers:
            timers.append(threading.Timer(_AGAIN_SECONDS, _send, [number]))
            timers[0].daemon = True
            timers[0].start()

    sys.unraisablehook = tell
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
        sys.unraisablehook = before


def _send(number):
    """Send a signal to the main thread, which may be waiting in a system call."""
    thread = threading.main_thread().ident
    if thread is not None and hasattr(signal, "pthread_kill"):
        signal.pthread_kill(thread, number)
    else:
        _thread.interrupt_main(number)
