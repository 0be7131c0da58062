"""What commands say and how they end: events, lines, warnings, exit codes."""

import dataclasses
import json
import logging
import math
import os
import subprocess
import sys
import textwrap
import warnings
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
import typer

from command_line import command
from fastbp import DivergenceError, ModelFileError
from fastbp.commands.exits import Code, Ended, explain, guarded
from fastbp.commands.log import Log, Mode, listening, plain
from fastbp.errors import DataError


class Colour(Enum):
    red = "r"


@dataclasses.dataclass
class Point:
    x: float
    name: str


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, None),
        (-math.inf, None),
        (np.float32(0.5), 0.5),
        (np.int64(2**62), 2**62),
        (np.bool_(True), True),
        (np.array([[1.0, np.inf]]), [[1.0, None]]),
        ((1, "a", None), [1, "a", None]),
        ({"b", "a"}, ["a", "b"]),
        ({1: Path("x/y")}, {"1": "x/y"}),
        (Colour.red, "r"),
        (Point(math.nan, "p"), {"x": None, "name": "p"}),
        (date(2024, 2, 29), "2024-02-29"),
        ("\udcff", "\\udcff"),  # a byte of a file's name that is no UTF-8
    ],
)
def test_values_become_what_strict_json_has(value, expected):
    result = plain(value)
    assert result == expected and type(result) is type(expected)
    json.dumps(result, allow_nan=False).encode()


def test_what_has_no_plain_form_is_refused():
    with pytest.raises(TypeError, match="object"):
        plain(object())


def _events(text):
    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def test_an_event_is_one_line_with_its_kind_and_its_time_in_utc(capsys):
    Log(Mode.json).event("saved", "saved it", path=Path("a\nb"), loss=math.nan, name="n")
    (event,) = _events(capsys.readouterr().out)
    moment = datetime.fromisoformat(event.pop("time"))
    assert moment.utcoffset() == timedelta(0)
    assert abs(datetime.now(timezone.utc) - moment) < timedelta(minutes=1)
    assert event == {"event": "saved", "path": "a\nb", "loss": None, "name": "n"}


def test_text_mode_prints_the_lines_and_json_mode_does_not(capsys):
    for mode in Mode:
        log = Log(mode)
        log.text("for people", 3)
        log.event("quiet", loss=1.0)
        log.event("loud", "said")
    text, *events = capsys.readouterr().out.partition("said\n")[0::2]
    assert text == "for people\n3\n"
    assert [event["event"] for event in _events(events[0])] == ["quiet", "loud"]


ENTRY = {"epoch": 0, "loss": 0.25, "val_loss": math.nan, "val_accuracy": 0.5, "seconds": 1.5}


def test_epochs_are_counted_from_1_and_keep_all_their_numbers(capsys):
    Log(Mode.json).epoch(ENTRY)
    (event,) = _events(capsys.readouterr().out)
    assert event["event"] == "epoch"
    expected = {**ENTRY, "epoch": 1, "val_loss": None}
    assert {key: event[key] for key in expected} == expected


def test_an_epoch_in_text_is_one_line_with_what_it_has(capsys):
    Log().epoch(ENTRY)
    line = "epoch 1: loss 0.25000, val loss nan, val accuracy 0.5000, time 1.5 s\n"
    assert capsys.readouterr().out == line


@pytest.mark.parametrize("mode", list(Mode))
def test_warnings_of_the_library_and_of_python_are_heard(capsys, mode):
    with listening(mode):
        warnings.simplefilter("always")
        logging.getLogger("fastbp.tables").warning("two\nlines of %s", "it")
        logging.getLogger("fastbp.tables").info("so it is")
        logging.getLogger("fastbp.checkpoints").info("not heard")
        logging.getLogger("fastbp").debug("not heard")
        warnings.warn("of Python", RuntimeWarning, stacklevel=1)
    out, err = capsys.readouterr()
    if mode == Mode.text:
        lines = ["warning: two lines of it", "note: so it is", "warning: of Python"]
        assert (out, err) == ("", "".join(f"fastbp: {line}\n" for line in lines))
    else:
        heard = [(event["event"], event["message"]) for event in _events(out)]
        notes = [("note", "so it is")]
        assert heard == [("warning", "two lines of it"), *notes, ("warning", "of Python")]
        assert err == ""


def test_a_log_that_is_closed_hears_no_more(capsys):
    handlers, show = list(logging.getLogger("fastbp").handlers), warnings.showwarning
    with listening(Mode.text):
        assert logging.getLogger("fastbp").handlers != handlers
    assert logging.getLogger("fastbp").handlers == handlers
    assert warnings.showwarning is show


def test_progress_is_silent_where_stderr_is_no_terminal(capsys):
    with Log().progress(3) as bar:
        bar.update(2)
    assert capsys.readouterr() == ("", "")


EXPECTED_ERRORS = [
    (DataError("a.csv: empty"), 3, "a.csv: empty"),
    (ModelFileError("m: truncated"), 3, "m: truncated"),
    (DivergenceError("loss is not finite", 0, 1), 4, "loss is not finite"),
    (OSError(28, "No space left on device", "out.csv"), 1, "out.csv: No space left on device"),
    (OSError("x is not a regular file"), 1, "x is not a regular file"),
    (MemoryError(), 1, "not enough memory"),
    (KeyboardInterrupt(), 130, "interrupted"),
    (Ended(Code.PREEMPTED, "stopped: resume it"), 75, "stopped: resume it"),
    (ModuleNotFoundError("No module", name="polars.x"), 2, "pip install 'fastbp[cli]'"),
    (ModuleNotFoundError("No module", name="sklearn"), 2, "pip install 'fastbp[sklearn]'"),
    (ImportError("Numba needs NumPy 2.3 or less"), 1, "Numba needs NumPy 2.3 or less"),
]


@pytest.mark.parametrize(
    ("error", "code", "words"), EXPECTED_ERRORS, ids=[repr(e) for e, *_ in EXPECTED_ERRORS]
)
def test_an_expected_error_is_its_code_and_one_line(capsys, error, code, words):
    for mode in Mode:
        with pytest.raises(typer.Exit) as end, guarded(mode):
            raise error
        assert end.value.exit_code == code
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert first.startswith("fastbp: ") and first.endswith(words) and second == first
    (event,) = _events(out)
    assert (event["event"], event["code"]) == ("error", code)
    assert first == f"fastbp: {event['message']}"


def test_the_line_of_an_error_with_several_lines_is_one(capsys):
    with pytest.raises(typer.Exit), guarded(Mode.text):
        raise DataError("row 3:\n  'x'\tis no number")
    assert capsys.readouterr().err == "fastbp: row 3: 'x' is no number\n"


@pytest.mark.parametrize(
    "bug", [ValueError("v"), KeyError("k"), ModuleNotFoundError("no fastbp.x", name="fastbp.x")]
)
def test_a_bug_keeps_its_traceback(bug):
    assert explain(bug) is None
    with pytest.raises(type(bug)) as raised, guarded(Mode.text):
        raise bug
    assert raised.value is bug


def _command(body):
    """Run a guarded `body`, with `out` its log, in a process."""
    code = f"""
import sys, typer
from fastbp.commands.exits import guarded
app = typer.Typer()
@app.command()
def main(mode: str):
    with guarded(mode) as out:
{textwrap.indent(body, 8 * " ")}
app()
"""
    return [sys.executable, "-c", code]


posix = pytest.mark.skipif(sys.platform == "win32", reason="no such pipes and devices there")


@pytest.mark.slow
@posix
@pytest.mark.parametrize("body", ["out.text('x' * 999)", "print('x' * 9_999_999)", "print('x')"])
def test_a_reader_that_leaves_ends_the_command_quietly(tmp_path, body):
    reading, writing = os.pipe()
    os.close(reading)  # as `| head -0` does
    done = subprocess.run(
        [*_command(body), "text"], stdout=writing, stderr=subprocess.PIPE, cwd=tmp_path, text=True
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize(
    "body", ["out.event('x', 'x')", "print('x')", "raise MemoryError"], ids=str.split
)
@pytest.mark.parametrize("mode", ["text", "json"])
def test_a_full_disk_under_stdout_is_one_line_and_1(tmp_path, body, mode):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*_command(body), mode], stdout=full, stderr=subprocess.PIPE, cwd=tmp_path, text=True
        )
    assert done.returncode == 1
    reason = "not enough memory" if "Memory" in body else os.strerror(28)
    assert done.stderr == f"fastbp: {reason}\n"


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize(
    ("words", "code", "out"),
    [
        (
            ("train", "digits", "--preset", "fast", "--epochs", 1, "-o", "model"),
            0,
            "saved to model",
        ),
        (("info", "gone.safetensors"), 3, ""),
        (("info", "--gone"), 2, ""),
    ],
    ids=["done", "failed", "misused"],
)
def test_a_full_disk_under_stderr_neither_ends_the_work_nor_changes_its_code(
    tmp_path, words, code, out
):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command(*words), stdout=subprocess.PIPE, stderr=full, cwd=tmp_path, text=True
        )
    assert done.returncode == code
    assert out in done.stdout and bool(done.stdout) is bool(out)


@pytest.mark.slow
def test_letters_that_stdout_lacks_are_escaped(tmp_path):
    done = subprocess.run(
        [*_command("out.text('gr\\u00fcn \\udcff')"), "text"],
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stdout.split()) == (0, [b"gr\\xfcn", b"\\udcff"])
