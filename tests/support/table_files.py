"""Files of tables for the tests, and what all of them ask of reading one."""

import io

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fastbp.errors import DataError
from fastbp.tables.read.table import open_table

FRAME = pl.DataFrame(
    {"a": [1, 2, 3, None, 5], "b": [0.5, None, 2.5, -1.0, 4.0], "c": ["x", "y", None, "ä", "z"]}
)
WRITERS = {
    ".parquet": pl.DataFrame.write_parquet,
    ".arrow": pl.DataFrame.write_ipc,
    ".feather": pl.DataFrame.write_ipc,
    ".ipc": pl.DataFrame.write_ipc,
    ".ndjson": pl.DataFrame.write_ndjson,
    ".jsonl": pl.DataFrame.write_ndjson,
    ".csv": pl.DataFrame.write_csv,
    ".tsv": lambda frame, file: frame.write_csv(file, separator="\t"),
}


def rows_of(table, **options):
    """Return all rows of a table as tuples; the number of rows must be what it says."""
    frames = list(table.frames(**options))
    rows = [row for frame in frames for row in frame.rows()]
    assert table.count() == len(rows)
    return rows


def as_pandas(path, separator=","):
    """Return the columns of a file of text and its rows, all text, as pandas reads them."""
    frame = pd.read_csv(path, sep=separator, dtype=str)
    return list(frame.columns), list(frame.itertuples(index=False, name=None))


def content_of(frame, suffix):
    file = io.BytesIO()
    WRITERS[suffix](frame, file)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def fails(path):
    """Return the one line of the error of reading a file; it names the file."""
    with pytest.raises(DataError) as caught:
        rows_of(open_table(path))
    message = str(caught.value)
    assert message.isprintable()
    assert str(path) in message
    assert len(message) < 500 + len(str(path))
    return message
