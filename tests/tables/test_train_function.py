"""`fastbp.train`: what it takes, the same bits, rows that are held back, small tables, its end."""

import logging
from datetime import date

import numpy as np
import polars as pl
import pytest

from fastbp import DataError, DivergenceError, train
from table_makers import WRITERS, numeric, people, written

FEW = {"preset": "fast", "epochs": 4, "hidden": 8}


# ------------------------------------------------------------------------- what it takes


@pytest.mark.parametrize("target", ["class", "number", "flag"])
def test_every_form_of_a_table_gives_the_same_model(tmp_path, target):
    frame = people(150, target=target)
    forms = [written(tmp_path, frame, suffix) for suffix in WRITERS]
    forms += [str(forms[0]), frame, frame.lazy(), frame.to_pandas(), frame.to_arrow()]
    prints = {train(form, "y", **FEW).fingerprint for form in forms}
    assert len(prints) == 1


def test_whole_floats_in_order_are_numbers_in_every_format(tmp_path):
    frame = people(60).with_columns(seconds=pl.int_range(60).cast(pl.Float64))
    models = [train(written(tmp_path, frame, suffix), "y", **FEW) for suffix in WRITERS]
    assert len({model.fingerprint for model in models}) == 1
    assert "seconds" in [column.name for column in models[0].schema.columns]
    integers = frame.with_columns(pl.col("seconds").cast(pl.Int64))
    assert "seconds" in train(written(tmp_path, integers), "y", **FEW).schema.ids


def test_a_folder_and_a_glob_are_the_table_of_their_files(tmp_path):
    frame = people(150)
    for place, start in enumerate((0, 70, 80)):
        end = (70, 80, 150)[place]
        written(tmp_path, frame[start:end], ".parquet", f"part-{place}")
    whole = train(frame, "y", **FEW).fingerprint
    assert train(tmp_path, "y", **FEW).fingerprint == whole
    assert train(str(tmp_path / "part-*.parquet"), "y", **FEW).fingerprint == whole


def test_several_paths_are_the_table_of_their_files(tmp_path):
    paths = []
    for n in range(2):
        paths.append(tmp_path / f"{n}.csv")
        people().slice(n * 120, 120).write_csv(paths[-1])
    people().write_csv(tmp_path / "all.csv")
    assert (
        train(paths, "y", **FEW).fingerprint == train(tmp_path / "all.csv", "y", **FEW).fingerprint
    )


@pytest.mark.parametrize("kind", ["number of rows", "rows", "value", "count"])
def test_a_column_may_have_any_name(kind):
    data = people().rename({"city": kind})
    model = train(data, "y", **FEW)
    assert kind in [column.name for column in model.schema.columns]


def test_what_looks_like_an_id_may_be_a_number():
    x = np.arange(200)
    data = {"year": x, "noise": np.sin(x * 1.7), "y": 2.5 * x}
    options = {"epochs": 60, "learning_rate": 0.01}
    dropped, kept = train(data, "y", **options), train(data, "y", numeric=["year"], **options)
    assert [column.name for column in dropped.schema.columns] == ["noise"]
    assert [column.name for column in kept.schema.columns] == ["year", "noise"]
    assert kept.evaluate(data)["r2"] > 0.9 > 0.5 > dropped.evaluate(data)["r2"]
    with pytest.raises(DataError, match=r"'year': an id.*numeric= keep"):
        train({"year": x, "y": 2.5 * x}, "y", **options)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["1", "2", "x", "4"] * 50, "50 of 200 values are not numbers, such as 'x' in row 3"),
        (pl.Series([date(2020, 1, 1), date(2021, 1, 1)] * 100), "it cannot be read as numbers"),
    ],
)
def test_what_is_no_number_cannot_be_numeric(values, words):
    data = {"a": values, "b": np.sin(np.arange(200.0)), "y": ["u", "v"] * 100}
    with pytest.raises(DataError, match=words):
        train(pl.DataFrame(data), "y", numeric=["a"], **FEW)


@pytest.mark.parametrize(
    ("name", "words"), [("hiden", "did you mean 'hidden'"), ("x", "Options: ")]
)
def test_an_option_that_there_is_not_is_named(name, words):
    with pytest.raises(TypeError, match=f"no option '{name}'.*{words}"):
        train(people(), "y", **{name: 3})


def test_columns_may_be_kept_beside_predictions():
    data = people()
    model = train(data, "y", **FEW)
    kept = model.predict(data, keep=["city"])
    assert kept["city"].to_list() == data["city"].to_list()
    assert kept.drop("city").equals(model.predict(data))


def test_a_dict_of_arrays_and_an_npz_file_are_tables(tmp_path):
    data = numeric()
    np.savez(tmp_path / "table.npz", **data)
    model = train(data, "y", **FEW)
    assert train(tmp_path / "table.npz", "y", **FEW).fingerprint == model.fingerprint
    assert train(pl.DataFrame(data), "y", **FEW).fingerprint == model.fingerprint


def test_text_with_gaps_may_come_as_an_array_of_objects():
    frame = people(150)
    arrays = {name: frame[name].to_numpy() for name in frame.columns}
    assert arrays["city"].dtype == object
    assert train(arrays, "y", **FEW).fingerprint == train(frame, "y", **FEW).fingerprint
    arrays["city"][0] = 3
    with pytest.raises(DataError, match="'city' holds objects of several types"):
        train(arrays, "y", **FEW)


@pytest.mark.parametrize("data", [3, None, [[1, 2], [3, 4]], np.zeros((3, 2))])
def test_what_is_no_table_is_a_type_error(data):
    with pytest.raises(TypeError, match="expected a path, a frame"):
        train(data, "y")


# --------------------------------------------------------------------------- the same bits


@pytest.mark.parametrize("memory", [None, 4000])
def test_a_seed_gives_the_same_bits_on_any_number_of_threads(memory):
    options = {"hidden": (40, 20), "epochs": 4, "dropout": 0.2, "memory": memory}
    models = [
        train(people(), "y", n_threads=n, **options, preset="fast") for n in (1, 2, "auto", 1)
    ]
    assert len({model.fingerprint for model in models}) == 1
    assert len({model.record["data"]["digest"] for model in models}) == 1
    assert all(model.record["metrics"] == models[0].record["metrics"] for model in models)


def test_another_seed_gives_another_split_and_another_net():
    one, other = (train(people(), "y", seed=seed, **FEW) for seed in (0, 1))
    assert one.schema != other.schema
    assert one.fingerprint != other.fingerprint
    weights = [train(people(), "y", seed=seed, valid_share=0, **FEW) for seed in (0, 1)]
    assert weights[0].schema == weights[1].schema
    assert (weights[0].network.parameters != weights[1].network.parameters).any()


# --------------------------------------------------------------------------- held-back rows


@pytest.mark.parametrize(
    "rows, share, held", [(200, None, 40), (203, None, 41), (200, 0.5, 100), (200, 0.01, 2)]
)
def test_a_share_of_the_rows_is_held_back(rows, share, held):
    model = train(people(rows), "y", valid_share=share, **FEW)
    assert model.record["data"]["valid"] == model.record["metrics"]["valid"]["rows"] == held
    assert model.record["data"]["train"] == rows - held == sum(model.schema.target.counts)


def test_rows_to_validate_on_may_be_given(tmp_path):
    data, valid = people(), people(77, seed=1)
    model = train(data, "y", valid=written(tmp_path, valid), **FEW)
    assert model.record["data"]["valid"] == 77
    assert model.record["metrics"]["valid"] == model.evaluate(valid)
    assert model.history["val_accuracy"][model.record["best_epoch"]] == pytest.approx(
        model.evaluate(valid)["accuracy"]
    )
    # they say nothing of how columns are encoded
    assert model.schema == train(data, "y", valid_share=0, **FEW).schema


def test_rows_to_validate_on_must_have_the_columns_and_the_classes():
    valid = people(77, seed=1)
    with pytest.raises(DataError, match="'city'"):
        train(people(), "y", valid=valid.drop("city"))
    with pytest.raises(DataError, match=r"'none'.*row 1\b"):
        train(people(), "y", valid=valid.with_columns(y=pl.lit("none")))
    with pytest.raises(DataError, match="no row with a value of 'y'"):
        train(people(), "y", valid=valid.with_columns(y=pl.lit(None, pl.String)))


def test_nothing_is_held_back_if_nobody_wants_it():
    model = train(people(), "y", valid_share=0, **FEW)
    assert model.record["data"]["train"] == 200
    assert model.record["data"]["valid"] == 0
    assert model.record["metrics"] == {}
    assert not any(name.startswith("val") for name in model.history)
    assert model.record["confusion"] is None


def test_the_record_scores_the_rows_that_were_held_back():
    data = {"x": np.arange(100.0) ** 2, "y": np.arange(100.0) * 3}
    model = train(data, "y", hidden=8, epochs=3, preset="fast")
    metrics, residuals = model.record["metrics"]["valid"], model.record["residuals"]
    error = np.subtract(residuals["predicted"], residuals["actual"])
    assert len(error) == metrics["rows"] == 20
    assert metrics["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert residuals["mean"] == pytest.approx(error.mean())
    assert residuals["std"] == pytest.approx(error.std())
    assert sum(residuals["histogram"]["counts"]) == 20
    assert set(np.round(residuals["actual"]).astype(int)) <= set(range(0, 300, 3))


# ------------------------------------------------------------------------------ small tables


@pytest.mark.parametrize("rows", [2, 3, 5])
def test_a_tiny_table_trains(rows):
    data = {"x": np.linspace(-1, 1, rows) ** 3, "y": np.linspace(0.5, 9, rows)}
    model = train(data, "y", epochs=300, learning_rate=1e-2, patience=0, valid_share=0)
    predicted = model.predict(data)["prediction"].to_numpy()
    np.testing.assert_allclose(predicted, data["y"], atol=0.5)
    assert len(train(data, "y", epochs=2).predict(data)) == rows


@pytest.mark.parametrize("rows", [2, 3, 5])
def test_a_tiny_table_of_classes_trains(rows):
    data = {"x": np.linspace(-1, 1, rows) ** 3, "y": ["a", "b", "a", "b", "b"][:rows]}
    model = train(data, "y", epochs=800, learning_rate=1e-2, patience=0, valid_share=0)
    assert model.predict(data)["prediction"].to_list() == data["y"]


def test_where_too_much_is_held_back_the_message_says_so():
    with pytest.raises(DataError, match=r"2 rows.*held back.*valid_share=0"):
        train({"x": [1.0, 2.5], "y": ["a", "b"]}, "y", valid_share=0.9)
    with pytest.raises(DataError, match="fewer than two classes in the training rows"):
        train({"x": [1.0, 2.5, 4.0], "y": ["a", "b", "b"]}, "y", valid_share=0.5, time="x")


def test_a_table_without_inputs_or_target_is_refused():
    with pytest.raises(DataError, match="no column left to learn from"):
        train({"x": [1, 1, 1], "y": ["a", "b", "a"]}, "y")
    with pytest.raises(DataError, match="no column left to learn from"):
        train({"y": ["a", "b", "a"]}, "y")
    with pytest.raises(DataError, match="'y' is missing in all rows"):
        train({"x": [1, 2, 3], "y": [None, None, None]}, "y")


def test_rows_without_a_target_are_as_if_they_were_not_there():
    frame = people()
    gap = pl.Series(np.random.default_rng(1).random(len(frame)) < 0.3)
    gaps = frame.with_columns(y=pl.when(gap).then(None).otherwise("y"))
    options = {"valid_share": 0, "batch_size": 32, **FEW}
    model, kept = train(gaps, "y", **options), train(gaps.filter(~gap), "y", **options)
    assert model.fingerprint == kept.fingerprint
    assert model.record["data"]["no_target"] == gap.sum() > 0
    assert model.evaluate(gaps) == kept.evaluate(gaps.filter(~gap))


# -------------------------------------------------------------------------------- how it ends


def test_callbacks_see_epochs_and_can_stop():
    seen = []

    def stop(entry):
        seen.append(entry["epoch"])
        return entry["epoch"] == 2

    model = train(people(), "y", epochs=50, callbacks=stop, preset="fast")
    assert seen == [0, 1, 2]
    assert model.record["stopped"] == "callback"
    assert len(model.history["loss"]) == 3


def test_time_is_limited():
    # so many epochs would take hours
    model = train(people(), "y", epochs=10**7, patience=0, max_time=0.2)
    assert model.record["stopped"] == "time"
    assert 0.2 < model.record["seconds"] < 10
    assert len(model.predict(people())) == 200


def test_a_loss_that_is_not_finite_is_an_error():
    with pytest.raises(DivergenceError, match="learning rate"):
        train(numeric(), "y", learning_rate=1e30, optimizer="sgd")


def test_it_prints_nothing_and_logs_what_is_unknown(capfd, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    model = train(people(), "y", checkpoints=tmp_path, **FEW)
    strangers = people().with_columns(city=pl.lit("Atlantis"))
    model.predict(strangers)
    model.evaluate(strangers)
    assert capfd.readouterr() == ("", "")
    assert {r.name for r in caplog.records} == {"fastbp", "fastbp.checkpoints", "fastbp.steps"}
    warned = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert (
        warned[0] == "the table: column 'code' is left out: an id: 160 distinct values in 160 rows"
    )
    assert len(warned) == 3
    assert all("200 values of column 'city'" in message for message in warned[1:])


def test_a_category_of_the_rows_to_validate_on_that_is_unknown_is_logged(caplog):
    train(people(), "y", valid=people(50, seed=1).with_columns(city=pl.lit("Atlantis")), **FEW)
    assert "50 values of column 'city'" in caplog.text


def test_a_notebook_shows_the_bar_of_a_training_as_its_own(monkeypatch):
    from tqdm import auto, std

    shown = []

    class Bar(std.tqdm):
        def __init__(self, *args, **kwargs):
            shown.append(kwargs["total"])
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(auto, "tqdm", Bar)  # of `auto`, which chooses the bar for a notebook
    train(people(), "y", progress=False, **FEW)
    assert shown == []
    train(people(), "y", progress=True, **FEW)
    assert shown == [4]


def test_progress_is_shown_on_the_standard_error_alone(capfd):
    train(people(), "y", progress=True, **FEW)
    out, err = capfd.readouterr()
    assert out == ""
    assert "4/4" in err
    assert "val_loss" in err


# ---------------------------------------------------------------------------- a scratch file


def test_rows_beyond_the_memory_go_through_a_scratch_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    data, whole = people(), {"batch_size": 200, "valid_share": 0, "epochs": 3, "hidden": 8}
    within, beyond = train(data, "y", **whole), train(data, "y", memory=4000, **whole)
    assert (within.record["streamed"], beyond.record["streamed"]) == (False, True)
    assert beyond.schema == within.schema
    assert beyond.record["data"] == within.record["data"]
    # a step of all rows does not depend on their order, but for the rounding
    np.testing.assert_allclose(
        beyond.network.parameters, within.network.parameters, rtol=1e-3, atol=1e-4
    )
    assert list(tmp_path.iterdir()) == []


def test_a_memory_that_is_enough_changes_nothing():
    models = [train(people(), "y", memory=memory, **FEW) for memory in (None, 10**6)]
    assert models[0].fingerprint == models[1].fingerprint
    assert not models[1].record["streamed"]


def test_held_back_rows_are_the_same_within_memory_and_beyond():
    models = [train(people(), "y", memory=memory, **FEW) for memory in (None, 4000)]
    assert [model.record["streamed"] for model in models] == [False, True]
    assert models[0].record["data"] == models[1].record["data"]
    assert models[0].schema == models[1].schema


def test_rows_to_validate_on_count_as_memory():
    # 4 bytes a feature, and 8 of the label
    held = 50 * (4 * train(people(), "y", **FEW).schema.n_features + 8)
    train(people(), "y", valid=people(50), memory=held, **FEW)
    with pytest.raises(MemoryError, match=f"50 validation rows take {held / 1024:.3g} KiB, "):
        train(people(), "y", valid=people(50), memory=held - 1, **FEW)
    with pytest.raises(MemoryError, match="40 validation rows"):
        train(people(), "y", valid_share=0.2, memory=999, **FEW)


def test_a_table_to_validate_on_has_targets():
    with pytest.raises(DataError, match="no row with a value of 'y'"):
        train(people(), "y", valid=people(50).with_columns(y=pl.lit("")), **FEW)
