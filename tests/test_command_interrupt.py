"""Ctrl-C where Python can raise nothing ends a command all the same, and once."""

import signal
import subprocess
import sys
import time

import pytest

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


@pytest.mark.slow
def test_a_command_that_ends_meanwhile_is_left_alone(tmp_path):
    assert ended(tmp_path, first=30, then=0)[:2] == (0, "")
