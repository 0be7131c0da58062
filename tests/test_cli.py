"""The command, run as a user runs it."""

import re
import subprocess
import sys

import pytest

from fastbp import Network


def _fastbp(*arguments, folder):
    done = subprocess.run(
        [sys.executable, "-m", "fastbp", *arguments],
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
        (["learn"], ["learn"]),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what(tmp_path, arguments, words):
    done = _fastbp(*arguments, folder=tmp_path)
    assert done.returncode == 2
    for word in words:
        assert word in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_help_shows_an_example(tmp_path):
    done = _fastbp("train", "--help", folder=tmp_path)
    assert done.returncode == 0
    assert "fastbp train digits" in done.stdout
    assert _fastbp("--version", folder=tmp_path).stdout.startswith("fastbp ")
