"""``fastbp train``: every option has its effect, wrong ones are refused in one line."""

import os
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fastbp as library
from command_line import fastbp, people
from fastbp import Adam, AdamW, Cosine, Dense, Dropout, Network, OneCycle, TableModel
from fastbp.tables.columns.encoding import Encoder
from fastbp.tables.split import Keys, hold_out
from people_trained import (
    BASE,
    FEATURES,
    HELD,
    PEOPLE,
    ROWS,
    enter,
    names,
    numbers_of,
    trained,
    without_target,
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Run in a folder that holds people.csv."""
    return enter(tmp_path, monkeypatch)


# ---------------------------------------------------------------- the net, against Network.fit


def by_hand(
    schema,
    hidden=(100,),
    activation="relu",
    dropout=0.0,
    optimizer=None,
    loss=None,
    dtype="float32",
    seed=0,
    weigh=False,
    held=HELD,
    **fit,
):
    """Return the net that `Network.fit` makes of the table's features."""
    encoder = Encoder(schema, "", dtype)
    frame = pl.read_csv("people.csv", infer_schema=False)
    X, (y, _) = encoder.encode(frame), encoder.encode_target(frame)
    trains = np.ones(ROWS, bool)
    if held:
        labels = y if schema.target.classes else None
        trains = hold_out(trains, held, seed, Keys(), "", labels).trains
    weight = None
    if weigh:
        counts = np.bincount(y[trains])
        weight = (counts.mean() / counts)[y[trains]]
    layers = []
    for units in hidden:
        layers += [Dense(units, activation, initializer="glorot_uniform")]
        layers += [Dropout(dropout)] if dropout else []
    classes = len(schema.target.classes)
    net = Network(
        inputs=FEATURES,
        layers=[*layers, Dense(classes or 1)],
        dtype=dtype,
        seed=seed,
        loss=loss or "cross_entropy",
        optimizer=optimizer or Adam(),
    )
    fit = {"epochs": 3, "batch_size": 32, "early_stopping": 10, **fit}
    valid = (X[~trains], y[~trains]) if held else None
    net.fit(X[trains], y[trains], sample_weight=weight, validation_data=valid, **fit)
    return net


NETS = {
    "--hidden 7,5": {"hidden": (7, 5)},
    "--hidden=": {"hidden": ()},
    "--activation tanh": {"activation": "tanh"},
    "--dropout 0.5": {"dropout": 0.5},
    "--optimizer sgd": {"optimizer": library.SGD()},
    "--learning-rate 0.02": {"optimizer": Adam(0.02)},
    "--l2 0.1": {"optimizer": Adam(l2=0.1)},
    "--optimizer adamw --weight-decay 0.5": {"optimizer": AdamW(weight_decay=0.5)},
    "--clip-norm 0.01": {"optimizer": Adam(clip_norm=0.01)},
    "--schedule cosine": {"optimizer": Adam(schedule=Cosine(3))},
    "--schedule one_cycle": {"optimizer": Adam(schedule=OneCycle(3))},
    "--class-weight balanced": {"weigh": True},
    "--epochs 2": {"epochs": 2},
    "--batch-size 50": {"batch_size": 50},
    "--seed 7": {"seed": 7},
    "--dtype float64": {"dtype": "float64"},
    "--valid-share 0.5": {"held": 200},
    "--valid-share 0": {"held": 0},
}


@pytest.mark.parametrize("options", NETS)
def test_an_option_makes_the_net_that_fit_makes_with_it(options):
    plain = trained("--no-calibrate")
    model = trained(*options.split(" "), "--no-calibrate")
    expected = by_hand(model.schema, **NETS[options])
    assert model.network.parameters.tobytes() == expected.parameters.tobytes()
    assert model.network.parameters.tobytes() != plain.network.parameters.tobytes()
    assert model.network.dtype == expected.dtype
    np.testing.assert_array_equal(model.history["loss"], expected.history["loss"])
    steps = -(-(ROWS - model.record["data"]["valid"]) // model.record["batch_size"])
    assert model.record["steps"] == steps * len(model.history["loss"])


def test_the_loss_of_a_regression_can_be_chosen():
    base = [*BASE[:3], "income", "--drop", "rich", "--epochs", 3, "--preset", "fast"]
    plain, model = trained(base=base), trained("--loss", "huber", base=base)
    assert (plain.network.loss, model.network.loss) == ("squared_error", "huber")
    expected = by_hand(model.schema, loss="huber")
    assert model.network.parameters.tobytes() == expected.parameters.tobytes()


def test_weights_of_classes_find_more_of_the_rare_one():
    def share_found(*options):
        confusion = np.array(trained(*options).record["confusion"])
        return confusion[1, 1] / confusion[1].sum()

    assert share_found("--class-weight", "balanced") > share_found() + 0.2


def test_patience_ends_a_training_that_no_longer_improves_and_0_does_not():
    options = ("--no-calibrate", "--learning-rate", 0.03, "--epochs", 60, "--patience")
    model = trained(*options, 4)
    losses = model.history["val_loss"]
    best = int(np.argmin(losses))
    assert model.record["stopped"] == "early stopping"
    assert len(losses) == best + 1 + 4 < 60
    assert model.record["best_epoch"] == best
    assert model.record["metrics"]["valid"]["log_loss"] == pytest.approx(losses[best], rel=1e-5)
    assert len(trained(*options, 0).history["loss"]) == 60


def test_threads_are_as_many_as_asked_and_change_no_bit():
    from numba import config

    one, two = trained("--threads", 1), trained("--threads", 2)
    assert one.record["threads"] == 1
    assert two.record["threads"] == min(2, config.NUMBA_NUM_THREADS)
    assert one.fingerprint == two.fingerprint


def test_the_time_may_be_limited():
    begin = time.monotonic()
    base = [*BASE, "--max-time", "2s", "--epochs", 10**9, "--patience", 0]
    done = fastbp(*base, "-o", "model")
    # it may also warn of an epoch whose validation was cut short
    assert done.code == 0, done.err
    model = TableModel.load("model")
    assert model.record["stopped"] == "time"
    assert 2 <= model.record["seconds"] < time.monotonic() - begin < 30
    assert len(model.history["loss"]) > 1


# ------------------------------------------------------------------------------ the columns


def test_the_target_decides_the_task_and_the_task_can_be_told():
    def learned(target, *options):
        return trained(*options, base=[*BASE[:3], target, "--epochs", 1]).schema.target

    for target, task, kind in (
        ("rich", "classification", "text"),
        ("income", "regression", "number"),
    ):
        found = learned(target)
        assert (found.name, found.task, found.kind) == (target, task, kind)
    assert learned("zip").classes == ("100", "200", "300")
    told = learned("zip", "--task", "regression")
    assert told.task == "regression"
    assert told.mean == pytest.approx(PEOPLE["zip"].mean(), rel=0.05)


def test_ids_are_no_input_and_stand_beside_predictions():
    assert {"city", "zip"} <= set(names(trained()))
    model = trained("--id", "city", "--id", "zip")
    assert not {"city", "zip"} & set(names(model))
    assert model.predict("people.csv")["city"].to_list() == PEOPLE["city"].to_list()


def test_columns_are_dropped_that_are_asked_or_say_nothing():
    done = fastbp(*BASE, "--drop", "city", "--log", "json")
    (data,) = [event for event in done.events if event["event"] == "data"]
    assert set(data["dropped"]) == {"income", "city", "country", "person_id"}
    assert set(data["columns"]) == {"age", "zip", "joined", "member"}
    text = fastbp(*BASE, "--drop", "city").out
    for line in ("dropped, asked: city, income", "dropped, constant: country"):
        assert re.search(line.replace("city, income", "(city, income|income, city)"), text)
    assert re.search("dropped, an id: .*: person_id", text)


def test_a_column_of_numbers_can_be_one_of_categories():
    kinds = {column.name: column for column in trained().schema.columns}
    assert kinds["zip"].kind == "number"
    kinds = {column.name: column for column in trained("--categorical", "zip").schema.columns}
    assert (kinds["zip"].kind, kinds["zip"].categories) == ("category", ("100", "200", "300"))


def test_further_words_may_mean_that_a_value_is_missing():
    few = pl.int_range(pl.len()) < 9
    ages = pl.when(few).then(pl.lit("not told")).otherwise(pl.col("age").cast(str))
    PEOPLE.with_columns(ages.alias("age")).write_csv("people.csv")
    refused = fastbp(*BASE)
    assert refused.code == 3 and "age" in refused.complaint and "--missing" in refused.complaint
    column = {c.name: c for c in trained("--missing", "not told").schema.columns}["age"]
    assert (column.kind, column.missing) == ("number", True)
    words = trained("--missing", "not told", "--missing", "Rome").schema
    city = {c.name: c for c in words.columns}["city"]
    assert city.missing and "Rome" not in city.categories


def test_rows_to_validate_on_may_be_a_table_of_their_own():
    people(90, seed=3).write_csv("others.csv")
    model = trained("--valid", "others.csv", "--epochs", 20)
    data = model.record["data"]
    assert (data["train"], data["valid"]) == (ROWS, 90)
    right = model.predict("others.csv")["prediction"] == people(90, seed=3)["rich"]
    assert model.record["metrics"]["valid"]["accuracy"] == pytest.approx(right.mean())


# ------------------------------------------------------------------- memory and checkpoints


def test_rows_beyond_the_memory_go_through_a_scratch_file(folder, monkeypatch):
    made, temporary_file = [], tempfile.TemporaryFile

    def note(*arguments, **options):
        made.append(temporary_file(*arguments, **options))
        return made[-1]

    scratch = folder / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setattr(tempfile, "TemporaryFile", note)
    one, other = trained("--memory", "1GB"), trained()
    assert not made and not one.record["streamed"]
    assert one.fingerprint == other.fingerprint
    streamed = trained("--memory", "10kB", "--epochs", 40)
    assert made and streamed.record["streamed"]
    assert streamed.record["metrics"]["valid"]["accuracy"] > 0.8
    assert not list(scratch.iterdir())


def test_checkpoints_come_as_often_as_asked_and_two_are_kept():
    long = ("--epochs", 300, "--patience", 0, "--batch-size", 4)
    trained("--checkpoint", "a", "--every", "1h", *long)
    trained("--checkpoint", "b", "--every", "0s", *long)
    assert numbers_of("a") == [1, 2]  # the first, and that of the end
    *_, before, last = numbers_of("b")
    assert len(numbers_of("b")) == 2 and last == before + 1 > 4


def test_a_training_goes_on_where_its_checkpoint_is():
    whole = trained("--epochs", 6)
    trained("--checkpoint", "ck", "--resume")  # there is none: it begins
    done = fastbp(
        *BASE, "-o", "model", "--epochs", 6, "--checkpoint", "ck", "--resume", "--log", "json"
    )
    assert [event["epoch"] for event in done.events if event["event"] == "epoch"] == [4, 5, 6]
    model = TableModel.load("model")
    assert model.fingerprint == whole.fingerprint
    assert model.history["loss"] == whole.history["loss"]
    text = fastbp(*BASE, "--epochs", 6, "--checkpoint", "ck", "--resume").out
    assert "resumes from a checkpoint" in text


def test_without_resume_no_training_clears_the_checkpoints_of_another():
    trained("--checkpoint", "ck")
    before = sorted(os.listdir("ck"))
    for more in ((), ("--dry-run",)):
        done = fastbp(*BASE, "--checkpoint", "ck", *more)
        assert (
            done.code == 2
            and "--checkpoint: ck holds checkpoints of an earlier training" in done.err
        )
    assert sorted(os.listdir("ck")) == before


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("--hidden 7", "--hidden"),
        ("--seed 1", "--seed"),
        ("--batch-size 7", "--batch-size"),
        ("--drop zip", "--drop"),
        ("--task classification", "--task"),
        ("--target zip", "--target"),
        ("--valid-share 0.3", "--valid-share"),
        ("--learning-rate 0.1", "--learning-rate"),
        ("--class-weight balanced", "--class-weight"),
    ],
)
def test_what_makes_another_training_cannot_go_on(options, word):
    trained("--checkpoint", "ck")
    before = sorted(os.listdir("ck"))
    base = without_target() if word == "--target" else BASE
    done = fastbp(*base, "--checkpoint", "ck", "--resume", "-o", "other", *options.split())
    assert done.code == 2
    assert f"--resume: {word} was" in done.complaint
    assert sorted(os.listdir("ck")) == before and not Path("other").exists()


def test_epochs_cannot_change_where_rates_depend_on_them():
    trained("--checkpoint", "ck", "--schedule", "cosine")
    done = fastbp(*BASE, "--checkpoint", "ck", "--resume", "--schedule", "cosine", "--epochs", 9)
    assert done.code == 2 and "--resume: --epochs was 3" in done.complaint


def test_a_training_goes_on_with_its_own_rows_alone():
    trained("--checkpoint", "ck")
    people(ROWS, seed=5).write_csv("people.csv")
    done = fastbp(*BASE, "--checkpoint", "ck", "--resume")
    assert done.code == 3 and "people.csv does not hold the rows" in done.complaint


def test_checkpoints_of_another_kind_are_refused():
    net = Network([3, 4, 1])
    X = np.zeros((9, 3))
    net.fit(X, X[:, 0], epochs=1, checkpoints="ck")
    done = fastbp(*BASE, "--checkpoint", "ck", "--resume")
    assert (
        done.code == 3 and "ck holds checkpoints, but of no training on a table" in done.complaint
    )


# ----------------------------------------------------------------------------- kinds of tables


@pytest.mark.parametrize("suffix", ["parquet", "ndjson", "arrow", "tsv"])
def test_other_formats_and_folders_give_the_same_net(suffix):
    write = {
        "parquet": PEOPLE.write_parquet,
        "ndjson": PEOPLE.write_ndjson,
        "arrow": PEOPLE.write_ipc,
        "tsv": lambda path: PEOPLE.write_csv(path, separator="\t"),
    }[suffix]
    write(f"people.{suffix}")
    model, same = trained(), trained(base=(BASE[0], f"people.{suffix}", *BASE[2:]))
    assert same.network.parameters.tobytes() == model.network.parameters.tobytes()


def test_a_folder_and_a_glob_are_one_table():
    Path("parts").mkdir()
    for n, part in enumerate(PEOPLE.iter_slices(150)):
        part.write_csv(f"parts/{n}.csv")
    model = trained()
    for data in ("parts", "parts/*.csv"):
        assert trained(base=(BASE[0], data, *BASE[2:])).fingerprint == model.fingerprint


def test_python_trains_the_same_model():
    model = trained("--hidden", "7,5", "--id", "zip", "--max-time", "1h")
    same = library.train(
        "people.csv",
        "rich",
        drop="income",
        ids="zip",
        preset="fast",
        hidden=(7, 5),
        epochs=3,
        max_time=3600,
    )
    assert same.fingerprint == model.fingerprint
    assert same.record["metrics"] == model.record["metrics"]
