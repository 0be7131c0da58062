"""The command ``fastbp``; also ``python -m fastbp``. Its extra is ``cli``."""

import atexit
import gc
import signal
import sys

from .commands.codes import Code
from .memory import share_arenas


def main():
    """Run the command line; exit with `Code.USAGE` where the extra cli is not installed."""
    try:
        _run()
    except KeyboardInterrupt:  # during imports; later the command prints this itself
        print("fastbp: interrupted", file=sys.stderr)
        sys.exit(Code.INTERRUPTED)


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
        sys.exit(Code.USAGE)
    from .commands.app import app
    from .commands.native import drop_native_stderr

    drop_native_stderr()
    share_arenas()  # before polars starts its threads
    try:
        app(prog_name="fastbp")
    finally:
        atexit.register(_end_quickly)


def _terminated(number, frame):
    """End a training that has not begun: nothing can be lost."""
    if not any(argument.startswith(("--checkpoint", "--config")) for argument in sys.argv):
        sys.exit(Code.TERMINATED)
    print("fastbp: terminated before it began; run it again with --resume", file=sys.stderr)
    sys.exit(Code.PREEMPTED)


def _end_quickly():
    """Let Python end: the work is done, and no signal may change the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # collecting garbage among the objects of Numba and LLVM would take half a second
    gc.freeze()
