"""Targets that are missing, NaN in y: where they are, and how an error names what allows them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from ..checks import as_array
from ..quoted import quoted

_NAN = "Input y contains NaN."


def name_switch(error: ValueError) -> None:
    """Raise scikit-learn's error of a target that is NaN with the parameter that allows it."""
    if str(error) == _NAN:
        raise ValueError(f"{_NAN}\nWith missing_targets=True it counts for nothing.") from error


def numbers_of(y: Any) -> Any:
    """Return targets, which scikit-learn checks, with objects as numbers; ValueError for text."""
    array = np.empty(0) if y is None or issparse(y) else as_array("y", y)
    if array.dtype.kind not in "OUSmM":
        return y
    why = None
    if array.dtype.kind == "O":
        try:
            return array.astype(float)
        except (TypeError, ValueError) as error:
            why = error
    told = "" if why is None else f" ({why})"
    raise ValueError(f"y has dtype {array.dtype}: expected numbers{told}") from why


def gaps_of(y: Any, scoring: Any) -> tuple[Any, NDArray[np.bool_]]:
    """Return targets with the smallest in place of those that are missing, and where these are.

    ValueError if `scoring` is a name: scikit-learn's scores know of no missing targets.
    """
    if isinstance(scoring, str):
        raise ValueError(
            f"scoring={quoted(scoring)} does not know of missing targets: expected None, "
            "or a function that does"
        )
    array = as_array("y", numbers_of(y))
    gaps = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    there = array[~gaps]
    return np.where(gaps, there.min() if there.size else 0, array), gaps
