"""How a command ends: its exit code, and a message of one line."""

import contextlib
import os
import sys
from collections.abc import Iterator

import typer

from ..errors import DataError, DivergenceError, ModelFileError
from .codes import Code
from .log import Log, Mode, drop_output, listening
from .signals import Terminated, told, told_once, unwrapped


class Ended(Exception):
    """A command ends early, with a code and a message.

    Parameters
    ----------
    code : Code
        The exit code.
    message : str
        What, where and what to do.
    """

    def __init__(self, code: Code, message: str):
        super().__init__(message)
        self.code = code


# the module that is missing, and what installs it
_EXTRAS = {
    "distributed": "fastbp[dask]",
    "jinja2": "fastbp[plot]",
    "matplotlib": "fastbp[plot]",
    "mpi4py": "fastbp[mpi]",
    "onnx": "fastbp[onnx]",
    "polars": "fastbp[cli]",
    "skl2onnx": "fastbp[onnx]",
    "sklearn": "fastbp[sklearn]",
    "tomli": "fastbp[cli]",
    "torch": "torch",
}
_EXPECTED = (
    Ended,
    DataError,
    ModelFileError,
    DivergenceError,
    OSError,
    MemoryError,
    ImportError,
    KeyboardInterrupt,
    Terminated,
)


def explain(error: BaseException) -> tuple[Code, str] | None:
    """Return the exit code and the message of an error, or None if it is a bug.

    Parameters
    ----------
    error : BaseException
        The error that a command raised.
    """
    if isinstance(error, Ended):
        return error.code, str(error)
    if isinstance(error, DataError | ModelFileError):
        return Code.BAD_DATA, str(error)
    if isinstance(error, DivergenceError):
        return Code.DIVERGED, str(error)
    if isinstance(error, KeyboardInterrupt | Terminated):
        return told(error)
    if isinstance(error, MemoryError):
        return Code.FAILED, f"not enough memory: {error}".removesuffix(": ")
    if isinstance(error, ImportError):
        return _explain_import(error)
    if isinstance(error, OSError):
        return Code.FAILED, _explain_system(error)
    return None


def _explain_import(error):
    """Return code and message of a missing extra or a broken installation; None for a bug."""
    missing = (error.name or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError):
        if missing in _EXTRAS:
            package = _EXTRAS[missing]
            return Code.USAGE, f"this needs {missing}: python -m pip install '{package}'"
        return (Code.USAGE, str(error)) if "pip install" in str(error) else None
    # the message of a package that refuses to be imported, such as Numba beside a newer NumPy
    return (Code.FAILED, str(error)) if error.name is None else None


def _explain_system(error):
    reason = error.strerror or str(error)
    names = [
        os.fsdecode(n) for n in (error.filename, error.filename2) if isinstance(n, str | bytes)
    ]
    return f"{' -> '.join(names)}: {reason}" if names else reason


@contextlib.contextmanager
def guarded(mode: Mode, quiet: bool = False) -> Iterator[Log]:
    """Run the body of a command with its `Log`; end it with one line on an expected error.

    A bug keeps its traceback.

    Raises
    ------
    typer.Exit
        With the code of `explain`, after its message was printed.
    """
    with listening(mode, quiet) as log, told_once(), ending(log):
        yield log
        if sys.stdout is not None:
            sys.stdout.flush()  # here: at Python's exit no error can be handled


@contextlib.contextmanager
def ending(log: Log) -> Iterator[None]:
    """Turn an expected error into its line and `typer.Exit`; see `guarded`."""
    try:
        with unwrapped():
            yield
    except BrokenPipeError:
        drop_output(sys.stdout)
        raise typer.Exit(Code.CLOSED_PIPE) from None
    except _EXPECTED as error:
        reason = explain(error)
        if reason is None:
            raise
        _say(log, *reason)
        raise typer.Exit(reason[0]) from None


@contextlib.contextmanager
def usage() -> Iterator[None]:
    """Turn the error of an option into wrong usage."""
    try:
        yield
    except (DataError, ModelFileError):  # which are ValueErrors
        raise
    except (ValueError, TypeError) as error:
        ended = Ended(Code.USAGE, str(error))
        vars(ended).update(vars(error))  # such as that all ranks raise it
        raise ended from None


def _say(log, code, line):
    try:
        log.error(line, code)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # stdout cannot be written: its disk is full, or this is the error
        drop_output(sys.stdout)
