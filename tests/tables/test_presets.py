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
from fastbp.tables.parts import folds_of
from fastbp.tables.presets import PRESETS, Facts, Work, expected_seconds, fitting, settled
from fastbp.tables.split import Keys, folds_of_rows, hold_out
from table_makers import people

FACTS = Facts(rows=1_000)
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
        assert found["ramp_edges"] is None and found["time_budget"] is None


@pytest.mark.parametrize(
    "options, facts",
    [
        ({"time": "t"}, {}),
        ({"valid_share": 0.1}, {}),
        ({"valid_share": 0}, {}),
        ({"ensemble": 3}, {}),
        ({}, {"holds": True}),
        ({}, {"rows": 3}),
        ({"ensemble": 8}, {"rows": 7}),
        ({}, {"groups": 3}),
        ({"ensemble": 8}, {"groups": 7}),
        ({}, {"rows": 5_000_000}),
    ],
)
def test_rows_are_held_back_for_all_where_folds_cannot_be_or_were_not_asked_for(options, facts):
    assert settle(replace(FACTS, **facts), **options).ensemble_by == "seeds"
    found = settle(replace(FACTS, groups=4))
    assert (found.ensemble_by, found.ensemble) == ("folds", 4)


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
        ({"search": 3, "ensemble_by": "bags"}, "ensemble_by='bags': a search=3 keeps one network"),
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


@pytest.mark.parametrize("rows", [3, 4, 8, 30])
def test_a_few_rows_are_enough(rows):
    frame = pl.DataFrame({"x": np.arange(rows) * 7 % 31, "y": np.resize(["a", "b"], rows)})
    model = train(frame, "y", numeric="x", **FEW)
    assert model.record["options"]["ensemble_by"] == ("folds" if rows >= 4 else "seeds")
    assert model.record["options"]["ensemble"] == (4 if rows == 4 else 5)
    assert len(model.predict(frame)) == rows


def test_cross_validation_trains_an_ensemble_by_folds_in_each_fold():
    frame = people(target="number")
    model = train(frame, "y", folds=3, **FEW)
    assert model.record["options"]["ensemble_by"] == "folds"
    assert len(model.record["folds"]["scores"]) == 3
    assert model.record["metrics"]["out_of_fold"]["rows"] == len(frame)
    # the rows that a fold tests decide nothing of it: the model of the others has its score
    job = Job(frame, TrainOptions("y", folds=3, **FEW))
    _, parts = folds_of(job)
    trains, tests = parts[1]
    changed = frame.with_columns(y=pl.when(pl.Series(tests)).then(pl.col("y") * 3).otherwise("y"))
    alone = train(changed, "y", folds=3, **FEW)
    assert alone.record["folds"]["scores"][1] != model.record["folds"]["scores"][1]
    expected = Job(changed, TrainOptions("y", **FEW), among=trains).run()
    found = expected.scores(frame, among=tests).metrics()
    assert model.record["folds"]["scores"][1] == pytest.approx(found)


# ------------------------------------------------------------------ what does not fit


SMALL = {"x": np.arange(60) * 7 % 31 / 3, "y": np.arange(60) % 7 / 2}


def by(frame, target="y", **options):
    """Return how the networks of a default training differ."""
    model = train(frame, target, epochs=1, **options)
    return model.record["options"]["ensemble_by"]


def test_groups_without_a_target_are_no_folds():
    frame = pl.DataFrame(SMALL).with_columns(g=pl.int_range(60) % 4)
    assert by(frame, group="g") == "folds"
    spoiled = frame.with_columns(y=pl.when(pl.col("g") == 0).then(None).otherwise("y"))
    assert by(spoiled, group="g") == "seeds"


def test_rows_that_lack_one_of_several_targets_are_no_folds():
    numbers = np.arange(6.0)
    frame = pl.DataFrame({"x": numbers * 7 % 31, "a": numbers / 3, "b": numbers % 3 / 2})
    assert by(frame, ["a", "b"]) == "folds"
    first, last = pl.int_range(6) < 2, pl.int_range(6) > 3
    spoiled = frame.with_columns(
        a=pl.when(first).then(None).otherwise("a"), b=pl.when(last).then(None).otherwise("b")
    )
    assert by(spoiled, ["a", "b"]) == "seeds"


def test_rows_without_a_weight_are_no_folds():
    frame = pl.DataFrame(SMALL)
    for count, how in ((60, "folds"), (4, "seeds")):
        assert by(frame.with_columns(w=(pl.int_range(60) < count) * 1.0), weight="w") == how


def test_rows_that_do_not_fit_into_memory_are_no_folds():
    rows = 2_000
    frame = pl.DataFrame({"x": np.arange(rows) * 7 % 31, "c": [f"c{n % 300}" for n in range(rows)]})
    frame = frame.with_columns(y=pl.col("x") / 3)
    job = Job(frame, TrainOptions("y"))
    assert job.options.ensemble_by == "folds"
    needed = 3 * job.budget.bytes
    assert Job(frame, TrainOptions("y", memory=needed)).options.ensemble_by == "folds"
    less = Job(frame, TrainOptions("y", memory=needed - 1))
    assert (less.options.ensemble_by, less.options.ensemble) == ("seeds", 5)
    assert less.split.validates.sum() == 400
    assert by(frame, memory=job.budget.bytes // 2) == "seeds"
    with pytest.raises(MemoryError, match="ensemble_by='folds': each network trains on rows"):
        train(frame, "y", memory=needed - 1, ensemble_by="folds")


def test_each_fold_of_a_cross_validation_settles_for_its_own_rows():
    frame = pl.DataFrame(SMALL).with_columns(g=pl.int_range(60) % 5)
    model = train(frame, "y", group="g", folds=3, epochs=1)
    assert model.record["options"]["ensemble_by"] == "folds"
    assert len(model.record["folds"]["scores"]) == 3  # though each trains on 3 or 4 groups
    few = train(pl.DataFrame(SMALL)[:6], "y", task="regression", folds=3, epochs=1)
    assert len(few.record["folds"]["scores"]) == 3


# ------------------------------------------------------------------ the time budget

WORK = Work(rows=5_000, numbers=8, inputs=12, outputs=1, peak=1e11)
PLAIN = TrainOptions("y")


def test_the_best_preset_that_fits_into_the_time_is_chosen():
    seconds = {name: expected_seconds(PLAIN, name, WORK) for name in PRESETS}
    assert seconds["fast"] < seconds["default"] < seconds["accurate"]
    for name, fits in seconds.items():
        assert fitting(PLAIN, WORK, 1.01 * fits) == name
    assert fitting(PLAIN, WORK, 1e-9) == "fast"
    assert fitting(PLAIN, WORK, 1e9) == "accurate"


@pytest.mark.parametrize("options", [{"ramp_edges": "tree"}, {"ensemble_by": "bags"}])
def test_a_preset_that_does_not_suit_what_is_given_is_not_chosen(options):
    assert fitting(TrainOptions("y", time_budget=1, **options), WORK, 1e-9) == "default"


def test_twice_the_work_takes_twice_the_time():
    one = expected_seconds(PLAIN, "default", WORK)

    def of(work=WORK, **options):
        return expected_seconds(replace(PLAIN, **options), "default", work)

    assert of(epochs=200) == pytest.approx(2 * one)
    assert of(replace(WORK, peak=2e11)) == pytest.approx(one / 2)
    assert of(replace(WORK, rows=10_000)) == pytest.approx(2 * one)
    assert of(folds=3) == pytest.approx(4 * one)
    assert of(search=10, folds=5) == pytest.approx(51 * of(search=1))
    assert of(replace(WORK, inputs=2_000)) > 10 * one


def test_a_time_budget_chooses_and_ends_the_training():
    frame = people()
    model = train(frame, "y", time_budget=600, epochs=2)
    chosen = model.record["options"]
    assert (chosen["preset"], chosen["ensemble_by"]) == ("accurate", "folds")
    assert "time_budget" not in chosen
    assert train(frame, **chosen).fingerprint == model.fingerprint
    # nothing fits: the quickest, which ends at once
    last = train(frame, "y", time_budget=1e-6, epochs=10**6, patience=0)
    assert last.record["options"]["preset"] == "fast"
    assert last.record["stopped"] == "time"
    job = Job(frame, TrainOptions("y", time_budget=60, max_time=5))
    assert job.time_limit == 5
    assert 5 < Job(frame, TrainOptions("y", time_budget=60)).time_limit < 60


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
