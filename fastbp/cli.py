"""The command ``fastbp``; also ``python -m fastbp``. Its extra is ``cli``."""

import atexit
import gc
import signal
import sys

from .commands.codes import Code
from .commands.signals import Terminated, raise_signals, told, unwrapped


def main():
    """Run the command line; exit with `Code.USAGE` where the extra cli is not installed."""
    try:
        raise_signals()
        with unwrapped():
            _run()
    except (KeyboardInterrupt, Terminated) as error:  # during imports; later a command tells it
        code, message = told(error)
        print(f"fastbp: {message}", file=sys.stderr)
        sys.exit(code)


def _run():
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
    from .memory import share_arenas

    drop_native_stderr()
    share_arenas()  # before polars starts its threads
    try:
        app(prog_name="fastbp")
    finally:
        # the work is done: no signal may change the exit code, nor be told of by Python
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        # collecting garbage among the objects of Numba and LLVM would take half a second
        atexit.register(gc.freeze)
