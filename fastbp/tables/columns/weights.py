"""The weights of rows, in a column of their own."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from ..wording import shown
from .number import Number
from .schema import Weight
from .values import Floats, wrong_value


def read_weights(
    weight: Weight, series: pl.Series, words: Sequence[str], first_row: int = 0
) -> Floats:
    """Return weights (n,); ColumnError, which names the row, unless all are finite and >= 0."""
    weights, bad = Number.read(series, words, weight.text)
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    wrong[bad] = True
    if wrong.any():
        expected = "a finite weight of at least 0"
        what = f"the weight {shown(series.name)}"
        raise wrong_value(what, series, np.flatnonzero(wrong), first_row, expected)
    return weights
