"""Presets: what they decide, what they leave to the person, and what a time budget chooses."""

from dataclasses import asdict, replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbp import Ensemble, TableModel, train
from fastbp.tables.job import Job
from fastbp.tables.options import TrainOptions
from fastbp.tables.presets import PRESETS, Facts, expected_seconds, settled
from fastbp.tables.split import Keys, folds_of_rows, hold_out
from table_makers import people

FACTS = Facts(rows=1_000, columns=8)
# quick, whatever the preset
FEW = {"epochs": 3, "hidden": 8}


def settle(facts=FACTS, **options):
    return settled(TrainOptions("y", **options), facts)


# ------------------------------------------------------------------ what a preset decides


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_not_given_is_the_presets(name):
    found = asdict(settle(preset=name))
    assert found["preset"] == name
    assert {key: found[key] for key in asdict(PRESETS[name])} == asdict(PRESETS[name])
    assert found["ensemble_by"] == ("seeds" if name == "fast" else "folds")


def test_without_a_preset_it_is_the_default():
    assert settle() == settle(preset="default")


def test_what_is_given_stays():
    own = {"hidden": (3,), "ramps": 0, "ensemble": 2, "dropout": 0.5, "schedule": "one_cycle"}
    own |= {"epochs": 7, "patience": 0, "ensemble_by": "bags"}
    for name in PRESETS:
        found = asdict(settle(preset=name, **own))
        assert {key: found[key] for key in own} == own
        assert found["ramp_edges"] is None


@pytest.mark.parametrize(
    "options, facts",
    [
        ({"time": "t"}, {}),
        ({"valid_share": 0.1}, {}),
        ({"valid_share": 0}, {}),
        ({"ensemble": 3}, {}),
        ({}, {"holds": True}),
        ({}, {"rows": 4}),
        ({}, {"groups": 4}),
        ({}, {"free": 100_000}),
        ({}, {"rows": 5_000_000}),
    ],
)
def test_rows_are_held_back_for_all_where_folds_cannot_be_or_were_not_asked_for(options, facts):
    assert settle(replace(FACTS, **facts), **options).ensemble_by == "seeds"
    assert settle(replace(FACTS, groups=5)).ensemble_by == "folds"


def test_very_many_rows_train_one_network():
    assert settle(replace(FACTS, rows=100_000)).ensemble == PRESETS["default"].ensemble
    assert settle(replace(FACTS, rows=100_001)).ensemble == 1
    assert settle(replace(FACTS, rows=100_001), ensemble=4).ensemble == 4


def test_a_search_trains_one_network_each():
    assert settle(search=3).ensemble == 1


def test_a_settled_training_is_settled_once():
    found = settle(preset="accurate")
    assert settled(found, replace(FACTS, rows=10**9, holds=True)) == found


@pytest.mark.parametrize(
    "options, words",
    [
        ({"preset": "fast", "ramp_edges": "tree"}, "ramp_edges='tree': there are no ramps"),
        ({"preset": "fast", "ensemble_by": "bags"}, "ensemble_by='bags': there is one network"),
        ({"search": 3, "ensemble_by": "bags"}, "ensemble_by='bags': there is one network"),
        ({"preset": "fast", "time_budget": 9}, "time_budget=9.0: it chooses the preset; leave it"),
        ({"preset": "fastest"}, "preset='fastest': expected one of fast, default, accurate"),
    ],
)
def test_what_makes_no_sense_with_a_preset_is_refused_before_anything_is_read(options, words):
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        train("absent.csv", "y", **options)


# ------------------------------------------------------------------ what is trained


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("target", ["class", "number"])
def test_the_options_in_the_record_give_the_model_again(preset, target, tmp_path):
    frame = people(target=target)
    model = train(frame, "y", preset=preset, **FEW)
    assert isinstance(model.network, Ensemble) == (preset != "fast")
    chosen = model.record["options"]
    assert (chosen["preset"], chosen["epochs"]) == (preset, 3)
    again = train(frame, **chosen)
    assert again.fingerprint == model.fingerprint
    assert again.record["options"] == chosen
    model.save(tmp_path / "model.safetensors")
    loaded = TableModel.load(tmp_path / "model.safetensors")
    assert loaded.record["options"] == chosen
    assert loaded.predict(frame).equals(model.predict(frame))


@pytest.mark.parametrize("rows", [3, 5, 8, 30])
def test_a_few_rows_are_enough(rows):
    frame = pl.DataFrame({"x": np.arange(rows) * 7 % 31, "y": np.resize(["a", "b"], rows)})
    model = train(frame, "y", numeric="x", **FEW)
    assert model.record["options"]["ensemble_by"] == ("folds" if rows >= 5 else "seeds")
    assert len(model.predict(frame)) == rows


def test_cross_validation_trains_an_ensemble_by_folds_in_each_fold():
    frame = people(target="number")
    model = train(frame, "y", folds=3, **FEW)
    assert model.record["options"]["ensemble_by"] == "folds"
    assert len(model.record["folds"]["scores"]) == 3
    assert model.record["metrics"]["out_of_fold"]["rows"] == len(frame)
    # the rows that a fold tests decide nothing of it: the model of the others has its score
    job = Job(frame, TrainOptions("y", folds=3, **FEW))
    from fastbp.tables.parts import folds_of

    _, parts = folds_of(job)
    trains, tests = parts[1]
    changed = frame.with_columns(y=pl.when(pl.Series(tests)).then(pl.col("y") * 3).otherwise("y"))
    alone = train(changed, "y", folds=3, **FEW)
    assert alone.record["folds"]["scores"][1] != model.record["folds"]["scores"][1]
    expected = Job(changed, TrainOptions("y", **FEW), among=trains).run()
    found = expected.scores(frame, among=tests).metrics()
    assert model.record["folds"]["scores"][1] == pytest.approx(found)


# ------------------------------------------------------------------ the time budget


def test_the_best_preset_that_fits_into_the_time_is_chosen():
    facts = replace(FACTS, peak=1e9)
    seconds = {name: expected_seconds(settle(facts, preset=name), facts) for name in PRESETS}
    assert seconds["fast"] < seconds["default"] < seconds["accurate"]
    for name, fits in seconds.items():
        found = settle(facts, time_budget=1.01 * fits)
        assert (found.preset, found.time_budget) == (name, None)
        assert found.max_time == pytest.approx(1.01 * fits)
        late = settle(replace(facts, elapsed=0.01 * fits), time_budget=1.02 * fits)
        assert (late.preset, late.max_time) == (name, pytest.approx(1.01 * fits))
    assert settle(facts, time_budget=1e-9).preset == "fast"
    assert settle(facts, time_budget=1e6, max_time=3).max_time == 3


def test_twice_the_work_takes_twice_the_time():
    facts = replace(FACTS, peak=1e11)
    one = expected_seconds(settle(facts), facts)
    assert expected_seconds(settle(facts, epochs=200), facts) == pytest.approx(2 * one)
    assert expected_seconds(settle(facts), replace(facts, peak=2e11)) == pytest.approx(one / 2)
    twice = replace(facts, rows=2_000)
    assert expected_seconds(settle(twice), twice) == pytest.approx(2 * one)
    assert expected_seconds(settle(facts, folds=3), facts) == pytest.approx(4 * one)


def test_a_time_budget_is_measured_and_kept():
    model = train(people(), "y", time_budget=600, epochs=2)
    chosen = model.record["options"]
    assert chosen["preset"] == "accurate"
    assert 0 < chosen["max_time"] < 600


# ------------------------------------------------------------------ how rows are split


@given(st.integers(1, 300), st.integers(2, 12), st.integers(0, 2**63 - 1), st.integers(1, 5))
def test_folds_have_equal_shares_of_all_rows_and_of_each_class(rows, count, seed, classes):
    labels = np.random.default_rng(seed % 1000).integers(0, classes, rows)
    found = folds_of_rows(rows, count, seed, labels)
    for own in (np.ones(rows, bool), *(labels == label for label in range(classes))):
        sizes = np.bincount(found[own], minlength=count)
        assert sizes.sum() == own.sum() and np.ptp(sizes) <= 1


@given(st.lists(st.integers(0, 8), min_size=1, max_size=200), st.integers(2, 6), st.integers(0, 9))
def test_no_group_is_in_two_folds_and_folds_differ_by_the_largest_at_most(groups, count, seed):
    groups = np.array(groups)
    found = folds_of_rows(len(groups), count, seed, None, groups)
    for group in np.unique(groups):
        assert len(np.unique(found[groups == group])) == 1
    sizes = np.bincount(found, minlength=count)
    assert np.ptp(sizes) <= np.bincount(groups).max()


@given(st.lists(st.integers(-1, 4), min_size=5, max_size=300), st.integers(0, 99))
def test_rows_that_validate_have_each_class_by_its_share(labels, seed):
    labels = np.array(labels)
    count = len(labels) // 5
    split = hold_out(np.ones(len(labels), bool), count, seed, Keys(), "t", labels)
    assert not (split.trains & split.validates).any()
    assert (split.trains | split.validates).all()
    assert split.validates.sum() <= count
    classes, sizes = np.unique(labels, return_counts=True)
    if (sizes == 1).all():
        return
    for label, size in zip(classes, sizes, strict=True):
        held = (split.validates & (labels == label)).sum()
        assert abs(held - size * count / len(labels)) < 1
        assert label < 0 or held < size
