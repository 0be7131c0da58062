"""Output of a command: lines for people, or a JSON object per line for programs."""

import contextlib
import dataclasses
import json
import logging
import math
import sys
import warnings
from collections.abc import Iterator
from datetime import date, datetime, time, timezone
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

from ..tables.declared import choice
from ..tables.wording import printable
from .options import taking


class Mode(str, Enum):
    """The form of the output."""

    text = "text"
    json = "json"


LogOption = Annotated[
    Any,
    taking(
        choice(*(mode.value for mode in Mode)),
        "Print lines of text, or a JSON object for each event.",
        "--log",
        default=Mode.text.value,
    ),
]


class Log:
    """Output of one command; `listening` opens it.

    Parameters
    ----------
    mode : Mode
        Text, or JSON with one object per line: ``event`` is its kind, ``time`` is ISO 8601 in
        UTC, and numbers that are not finite are null.

    Attributes
    ----------
    json : bool
        Whether the output is JSON.
    shows_progress : bool
        Whether progress bars are wanted: in text mode, where stderr is a terminal.
    """

    def __init__(self, mode: Mode = Mode.text):
        self.json = mode == Mode.json
        self.shows_progress = not self.json and sys.stderr is not None and sys.stderr.isatty()

    def text(self, *lines: object) -> None:
        """Print lines, in text mode only."""
        if not self.json:
            print(*lines, sep="\n", flush=True)

    def event(self, name: str, text: str | None = None, /, **fields: Any) -> None:
        """Print an event.

        Parameters
        ----------
        name : str
            The value of ``event``.
        text : str, optional
            Line of text mode; default: none.
        **fields
            Further members of the object; see `plain`.
        """
        if self.json:
            now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
            record = plain({"event": name, "time": now, **fields})
            print(json.dumps(record, allow_nan=False), flush=True)
        elif text is not None:
            self.text(text)

    def epoch(self, entry: dict) -> None:
        """Print an epoch; `entry` is one of `History.epochs`, counted from 0."""
        from ..training.history import COLUMNS  # imports Numba

        fields = {**entry, "epoch": entry["epoch"] + 1}
        known = ((*COLUMNS[key], entry[key]) for key in COLUMNS if key in entry)
        shown = (f"{name} {form.format(value)}" for name, form, value in known)
        self.event("epoch", f"epoch {fields['epoch']}: {', '.join(shown)}", **fields)

    def warning(self, message: str) -> None:
        """Warn: on stderr, or as an event."""
        if self.json:
            self.event("warning", message=_line(message))
        else:
            self._complain(f"warning: {_line(message)}")

    def note(self, message: str) -> None:
        """Say what is done, or how a file was read: on stderr, or as an event."""
        if self.json:
            self.event("note", message=_line(message))
        else:
            self._complain(f"note: {_line(message)}")

    def error(self, message: str, code: int) -> None:
        """Print on stderr why the command ends; in JSON mode as an event too."""
        self._complain(_line(message))
        if self.json:
            self.event("error", message=_line(message), code=int(code))

    def progress(self, total: int | None = None, unit: str = "it", title: str | None = None) -> Any:
        """Return a progress bar on stderr, gone when done; it is silent where none is wanted."""
        from tqdm import tqdm  # which takes 40 ms to import

        return tqdm(
            total=total,
            unit=unit,
            desc=title,
            disable=not self.shows_progress,
            leave=False,
            unit_scale=True,
            file=sys.stderr,
        )

    def _complain(self, message):
        if sys.stderr is not None:  # closed by the parent process
            # over the remains of a progress bar, or the echo of ^C
            start = "\r\x1b[K" if self.shows_progress else ""
            print(f"{start}fastbp: {message}", file=sys.stderr, flush=True)


class _Handler(logging.Handler):
    """Passes the warnings of the library's logger, and the notes of what it reads, to a `Log`."""

    def __init__(self, log):
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record):
        is_warning = record.levelno >= logging.WARNING
        (self._log.warning if is_warning else self._log.note)(record.getMessage())


@contextlib.contextmanager
def listening(mode: Mode) -> Iterator[Log]:
    """Open a `Log` that also prints what the library and Python warn of and say, and close it."""
    for stream in (sys.stdout, sys.stderr):
        # names of files and columns may hold characters that a terminal cannot encode
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    log = Log(mode)
    handler, logger = _Handler(log), logging.getLogger("fastbp")
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: log.warning(str(message))
        logger.addHandler(handler)
        reading = logging.getLogger("fastbp.read")
        level = reading.level
        reading.setLevel(logging.INFO)
        try:
            yield log
        finally:
            reading.setLevel(level)
            logger.removeHandler(handler)


def _line(message: object) -> str:
    """Return a message on one line, with unprintable characters escaped."""
    return printable(" ".join(str(message).split()))


def plain(value: Any) -> Any:
    """Return `value` as strict JSON: NaN and infinities become None, lone surrogates text.

    Raises
    ------
    TypeError
        If the value has no such form.
    """
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str | Path):
        return str(value).encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {plain(str(key)): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, set | frozenset):
        return [plain(each) for each in sorted(value)]
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: plain(getattr(value, field.name)) for field in fields}
    if hasattr(value, "tolist"):  # NumPy's arrays and numbers
        return plain(value.tolist())
    raise TypeError(f"{value!r}: {type(value).__name__} has no plain form")
