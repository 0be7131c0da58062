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

    #: With which it ends the ranks of a job, which cannot go on without this one.
    exit_code = int(Code.TERMINATED)

    def __str__(self) -> str:
        """Return what is said of it where nothing can be kept."""
        return "terminated, and nothing was kept: give it --checkpoint DIR"


_SIGNALS: dict[type[BaseException], signal.Signals] = {
    KeyboardInterrupt: signal.SIGINT,
    Terminated: signal.SIGTERM,
}


class _Raising:
    """Handles a signal: raises its exception, and knows that it did."""

    def __init__(self, kind: type[BaseException]):
        self._kind = kind
        self.has_raised = False

    def __call__(self, number, frame):
        self.has_raised = True
        raise self._kind


def raise_signals():
    """Raise `KeyboardInterrupt` on SIGINT and `Terminated` on SIGTERM from now on.

    A signal that is ignored, or that another handles, is left as it is. A training may take over.
    """
    for kind, number in _SIGNALS.items():
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _Raising(kind))


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
    """Raise the exception of a signal where another came of it.

    Python wraps it where a class is made; a library may drop it, and fail of what it lacks then.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt, Terminated) as error:
        for kind, number in _SIGNALS.items():
            handler = signal.getsignal(number)
            if isinstance(handler, _Raising) and handler.has_raised:
                handler.has_raised = False  # from here on it is known
                if not isinstance(error, kind):
                    raise kind from None
        raise


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
