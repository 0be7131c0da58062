"""What several commands take: paths to write, threads, precisions, a model file."""

import errno
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from ..quoted import quoted_path
from ..tables.declared import Kind, choice, threads
from .codes import Code
from .exits import Ended
from .log import Mode
from .options import taking

_LONGEST_NAME = 255  # bytes, of file systems in use
_CANNOT = "is not a folder that can be written"


def _path(metavar, fault):
    """Return the kind of a path that has no `fault(path)`; an empty path is not given."""

    def check(name, value):
        if reason := _reason(value, fault) if value else None:
            raise ValueError(f"{name}={quoted_path(value)}: {reason}")
        return value

    return Kind(metavar, str, check)


def _reason(path, fault):
    """Return the `fault(path)`, or why the path leads nowhere."""
    if "\0" in path:
        return "a path cannot hold a NUL character"
    try:
        os.stat(path)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "it leads through a loop of links"
    try:
        return fault(path)
    except FileNotFoundError:
        return "the working folder is gone; give a path that begins with /"


def _file_fault(path):
    """Return why a file cannot be written, before hours of work; None if it can."""
    folder = Path(path).resolve().parent
    if len(os.fsencode(Path(path).name)) > _LONGEST_NAME:
        return f"a file name has at most {_LONGEST_NAME} bytes"
    if os.path.exists(path) and not os.path.isfile(path):
        return "it exists, and is not a regular file"
    return None if _can_write(folder) else f"{folder} {_CANNOT}"


def _folder_fault(path):
    """Return why a folder cannot be made or written to, before hours of work."""
    if os.path.exists(path):
        return None if _can_write(path) else f"it {_CANNOT}"
    # the nearest of its parents that is there: it will be made with those that are not
    above = next(parent for parent in Path(path).resolve().parents if parent.exists())
    return None if _can_write(above) else f"{above} {_CANNOT}"


def _can_write(folder):
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def file_to_write():
    """Return the kind of a file that can be written."""
    return _path("FILE", _file_fault)


def folder_to_write():
    """Return the kind of a folder that can be written to, or made."""
    return _path("DIR", _folder_fault)


def not_the_input(output, *files, option="--output"):
    """Refuse an output that is one of the files that are read.

    Raises
    ------
    Ended
        With `Code.USAGE`.
    """
    for file in files:
        if output and os.path.exists(output) and os.path.samefile(output, file):
            raise Ended(Code.USAGE, f"{option} {output}: it is also an input; choose another name")


def output_option(words, default=None):
    """Return the option ``--output``."""
    return taking(file_to_write(), words, "--output", "-o", default=default)


LogOption = Annotated[
    Any,
    taking(
        choice(*(mode.value for mode in Mode)),
        "Print lines of text, or a JSON object for each event.",
        "--log",
        default=Mode.text.value,
    ),
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print only what is asked for, warnings and errors.")
]
WeightOption = Annotated[
    str,
    typer.Option(
        "--weight",
        help="Column of the weights of the rows. Default: that of the training.",
        metavar="COL",
    ),
]
DTYPE = choice("float32", "float64")
ThreadsOption = Annotated[
    Any, taking(threads(), "Threads to compute on.", "--threads", default="auto")
]
ModelArgument = Annotated[str, typer.Argument(help="A model file.", metavar="MODEL")]
