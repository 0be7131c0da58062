"""``--class-weight``: weights by the names of classes, typed, in a file, and in Python."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from command_line import fastbp
from fastbp import TableModel, train
from people_trained import BASE, PEOPLE, enter, trained


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Run in a folder that holds people.csv."""
    return enter(tmp_path, monkeypatch)


def test_weights_are_typed_or_in_a_file():
    expected = trained("--class-weight", "rich=10,poor=1")
    plain = trained()
    assert expected.fingerprint != plain.fingerprint
    assert expected.record["options"]["class_weight"] == {"rich": 10, "poor": 1}
    for text in ("{ rich = 10, poor = 1 }", '"rich=10"', '["rich=10", "poor=1"]'):
        Path("job.toml").write_text(f"class_weight = {text}")
        assert trained("--config", "job.toml").fingerprint == expected.fingerprint
    in_python = train(
        "people.csv", "rich", drop="income", epochs=3, class_weight={"rich": 10}, preset="fast"
    )
    assert in_python.fingerprint == expected.fingerprint
    assert trained("--class-weight", " rich = 1e1 ").fingerprint == expected.fingerprint


def test_names_may_hold_any_character():
    names = np.where(PEOPLE["rich"] == "rich", "a,b=c", "d")
    PEOPLE.with_columns(rich=pl.Series(names)).write_csv("people.csv")
    given = trained("--class-weight", '{"a,b=c": 10}')
    typed = trained("--class-weight", "d=0.1")
    assert given.record["options"]["class_weight"] == {"a,b=c": 10}
    assert typed.record["options"]["class_weight"] == {"d": 0.1}
    assert given.fingerprint != typed.fingerprint


@pytest.mark.parametrize("text", ["{ rich = true }", '{ rich = "2" }', "{ rich = [1] }", "3"])
def test_a_wrong_weight_in_a_file_is_named(text):
    Path("job.toml").write_text(f"class_weight = {text}")
    done = fastbp(*BASE, "--config", "job.toml")
    assert done.code == 2 and "job.toml: class_weight" in done.complaint


def test_a_training_goes_on_with_the_same_weights_alone():
    trained("--checkpoint", "ck", "--class-weight", "rich=10")
    again = (*BASE, "--checkpoint", "ck", "--resume", "--epochs", 4, "-o", "more")
    assert fastbp(*again, "--class-weight", "rich=10").code == 0
    assert len(TableModel.load("more").history["loss"]) == 4
    done = fastbp(*again, "--class-weight", "rich=9")
    assert done.code == 2 and "--class-weight was" in done.complaint


def test_weights_that_are_given_are_not_advised():
    rare = pl.Series(np.where(np.arange(len(PEOPLE)) % 20 == 0, "rare", "common"))
    PEOPLE.with_columns(rich=rare).write_csv("people.csv")
    assert "unbalanced" in fastbp(*BASE).out
    for weights in ("balanced", "rare=10"):
        assert "unbalanced" not in fastbp(*BASE, "--class-weight", weights).out
