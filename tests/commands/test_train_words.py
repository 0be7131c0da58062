"""``fastbp train``: its plan, its words, and what it refuses."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from command_line import command, events, fastbp, in_a_process, people
from fastbp import TableModel
from fastbp.commands import train as train_command
from people_trained import (
    BASE,
    FEATURES,
    HELD,
    PEOPLE,
    ROWS,
    enter,
    numbers_of,
    trained,
    without_target,
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Run in a folder that holds people.csv."""
    return enter(tmp_path, monkeypatch)


# ------------------------------------------------------------------------------------ the plan


def dry_run(*options):
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    done = fastbp(
        *BASE, "--dry-run", "-o", "model", "--checkpoint", "ck", "--log", "json", *options
    )
    assert done.code == 0, done.err
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before
    assert [event["event"] for event in done.events] == ["plan"], done.out
    return done.events[0]


def test_a_dry_run_writes_nothing_and_tells_what_would_be_done():
    plan = dry_run("--hidden", "30,20", "--batch-size", 16, "--epochs", 50)
    assert (plan["rows"], plan["train"], plan["valid"]) == (ROWS, ROWS - HELD, HELD)
    for name, count in PEOPLE["rich"].value_counts().iter_rows():
        assert abs(plan["classes"][name] - count * (ROWS - HELD) / ROWS) < 1
    assert sum(plan["classes"].values()) == ROWS - HELD
    assert plan["features"] == FEATURES
    layers = [(FEATURES, 30), (30, 20), (20, 2)]
    parameters = sum((n_in + 1) * n_out for n_in, n_out in layers)
    assert plan["parameters"] == parameters
    assert (plan["batch_size"], plan["steps_an_epoch"]) == (16, 20)
    # two operations a weight: forward, the gradient, and the deltas of all but the first layer
    weights = [n_in * n_out for n_in, n_out in layers]
    assert plan["flops_an_epoch"] == 320 * (2 * 3 * sum(weights) - 2 * weights[0])
    memory = plan["memory"]
    assert memory["rows"] == ROWS * (4 * FEATURES + 8)
    assert memory["scratch_file"] == 0
    activations = 16 * 4 * (FEATURES + 2 * (30 + 20 + 2))
    assert activations < memory["network"] - 4 * 4 * parameters < activations + 2**23
    assert plan["expected_seconds"] == pytest.approx(50 * plan["seconds_an_epoch"])


def test_a_plan_knows_the_scratch_file_and_the_limit_of_time():
    plan = dry_run("--memory", "10kB", "--max-time", "1ms", "--epochs", 10**9)
    assert plan["streamed"]
    assert plan["memory"]["scratch_file"] == (ROWS - HELD) * (4 * FEATURES + 8)
    assert plan["memory"]["rows"] == HELD * (4 * FEATURES + 8)
    assert plan["expected_seconds"] == 0.001
    plan = dry_run("--folds", 4)
    assert plan["expected_seconds"] == pytest.approx(3 * plan["seconds_an_epoch"] * 5)
    lines = fastbp(*BASE, "--search", 6, "--dry-run", "--log", "json").out.splitlines()
    plan = next(event for event in map(json.loads, lines) if event["event"] == "plan")
    assert plan["expected_seconds"] == pytest.approx(3 * plan["seconds_an_epoch"] * 6)
    assert plan["train"] + plan["valid"] == ROWS * 4 // 5  # a fifth measures the best


def test_the_expected_time_is_about_that_of_the_training():
    people(6000).write_csv("people.csv")
    options = ("--hidden", "256,256", "--epochs", 5, "--patience", 0)
    expected = dry_run(*options)["seconds_an_epoch"]
    measured = float(np.median(trained(*options).history["seconds"]))
    assert measured / 10 < expected < measured * 10


def test_a_plan_is_told_to_people_as_well():
    text = fastbp(*BASE, "--dry-run").out
    parameters = (FEATURES + 1) * 100 + 101 * 2
    for words in (f"{parameters:,} parameters", "GFLOP per epoch", "memory: ", "expected: "):
        assert words in text
    assert "epochs in" not in text


def test_a_net_that_memory_does_not_hold_is_refused_before_it_is_made():
    done = fastbp(*BASE, "--hidden", 10**13, "--dry-run")
    assert done.code == 1 and "not enough memory" in done.complaint and "GiB" in done.complaint


# ---------------------------------------------------------------------------------- a search


def test_a_search_tells_the_best_options_and_the_score_of_rows_that_chose_nothing():
    given = ("--search", 7, "--epochs", 4, "--hidden", "5", "-o", "best.safetensors")
    text = fastbp(*BASE, *given).out
    assert "7 of 7 options by validation loss, the best:" in text
    best = re.findall(r"^  (\d\.\d+): (.+)$", text, re.MULTILINE)
    losses = [float(loss) for loss, _ in best]
    assert len(best) == 5 and losses == sorted(losses)
    model = TableModel.load("best.safetensors")
    record = model.record
    assert losses[0] == pytest.approx(
        record["search"]["tried"][record["search"]["chosen"]]["loss"], rel=1e-3
    )
    test = re.search(
        r"^test, rows that chose nothing: accuracy ([\d.]+)%.*\((\d+) rows\)$", text, re.M
    )
    assert float(test[1]) == pytest.approx(100 * record["metrics"]["test"]["accuracy"], abs=0.01)
    assert int(test[2]) == ROWS // 5
    assert test[0] in fastbp("info", "best.safetensors").out
    # the options that are printed, and those that are given, are those of the model
    printed = () if "as given" in best[0][1] else best[0][1].split()
    again = trained(*given[2:6], *printed)
    assert again.record["options"] == record["options"]


def test_events_of_a_search_hold_all_that_was_tried():
    lines = fastbp(
        *BASE, "--search", 3, "--folds", 2, "--epochs", 2, "--log", "json"
    ).out.splitlines()
    done = next(event for event in map(json.loads, lines) if event["event"] == "done")
    assert len(done["search"]["tried"]) == 3 and done["metrics"]["test"]["rows"] == ROWS // 5
    assert done["search"]["by"] == "mean loss of 2 of 2 folds by class"


def test_a_search_keeps_no_checkpoints():
    done = fastbp(*BASE, "--search", 3, "--checkpoint", "ck")
    assert done.code == 2 and "--checkpoint: a search keeps none" in done.complaint
    assert not Path("ck").exists() or not list(Path("ck").iterdir())


# ------------------------------------------------------------------------- files of options


def test_a_file_holds_options_and_the_command_line_wins():
    Path("job.toml").write_text(
        'target = "rich"\ndrop = ["income", "zip"]\nepochs = 50\n'
        '[train]\nhidden = "7,5"\nseed = 3\nevery = "1h"\ncheckpoint = "ck"\n'
    )
    model = trained("--config", "job.toml", "--epochs", 3, base=(*BASE[:2], "--preset", "fast"))
    same = trained("--hidden", "7,5", "--seed", 3, "--drop", "zip")
    assert model.fingerprint == same.fingerprint
    assert len(model.history["loss"]) == 3
    assert numbers_of("ck") == [1, 2]


# ---------------------------------------------------------------------------- what it says


def test_in_json_every_epoch_is_an_event():
    done = fastbp(*BASE, "-o", "model", "--log", "json")
    assert done.err == ""
    assert [event["event"] for event in done.events] == ["data", *3 * ["epoch"], "done", "saved"]
    model = TableModel.load("model")
    epochs = done.events[1:4]
    assert [event["epoch"] for event in epochs] == [1, 2, 3]
    for name in ("loss", "val_loss", "val_accuracy", "learning_rate", "seconds"):
        assert [event[name] for event in epochs] == model.history[name]
    end = done.events[4]
    assert (end["stopped"], end["fingerprint"]) == ("epochs", model.fingerprint)
    assert end["metrics"] == model.record["metrics"]
    assert done.events[5]["path"] == "model"


def test_an_error_is_an_event_and_a_line():
    done = fastbp("train", "people.csv", "--target", "wealth", "--log", "json")
    assert (done.code, done.err.count("\n")) == (3, 1)
    assert [(e["event"], e["code"]) for e in done.events] == [("error", 3)]


def test_in_text_the_epochs_are_a_table_and_the_scores_a_line():
    done = fastbp(*BASE)
    assert re.search(r"^ +1( +\S+)+$", done.out, re.MULTILINE)
    assert "400 rows: 320 for training, 80 for validation" in done.out
    assert "target rich: classification, 2 classes" in done.out
    assert re.search(r"^validation: accuracy [\d.]+%, .*\(80 rows\)$", done.out, re.MULTILINE)
    assert "not saved: give --output FILE" in done.out


def test_in_a_log_nobody_watches_epochs_are_told_now_and_then(monkeypatch):
    assert "epoch 1:" not in fastbp(*BASE).out
    monkeypatch.setattr(train_command, "_EPOCH_LINES_SECONDS", 0.0)
    assert re.search(r"^epoch 1: loss [\d.]+, val loss [\d.]+", fastbp(*BASE).out, re.MULTILINE)


def test_classes_that_are_unbalanced_are_named():
    rare = pl.Series(np.where(np.arange(ROWS) % 20 == 0, "rare", "common"))
    PEOPLE.with_columns(rare.alias("rich")).write_csv("people.csv")
    out = fastbp(*BASE).out
    said = r"2 classes: common 304 \(95%\), rare 16 \(5%\); unbalanced: --class-weight balanced"
    assert re.search(said, out)


def test_of_many_classes_the_extremes_are_told():
    common = np.where(np.arange(ROWS) % 2 == 0, "most", "a, b")
    names = pl.Series(np.where(np.arange(ROWS) % 4 == 1, "1\n2", common))
    for more, said in (
        (["c", "d"], r"5 classes: most \d+ \(\d+(\.\d)?%\), \.\.\., [cd] "),
        ([], r"3 classes: most \d+ \(\d+(\.\d)?%\), ('a, b'|'1\\n2') "),
    ):
        few = [more[n // 40] if n // 40 < len(more) else name for n, name in enumerate(names)]
        PEOPLE.with_columns(pl.Series("rich", few)).write_csv("people.csv")
        assert re.search(said, fastbp(*BASE).out)


def test_rows_without_a_target_are_told():
    rich = pl.when(pl.int_range(ROWS) < 30).then(None).otherwise(pl.col("rich"))
    PEOPLE.with_columns(rich.alias("rich")).write_csv("people.csv")
    done = fastbp(*BASE)
    assert done.code == 0
    assert "people.csv: 30 rows without a value of 'rich': left out" in done.err
    assert "unbalanced" not in fastbp(*BASE[:2], "--target", "zip", "--epochs", 1).out


@pytest.mark.slow
def test_in_a_pipe_there_is_no_bar(folder):
    done = in_a_process(*BASE, "--epochs", 200, folder=folder)
    assert (done.code, done.err) == (0, "")
    assert "\r" not in done.out and "%|" not in done.out
    done = in_a_process(*BASE, "--log", "json", folder=folder)
    assert (done.code, done.err) == (0, "")
    assert len([event for event in done.events if event["event"] == "epoch"]) == 3


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
def test_on_a_terminal_there_is_a_bar_for_people_and_none_for_programs(folder):
    text = on_a_terminal(*BASE, "--epochs", 2000, "--patience", 0)
    assert re.search(r"\d+%\|.*epoch", text[1]) and "loss" in text[1]
    assert "%|" not in text[0] and "2000 epochs in" in text[0]
    told = on_a_terminal(*BASE, "--log", "json")
    assert told[1] == "" and len(events(told[0])) == 5


def on_a_terminal(*arguments):
    """Return what a command writes to stdout, a pipe, and to stderr, a terminal."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    with subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        parts = []
        try:
            while part := os.read(ours, 4096):
                parts.append(part)
        except OSError:  # so does a terminal end that nobody holds any more
            pass
        os.close(ours)
        out = process.stdout.read()
    assert process.returncode == 0, parts
    return out.decode(), b"".join(parts).decode()


# ------------------------------------------------------------------------------ wrong options

WRONG = [
    ("--target=", ["--target"]),
    ("--task ranking", ["--task ranking:", "classification", "regression"]),
    ("--hidden 10,x", ["--hidden", "10,x"]),
    ("--hidden 0", ["--hidden", "0"]),
    ("--activation rely", ["--activation rely:", "'relu'"]),
    ("--dropout 1", ["--dropout"]),
    ("--loss huber", ["--loss", "'huber'", "classification"]),
    ("--loss hubr", ["--loss hubr:", "huber"]),
    ("--optimizer adan", ["--optimizer adan:", "'adam'"]),
    ("--learning-rate 0", ["--learning-rate", "0"]),
    ("--learning-rate fast", ["--learning-rate"]),
    ("--schedule zigzag", ["--schedule zigzag:", "cosine"]),
    ("--l2 -1", ["--l2"]),
    ("--weight-decay -1", ["--weight-decay"]),
    ("--clip-norm 0", ["--clip-norm", "0"]),
    ("--class-weight equal", ["--class-weight equal:", "balanced", "yes=10,no=1"]),
    ("--class-weight rich=", ["--class-weight", "'rich'", "number of at least 0"]),
    ("--class-weight rich=-1", ["--class-weight", "number of at least 0"]),
    ("--class-weight =2", ["--class-weight", "no name"]),
    ("--class-weight {rich}", ["--class-weight", "JSON"]),
    ("--class-weight ritch=2", ["--class-weight", "no class 'ritch'", "'rich'"]),
    ("--epochs 0", ["--epochs"]),
    ("--patience -1", ["--patience"]),
    ("--batch-size 0", ["--batch-size"]),
    ("--seed -1", ["--seed"]),
    ("--dtype float16", ["--dtype float16:", "float32", "float64"]),
    ("--threads many", ["--threads", "many"]),
    ("--valid-share 1", ["--valid-share"]),
    ("--max-time soon", ["--max-time", "soon", "30s"]),
    ("--max-time 0", ["--max-time", "0"]),
    ("--memory much", ["--memory", "much", "2GB"]),
    ("--every never", ["--every", "never", "30s"]),
    ("--resume", ["--resume", "--checkpoint"]),
    ("--checkpoint people.csv", ["--checkpoint", "people.csv", "folder"]),
    ("--config none.toml", ["--config", "none.toml"]),
    ("--log xml", ["--log", "xml"]),
    ("-o no/model", ["--output", "folder"]),
    ("-o .", ["--output", "regular"]),
    ("-o " + 300 * "m", ["--output", "255"]),
    ("--target income --drop rich --class-weight balanced", ["--class-weight", "regression"]),
]


@pytest.mark.parametrize(("options", "words"), WRONG, ids=[options[:40] for options, _ in WRONG])
def test_a_wrong_option_is_refused_in_one_line_before_anything_is_written(options, words):
    before = sorted(Path().rglob("*"))
    base = BASE[:2] if "--target" in options else BASE
    if "-o" not in options:
        base = [*base, "-o", "model"]
    done = fastbp(*base, *options.split(" "))
    assert (done.code, done.out) == (2, ""), done
    for word in words:
        assert word in done.complaint
    assert sorted(Path().rglob("*")) == before


MISNAMED = [
    ("--target wealth", ["people.csv", "'wealth'"]),
    ("--id passport", ["people.csv", "'passport'"]),
    ("--drop passport", ["people.csv", "'passport'"]),
    ("--categorical cty", ["people.csv", "'cty'", "'city'"]),
    ("--drop rich", ["'rich'"]),
    ("--valid none.csv", ["none.csv"]),
    ("--target country", ["'country'"]),
]


@pytest.mark.parametrize(("options", "words"), MISNAMED, ids=[options for options, _ in MISNAMED])
def test_what_the_data_do_not_hold_is_bad_data(options, words):
    base = without_target() if "--target" in options else BASE
    done = fastbp(*base, "-o", "model", *options.split())
    assert done.code == 3
    for word in words:
        assert word in done.complaint
    assert not Path("model").exists()


def test_targets_that_suit_and_single_words_are_asked_for():
    done = fastbp(*BASE, "--target", "zip")
    assert done.code == 3 and "'rich' (2 classes), 'zip' (3 classes)" in done.complaint
    done = fastbp(*BASE, "--target", "rich")
    assert done.code == 2 and "--target 'rich': it is named twice" in done.complaint
    done = fastbp(*BASE, "--missing", ".,n.a.")
    assert done.code == 2 and "--missing '.,n.a.': expected one word" in done.complaint
    # a mark of decimals, or words one by one, are no list
    assert fastbp(*BASE, "--missing", "-999,0", "--missing", ".", "--dry-run").code == 0


def test_a_training_that_diverges_ends_with_4_and_leaves_no_model():
    done = fastbp(*BASE, "-o", "model", "--learning-rate", "1e30")
    assert done.code == 4 and "not finite" in done.complaint
    assert not Path("model").exists()


def test_an_old_model_stays_where_a_training_fails():
    trained()
    before = Path("model").read_bytes()
    assert fastbp(*BASE, "-o", "model", "--learning-rate", "1e30").code == 4
    assert Path("model").read_bytes() == before
