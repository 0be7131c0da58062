"""What tests of commands share: a messy table, and commands in this process or another."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
from typer.testing import CliRunner

from fastbp.commands.app import app


def people(rows=400, seed=0):
    """Return a table with missing values, text, dates, an id, a constant and two targets.

    `income` depends on `age` and `city`; `rich` says "rich" where it is above 40,000.
    """
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, rows)
    city = rng.choice(["Rome", "Oslo", "São Paulo", "New, York"], rows)
    income = age * 500.0 + (city == "Oslo") * 20_000 + rng.normal(0, 2000, rows)
    known = rng.random(rows) > 0.05
    return pl.DataFrame(
        {
            "person_id": [f"p{n:06d}" for n in range(rows)],
            "age": [int(a) if k else None for a, k in zip(age, known, strict=True)],
            "zip": rng.choice([100, 200, 300], rows),
            "city": city,
            "joined": [
                date(2020, 1, 1) + timedelta(days=int(n)) for n in rng.integers(0, 999, rows)
            ],
            "member": rng.choice(["yes", "no", ""], rows, p=[0.6, 0.3, 0.1]),
            "country": ["IT"] * rows,
            "income": income.round(2),
            "rich": np.where(income > 40_000, "rich", "poor"),
        }
    )


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def events(self):
        """What it said with ``--log json``: every line is one strict JSON object."""
        return events(self.out)

    @property
    def complaint(self):
        """The one line in which it says why it failed."""
        lines = [line for line in self.err.splitlines() if line.startswith(("fastbp: ", "Error: "))]
        assert len(lines) == 1, self.err
        return lines[0]


def events(text):
    """Return the objects in lines of strict JSON."""

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    found = [json.loads(line, parse_constant=refuse) for line in text.splitlines()]
    assert all({"event", "time"} <= event.keys() for event in found)
    return found


# what a command says of a step that takes longer than half a second, on a machine that is busy
STEPS = (
    "starting loading reading counting looking drawing encoding training fold scoring predicting "
    "permuting measuring compiling examining writing unpacking decoding rewriting fetching finding"
)
STEP = re.compile(rf"fastbp: ({'|'.join(STEPS.split())})\b.*\n")


def fastbp(*arguments):
    """Run a command in this process; a bug raises."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def command(*arguments, before=""):
    """Return what runs a command in a process, where need be after a statement."""
    code = f"import sys; {before}; from fastbp.cli import main; main()"
    start = ["-c", code] if before else ["-m", "fastbp"]
    return [sys.executable, *start, *map(str, arguments)]


def in_a_process(*arguments, folder, before="", **env):
    """Run a command in a process of its own; see `command`. Its steps are not in `err`."""
    done = subprocess.run(
        command(*arguments, before=before),
        capture_output=True,
        cwd=folder,
        timeout=300,
        env={**os.environ, **env},
        text=True,
        encoding="utf-8",
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout, STEP.sub("", done.stderr))
