"""Ctrl-C and SIGTERM where Python raises something else, or nothing, end a command all the same."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from command_line import STEP, command, in_a_process, people
from fastbp import Network

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


# what is met where a class is made, which Python before 3.12 wraps in a RuntimeError; in a
# destructor, where it is lost; and in a library that drops it and raises an error of its own,
# which may be one that commands expect
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
        time.sleep(300)
    """,
    "a library": """
        try:
            signal.raise_signal({number})
        except BaseException:
            pass
        raise OSError("no such type")
    """,
    "polars": """
        import polars as pl
        class Type:
            def __repr__(self):
                signal.raise_signal({number})
        pl.Series([1]).cast(Type())
    """,
}


_TOLD = [
    (signal.SIGINT, (), 130, "interrupted"),
    (signal.SIGTERM, (), 143, "give it --checkpoint DIR"),
    (signal.SIGTERM, ("--checkpoint", "ck"), 75, "run it again with --resume"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "number", "more", "code", "words"),
    # one after the other in turn, and all of what Python loses
    [(place, *_TOLD[n % 3]) for n, place in enumerate(_MET)]
    + [("a destructor", *told) for told in _TOLD if told != _TOLD[1]],
)
def test_a_signal_is_told_wherever_it_is_met(tmp_path, place, number, more, code, words):
    people(60).write_csv(tmp_path / "people.csv")
    met = textwrap.dedent(_MET[place]).format(number=int(number))
    # as the command is read, in place of what reads the table
    before = (
        "import signal, time, fastbp.tables.job as job; "
        f"job.Job.schema = property(lambda self: exec({met!r}, globals()))"
    )
    done = subprocess.run(
        command("train", "people.csv", "--target", "rich", *more, before=before),
        capture_output=True,
        cwd=tmp_path,
        text=True,
        timeout=200,
    )
    assert done.returncode == code, done.stderr
    # where it takes more than a second to start, it says so
    told = done.stderr.removeprefix("fastbp: starting\n")
    assert told.count("\n") == 1 and words in told


_ENDS = {signal.SIGINT: (130, "interrupted"), signal.SIGTERM: (143, "terminated")}
# where a signal may come before a command itself looks for it
_EARLY = {
    "an import": """
        class Finder:
            def find_spec(name, path, target=None):
                if name == "typer":
                    signal.raise_signal({number})
        sys.meta_path.insert(0, Finder)
    """,
    "reading options": """
        import fastbp.commands.values as values
        values._file_fault = lambda path: signal.raise_signal({number})
    """,
    "the command": """
        import fastbp.exports.c as c
        c.to_c = lambda *given, **more: signal.raise_signal({number})
    """,
}


@pytest.mark.slow
@pytest.mark.parametrize("number", _ENDS)
@pytest.mark.parametrize("place", _EARLY)
def test_a_command_ends_with_one_line_wherever_it_is(tmp_path, place, number):
    Network([2, 2]).save(tmp_path / "net")
    met = textwrap.dedent(_EARLY[place]).format(number=int(number))
    done = in_a_process(
        *("export", "net", "-o", "net.c"),
        folder=tmp_path,
        before=f"import signal; exec({met!r}, globals())",
    )
    code, word = _ENDS[number]
    assert (done.code, done.out, done.err) == (code, "", f"fastbp: {word}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
@pytest.mark.parametrize("number", _ENDS)
def test_a_warm_up_of_another_folder_ends_the_process_that_compiles(tmp_path, number):
    with subprocess.Popen(
        command("warmup", "--to", "cache"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        text=True,
        start_new_session=True,
    ) as process:
        while not list(tmp_path.glob("cache/*/*.bin")):
            assert process.poll() is None
            time.sleep(0.05)
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.killpg(process.pid, number)  # as a terminal does
        output, errors = process.communicate(timeout=60)
    code, word = _ENDS[number]
    assert (process.returncode, output) == (code, "")
    assert STEP.sub("", errors) == f"fastbp: {word}\n"
    assert not Path("/proc", child).exists()


@pytest.mark.slow
@pytest.mark.parametrize("words", [("--help",), ("train", "--help"), ("--version",)])
def test_a_reader_that_is_gone_is_no_error(tmp_path, words):
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes) as gone:
        done = subprocess.run(command(*words), stdout=gone, stderr=subprocess.PIPE, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.slow
def test_a_command_that_ends_meanwhile_is_left_alone(tmp_path):
    assert ended(tmp_path, first=30, then=0)[:2] == (0, "")
