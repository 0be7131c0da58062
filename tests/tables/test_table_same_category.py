"""A category is the same in whatever file or frame it lies; large and long codes stay exact."""

import itertools

import numpy as np
import pandas as pd
import polars as pl
import pytest

from command_line import fastbp
from fastbp import train

ROWS = 60
CODES = np.arange(ROWS) % 3 % 2
Y = np.where(CODES == 1, 2.5, -0.5) + np.arange(ROWS) / 1000
OPTIONS = {"epochs": 2, "hidden": (4,), "categorical": ["k"]}
WRITTEN = {
    "integers": CODES,
    "floats": CODES.astype(float),
    "text": CODES.astype(str),
    "text of floats": [f"{code}.0" for code in CODES],
    "booleans": CODES == 1,
    "text of booleans": np.where(CODES == 1, "True", "False"),
    "loud booleans": np.where(CODES == 1, "TRUE", "FALSE"),
}


def kept(folder, values, kind):
    """Return a table of the categories and targets as a file or a frame."""
    frame = pl.DataFrame({"k": values, "y": Y})
    path = folder / f"{len(list(folder.iterdir()))}.{kind}"
    if kind == "csv":
        frame.write_csv(path)
    elif kind == "parquet":
        frame.write_parquet(path)
    else:
        return frame if kind == "polars" else frame.to_pandas()
    return path


@pytest.mark.parametrize("trained, predicted", [*itertools.product(WRITTEN, repeat=2)])
def test_one_category_written_in_two_ways(tmp_path, caplog, trained, predicted):
    first, *others = ("csv", "parquet", "polars", "pandas")
    model = train(kept(tmp_path, WRITTEN[trained], first), "y", **OPTIONS)
    expected = model.predict(kept(tmp_path, WRITTEN[trained], "polars"))["prediction"].to_list()
    assert len(set(expected)) == 2
    for kind in (first, *others):
        data = kept(tmp_path, WRITTEN[predicted], kind)
        assert list(model.predict(data)["prediction"]) == expected
    assert "unknown to the model" not in caplog.text


def test_categories_of_pandas_are_those_of_their_values():
    frame = pd.DataFrame({"k": pd.Categorical(CODES), "y": Y})
    twin = pl.DataFrame({"k": CODES, "y": Y})
    models = [train(data, "y", **OPTIONS) for data in (frame, twin)]
    assert models[0].schema == models[1].schema


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_integers_beyond_64_bits_and_leading_zeros_are_exact_in_the_output(tmp_path, kind):
    rows = 100
    keys = [2**63 + 7 * row for row in range(rows)]
    classes = [("007", "7", "18446744073709551617")[row % 3] for row in range(rows)]
    frame = pl.DataFrame(
        {"key": pl.Series(keys, dtype=pl.UInt64), "x": np.arange(rows) % 3, "y": pl.Series(classes)}
    )
    path = tmp_path / f"t.{kind}"
    frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
    model, scored = tmp_path / "m.safetensors", tmp_path / "scored.csv"
    options = ("--target", "y", "--epochs", 60, "--learning-rate", 0.05)
    assert fastbp("train", path, *options, "-o", model).code == 0
    assert fastbp("predict", model, path, "-o", scored).code == 0
    lines = [line.split(",") for line in scored.read_text().splitlines()]
    assert lines[0][:2] == ["key", "prediction"]
    assert [line[0] for line in lines[1:]] == list(map(str, keys))
    assert [line[1] for line in lines[1:]] == classes
