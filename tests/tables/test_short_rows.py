"""Encoded rows in memory: the ramps of a number are one position, and train as all features do."""

import numpy as np
import polars as pl
import pytest

from fastbp import Network, train
from fastbp.kernels.support.ramp_rows import RampRows
from fastbp.tables.begun import Begun
from fastbp.tables.columns.encoding import Encoder
from fastbp.tables.encoded import Budget
from fastbp.tables.short_rows import ShortRows
from ramp_tables import job_of, table


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_short_rows_stand_for_the_features(dtype):
    frame = table()
    schema = job_of(frame, ramps=16).schema
    X = Encoder(schema, dtype=dtype).encode(frame)
    short = ShortRows(schema)
    kept = short.kept(X)
    rows = short.rows(kept)
    ramps = [name for name in schema.feature_names if " ramp " in name]
    ramped = {name.split(" ramp ")[0] for name in ramps}
    assert short.columns == kept.shape[1] == schema.n_features - len(ramps) + len(ramped)
    assert rows.shape == X.shape
    # of a position of up to 16, one bit of it is lost by rounding
    np.testing.assert_allclose(rows.dense(), X, rtol=0, atol=16 * np.finfo(dtype).eps)
    assert ((X == 0) == (rows.dense() == 0)).all()
    with_missing = X[:, list(schema.feature_names).index("x is missing")] == 1
    assert with_missing.any() and not (with_missing & (kept[:, 1] != 0)).any()


@pytest.mark.parametrize("ramps", [0, 2])
def test_rows_that_would_be_little_shorter_are_kept_as_they_are(ramps):
    frame = table()
    schema = job_of(frame, ramps=ramps, ramp_edges=None if ramps == 0 else "tree").schema
    X = Encoder(schema).encode(frame)
    short = ShortRows(schema)
    assert short.columns == schema.n_features
    assert short.rows(short.kept(X)) is X


def test_a_file_holds_all_features():
    schema = job_of(table(), ramps=16).schema
    short = ShortRows(schema)
    ways = [Begun("", {}, streamed) for streamed in (False, True)]
    memory, file = (Budget(schema, "f4", 100, 7, begun=each) for each in ways)
    assert memory.bytes == 100 * (4 * short.columns + 8)
    assert file.bytes == 100 * (4 * schema.n_features + 8)
    assert memory.held_bytes == file.held_bytes == 7 * (4 * short.columns + 8)


def trained_on_dense(job):
    """Return the network of a job, trained on all features of the same rows."""
    rows = job.encoded()
    assert isinstance(rows.X, RampRows) and isinstance(rows.valid[0], RampRows)
    network: Network = job.network
    valid = (rows.valid[0].dense(), *rows.valid[1:])
    network.fit(
        rows.X.dense(), rows.y, sample_weight=rows.weight, validation_data=valid, **job.fit_options
    )
    return network


@pytest.mark.parametrize("weight", [None, "weight"])
def test_a_training_is_that_on_all_features(weight):
    rng = np.random.default_rng(0)
    frame = table().with_columns(weight=rng.uniform(0.5, 2, 600))
    if weight is None:
        frame = frame.drop("weight")
    options = {"preset": "fast", "ramps": 16, "ramp_edges": "tree", "weight": weight}
    options |= {"hidden": 24, "epochs": 5, "seed": 0}
    model = train(frame, "y", **options)
    job = job_of(frame, **options)
    expected = trained_on_dense(job)
    np.testing.assert_allclose(model.network.parameters, expected.parameters, rtol=1e-3, atol=1e-4)
    # the training rows do not fit in memory, and those that validate do
    streamed = train(frame, "y", memory=30_000, **options)
    assert streamed.record["streamed"] and not model.record["streamed"]
    X, *others = job.encoded().valid
    for each in (model, streamed):
        scores = each.network.evaluate(X.dense(), *others)
        assert each.record["metrics"]["valid"]["r2"] == pytest.approx(scores["r2"], abs=1e-5)


@pytest.mark.parametrize("by", ["folds", "bags", "seeds"])
def test_members_of_an_ensemble_do_not_depend_on_threads(by):
    frame = table()
    options = {"ramps": 16, "hidden": 24, "epochs": 3, "seed": 0, "ensemble": 3}
    one, two = (
        train(frame, "y", ensemble_by=by, n_threads=threads, **options) for threads in (1, 2)
    )
    for a, b in zip(one.network.members, two.network.members, strict=True):
        assert np.array_equal(a.parameters, b.parameters)
    if by == "folds":
        found = one.out_of_fold
        assert isinstance(found, pl.DataFrame)
        assert found.equals(two.out_of_fold)
        # what the member of a fold predicts from all features
        X = Encoder(one.schema).encode(frame)
        target = one.schema.target
        for number, member in enumerate(one.network.members, 1):
            own = found.filter(pl.col("fold") == number)
            outputs = member.forward(X[own["row"].to_numpy() - 1])[:, 0]
            expected = outputs * target.scale + target.mean
            np.testing.assert_allclose(own[:, -1].to_numpy(), expected, rtol=1e-4, atol=1e-4)
