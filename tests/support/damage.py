"""What the tests of damaged inputs share: a good table, the command in this process, a judge.

The judge knows how a command may end: with a documented code and one line that says why,
and with the files that there were before; where a file is in fact usable, with code 0.
"""

import contextlib
import faulthandler
import io
import json
import os
import re
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from command_line import STEP
from fastbp.cli import main

DONE, FAILED, USAGE, BAD_DATA, DIVERGED = 0, 1, 2, 3, 4
ROWS = 90
BEFORE = b"what was there before"
# far more than any input here takes; what goes on for longer hangs
MOST_SECONDS = 30.0
_DEADLINE = 150.0
_LONGEST_LINE = 1500
TINY = ("--preset", "fast", "--epochs", "1", "--hidden", "2", "--threads", "1")


def good_frame():
    """Return a table that is learned from: an id, a number, categories, booleans, dates, y."""
    rng = np.random.default_rng(11)
    place = np.arange(ROWS)
    age = [None if i % 9 == 4 else int(a) for i, a in enumerate(rng.integers(18, 80, ROWS))]
    days = pl.Series(rng.integers(15_000, 19_000, ROWS), dtype=pl.Int32).cast(pl.Date)
    return pl.DataFrame(
        {
            "id": [f"p{i:03d}" for i in place],
            "age": age,
            "city": np.array(["Oslo", "Rome", "Turin"])[rng.integers(0, 3, ROWS)],
            "member": np.array(["yes", "no"])[rng.integers(0, 2, ROWS)],
            "joined": days,
            "y": np.array(["poor", "rich"])[place % 2],
        }
    )


def as_csv(frame, **options):
    """Return a frame as the bytes of a CSV file."""
    file = io.BytesIO()
    frame.write_csv(file, **options)
    return file.getvalue()


def as_ndjson(frame):
    """Return a frame as the bytes of an NDJSON file."""
    file = io.BytesIO()
    frame.write_ndjson(file)
    return file.getvalue()


def as_parquet(frame, **options):
    """Return a frame as the bytes of a Parquet file."""
    file = io.BytesIO()
    frame.write_parquet(file, **options)
    return file.getvalue()


def as_arrow(frame):
    """Return a frame as the bytes of an Arrow IPC file."""
    file = io.BytesIO()
    frame.write_ipc(file)
    return file.getvalue()


def as_npz(packed=False, **arrays):
    """Return arrays as the bytes of an archive of NumPy."""
    file = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(file, **arrays)
    return file.getvalue()


def frame_as_npz(frame):
    """Return a frame as the bytes of an archive: text where there is text."""
    arrays = {}
    for name in frame.columns:
        column = frame[name].fill_null(0) if name == "age" else frame[name]
        numeric = column.dtype.is_numeric() or column.dtype == pl.Date
        arrays[name] = column.to_numpy() if numeric else np.array(column.to_list())
    return as_npz(**arrays)


GOOD = good_frame()
CSV = as_csv(GOOD)
FORMATS = {
    "csv": CSV,
    "ndjson": as_ndjson(GOOD),
    "parquet": as_parquet(GOOD, row_group_size=40),
    "arrow": as_arrow(GOOD),
    "npz": frame_as_npz(GOOD),
}


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and all that it said."""

    code: int
    stdout: str
    stderr: str

    @property
    def complaint(self):
        """The one line that says why it ended, or Typer's text."""
        lines = [line for line in self.stderr.splitlines() if not _is_warning(line)]
        return "\n".join(lines)

    @property
    def warnings(self):
        """The lines of warnings."""
        return [line for line in self.stderr.splitlines() if _is_warning(line)]


def _is_warning(line):
    is_note = line.startswith(("fastbp: warning: ", "fastbp: note: "))
    return is_note or bool(STEP.fullmatch(f"{line}\n"))


class Bench:
    """Runs commands in a folder, and judges how they end.

    Parameters
    ----------
    folder : pathlib.Path
        Where they run; the working folder.
    capfd, monkeypatch
        The fixtures: what native code says counts too.
    """

    def __init__(self, folder, capfd, monkeypatch):
        self.folder, self._capfd, self._monkeypatch = folder, capfd, monkeypatch
        monkeypatch.chdir(folder)

    def put(self, name, content):
        """Write a file of the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def run(self, *arguments):
        """Run the command in this process; an exception that escapes fails the test."""
        self._monkeypatch.setattr(sys, "argv", ["fastbp", *map(str, arguments)])
        self._capfd.readouterr()
        code, started = DONE, time.monotonic()
        with _deadline():
            try:
                _main()
            except SystemExit as end:
                code = end.code or DONE
        seconds = time.monotonic() - started
        stdout, stderr = self._capfd.readouterr()
        assert seconds < MOST_SECONDS, f"{arguments} took {seconds:.1f} s"
        return Outcome(int(code), stdout, stderr)

    def judge(self, *arguments, output=None, codes=(USAGE, BAD_DATA), words=(), changes=()):
        """Run a command, check that it ends as it should, and return its `Outcome`.

        Parameters
        ----------
        output : str, optional
            The file that it writes; one is there before.
        codes : tuple of int
            The codes that it may end with.
        words : sequence of str
            What its line must hold, upper or lower case; of ``one|another`` either will do.
        changes : sequence of str
            The folders in which it may change files.
        """
        if output is not None:
            self.put(output, BEFORE)
            arguments = (*arguments, "-o", output)
        before = contents(self.folder, changes)
        outcome = self.run(*arguments)
        told = f"{arguments}: {outcome.code}\n{outcome.stderr}"
        assert outcome.code in codes, told
        _check_lines(outcome, told, _LONGEST_LINE + max(map(len, arguments)))
        text = outcome.complaint.lower()
        for word in words:
            either = word.lower().split("|")
            assert any(choice in text for choice in either), f"{word!r} is not in: {told}"
        after = contents(self.folder, changes)
        if outcome.code == DONE and output is not None:
            assert after.pop(output) != before.pop(output), told
        assert after == before, told
        if outcome.code in (FAILED, BAD_DATA, DIVERGED):
            self._judge_json(arguments, outcome, before)
        return outcome

    def _judge_json(self, arguments, expected, before):
        outcome = self.run(*arguments, "--log", "json")
        assert outcome.code == expected.code
        assert _steady(outcome.complaint.strip()) == _steady(expected.complaint)
        *_, last = [json.loads(line) for line in outcome.stdout.splitlines()]
        assert last["event"] == "error"
        assert last["code"] == expected.code
        assert f"fastbp: {last['message']}" == outcome.complaint.strip()
        assert contents(self.folder) == before


def _steady(line):
    """Return a line without how much memory is free, which is another in each run."""
    return re.sub(r"\S+ [GM]iB are free", "some are free", line)


def _check_lines(outcome, told, longest):
    """Check that stderr holds one line beside warnings, or Typer's text, and no traceback."""
    for sign in ("Traceback", "panicked", "RUST_BACKTRACE", "site-packages", "Error:  "):
        assert sign not in outcome.stderr, told
    complaint = outcome.complaint
    if outcome.code == DONE:
        assert complaint == "", told
    elif outcome.code == USAGE and complaint.startswith("Usage: "):
        assert "Error: " in complaint, told
    else:
        assert complaint.startswith("fastbp: "), told
        assert complaint.count("\n") == 0, told
    for line in outcome.stderr.splitlines():
        assert line.isprintable(), told
        assert len(line) < longest, told


def contents(folder, but=()):
    """Return what each file below a folder holds; its time and length if it is large or secret.

    What is below the folders of `but` does not count.
    """
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        status = path.lstat()
        is_small = path.is_file() and status.st_size < 1_000_000 and os.access(path, os.R_OK)
        content = path.read_bytes() if is_small else (status.st_size, status.st_mtime_ns)
        if path.relative_to(folder).parts[0] not in but:
            found[str(path.relative_to(folder))] = None if path.is_dir() else content
    return found


@contextlib.contextmanager
def _deadline():
    """End the whole run, and say where it hangs, where a test would go on for good."""
    faulthandler.dump_traceback_later(_DEADLINE, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _main():
    """Run the command line; the handlers of signals are those of the tests afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        main()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@cache
def model_content(target="y", *options):
    """Return the bytes of a model of the good table, which ``fastbp train`` made."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        data, model = Path(folder, "good.csv"), Path(folder, "m.safetensors")
        data.write_bytes(CSV)
        command = ["train", str(data), "--target", target, *TINY, *options, "-o", str(model)]
        patch.setattr(sys, "argv", ["fastbp", *command])
        with pytest.raises(SystemExit) as end:
            _main()
        assert not end.value.code
        return model.read_bytes()


TRAIN = ["train", "good.csv", "--target", "y", *TINY]


@pytest.fixture
def bench(tmp_path, capfd, monkeypatch):
    """Return a `Bench` whose folder holds a good table and a model of it."""
    made = Bench(tmp_path, capfd, monkeypatch)
    made.put("good.csv", CSV)
    made.put("m.safetensors", model_content())
    return made
