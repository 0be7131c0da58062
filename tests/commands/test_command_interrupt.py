"""Ctrl-C and SIGTERM where Python raises something else, or nothing, end a command all the same."""

import signal
import subprocess
import sys
import textwrap
import time

import pytest

from command_line import command, people

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")

_LOST = """
import time, typer
from fastbp.commands.exits import guarded
from fastbp.commands.log import Mode

class Slow:
    def __del__(self):
        print("in it", flush=True)
        time.sleep({first})

def main():
    with guarded(Mode.text):
        thing = Slow()
        del thing
        time.sleep({then})

typer.run(main)
"""


def ended(folder, first, then):
    """Return code, errors and seconds of a command that is interrupted in a destructor."""
    with subprocess.Popen(
        [sys.executable, "-c", _LOST.format(first=first, then=then)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        text=True,
    ) as process:
        assert process.stdout.readline() == "in it\n"
        begin = time.perf_counter()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        return process.returncode, errors, time.perf_counter() - begin


@pytest.mark.slow
def test_an_interrupt_that_a_destructor_swallows_comes_again(tmp_path):
    code, errors, seconds = ended(tmp_path, first=30, then=30)
    assert (code, errors) == (130, "fastbp: interrupted\n")
    assert seconds < 20  # of the 60 that it would have slept


# what is met where a class is made, which Python before 3.12 wraps in a RuntimeError; and in a
# destructor, where it is lost
_MET = {
    "a class": """
        class Raises:
            def __set_name__(self, owner, name):
                signal.raise_signal({number})
        type("Made", (), {{"field": Raises()}})
    """,
    "a destructor": """
        class Dies:
            def __del__(self):
                signal.raise_signal({number})
        Dies()
        time.sleep(30)
    """,
}


@pytest.mark.slow
@pytest.mark.parametrize("place", _MET)
@pytest.mark.parametrize(
    ("number", "more", "code", "words"),
    [
        (signal.SIGINT, (), 130, "interrupted"),
        (signal.SIGTERM, (), 143, "give it --checkpoint DIR"),
        (signal.SIGTERM, ("--checkpoint", "ck"), 75, "run it again with --resume"),
    ],
)
def test_a_signal_is_told_wherever_it_is_met(tmp_path, place, number, more, code, words):
    people(60).write_csv(tmp_path / "people.csv")
    met = textwrap.dedent(_MET[place]).format(number=int(number))
    # as the command is read, in place of what reads the table
    before = (
        "import signal, time, fastbp.tables.job as job; "
        f"job.Job.schema = property(lambda self: exec({met!r}, globals()))"
    )
    begin = time.monotonic()
    done = subprocess.run(
        command("train", "people.csv", "--target", "rich", *more, before=before),
        capture_output=True,
        cwd=tmp_path,
        text=True,
        timeout=100,
    )
    assert done.returncode == code, done.stderr
    # where it takes more than a second to start, it says so
    told = done.stderr.removeprefix("fastbp: starting\n")
    assert told.count("\n") == 1 and words in told
    assert time.monotonic() - begin < 25


@pytest.mark.slow
def test_a_command_that_ends_meanwhile_is_left_alone(tmp_path):
    assert ended(tmp_path, first=30, then=0)[:2] == (0, "")
