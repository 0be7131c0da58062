"""Columns of booleans: 1 or 0, and 0.5 where missing."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from .column import Column
from .values import Floats, Places, floats, is_text, parsed_text, unreadable

_TRUE = ("true", "yes", "t")
_FALSE = ("false", "no", "f")


class Boolean(Column, frozen=True):
    """A column of booleans: one feature, 1 or 0, and 0.5 where the value is missing.

    Text is true, yes or t, and false, no or f, in any case; 1 and 0 are read too.
    """

    plural = "booleans"
    expected = "a boolean"
    formula = "1 or 0, and 0.5 where it is missing"
    in_text = True

    @classmethod
    def holds(cls, dtype: pl.DataType) -> bool:
        """Return whether a polars type holds booleans."""
        return dtype == pl.Boolean

    @classmethod
    def read(
        cls, series: pl.Series, words: Sequence[str], text: Any = None
    ) -> tuple[Floats, Places]:
        """Read booleans as 1 and 0; see `Column.read`."""
        dtype = series.dtype
        if is_text(dtype):
            return parsed_text(series.cast(pl.String), words, _parsed)
        if dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
            values = floats(series)
            return values, np.flatnonzero(~(np.isnan(values) | (values == 0) | (values == 1)))
        raise unreadable(series, cls.plural)

    def write(self, values, missing, features) -> None:
        """Write booleans, 0.5 where missing."""
        features[:, 0] = np.where(missing, 0.5, values)


def _parsed(series):
    low = series.str.to_lowercase()
    is_true = low.is_in(_TRUE)
    booleans = is_true.cast(pl.Float64).set(~(is_true | low.is_in(_FALSE)), None)
    numbers = series.cast(pl.Float64, strict=False)
    return booleans.fill_null(numbers.set((numbers != 0) & (numbers != 1), None))
