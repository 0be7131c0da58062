"""Output of a command: lines for people, or a JSON object per line for programs."""

import contextlib
import dataclasses
import itertools
import json
import logging
import math
import os
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timezone
from enum import Enum
from pathlib import Path
from time import sleep as wait
from typing import Any

from ..tables.wording import printable
from .signals import Terminated
from .spelling import spelled

# a step that ends sooner is not told; a person waits half a second without a doubt
SOON = 0.4
# the logger of what begins and may take long, and one that is for programs; others tell facts
STEPS = "fastbp.steps"
_UNTOLD = "fastbp.checkpoints"
# seconds in which another process tells the error that both have; mpiexec ends this one then
_PATIENCE = 10.0


class Mode(str, Enum):
    """The form of the output."""

    text = "text"
    json = "json"


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Return whether the arguments of a command ask for JSON."""
    pairs = itertools.pairwise(arguments)
    return "--log=json" in arguments or ("--log", "json") in pairs


class Log:
    """Output of one command; `listening` opens it.

    Parameters
    ----------
    mode : Mode
        Text, or JSON with one object per line: ``event`` is its kind, ``time`` is ISO 8601 in
        UTC, and numbers that are not finite are null.
    quiet : bool
        Whether to print results, warnings and errors alone.

    Attributes
    ----------
    json : bool
        Whether the output is JSON.
    shows_progress : bool
        Whether progress bars are wanted: in text mode, where stderr is a terminal.
    """

    def __init__(self, mode: Mode = Mode.text, quiet: bool = False):
        self.json = mode == Mode.json
        self._quiet = quiet
        is_terminal = sys.stderr is not None and sys.stderr.isatty()
        self.shows_progress = is_terminal and not (self.json or quiet)
        self._step: threading.Timer | None = None
        self._begun = ""
        self._told: set[str] = set()
        self._is_hushed = self._follows = False
        self._printing = threading.RLock()  # a step is told from a thread of its own

    def hush(self) -> None:
        """Print nothing from now on: another process does."""
        self._quiet = self._is_hushed = True
        self.shows_progress = False
        self.settle()

    def follow(self) -> None:
        """Let another process tell an error first; where it has the same, it ends this one."""
        self._follows = True

    def text(self, *lines: object) -> None:
        """Print lines, in text mode only."""
        if not (self.json or self._quiet):
            self._print("\n".join(map(str, lines)))

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
        if not self._quiet:
            self.result(name, text, **fields)

    def result(self, name: str, text: str | None = None, /, **fields: Any) -> None:
        """Print an event that the command was asked for: also if the output is quiet."""
        if self.json:
            now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
            record = plain({"event": name, "time": now, **fields})
            self._print(json.dumps(record, allow_nan=False))
        elif text is not None:
            self._print(text)

    def epoch(self, entry: dict) -> None:
        """Print an epoch; `entry` is one of `History.epochs`, counted from 0."""
        from ..training.history import COLUMNS  # imports Numba

        fields = {**entry, "epoch": entry["epoch"] + 1}
        member = ""
        if "member" in entry:  # of an ensemble
            fields["member"] = entry["member"] + 1
            member = f"network {fields['member']}, "
        known = ((*COLUMNS[key], entry[key]) for key in COLUMNS if key in entry)
        shown = (f"{name} {show(value)}" for name, show, value in known)
        self.event("epoch", f"{member}epoch {fields['epoch']}: {', '.join(shown)}", **fields)

    def step(self, message: str) -> None:
        """Tell people once what begins, unless something else is printed or begins very soon."""
        if message == self._begun:
            return
        self.settle()
        self._begun = message
        if not (self.json or self._quiet or message in self._told):
            self._step = threading.Timer(SOON, self._tell_step, [message])
            self._step.daemon = True
            self._step.start()

    def _tell_step(self, message):
        self._told.add(message)
        self._complain(_line(message))

    def settle(self) -> None:
        """Tell nothing of the step that began last, if it was not told yet."""
        if self._step is not None:
            self._step.cancel()
            self._step = None

    def note(self, message: str) -> None:
        """Say how the command goes on: on stderr, or as an event."""
        if not self._quiet:
            self._tell("note", message, "note: ")

    def warning(self, message: str) -> None:
        """Warn: on stderr, or as an event."""
        self._tell("warning", message, "warning: ")

    def error(self, message: str, code: int) -> None:
        """Print on stderr why the command ends; in JSON mode as an event too."""
        if self._follows and not self._is_hushed:
            try:
                wait(_PATIENCE)
            except Terminated:  # by mpiexec: it has been told
                raise SystemExit(int(code)) from None
        self._complain(_line(message))
        if self.json:
            self.result("error", message=_line(message), code=int(code))

    def _tell(self, event, message, prefix=""):
        if self.json:
            self.result(event, message=_line(message))
        else:
            self._complain(f"{prefix}{_line(message)}")

    def progress(self, total: int | None = None, unit: str = "it", title: str | None = None) -> Any:
        """Return a progress bar on stderr, gone when done; it is silent where none is wanted."""
        from tqdm import tqdm  # which takes 40 ms to import

        if self.shows_progress:
            self.settle()
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
            with going_on(sys.stderr):
                self._print(f"{start}fastbp: {message}", sys.stderr)

    def _print(self, text, stream=None):
        if not isinstance(threading.current_thread(), threading.Timer):
            self.settle()
        with self._printing:
            if self._is_hushed:
                return
            print(text, file=stream, flush=True)


@contextlib.contextmanager
def going_on(stream: Any) -> Iterator[None]:
    """Drop what a stream holds and gets if it cannot be written: the work of hours goes on.

    Its disk may be full. A reader that is gone ends the command, as BrokenPipeError.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError:
        drop_output(stream)


def drop_output(stream: Any) -> None:
    """Discard what a stream still holds, or Python prints an error when it exits."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


class _Handler(logging.Handler):
    """Passes what the library says to a `Log`: its warnings, its notes, and the steps it takes."""

    def __init__(self, log):
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record):
        message = record.getMessage()
        if record.levelno >= logging.WARNING:
            self._log.warning(message)
        elif record.name == STEPS:
            self._log.step(message)
        elif record.name != _UNTOLD:
            self._log.note(message)


@contextlib.contextmanager
def listening(mode: Mode, quiet: bool = False) -> Iterator[Log]:
    """Open a `Log` that also prints what the library and Python say, and close it."""
    for stream in (sys.stdout, sys.stderr):
        # names of files and columns may hold characters that a terminal cannot encode
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    log = Log(mode, quiet)
    handler, logger = _Handler(log), logging.getLogger("fastbp")
    level = logger.level
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: log.warning(str(message))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            log.step("starting")
            yield log
        finally:
            log.settle()
            logger.setLevel(level)
            logger.removeHandler(handler)


def _line(message: object) -> str:
    """Return a message on one line, in the command's spelling, unprintable characters escaped."""
    return printable(spelled(" ".join(str(message).split())))


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
