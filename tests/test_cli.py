"""The command, run as a user runs it."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from fastbp import Network


def _fastbp(*arguments, folder, before=""):
    """Run the command in a process, where need be after a statement that changes something."""
    code = f"import sys; {before}; from fastbp.cli import main; main()"
    done = subprocess.run(
        [sys.executable, *(["-c", code] if before else ["-m", "fastbp"]), *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=300,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.slow
def test_digits_are_learned_and_the_model_is_saved(tmp_path):
    done = _fastbp("train", "digits", "-o", "digits.safetensors", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    accuracy = float(re.search(r"test accuracy ([\d.]+)%", done.stdout).group(1))
    assert accuracy >= 97
    for word in ("samples/s", "GFLOP/s", "of peak", "seconds", "peak"):
        assert word in done.stdout
    assert Network.load(tmp_path / "digits.safetensors").weights[0].shape == (64, 100)
    assert [path.name for path in tmp_path.iterdir()] == ["digits.safetensors"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "digit"], ["digit", "digits"]),
        (["train", "digits", "--threads", "0"], ["threads", "0"]),
        (["train", "digits", "--epochs", "0"], ["epochs", "1"]),
        (["train", "digits", "--seed", str(2**63)], ["seed"]),
        (["train", "digits", "-o", "no/such/folder/model"], ["folder"]),
        (["train", "digits", "-o", "."], ["regular", "file"]),
        (["train", "digits", "-o", os.devnull], ["regular", "file"]),
        (["learn"], ["learn"]),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what(tmp_path, arguments, words):
    done = _fastbp(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert not done.stdout  # nothing is trained before
    for word in words:
        assert word in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "status", "words"),
    [
        ("sys.modules['typer'] = None", 2, ["fastbp[cli]"]),
        ("sys.modules['sklearn'] = None", 1, ["digits needs scikit-learn", "fastbp[sklearn]"]),
        ("import fastbp as f; A = f.Adam; f.Adam = lambda rate: A(1e38)", 4, ["not finite"]),
    ],
    ids=["no typer", "no scikit-learn", "divergence"],
)
def test_what_goes_wrong_has_a_status_and_a_message(tmp_path, before, status, words):
    done = _fastbp("train", "digits", "-o", "model", folder=tmp_path, before=before)
    assert done.returncode == status, done.stderr
    for word in words:
        assert word in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_model_that_cannot_be_saved_exits_with_1_and_says_why(tmp_path):
    name = "m" * 300  # longer than any file system takes
    done = _fastbp("train", "digits", "--epochs", "1", "-o", name, folder=tmp_path)
    assert done.returncode == 1
    assert f"fastbp: cannot save to {name}: " in done.stderr
    assert "test accuracy" in done.stdout


def _interrupted(after, folder, wait=0.0, **env):
    """Return status, output and errors of a long training that gets Ctrl-C `after` some output."""
    arguments = ["train", "digits", "--epochs", "9999999", "-o", "model"]
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "fastbp", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={**os.environ, **env},
    ) as process:
        try:
            output = b""
            while not re.search(after, output):
                output += process.stdout.read(1) or pytest.fail("it ended too early")
            time.sleep(wait)
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, (output + rest).decode(), errors.decode()


not_windows = pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")


@pytest.mark.slow
@not_windows
def test_an_interrupt_of_the_training_saves_it_and_exits_with_130(tmp_path):
    status, output, errors = _interrupted(rb"\.\.\. .* s\n", tmp_path, wait=1)
    assert (status, errors) == (130, "")
    assert "stopped by interrupted" in output
    assert Network.load(tmp_path / "model").weights[0].shape == (64, 100)


@pytest.mark.slow
@not_windows
def test_an_interrupt_of_the_first_fit_ends_the_command_with_130(tmp_path):
    # with no kernel in the cache it takes seconds, and is sure to be met
    cache = {"FASTBP_CACHE_DIR": str(tmp_path / "cache")}
    status, output, errors = _interrupted(rb"kernels \.\.\.", tmp_path, **cache)
    assert (status, errors.strip()) == (130, "fastbp: interrupted")
    assert "epoch" not in output
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_help_shows_an_example(tmp_path):
    done = _fastbp("train", "--help", folder=tmp_path)
    assert done.returncode == 0
    assert "fastbp train digits" in done.stdout
    assert "Any" not in done.stdout
    for word in ("DATA", "THREADS", "FILE"):
        assert word in done.stdout
    assert _fastbp("--version", folder=tmp_path).stdout.startswith("fastbp ")


@pytest.mark.slow
def test_warmup_says_what_it_compiled_and_where(tmp_path):
    before = f"import os; os.environ['FASTBP_CACHE_DIR'] = {str(tmp_path / 'cache')!r}"
    done = _fastbp("warmup", folder=tmp_path, before=before)
    assert done.returncode == 0, done.stderr
    for word in ("compiled train x", "compiled rows_task", "0 there before", str(tmp_path)):
        assert word in done.stdout
    again = _fastbp("warmup", folder=tmp_path, before=before)
    assert again.stdout.startswith("0 compiled")


def test_warmup_refuses_a_dtype_it_does_not_know(tmp_path):
    done = _fastbp("warmup", "--dtype", "float16", folder=tmp_path)
    assert done.returncode == 2 and "float32" in done.stderr
