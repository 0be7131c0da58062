"""Commands in a working folder that is gone."""

import pytest

from command_line import fastbp

DIGITS = ("train", "digits", "--preset", "fast", "--epochs", 1, "--hidden", 2)


@pytest.fixture(autouse=True)
def in_a_folder_that_is_gone(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()


def test_a_model_is_trained_and_saved_elsewhere(tmp_path):
    done = fastbp(*DIGITS, "-o", tmp_path / "model.safetensors")
    assert done.code == 0, done.err
    assert (tmp_path / "model.safetensors").exists()
    assert fastbp(*DIGITS).code == 0  # nothing is to be written


@pytest.mark.parametrize("option", ["--output", "--checkpoint"])
def test_what_would_be_written_there_is_named(option):
    done = fastbp(*DIGITS, option, "kept")
    assert done.code == 2
    assert f"{option} kept: the working folder is gone; give a path that begins" in done.complaint
