"""The command ``fastbp``; also ``python -m fastbp``. Its extra is ``cli``."""

import atexit
import gc
import signal
import sys

_USAGE, _PREEMPTED, _INTERRUPTED, _TERMINATED = 2, 75, 130, 143


def main():
    """Run the command line; exit with 2 where the extra that it needs is missing."""
    try:
        _run()
    except KeyboardInterrupt:  # while it is imported; later the command itself says so
        print("fastbp: interrupted", file=sys.stderr)
        sys.exit(_INTERRUPTED)


def _run():
    if sys.argv[1:2] == ["train"] and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminated)
    try:
        import typer  # noqa: F401
    except ImportError:
        print(
            "fastbp: the command line needs the extra cli: python -m pip install 'fastbp[cli]'",
            file=sys.stderr,
        )
        sys.exit(_USAGE)
    from .commands.app import app
    from .commands.native import drop_native_stderr

    drop_native_stderr()
    try:
        app(prog_name="fastbp")
    finally:
        atexit.register(_end_quickly)


def _terminated(number, frame):
    """End a training whose command is not yet read: there is nothing that could be lost."""
    if not any(argument.startswith(("--checkpoint", "--config")) for argument in sys.argv):
        sys.exit(_TERMINATED)
    print("fastbp: terminated before it began; run it again with --resume", file=sys.stderr)
    sys.exit(_PREEMPTED)


def _end_quickly():
    """Let Python end: all is done and said, so that no signal is to change the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # to look for garbage among all that Numba and LLVM hold takes half a second
    gc.freeze()
