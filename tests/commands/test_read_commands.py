"""What commands say of the files that they read, and what settles it."""

import gzip
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from command_line import command, fastbp

ROWS = 60
RNG = np.random.default_rng(5)
X = RNG.normal(size=ROWS).round(3)
FRAME = pl.DataFrame({"y": (2 * X).round(2), "x": X, "place": ["Tromsø", "Málaga"] * 30})
FEW = ("--epochs", 2, "--hidden", 4)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Run in a folder that holds rows.csv."""
    monkeypatch.chdir(tmp_path)
    FRAME.write_csv("rows.csv")
    return tmp_path


def trained(*arguments):
    done = fastbp("train", *arguments, *FEW, "-o", "model")
    assert done.code == 0, done.err
    return done


def notes(text):
    return [line for line in text.splitlines() if line.startswith("fastbp: ")]


def test_plain_files_need_no_words():
    assert notes(trained("rows.csv", "--target", "y").err) == []


def test_what_is_told_of_a_file_is_said_once():
    text = "# exported\n" + FRAME.write_csv(separator=";")
    Path("odd.txt").write_bytes(gzip.compress(text.encode("cp1252")))
    assert notes(trained("odd.txt", "--target", "y").err) == [
        "fastbp: warning: odd.txt: not UTF-8: read as cp1252, which is likely; "
        "--encoding settles it",
        "fastbp: note: odd.txt: fields are separated by ';'",
        "fastbp: warning: odd.txt: 1 line before the table left out; --skip-rows settles it",
    ]
    options = ("--encoding", "cp1252", "--separator", ";", "--skip-rows", 1)
    assert notes(trained("odd.txt", "--target", "y", *options).err) == []
    done = fastbp("evaluate", "model", "odd.txt", *options)
    assert done.code == 0 and notes(done.err) == []
    assert (
        done.out.partition(": ")[2]
        == fastbp("evaluate", "model", "rows.csv").out.partition(": ")[2]
    )


def test_json_has_events_for_what_is_said():
    Path("odd.csv").write_text(FRAME.write_csv(include_header=False, separator=";"))
    done = trained("odd.csv", "--target", "column_1", "--log", "json")
    told = (event for event in done.events if "message" in event)
    said = [(event["event"], event["message"]) for event in told]
    assert [event for event, _ in said] == ["note", "warning"]
    assert "no header: columns are called 'column_1', 'column_2' and 1 more; --header" in said[1][1]


def test_info_says_that_there_was_no_header():
    FRAME.write_csv("bare.csv", include_header=False)
    trained("bare.csv", "--target", "column_1")
    assert "its table had no header" in fastbp("info", "model").out
    (event,) = fastbp("info", "model", "--log", "json").events
    names = ["column_1", "column_2", "column_3"]
    assert event["reading"] == {"header": False, "columns": names}


def test_a_header_is_settled_by_options_and_files_of_options():
    Path("words.csv").write_text("a,b\nc,d\n" * 20 + "a,d\nc,b\n" * 20)
    Path("job.toml").write_text("[train]\nheader = true\n")
    assert trained("words.csv", "--target", "column_1") and trained(
        "words.csv", "--target", "a", "--header"
    )
    assert trained("words.csv", "--target", "a", "--config", "job.toml")
    assert trained("words.csv", "--target", "column_2", "--config", "job.toml", "--no-header")
    done = fastbp("predict", "model", "words.csv")
    assert done.code == 0 and len(done.out.splitlines()) == 81


def test_pipes_go_in_and_out(folder):
    trained("rows.csv", "--target", "y")
    content = gzip.compress(FRAME.write_csv().encode())
    model, predict, evaluate = (
        subprocess.run(command(*arguments), input=content, capture_output=True, check=True)
        for arguments in (
            ("train", "-", "--target", "y", *FEW, "-o", "piped"),
            ("predict", "model", "-"),
            ("evaluate", "piped", "-"),
        )
    )
    assert b"60 rows" in model.stdout
    assert predict.stdout.decode() == fastbp("predict", "model", "rows.csv").out
    assert evaluate.stdout.startswith(b"standard input: ")
    assert Path("piped").read_bytes() != b""


@pytest.mark.parametrize("output", ["scored.csv", "scored.parquet"])
def test_no_rows_give_a_file_with_a_header(output):
    trained("rows.csv", "--target", "y")
    FRAME[:0].write_csv("none.csv")
    assert fastbp("predict", "model", "none.csv", "-o", output).code == 0
    read = pl.read_csv if output.endswith("csv") else pl.read_parquet
    assert read(output).columns == ["row", "prediction"] and not len(read(output))
    assert fastbp("predict", "model", "none.csv").out == "row,prediction\n"
    done = fastbp("train", "none.csv", "--target", "y")
    assert done.code == 3 and "none.csv has no rows" in done.complaint


WRONG = {
    "--separator ab": "--separator ab: expected one character",
    "--encoding utf-9": "--encoding utf-9: expected an encoding such as",
    "--encoding rot13": "--encoding rot13: expected an encoding such as",
    "--skip-rows -1": "--skip-rows -1: expected a whole number of at least 0",
}


@pytest.mark.parametrize("options, words", WRONG.items())
def test_options_say_what_they_take(options, words):
    trained("rows.csv", "--target", "y")
    for begin in (("train", "rows.csv", "--target", "y"), ("predict", "model", "rows.csv")):
        done = fastbp(*begin, *options.split())
        assert done.code == 2 and words in done.complaint
