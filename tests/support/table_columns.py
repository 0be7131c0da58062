"""Small tables for the tests of what columns hold."""

import numpy as np
import polars as pl

from fastbp.tables.columns.inference import infer
from fastbp.tables.read.table import MISSING_WORDS, open_table

ROWS = 60
GENERATOR = np.random.default_rng(0)
NUMBERS = GENERATOR.normal(size=ROWS)
LABELS = np.array(["no", "yes"])[np.arange(ROWS) % 2]


def frame_of(**columns):
    """Return a frame of ROWS rows with an input, given columns, and a target."""
    columns = {name: pl.Series(name, values) for name, values in columns.items()}
    return pl.DataFrame({"x": NUMBERS, **columns, "y": LABELS})


def cycle(*values):
    """Return the values again and again, ROWS of them."""
    return [values[place % len(values)] for place in range(ROWS)]


def schema_of(frame, target="y", words=MISSING_WORDS, **options):
    return infer(open_table(frame, words), target, **options)
