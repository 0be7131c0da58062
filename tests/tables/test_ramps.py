"""Ramps of numbers and dates: their features, and all that takes them."""

import json
from datetime import datetime

import numpy as np
import polars as pl
import pytest

from bent_scaler import ramps_of
from command_line import fastbp
from fastbp import Checkpoints, TableModel, train
from fastbp.exports.onnx import to_onnx
from fastbp.tables.columns.encoding import Encoder
from fastbp.tables.columns.kinds import Date, Number
from fastbp.tables.columns.schema import Schema
from fastbp.tables.options import TrainOptions
from fastbp.tables.result.notes import notes_of
from ramp_tables import column_of, job_of, table

FEW = {"preset": "fast", "epochs": 3, "hidden": 8}
BY = pytest.mark.parametrize("by", ["tree", "quantiles"])


class Stopped(Exception):
    """What a callback raises."""


def breaks_off(entry):
    if entry["epoch"] == 3:
        raise Stopped


# --------------------------------------------------------------------------------- features


@BY
def test_features_are_those_of_interpolation_by_hand(by):
    frame = table()
    job, plain = job_of(frame, ramp_edges=by), job_of(frame, ramps=0, ramp_edges=None)
    X, without = (Encoder(each.schema, dtype=np.float64).encode(frame) for each in (job, plain))
    names = list(job.schema.feature_names)
    assert [name for name in names if " ramp " not in name] == list(plain.schema.feature_names)
    np.testing.assert_array_equal(X[:, [" ramp " not in name for name in names]], without)
    seconds = frame["day"].dt.timestamp("us").to_numpy() / 1e6
    for name, values in (("x", frame["x"].to_numpy()), ("day", seconds)):
        edges = column_of(job.schema, name).edges
        place = names.index(name)
        expected = ramps_of(values, edges)
        assert expected.shape[1] > 5
        own = X[:, place + 1 : place + 1 + expected.shape[1]]
        np.testing.assert_allclose(own, expected, rtol=0, atol=1e-15)


def test_what_lies_outside_of_the_edges_is_flat():
    column = Number("a", True, edges=(-1.0, 0.0, 3.0))
    features = np.zeros((6, 4))
    column.encode(pl.Series([-1e308, -1.0, -0.5, 1.5, 1e308, None]), (), features, 0)
    expected = [[0, 0, 0], [0, 0, 0], [0.25, 0, 0], [0.5, 0.25, 0], [0.5, 0.5, 0], [0, 0, 1]]
    np.testing.assert_array_equal(features[:, 1:], expected)


def test_dates_have_ramps_before_their_phases():
    column = Date("d", False, edges=(0.0, 86_400.0, 3 * 86_400.0))
    days = pl.Series([datetime(1970, 1, 1, 12), datetime(1970, 1, 3)])
    features = np.zeros((2, column.width))
    column.encode(days, (), features, 0)
    np.testing.assert_allclose(features[:, 1:3], [[0.25, 0], [0.5, 0.25]])
    phase = 2 * np.pi * np.array([43_200, 172_800]) / 604_800
    np.testing.assert_allclose(features[:, 5], np.sin(phase))
    assert column.feature_names[:3] == ("d", "d ramp 0.0 to 86400.0", "d ramp 86400.0 to 259200.0")


@BY
def test_the_bits_do_not_depend_on_the_file_or_on_other_rows(tmp_path, by):
    frame = table()
    csv, parquet = tmp_path / "t.csv", tmp_path / "t.parquet"
    frame.write_csv(csv)
    frame.write_parquet(parquet)
    models = [train(data, "y", ramps=8, ramp_edges=by, **FEW) for data in (csv, parquet, frame)]
    edges = [[c.edges for c in model.schema.columns if c.kind != "boolean"] for model in models]
    assert edges[0] == edges[1] == edges[2]
    assert len({model.network.parameters.tobytes() for model in models}) == 1
    predicted = [models[0].predict(data) for data in (csv, parquet, frame)]
    assert predicted[0].equals(predicted[1]) and predicted[0].equals(predicted[2])
    encoder = Encoder(models[0].schema)
    alone = np.concatenate([encoder.encode(frame[n : n + 1]) for n in range(100)])
    np.testing.assert_array_equal(alone, encoder.encode(frame)[:100])


# --------------------------------------------------------------------- training with ramps


def test_ramps_learn_steps_that_the_plain_number_does_not():
    frame = table(2_000)
    options = {"hidden": 32, "epochs": 40, "seed": 1}
    r2 = [
        train(frame[:1_500], "y", **options, **more, preset="fast").evaluate(frame[1_500:])["r2"]
        for more in ({}, {"ramps": 16}, {"ramps": 16, "ramp_edges": "quantiles"})
    ]
    # a linear model in the steps has all but the noise, which is 1 % of the variance of y
    assert min(r2[1:]) > 0.8 > r2[0] + 0.1


def test_without_ramps_nothing_is_changed(tmp_path):
    frame = table()
    model = train(frame, "y", **FEW)
    assert model.record["options"]["ramps"] == 0 and "ramp_edges" not in model.record["options"]
    data = json.loads(json.dumps(model.schema.to_data()))
    assert not any("edges" in column for column in data["columns"])
    same = train(frame, "y", ramps=0, **FEW)
    assert same.fingerprint == model.fingerprint


def test_a_file_keeps_the_edges_to_the_bit(tmp_path):
    frame = table()
    model = train(frame, "y", ramps=8, **FEW)
    model.save(tmp_path / "m")
    again = TableModel.load(tmp_path / "m")
    assert again.schema == model.schema
    assert again.record["options"]["ramps"] == 8
    assert again.predict(frame).equals(model.predict(frame))


@pytest.mark.parametrize("edges", [[0.0], [1.0, 1.0], [2.0, 1.0, 3.0], [-1.7e308, 1.7e308]])
def test_edges_that_make_no_sense_are_refused(edges):
    data = job_of(table()).schema.to_data()
    place = next(n for n, column in enumerate(data["columns"]) if column["name"] == "x")
    data["columns"][place]["edges"] = edges
    with pytest.raises(ValueError, match="the edges of 'x' do not ascend"):
        Schema.from_data(data)


@pytest.mark.parametrize("memory", [None, 60_000])
def test_a_training_goes_on_with_the_same_bits(tmp_path, memory):
    options = {"ramps": 8, "memory": memory, "epochs": 8, "hidden": 8, "patience": 0}
    whole = train(table(), "y", **options)
    assert whole.record["streamed"] == (memory is not None)
    kept = Checkpoints(tmp_path, every=0)
    with pytest.raises(Stopped):
        train(table(), "y", checkpoints=kept, callbacks=breaks_off, **options)
    epochs = {}  # of each network, the first that is trained again; they are trained at once

    def note(entry):
        epochs.setdefault(entry["member"], entry["epoch"])

    model = train(table(), "y", checkpoints=kept, resume=True, callbacks=note, **options)
    assert any(first > 0 for first in epochs.values())  # it did not begin anew
    assert model.fingerprint == whole.fingerprint
    for more in ({"ramps": 9}, {"ramps": 0}, {"ramp_edges": "quantiles"}):
        with pytest.raises(ValueError, match=f"resume: {next(iter(more))} was"):
            train(table(), "y", checkpoints=kept, resume=True, **(options | more))


def test_a_scratch_file_has_the_same_edges():
    schemas = [train(table(), "y", ramps=8, memory=m, **FEW).schema for m in (None, 60_000)]
    assert schemas[0] == schemas[1]


@pytest.mark.parametrize("by", ["seeds", "bags", "folds"])
def test_an_ensemble_and_a_search_have_ramps(by):
    frame = table(200)
    run = {"ramps": 8, "ramp_edges": "quantiles", **FEW}
    model = train(frame, "y", ensemble=2, ensemble_by=by, **run)
    assert column_of(model.schema, "hour").n_ramps == 8
    assert {each.layers[0].n_in for each in model.network.members} == {model.schema.n_features}
    if by == "seeds":
        found = train(frame, "y", search=2, batch_size=32, **run)
        assert found.record["options"]["ramps"] == 8
        assert column_of(found.schema, "x").n_ramps == 8


# -------------------------------------------------------------------------- what takes them


@BY
def test_onnx_has_the_ramps_of_the_model(by):
    ort = pytest.importorskip("onnxruntime")
    frame = table()
    model = train(frame, "y", ramps=8, ramp_edges=by, dtype="float64", **FEW)
    session = ort.InferenceSession(
        to_onnx(model).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    asked = frame.drop("y").with_columns(day=pl.col("day").dt.timestamp("us") / 1e6)
    inputs = {n: asked[n].cast(pl.Float64).to_numpy()[:, None] for n in asked.columns}
    right = model.predict(frame)["prediction"].to_numpy()
    assert right.std() > 0.01
    np.testing.assert_allclose(session.run(None, inputs)[0], right, rtol=1e-9)


def test_an_export_says_how_ramps_are_computed():
    frame = table()
    model = train(frame, "y", ramps=4, ramp_edges="tree", **FEW)
    lines = [line.strip() for line in notes_of(model.schema)]
    (formula,) = (line for line in lines if line.startswith("a ramp A to B is "))
    expression = formula.removeprefix("a ramp A to B is ").partition(";")[0]
    X = Encoder(model.schema, dtype=np.float64).encode(frame)
    places = [n for n, name in enumerate(model.schema.feature_names) if name.startswith("hour ")]
    assert len(places) == 4
    for place in places:
        line = next(line for line in lines if line.startswith(f"{place}: hour ramp "))
        low, high = map(float, line.split(" ramp ")[1].split(" to "))
        scope = {"clip": np.clip, "value": frame["hour"].to_numpy(), "A": low, "B": high}
        np.testing.assert_array_equal(eval(expression, scope), X[:, place])


def test_without_ramps_an_export_says_nothing_of_them():
    assert not any("ramp" in line for line in notes_of(train(table(), "y", **FEW).schema))


def test_importance_is_that_of_a_column_with_all_its_ramps():
    frame = table(1_000)
    model = train(frame, "y", ramps=8, hidden=32, epochs=40)
    found = model.explain(frame)
    assert set(found["column"]) == {"x", "small", "hour", "day", "flag"}
    rows = {row["column"]: row for row in found.iter_rows(named=True)}
    assert rows["flag"]["importance"] < 0.05 < rows["x"]["importance"]
    X = Encoder(model.schema, dtype=np.float64).encode(frame)
    start = list(model.schema.feature_names).index("hour")
    width, step = column_of(model.schema, "hour").width, 1e-3
    slopes = 0.0
    for place in range(start, start + width):
        low, high = X.copy(), X.copy()
        low[:, place] -= step
        high[:, place] += step
        change = model.network.forward(high) - model.network.forward(low)
        slopes += np.abs(change).mean() / (2 * step)
    scale = model.schema.target.scale
    assert rows["hour"]["gradient"] == pytest.approx(scale * slopes, rel=0.02)


def test_the_command_trains_with_ramps_and_tells_of_them(tmp_path):
    table().write_csv(tmp_path / "t.csv")
    (tmp_path / "job.toml").write_text('ramps = 8\nramp_edges = "quantiles"\n')
    options = ("--target", "y", "--epochs", 2, "--hidden", 8, "--output", tmp_path / "m")
    told = fastbp("train", tmp_path / "t.csv", *options, "--config", tmp_path / "job.toml")
    assert told.code == 0, told.err
    model = TableModel.load(tmp_path / "m")
    assert model.record["options"]["ramps"] == 8
    assert model.record["options"]["ramp_edges"] == "quantiles"
    assert f"as {model.schema.n_features} features" in told.out + told.err
    shown = fastbp("info", tmp_path / "m").out
    assert [line.split(":")[0].strip() for line in shown.splitlines() if "8 ramps" in line] == [
        "x",
        "small",
        "hour",
        "day",
    ]
    told = fastbp("train", tmp_path / "t.csv", *options, "--ramps", 4, "--ramp-edges", "tree")
    assert column_of(TableModel.load(tmp_path / "m").schema, "x").n_ramps == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ramps": 1}, "ramps=1: one bin"),
        (
            {"preset": "fast", "ramp_edges": "quantiles"},
            "ramp_edges='quantiles': there are no ramps",
        ),
    ],
)
def test_ramps_that_make_no_sense_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        TrainOptions(target="y", **options)
