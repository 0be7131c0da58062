"""Ensembles that make no sense, and model files that are not of one, are refused by name."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from fastbp import DataError, ModelFileError, TableModel, model_file, train
from table_makers import people

RUN = {"preset": "fast", "hidden": 8, "epochs": 6, "patience": 2, "ensemble": 3, "seed": 5}
FRAME = people()

# --------------------------------------------------------------------- what is refused


REFUSED = {
    "members of one network": ({"ensemble": 1, "ensemble_by": "bags"}, "one network.*ensemble=5"),
    "folds without others": ({"ensemble": 1, "ensemble_by": "folds"}, "one network.*ensemble=5"),
    "a share beside folds": ({"ensemble_by": "folds", "valid_share": 0.3}, "valid_share=0.3"),
    "no share beside folds": ({"ensemble_by": "folds", "valid_share": 0}, "valid_share=0"),
    "folds by time": ({"ensemble_by": "folds", "time": "since"}, "time='since'.*later rows"),
    "rows beside folds": ({"ensemble_by": "folds", "valid": FRAME}, "valid.*one of the two"),
    "groups for nothing": ({"group": "city", "valid_share": 0}, "group='city'"),
    "times for nothing": ({"time": "since", "valid_share": 0, "ensemble_by": "bags"}, "time="),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_sense_together_is_refused_before_anything_is_read(name):
    options, message = REFUSED[name]
    with pytest.raises(ValueError, match=message) as caught:
        train("absent.csv", "y", **{**RUN, **options})
    assert not isinstance(caught.value, DataError)


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "201 rows|200 rows with a target; ensemble=201 needs 201"),
        ({"group": "city"}, "groups in 'city'; ensemble=201 needs 201"),
    ],
)
def test_more_folds_than_the_table_has_are_refused(options, message):
    with pytest.raises(DataError, match=message):
        train(FRAME, "y", ensemble_by="folds", **{**RUN, **options, "ensemble": 201})


@pytest.mark.parametrize("by, does", [("folds", "validates"), ("bags", "trains")])
def test_rows_of_one_member_that_all_weigh_nothing_are_refused(by, does):
    weights = np.zeros(200)
    weights[[3, *range(190, 200)] if by == "folds" else [3, 199]] = 1
    frame = FRAME.with_columns(w=pl.Series(weights))
    valid = people(50, seed=1).with_columns(w=1.0) if by == "bags" else None
    more = {**RUN, "ensemble": 10, "ensemble_by": by}
    with pytest.raises(DataError, match=f"all rows that network . {does} on have a weight of 0"):
        train(frame, "y", weight="w", valid=valid, **more)


def test_more_networks_than_memory_are_refused_before_any_work():
    with pytest.raises(MemoryError, match="1000000000 networks with hidden layers of 8 take"):
        train(FRAME, "y", **{**RUN, "ensemble": 10**9})


# ------------------------------------------------------------------------------ the file


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model"
    model = train(FRAME, "y", ensemble_by="folds", **RUN)
    model.save(path)
    return model, path


def test_a_loaded_ensemble_is_the_one_that_was_saved(saved):
    model, path = saved
    loaded = TableModel.load(path)
    assert loaded.fingerprint == model.fingerprint and repr(loaded) == repr(model)
    assert loaded.record == json.loads(json.dumps(model.record))
    assert loaded.predict(FRAME, spread=True).equals(model.predict(FRAME, spread=True))
    others = train(FRAME, "y", ensemble_by="folds", **{**RUN, "seed": 6})
    assert others.fingerprint != model.fingerprint


def _with_member(**changes):
    def change(ensemble):
        first, *rest = ensemble["members"]
        return {**ensemble, "members": [{**first, **changes}, *rest]}

    return change


def _without(name):
    def change(ensemble):
        first, *rest = ensemble["members"]
        first = {key: value for key, value in first.items() if key != name}
        return {**ensemble, "members": [first, *rest]}

    return change


ODD = {
    "a list": lambda ensemble: [ensemble],
    "text": lambda ensemble: "three",
    "no members": lambda ensemble: {"by": "seeds", "left_out": []},
    "members that are a number": lambda ensemble: {**ensemble, "members": 3},
    "members that are text": lambda ensemble: {**ensemble, "members": ["a"]},
    "a number below 0": _with_member(number=-1),
    "a seed that is text": _with_member(seed="0"),
    "no seconds": _without("seconds"),
    "no history": _without("history"),
    "no metrics": _without("metrics"),
    "a history that is text": _with_member(history="none"),
    "a history of two lengths": _with_member(history={"loss": [1.0], "val_loss": [1.0, 2.0]}),
    "a best epoch beyond it": _with_member(best_epoch=1000),
    "scores without rows": _with_member(metrics={"accuracy": 0.5}),
    "scores that are text": _with_member(metrics={"accuracy": "high", "rows": 3}),
    "left out without a reason": lambda ensemble: {**ensemble, "left_out": [{"number": 1}]},
}


@pytest.mark.parametrize("name", ODD)
def test_a_record_that_makes_no_sense_is_refused(saved, tmp_path, name):
    content = model_file.load(saved[1])
    record = content.sections["record"]
    changed = {**record, "ensemble": ODD[name](record["ensemble"])}
    model = replace(content, sections={**content.sections, "record": changed})
    model_file.save(tmp_path / "odd", model)
    with pytest.raises(ModelFileError, match="odd does not describe how its model was trained"):
        TableModel.load(tmp_path / "odd")


def test_networks_that_do_not_fit_the_table_are_refused(saved, tmp_path):
    content = model_file.load(saved[1])
    other = train(FRAME.drop("city"), "y", **{**RUN, "ensemble": 1}).network.to_model()
    model_file.save(tmp_path / "odd", replace(content, more=(content.more[0], other)))
    with pytest.raises(ModelFileError, match=r"odd describes an ensemble.*members\[2\] has inputs"):
        TableModel.load(tmp_path / "odd")
