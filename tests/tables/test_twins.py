"""A table is read the same in whatever way it is written, and trained to the same bits."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fastbp import train
from fastbp.tables.read.table import open_table
from twins import TARGET, Style, a_table, saved, styles, styles_of_values

FOLDER = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def check(folder, style, seed):
    """Check that a table in a style has its fields, beside blanks, and its names."""
    frame = a_table(seed)
    table = open_table(saved(folder, frame, style))
    found = pl.concat(table.frames())
    assert table.count() == len(found) == len(frame)
    names = frame.columns if style.header else [f"column_{n}" for n in range(1, 7)]
    assert found.columns == [*names, *["column_7"] * style.ends_in_separator]
    text = found.select(pl.col(names).str.strip_chars().fill_null("")).rows()
    assert text == [tuple(map(style.text, row)) for row in frame.rows()]


@pytest.mark.slow
@settings(max_examples=500, suppress_health_check=FOLDER)
@given(styles(), st.integers(0, 10_000))
def test_five_hundred_ways_of_writing_are_read(tmp_path, style, seed):
    # two thousand, and of values too, are read and trained on in the long test
    check(tmp_path, style, seed)


EXAMPLES = {
    "semicolons": Style(";", quoting="all", line_end="\r\n"),
    "a tab and CR": Style("\t", line_end="\r", suffix=".tsv"),
    "Latin-1, packed": Style(";", encoding="latin-1", packing=".gz", preamble="a comment"),
    "UTF-16": Style("\t", encoding="utf-16", suffix=".txt", preamble="a title"),
    "blanks": Style("|", blanks_around_names=True, blank_before_fields=True, packing=".zip"),
    "no header": Style(";", header=False, encoding="utf-16-le", quoting="text"),
    "separators at the end": Style(ends_in_separator=True, packing=".zst", suffix=""),
}


@pytest.mark.parametrize("style", EXAMPLES.values(), ids=EXAMPLES)
def test_a_table_trains_to_the_bits_of_its_parquet_twin(tmp_path, style):
    frame = a_table(0, rows=150)
    frame.write_parquet(tmp_path / "twin.parquet")
    path = saved(tmp_path, frame, style)
    options = {"preset": "fast", "epochs": 2, "hidden": 8}
    model = train(path, TARGET if style.header else "column_1", **options)
    twin = train(tmp_path / "twin.parquet", TARGET, **options)
    assert model.network.parameters.tobytes() == twin.network.parameters.tobytes()
    fitted = [[replace(c, name="") for c in m.schema.columns] for m in (model, twin)]
    assert fitted[0] == fitted[1]
    predicted = model.predict(path)["prediction"]
    assert predicted.equals(twin.predict(frame)["prediction"])


@cache
def parameters_of_twin(seed):
    """Return the parameters of the network that learns the Parquet twin of a table, as bytes."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "twin.parquet")
        a_table(seed).write_parquet(path)
        return parameters(path, TARGET)


def parameters(path, target):
    options = {"preset": "fast", "epochs": 1, "hidden": (4,), "n_threads": 1}
    model = train(path, target, **options)
    return model.network.parameters.tobytes()


def check_bits(folder, style, seed):
    """Check that a table in a style trains to the bits of its Parquet twin."""
    written, target = saved(folder, a_table(seed), style), TARGET if style.header else "column_1"
    assert parameters(written, target) == parameters_of_twin(seed)


@settings(max_examples=50, suppress_health_check=FOLDER)
@given(styles_of_values(), st.integers(0, 3))
def test_values_train_to_the_same_bits_in_whatever_way_they_are_written(tmp_path, style, seed):
    check_bits(tmp_path, style, seed)


@pytest.mark.long
@pytest.mark.parametrize("half", [0, 1])  # one for each processor
@settings(max_examples=1000, suppress_health_check=FOLDER)
@given(style=styles_of_values(), seed=st.integers(0, 20))
def test_two_thousand_ways_of_writing_train_to_the_same_bits(tmp_path, half, style, seed):
    check_bits(tmp_path, style, seed)
