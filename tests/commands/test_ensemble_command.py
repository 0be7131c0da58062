"""``fastbp train --ensemble``, and the other commands with the model of an ensemble."""

import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from command_line import fastbp
from fastbp import TableModel, train
from people_trained import BASE, PEOPLE, enter

SEVERAL = (*BASE, "--ensemble", 3)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Run in a folder that holds people.csv."""
    return enter(tmp_path, monkeypatch)


def test_the_command_makes_the_model_of_the_function():
    done = fastbp(*SEVERAL, "-o", "model", "--ensemble-by", "bags", "--seed", 4)
    assert (done.code, done.err) == (0, "")
    model = train(
        "people.csv",
        "rich",
        drop="income",
        preset="fast",
        epochs=3,
        ensemble=3,
        ensemble_by="bags",
        seed=4,
    )
    assert TableModel.load("model").fingerprint == model.fingerprint
    lines = done.out.splitlines()
    assert "preset fast: an ensemble of 3 networks, each of rows drawn with replacement" in lines
    members = [line for line in lines if line.startswith("network ")]
    assert [line.split(":")[0] for line in members] == [
        f"network {n}, seed {3 + n}" for n in (1, 2, 3)
    ]
    own = model.record["ensemble"]["members"]
    for line, each in zip(members, own, strict=True):
        assert f"accuracy {each['metrics']['accuracy']:.2%}" in line
    scores = [each["metrics"]["accuracy"] for each in own]
    spread = f"accuracy {np.mean(scores):.4g} \u00b1 {np.std(scores, ddof=1):.2g}"
    assert any(line.startswith(f"3 networks by bags: {spread}") for line in lines)
    whole = model.record["metrics"]["valid"]["accuracy"]
    assert any(line.startswith(f"validation: accuracy {whole:.2%}") for line in lines)


def test_predictions_out_of_fold_are_written():
    options = ("--ensemble-by", "folds", "-o", "model")
    done = fastbp(*SEVERAL, *options, "--out-of-fold", "held.csv")
    assert (done.code, done.err) == (0, "")
    assert "400 rows out of fold in held.csv" in done.out
    more = {"preset": "fast", "ensemble": 3, "ensemble_by": "folds"}
    model = train("people.csv", "rich", drop="income", epochs=3, **more)
    found = pl.read_csv("held.csv")
    assert found.columns == model.out_of_fold.columns
    assert found["fold"].equals(model.out_of_fold["fold"])
    right = (found["prediction"] == PEOPLE["rich"]).mean()
    assert model.record["metrics"]["out_of_fold"]["accuracy"] == pytest.approx(right)
    assert f"out of fold: accuracy {right:.2%}" in done.out
    fastbp(*SEVERAL, *options, "--out-of-fold", "held.parquet")
    assert pl.read_parquet("held.parquet").equals(model.out_of_fold)


def test_every_epoch_is_told_with_its_network():
    done = fastbp(*SEVERAL, "--log", "json")
    told = [(e["member"], e["epoch"]) for e in done.events if e["event"] == "epoch"]
    assert sorted(told) == [(member, epoch) for member in (1, 2, 3) for epoch in (1, 2, 3)]
    (last,) = [event for event in done.events if event["event"] == "done"]
    assert [each["seed"] for each in last["ensemble"]["members"]] == [0, 1, 2]


def test_the_plan_is_that_of_all_networks():
    one, three = (
        fastbp(*arguments, "--dry-run", "--log", "json").events[0] for arguments in (BASE, SEVERAL)
    )
    assert (one["ensemble"], three["ensemble"]) == (1, 3)
    assert three["memory"]["network"] == 3 * one["memory"]["network"]


def test_options_may_stand_in_a_file():
    Path("job.toml").write_text('ensemble = 3\nensemble_by = "folds"\n')
    fastbp(*BASE, "--config", "job.toml", "-o", "model")
    options = TableModel.load("model").record["options"]
    assert (options["ensemble"], options["ensemble_by"]) == (3, "folds")


def test_the_other_commands_take_the_ensemble():
    fastbp(*SEVERAL, "-o", "model")
    model = TableModel.load("model")
    done = fastbp("predict", "model", "people.csv", "-o", "out.csv", "--spread")
    assert (done.code, done.err) == (0, "")
    right = model.predict(PEOPLE, spread=True)
    found = pl.read_csv("out.csv")
    assert found.columns == right.columns
    np.testing.assert_allclose(found["spread"], right["spread"], rtol=1e-6)
    (scores,) = fastbp("evaluate", "model", "people.csv", "--log", "json").events
    assert scores["accuracy"] == pytest.approx((right["prediction"] == PEOPLE["rich"]).mean())
    info = fastbp("info", "model").out
    assert info.startswith("model: format 3,") and "3 networks, each:" in info
    assert info.count("completed all epochs") == 4 and "trained for 9 epochs" in info
    (facts,) = fastbp("info", "model", "--log", "json").events
    assert facts["format"] == 3 and len(facts["members"]) == 3
    assert facts["record"] == json.loads(json.dumps(model.record))
    assert fastbp("explain", "model", "people.csv", "-o", "page.html").code == 0
    page = Path("page.html").read_text("utf-8")
    assert "the mean of 3 networks, 14-100-2 each" in page and "Networks of the ensemble" in page
    for name in ("net.c", "net.py", "net.onnx"):
        assert fastbp("export", "model", "-o", name).code == 0
        assert os.path.getsize(name)


WRONG = {
    "no number": (("--ensemble", "0"), "--ensemble 0: expected a whole number of at least 1"),
    "folds of one": (("--ensemble-by", "folds"), "--ensemble-by 'folds': there is one network"),
    "nothing out of folds": (
        ("--ensemble", 3, "--out-of-fold", "held.csv"),
        "--out-of-fold 'held.csv': no row is left out of a fold; give --ensemble-by folds",
    ),
    "another kind of file": (
        ("--ensemble", 3, "--ensemble-by", "folds", "--out-of-fold", "held.txt"),
        "--out-of-fold 'held.txt': expected a name ending in .csv or .parquet",
    ),
    "the input": (
        ("--ensemble", 3, "--ensemble-by", "folds", "--out-of-fold", "people.csv"),
        "--out-of-fold people.csv: it is also an input",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage_is_named_in_one_line(name):
    options, message = WRONG[name]
    done = fastbp(*BASE, *options)
    assert done.code == 2
    assert message in done.complaint


def test_one_network_has_no_spread():
    fastbp(*BASE, "-o", "model")
    done = fastbp("predict", "model", "people.csv", "--spread", "-o", "out.csv")
    assert done.code == 2
    assert "--spread: model holds one network; train several" in done.complaint
    assert not os.path.exists("out.csv")


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_a_truncated_ensemble_is_bad_data(share):
    fastbp(*SEVERAL, "-o", "model")
    content = Path("model").read_bytes()
    Path("model").write_bytes(content[: int(share * len(content))])
    commands = {"predict": ["people.csv"], "evaluate": ["people.csv"], "info": [], "report": []}
    for name, more in {**commands, "export": ["-o", "net.onnx"]}.items():
        done = fastbp(name, "model", *more)
        assert done.code == 3 and "model is truncated" in done.complaint
    assert not os.path.exists("net.onnx") and not os.path.exists("report.html")
