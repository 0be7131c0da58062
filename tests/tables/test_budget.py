"""How rows are kept: in memory or in a file, in windows that fit into what is free."""

import numpy as np
import polars as pl
import pytest

from fastbp import train
from fastbp.data.source import rows_of_window
from fastbp.tables.begun import Begun
from fastbp.tables.encoded import Budget
from fastbp.tables.job import Job
from fastbp.tables.options import TrainOptions

COLUMNS, ROWS = 50, 10**7


@pytest.fixture(scope="module")
def schema():
    """Return the schema of 50 numbers, of which a row in a file takes 208 bytes."""
    draw = np.random.default_rng(0)
    frame = pl.DataFrame({f"x{n}": draw.standard_normal(40) for n in range(COLUMNS)})
    return Job(frame.with_columns(y=pl.col("x0") * 2), TrainOptions("y", ramps=0)).schema


def _budget(monkeypatch, free, *given, **options):
    monkeypatch.setattr("fastbp.tables.encoded.free_memory", lambda: free)
    return Budget(*given, **options)


@pytest.mark.parametrize(("free", "streamed"), [(None, False), (2**33, False), (2**30, True)])
def test_rows_that_take_more_than_half_of_what_is_free_are_in_a_file(
    monkeypatch, schema, free, streamed
):
    budget = _budget(monkeypatch, free, schema, "f4", ROWS, 100)
    assert budget.streamed == streamed


def test_networks_are_counted_beside_the_rows(monkeypatch, schema):
    rows = 2**30 // 208 // 2  # half of 1 GiB, but for what is rounded off
    assert not _budget(monkeypatch, 2**30, schema, "f4", rows, 0).streamed
    assert _budget(monkeypatch, 2**30, schema, "f4", rows, 0, networks=2**20).streamed


def test_two_windows_and_the_validation_rows_fit_into_half_of_what_is_free(monkeypatch, schema):
    held = 10_000
    budget = _budget(monkeypatch, 2**27, schema, "f4", ROWS, held)
    window = budget.window_rows * (4 * COLUMNS + 8 + 8)  # X, y and the order
    assert 0.99 * 2**26 < 2 * window + budget.held_bytes <= 2**26


def test_with_much_memory_windows_are_as_usual(monkeypatch, schema):
    budget = _budget(monkeypatch, 2**30, schema, "f4", ROWS, 0)
    assert budget.streamed and budget.window_rows is None
    assert rows_of_window(None, COLUMNS) * 4 * COLUMNS <= 2**26


def test_with_hardly_any_memory_a_window_has_4_mib(monkeypatch, schema):
    budget = _budget(monkeypatch, 2**16, schema, "f4", ROWS, 0)
    assert budget.window_rows == 2**22 // (4 * COLUMNS + 16)


def test_a_training_that_is_resumed_keeps_its_windows(monkeypatch, schema):
    for begun in (Begun("", {}, True, window_rows=77), Begun("", {}, True), Begun("", {}, False)):
        budget = _budget(monkeypatch, 2**27, schema, "f4", ROWS, 0, begun=begun)
        assert (budget.streamed, budget.window_rows) == (begun.streamed, begun.window_rows)


def test_where_less_memory_is_free_a_training_is_resumed_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr("fastbp.tables.encoded._LEAST_WINDOW", 2**16)
    draw = np.random.default_rng(0)
    frame = pl.DataFrame({"x": draw.standard_normal(400_000), "y": draw.standard_normal(400_000)})
    options = {"preset": "fast", "ramps": 0, "seed": 0, "valid_share": 0, "n_threads": 1}

    def trained(free, epochs, **more):
        monkeypatch.setattr("fastbp.tables.encoded.free_memory", lambda: free)
        model = train(frame, "y", epochs=epochs, schedule="constant", **options, **more)
        assert model.record["streamed"]
        return model

    whole = trained(2**22, 2)
    kept = {"checkpoints": tmp_path}
    trained(2**22, 1, **kept)
    resumed = trained(2**21, 2, **kept, resume=True)
    np.testing.assert_array_equal(whole.network.parameters, resumed.network.parameters)


def test_schema_and_rows_are_the_same_where_frames_are_smaller(tmp_path, monkeypatch):
    path, draw = tmp_path / "t.csv", np.random.default_rng(0)
    columns = {"a": draw.standard_normal(9000), "b": draw.lognormal(0, 3, 9000)}
    names = [f"name {n}" for n in draw.integers(0, 900, 9000)]
    pl.DataFrame({**columns, "c": names, "y": draw.standard_normal(9000)}).write_csv(path)

    def prepared(free):
        monkeypatch.setattr("fastbp.tables.read.table.free_memory", lambda: free)
        job = Job(path, TrainOptions("y", memory=2**30, valid_share=0.2))
        schema, rows = job.schema, job.encoded()
        frames = job.table.frames(width=schema.n_features)
        return schema, rows.digest, sum(1 for _ in frames)

    (schema, digest, few), (same, also, many) = prepared(None), prepared(2**20)
    assert (schema, digest) == (same, also)
    assert few == 1 and many > 1
