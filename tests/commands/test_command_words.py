"""Words of all commands: quiet, steps that take long, and options in the command's spelling."""

import re
import threading
import time
from pathlib import Path

import polars as pl
import pytest

import fastbp as library
from command_line import fastbp, in_a_process
from fastbp.commands import log
from fastbp.commands.app import app
from fastbp.commands.spelling import spelled
from kernel_scripts import FILL
from people_trained import BASE, PEOPLE, enter, trained


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Run in a folder that holds people.csv."""
    return enter(tmp_path, monkeypatch)


# -------------------------------------------------------------------------------- quiet


def test_a_quiet_training_prints_nothing_and_saves_the_same_model():
    model = trained()
    for options in (("--quiet",), ("-q", "--log", "json")):
        done = fastbp(*BASE, "-o", "quiet", *options)
        assert (done.code, done.out, done.err) == (0, "", "")
        assert library.TableModel.load("quiet").fingerprint == model.fingerprint


def test_a_quiet_command_prints_what_it_was_asked_for_and_warnings_and_errors():
    trained()
    loud, quiet = (fastbp("evaluate", "model", "people.csv", *q) for q in ((), ("--quiet",)))
    assert quiet.out == loud.out != ""
    PEOPLE.with_columns(city=pl.lit("Bergen")).write_csv("strange.csv")
    done = fastbp("predict", "model", "strange.csv", "-o", "scored.csv", "--quiet")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("fastbp: warning: ") and "'city'" in done.err
    done = fastbp(*BASE, "--drop", "nothing", "-q")
    assert (done.code, done.out) == (3, "") and "'nothing'" in done.complaint


def test_a_file_of_options_may_ask_for_quiet():
    Path("job.toml").write_text("quiet = true")
    assert fastbp(*BASE, "--config", "job.toml").out == ""


# -------------------------------------------------------------------------------- steps


def steps(done):
    return re.findall(r"^fastbp: (\w+)", done.err, re.MULTILINE)


def test_a_step_is_told_before_it_takes_long(monkeypatch):
    before = fastbp(*BASE, "-o", "model")
    monkeypatch.setattr(log, "SOON", 0.0)
    done = fastbp(*BASE, "-o", "model")
    # with no wait each step is told, unless the next comes before its thread runs
    assert done.out.splitlines()[:3] == before.out.splitlines()[:3]
    assert set(steps(done)) & {"starting", "counting", "looking", "encoding", "training"}
    assert steps(fastbp("predict", "model", "people.csv", "-o", "scored.csv"))
    assert steps(fastbp("evaluate", "model", "people.csv"))
    for quiet in (("--quiet",), ("--log", "json")):
        assert steps(fastbp("evaluate", "model", "people.csv", *quiet)) == []


def test_a_step_that_is_over_soon_is_not_told(monkeypatch, capsys):
    monkeypatch.setattr(log, "SOON", 0.05)
    with log.listening(log.Mode.text) as out:
        out.step("one")
        out.step("two")
        out.text("a line")
    with log.listening(log.Mode.text) as out:
        out.step("three")
        for timer in threading.enumerate():
            if isinstance(timer, threading.Timer):
                timer.join()
    assert capsys.readouterr() == ("a line\n", "fastbp: three\n")


def test_a_step_is_told_once(monkeypatch, capsys):
    monkeypatch.setattr(log, "SOON", 0.0)
    with log.listening(log.Mode.text) as out:
        for step in ("one", "two", "one", "one", "three"):
            out.step(step)
            time.sleep(0.05)
    assert capsys.readouterr().err.splitlines()[-3:] == [
        f"fastbp: {step}" for step in ("one", "two", "three")
    ]


@pytest.mark.slow
def test_compiling_is_told_where_no_kernel_is_in_the_cache(folder):
    code = """
import logging
logging.basicConfig(level="INFO", format="%(message)s")
"""
    before = f"exec({code + FILL!r}); raise SystemExit"
    begun = "compiling kernels, once: about 8 s\n"
    told = []
    for _ in range(2):
        done = in_a_process(folder=folder, before=before, FASTBP_CACHE_DIR=str(folder / "cache"))
        assert done.code == 0
        told.append(begun in done.err)
    assert told == [True, False]


# ----------------------------------------------------------------------------- spelling


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("loss='hubr': expected huber", "--loss 'hubr': expected huber"),
        ("give more rows, or valid_share=0", "give more rows, or --valid-share 0"),
        ("categorical= and numeric= keep it", "--categorical and --numeric keep it"),
        ("say n_threads=1, or ids=['a']", "say --threads 1, or --id ['a']"),
        ("give missing='Do, you?', or say ids='a'", "give --missing 'Do, you?', or say --id 'a'"),
        ("where `valid` gives them", "where --valid gives them"),
        ("resume: epochs was 5, and is 6", "--resume: --epochs was 5, and is 6"),
        ("a column 'target=1' and \"task=2\"", "a column 'target=1' and \"task=2\""),
        ("data/target=1/part.csv has no rows", "data/target=1/part.csv has no rows"),
        ("the model's task is its user's task", "the model's task is its user's task"),
        ("other=1 is no option, nor `other`", "other=1 is no option, nor `other`"),
    ],
)
def test_options_in_messages_are_spelled_as_they_are_typed(message, expected):
    assert app and spelled(message) == expected


def test_a_table_without_inputs_is_told_the_options_of_who_asks():
    pl.DataFrame({"key_id": range(1, 31), "y": [0.5 * n for n in range(30)]}).write_csv("ids.csv")
    with pytest.raises(library.DataError, match=r"categorical= and numeric= keep"):
        library.train("ids.csv", "y")
    complaint = fastbp("train", "ids.csv", "--target", "y").complaint
    assert "--categorical and --numeric keep" in complaint and "=" not in complaint


def test_an_option_of_python_is_spelled_in_a_refusal_of_the_rows():
    PEOPLE.head(2).write_csv("two.csv")
    done = fastbp("train", "two.csv", "--target", "income", "--valid-share", 0.9)
    assert done.code == 3 and "or --valid-share 0" in done.complaint


# ------------------------------------------------------------------------ errors as JSON


@pytest.mark.parametrize(
    "arguments",
    [
        (*BASE, "--epochs", "0"),
        (*BASE, "--epochz", "3"),
        ("train",),
        ("lern",),
        ("predict", "none", "people.csv"),
        (*BASE, "--class-weight", "balanced", "--target", "income", "--drop", "rich"),
    ],
)
@pytest.mark.parametrize("form", [["--log", "json"], ["--log=json"]])
def test_every_error_is_an_event_where_json_is_asked_for(arguments, form):
    done = fastbp(*arguments, *form)
    (event,) = done.events
    assert (event["event"], event["code"]) == ("error", done.code)
    assert done.err == f"fastbp: {event['message']}\n"


def test_a_file_of_options_may_ask_for_errors_as_json():
    Path("job.toml").write_text('log = "json"')
    done = fastbp(*BASE, "--config", "job.toml", "--epochs", "0")
    assert [event["event"] for event in done.events] == ["error"]


# --------------------------------------------------------------------------------- keep


def test_all_columns_may_be_kept():
    trained()
    done = fastbp("predict", "model", "people.csv", "--keep", "all", "-o", "scored.csv")
    assert done.code == 0
    scored = pl.read_csv("scored.csv")
    assert scored.columns[: PEOPLE.width] == PEOPLE.columns
    assert scored.columns[PEOPLE.width] == "prediction"
    table = pl.read_csv("people.csv")
    assert scored.select(PEOPLE.columns).equals(table)
    model = library.TableModel.load("model")
    for keep in ("all", ["all"], ["city", "all"]):
        assert model.predict(table, keep=keep).columns == scored.columns
    with_one = table.with_columns(all=pl.lit(1))
    assert "all" in model.predict(with_one, keep=["all"]).columns
    assert model.predict(table, keep="city").columns[:2] == ["person_id", "city"]
