"""What options take beside text and numbers: durations, sizes, threads, paths to write."""

import math
import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from ..tables.wording import shown
from .exits import Code, Ended

_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}
_BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_BYTES |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_LONGEST_NAME = 255  # of file systems in use
_NUMBER = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", re.IGNORECASE)


def duration(text: str) -> float:
    """Return seconds from a text such as 30s, 5m, 1.5h or 90."""
    return _scaled(text, _SECONDS, "a duration such as 30s, 5m or 1.5h")


def size(text: str) -> int:
    """Return bytes from a text such as 2GB, 512MiB or 1000000."""
    count = int(_scaled(text, _BYTES, "a size such as 2GB or 512MiB"))
    if count < 1:
        raise typer.BadParameter(f"{text!r}: expected at least one byte")
    return count


def _scaled(text, units, wanted):
    match = _NUMBER.fullmatch(text)
    if not match or match[2].lower() not in units:
        raise typer.BadParameter(f"{text!r}: expected {wanted}")
    value = float(match[1]) * units[match[2].lower()]
    if not math.isfinite(value):
        raise typer.BadParameter(f"{shown(text)}: expected {wanted}, and no more than there can be")
    return value


def threads(text: str) -> int | str:
    """Return "auto", or a number of threads."""
    if text == "auto" or (text.isdecimal() and int(text) >= 1):
        return text if text == "auto" else int(text)
    raise typer.BadParameter(f"{text!r}: expected auto, or a number of at least 1")


def layers(text: str) -> tuple[int, ...]:
    """Return the units of hidden layers from a text such as 128,64; none from an empty one."""
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(part.isdecimal() and int(part) >= 1 for part in parts):
        raise typer.BadParameter(f"{text!r}: expected units such as 100 or 128,64")
    return tuple(map(int, parts))


def writable(path: str) -> str:
    """Refuse a path that cannot be written, before hours of work."""
    _check_name(path)
    folder = Path(path).resolve().parent
    if len(os.fsencode(Path(path).name)) > _LONGEST_NAME:
        raise typer.BadParameter(f"a name of over {_LONGEST_NAME} bytes, which files cannot have")
    if os.path.exists(path) and not os.path.isfile(path):
        raise typer.BadParameter(f"{path!r}: it exists, and is not a regular file")
    if path and not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise typer.BadParameter(f"{path!r}: {folder} is not a folder that can be written")
    return path


def writable_folder(path: str) -> str:
    """Refuse a folder that cannot be made or written to, before hours of work."""
    _check_name(path)
    if path and os.path.exists(path):
        if not (os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK)):
            raise typer.BadParameter(f"{path!r} is not a folder that can be written")
    elif path:
        # the nearest of its parents that is there: it will be made with those that are not
        above = next(parent for parent in Path(path).resolve().parents if parent.exists())
        if not (above.is_dir() and os.access(above, os.W_OK | os.X_OK)):
            raise typer.BadParameter(f"{path!r}: {above} is not a folder that can be written")
    return path


def _check_name(path):
    if "\0" in path:
        raise typer.BadParameter(f"{path!r}: a name cannot hold a NUL character")


def not_the_input(output, *files):
    """Refuse an output that is one of the files that are read.

    Raises
    ------
    Ended
        With `Code.USAGE`.
    """
    for file in files:
        if output and os.path.exists(output) and os.path.samefile(output, file):
            raise Ended(Code.USAGE, f"-o {output}: it is read as well; give another name")


ThreadsOption = Annotated[
    Any, typer.Option("--threads", help="auto, or how many.", metavar="THREADS", parser=threads)
]
ModelArgument = Annotated[str, typer.Argument(help="A model file.", metavar="MODEL")]
