"""Rows that validate by group and by time, and cross-validation: beside scikit-learn's."""

import itertools
import logging

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GroupKFold, StratifiedKFold, TimeSeriesSplit

from command_line import fastbp
from fastbp import DataError, TableModel, train
from fastbp.report.build import build_report
from fastbp.tables.folds import folds_of
from fastbp.tables.job import Job
from fastbp.tables.options import TrainOptions
from fastbp.tables.split import Keys, hold_out
from table_makers import people, written

FEW = {"preset": "fast", "epochs": 2, "hidden": 4}
ALL = np.ones(200, bool)


def patients(rows=200, seed=0, target="class"):
    """Return people in about 30 groups of unequal size, with the day of each row in disorder."""
    rng = np.random.default_rng(seed)
    names = [f"p{n}" for n in rng.integers(0, 30, rows) ** 2 // 30]
    days = pl.Series(rng.permutation(rows) // 2)
    frame = people(rows, seed, target).with_columns(patient=pl.Series(names))
    return frame.with_columns(seen=pl.date(2021, 1, 1) + pl.duration(days=days))


def job(data, **options):
    return Job(data, TrainOptions(target="y", **options))


# ------------------------------------------------------------------------------ held back


@pytest.mark.parametrize("sizes", [(900, 100), (100, 900), (500, 300, 100, 100), (999, 1)])
@pytest.mark.parametrize("seed", range(6))
def test_a_large_group_is_not_held_back_where_a_smaller_one_is_nearer(sizes, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    split = hold_out(np.ones(1000, bool), 200, seed, Keys("g", groups=groups), "the table")
    held = int(split.validates.sum())
    assert abs(held - 200) < 200 or held == min(sizes)
    assert not set(groups[split.validates]) & set(groups[split.trains])


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_group_is_in_both_parts(share, seed):
    frame = patients()
    split = job(frame, group="patient", valid_share=share, seed=seed).split
    groups = frame["patient"].to_numpy()
    assert not set(groups[split.trains]) & set(groups[split.validates])
    assert (split.trains ^ split.validates).all()
    # no group more, and none less, would be nearer to the share
    sizes = [int((groups == name).sum()) for name in set(groups[split.validates])]
    held = int(split.validates.sum())
    assert abs(held - 200 * share) <= max(*sizes, 200 - held)
    assert split.trains.any() and held
    other = job(frame, group="patient", valid_share=share, seed=seed + 10).split
    assert (other.validates != split.validates).any()


@pytest.mark.parametrize("share", [0.01, 0.2, 0.99])
def test_the_last_part_by_time_is_held_back(share):
    frame = patients()
    split = job(frame, time="seen", valid_share=share).split
    days = frame["seen"].to_numpy()
    assert days[split.trains].max() < days[split.validates].min()
    assert (split.trains ^ split.validates).all()
    assert abs(int(split.validates.sum()) - 200 * share) <= 1  # two rows share a day


def test_the_same_column_orders_and_groups_in_any_format(tmp_path):
    frame = patients()
    paths = [written(tmp_path, frame, suffix) for suffix in (".csv", ".parquet", ".ndjson")]
    for options in ({"group": "patient"}, {"time": "seen"}):
        splits = [job(data, **options).split.validates for data in (frame, *paths)]
        assert all((splits[0] == other).all() for other in splits[1:])
    as_numbers = frame.with_columns(patient=pl.col("patient").str.slice(1).cast(pl.Int64))
    as_floats = as_numbers.with_columns(pl.col("patient").cast(pl.Float64))
    one, two = (job(data, group="patient").split for data in (as_numbers, as_floats))
    assert (one.validates == two.validates).all()


def test_missing_groups_are_one_group_and_missing_times_train(caplog):
    frame = patients()
    hidden = pl.int_range(200) % 20 == 0
    gaps = frame.with_columns(
        pl.when(~hidden).then(pl.col(name)).alias(name) for name in ("patient", "seen")
    )
    split = job(gaps, group="patient").split
    sides = split.trains[::20]
    assert sides.all() or not sides.any()
    assert "10 rows without a value of 'patient': they are kept together" in caplog.text
    split = job(gaps, time="seen").split
    assert split.trains[::20].all()
    assert "10 rows without a value of 'seen': they train" in caplog.text


def test_a_group_is_no_input_and_a_time_is_one():
    frame = patients()
    schema = train(frame, "y", group="patient", time=None, **FEW).schema
    assert "patient" not in [column.name for column in schema.columns]
    assert "patient" in schema.ids
    assert ("patient", "the groups of the rows") in [(c.name, c.reason) for c in schema.dropped]
    kept = train(frame, "y", group="patient", categorical="patient", **FEW).schema
    assert "patient" in [column.name for column in kept.columns]
    assert "patient" in train(frame, "y", group="patient", ids="patient", **FEW).schema.ids
    assert "seen" in [c.name for c in train(frame, "y", time="seen", **FEW).schema.columns]
    dropped = train(frame, "y", time="seen", drop="seen", **FEW).schema
    assert "seen" not in [column.name for column in dropped.columns]


def test_predictions_need_no_group(tmp_path):
    frame = patients()
    model = train(frame, "y", group="patient", **FEW)
    model.save(tmp_path / "model")
    model = TableModel.load(tmp_path / "model")
    assert "patient" in model.predict(frame).columns
    assert len(model.predict(frame.drop("patient"))) == 200


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"group": "nobody"}, "no column 'nobody'"),
        ({"time": "sean"}, "no column 'sean'; did you mean 'seen'"),
        ({"group": "y"}, "'y' is named as the target and as the group"),
        ({"time": "city"}, "column 'city' holds no dates, times or numbers"),
        ({"group": "one"}, "column 'one' has only one group"),
        ({"time": "noon"}, "column 'noon' has only one time"),
    ],
)
def test_what_cannot_split_is_named(options, words):
    frame = patients().with_columns(one=pl.lit("a"), noon=pl.date(2020, 1, 1))
    with pytest.raises(DataError, match=words):
        train(frame, "y", **options, **FEW)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"group": "patient", "time": "seen"}, "group='patient'.*time='seen'; choose one"),
        ({"group": "patient", "valid_share": 0}, "group='patient': no rows are held back"),
        ({"time": "seen", "valid": people()}, "time='seen': no rows are held back"),
    ],
)
def test_options_that_contradict_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        train(patients(), "y", **options, **FEW)


def test_random_rows_are_held_back_without_keys():
    split = hold_out(ALL, 40, 3, Keys(), "t")
    assert split.validates.sum() == 40 and (split.trains ^ split.validates).all()
    nothing = hold_out(ALL, 0, 3, Keys(), "t")
    assert nothing.trains.all() and not nothing.validates.any()


# ---------------------------------------------------------------------------------- folds


def disjoint(folds, rows=200):
    """Check that each row is tested once, and trains where it is not tested; return the sizes."""
    tested = np.sum([test for _, test in folds], axis=0)
    assert (tested == 1).all()
    for trains, test in folds:
        assert (trains == ~test).all()
    return sorted(int(test.sum()) for _, test in folds)


def expected_sizes(splitter, *data):
    return sorted(len(test) for _, test in splitter.split(*data))


@pytest.mark.parametrize("count", [2, 5, 7])
def test_folds_of_classes_have_equal_shares_of_them(count):
    frame = patients()
    by, folds = folds_of(job(frame, folds=count, seed=1))
    folds = list(folds)
    assert (by, len(folds)) == ("class", count)
    y = frame["y"].to_numpy()
    assert disjoint(folds) == expected_sizes(StratifiedKFold(count), y, y)
    for name in np.unique(y):
        sizes = [(y[test] == name).sum() for _, test in folds]
        assert max(sizes) - min(sizes) <= 1
    _, others = folds_of(job(frame, folds=count, seed=2))
    assert any((a[1] != b[1]).any() for a, b in zip(folds, others, strict=True))


def test_folds_of_numbers_have_equal_sizes():
    by, folds = folds_of(job(people(200, target="number"), folds=3))
    assert by == "row" and disjoint(list(folds)) == [66, 67, 67]


@pytest.mark.parametrize("target", ["class", "number"])
def test_folds_of_groups_share_none(target):
    frame = patients(target=target)
    by, folds = folds_of(job(frame, folds=4, group="patient"))
    folds, groups = list(folds), frame["patient"].to_numpy()
    sizes = disjoint(folds)
    for (_, one), (_, two) in itertools.combinations(folds, 2):
        assert not set(groups[one]) & set(groups[two])
    if target == "number":
        spread = expected_sizes(GroupKFold(4), ALL, ALL, groups)
        assert by == "group" and sizes == spread


def test_folds_by_time_train_on_what_was_before():
    frame = patients().with_columns(seen=pl.Series(np.random.default_rng(0).permutation(200)))
    by, folds = folds_of(job(frame, folds=4, time="seen"))
    order = np.argsort(frame["seen"].to_numpy())
    expected = list(TimeSeriesSplit(4).split(order))
    folds = list(folds)
    assert by == "time" and len(folds) == 4
    for (trains, test), (train_rows, test_rows) in zip(folds, expected, strict=True):
        assert set(np.flatnonzero(test)) == set(order[test_rows])
        assert set(np.flatnonzero(trains)) == set(order[train_rows])
    days = patients()["seen"].to_numpy()  # where two rows share a day
    for trains, test in folds_of(job(patients(), folds=4, time="seen"))[1]:
        assert days[trains].max() < days[test].min()


def test_rows_without_a_target_are_in_no_fold():
    frame = patients().with_columns(y=pl.when(pl.int_range(200) >= 10).then("y"))
    for trains, test in folds_of(job(frame, folds=3))[1]:
        assert not (trains | test)[:10].any() and (trains ^ test)[10:].all()


def test_the_scores_are_of_models_that_have_not_seen_the_rows():
    frame = patients(target="flag")
    options = {"seed": 3, **FEW}
    model = train(frame, "y", folds=3, **options)
    folds = model.record["folds"]
    assert (folds["by"], folds["asked"], folds["stopped"]) == ("class", 3, None)
    _, parts = folds_of(job(frame, folds=3, seed=3))
    for (trains, test), scores in zip(parts, folds["scores"], strict=True):
        labels = frame["y"].to_numpy().astype(int)
        split = hold_out(trains, round(0.2 * trains.sum()), 3, Keys(), "t", labels)
        rows = np.flatnonzero
        seen = frame[np.concatenate([rows(split.trains), rows(split.validates)])]
        # the same model, from the rows that it may see and a file of those that validate
        alone = train(frame[rows(split.trains)], "y", valid=frame[rows(split.validates)], **options)
        assert len(seen) + test.sum() == 200
        y = frame.filter(test)["y"].to_numpy()
        predicted = alone.predict(frame.filter(test))["prediction"].to_numpy()
        assert scores["accuracy"] == pytest.approx(accuracy_score(y, predicted))
        assert scores["rows"] == test.sum()


def test_the_model_is_trained_as_without_folds(tmp_path):
    frame = patients()
    model = train(frame, "y", folds=2, **FEW)
    assert model.fingerprint == train(frame, "y", **FEW).fingerprint
    model.save(tmp_path / "model")
    assert TableModel.load(tmp_path / "model").record["folds"] == model.record["folds"]


def test_folds_hold_groups_and_times_back_within_too():
    model = train(patients(), "y", folds=3, group="patient", **FEW)
    assert len(model.record["folds"]["scores"]) == 3
    model = train(patients(), "y", folds=3, time="seen", valid_share=0, **FEW)
    assert len(model.record["folds"]["scores"]) == 3
    assert model.record["data"]["valid"] == 0
    valid = patients(50, seed=1)
    model = train(patients(), "y", folds=2, group="patient", valid=valid, **FEW)
    assert len(model.record["folds"]["scores"]) == 2


def test_what_was_said_of_the_table_is_said_once(caplog):
    frame = patients().with_columns(y=pl.when(pl.int_range(200) >= 10).then("y"))
    train(frame, "y", folds=3, **FEW)
    warned = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warned) == len(set(warned))
    assert len([w for w in warned if "without a value of 'y'" in w]) == 1


def test_a_limit_of_time_ends_the_folds(caplog):
    model = train(patients(), "y", folds=3, epochs=10**7, patience=0, max_time=0.3)
    folds = model.record["folds"]
    assert folds["stopped"] == "time" and not folds["scores"]
    assert "0 of 3 folds are scored: time" in caplog.text


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        (200, {"folds": 100}, "rows of its most frequent class; folds=100 needs 100"),
        (200, {"folds": 40, "group": "patient"}, "groups in 'patient'; folds=40 needs 40"),
        (200, {"folds": 100, "time": "seen"}, "times in 'seen'; folds=100 needs 101"),
    ],
)
def test_more_folds_than_rows_are_refused(rows, options, words):
    with pytest.raises(DataError, match=words):
        train(patients(rows), "y", **options, **FEW)


def test_a_class_rarer_than_the_folds_is_told(caplog):
    frame = patients().with_columns(
        y=pl.when(pl.int_range(200) < 2).then(pl.lit("rare")).otherwise("y")
    )
    model = train(frame, "y", folds=4, **FEW)
    assert len(model.record["folds"]["scores"]) == 4
    assert "the class 'rare' has 2 rows, fewer than the 4 folds" in caplog.text


def test_a_fold_that_cannot_be_trained_is_told_and_the_model_is_kept(caplog):
    rng = np.random.default_rng(0)
    # the rows of one class are all in one of two groups
    group = np.repeat(["a", "b", "c", "d"], 50)
    y = np.where((group == "a") & (np.arange(200) % 2 == 0), "yes", "no")
    data = {"x": rng.normal(size=200), "group": group, "y": y}
    model = train(data, "y", group="group", folds=2, valid=data, **FEW)
    assert len(model.predict(data)) == 200
    told = [r.getMessage() for r in caplog.records if "is not scored" in r.getMessage()]
    assert len(told) == 2 - len(model.record["folds"]["scores"]) >= 1
    assert "fewer than two classes in the training rows" in told[0]


def test_a_table_that_cannot_be_split_is_refused_before_the_training(monkeypatch):
    monkeypatch.setattr(Job, "run", lambda *_: pytest.fail("it was trained"))
    with pytest.raises(DataError, match="folds=100 needs 100"):
        train(patients(), "y", folds=100, **FEW)


def test_a_report_shows_the_folds():
    model = train(patients(), "y", folds=3, **FEW)
    page = build_report(model)
    assert "Cross-validation" in page and "3 folds by class" in page
    scores = [each["accuracy"] for each in model.record["folds"]["scores"]]
    assert f"{np.mean(scores):.4g} ± {np.std(scores, ddof=1):.2g}" in page


# ---------------------------------------------------------------------------- the command


def test_the_command_tells_the_scores_and_their_spread(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    patients().write_csv("table.csv")
    base = ("train", "table.csv", "--target", "y", "--epochs", 2, "--folds", 3)
    done = fastbp(*base, "--group", "patient", "-o", "model")
    assert done.code == 0 and done.out.count("\nfold ") == 3
    words = "each validates one of the 5 networks, no group of patient in two folds"
    assert words in done.out
    assert "dropped, the groups of the rows: patient" in done.out
    scores = [each["accuracy"] for each in TableModel.load("model").record["folds"]["scores"]]
    mean, spread = np.mean(scores), np.std(scores, ddof=1)
    assert f"3 folds by group: accuracy {mean:.4g} ± {spread:.2g}, " in done.out
    told = fastbp(*base, "--time", "seen", "--log", "json").events
    (end,) = [event for event in told if event["event"] == "done"]
    assert (end["folds"]["by"], len(end["folds"]["scores"])) == ("time", 3)
    assert ", the last by seen" in fastbp(*base, "--time", "seen").out
    shown = fastbp("info", "model").out
    assert f"3 folds by group: accuracy {mean:.4g} ± {spread:.2g}, " in shown


def rare_table(rows, where):
    """Return a table with one row of the class rare."""
    labels = np.array(["no", "yes"], dtype=object)[np.arange(rows) % 2]
    labels[where] = "rare"
    return pl.DataFrame({"x": np.arange(rows) * 7 % 31, "y": labels.astype(str)})


def test_the_only_row_of_a_class_trains(caplog):
    held = np.flatnonzero(job(rare_table(100, 0), preset="fast").split.validates)
    assert len(held) == 20
    for row in held[:3]:
        rare = rare_table(100, row)
        job_of_rare = job(rare, preset="fast")
        split, target = job_of_rare.split, job_of_rare.schema.target
        assert (split.trains.sum(), split.validates.sum()) == (80, 20)
        assert split.trains[row]
        counts = dict(zip(target.classes, target.counts, strict=True))
        assert counts["rare"] == 1
    assert "the model cannot predict it" not in caplog.text


def test_a_resumed_training_has_the_same_split(tmp_path):
    held = np.flatnonzero(job(rare_table(100, 0), preset="fast").split.validates)
    rare = rare_table(100, held[0])
    options = {"preset": "fast", "hidden": (4,), "patience": 0}
    train(rare, "y", epochs=2, checkpoints=tmp_path / "c", **options)
    resumed = train(rare, "y", epochs=4, checkpoints=tmp_path / "c", resume=True, **options)
    whole = train(rare, "y", epochs=4, **options)
    assert resumed.network.parameters.tobytes() == whole.network.parameters.tobytes()


def test_where_rows_are_split_by_time_a_class_that_only_validates_is_said(caplog):
    frame = rare_table(100, 99).with_columns(t=np.arange(100))
    job = Job(frame, TrainOptions("y", time="t"))
    assert not job.split.trains[99]
    assert "no training row has the class 'rare'" in caplog.text
