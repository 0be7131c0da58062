"""The targets of an estimator as columns of a table: their names, and classes as it holds them."""

import logging
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..tables.columns.number import Number
from ..tables.columns.values import text
from ..tables.read.frames import is_pandas
from ..tables.read.readers import from_arrays
from ..tables.wording import shown

_log = logging.getLogger("fastbp")
# whole numbers below are exact in float64
_EXACT = 2**53
_WHOLE = re.compile(r"0|-?[1-9]\d{0,14}")
_WORD = re.compile(r"[^\W\d_](?:.*\S)?", re.DOTALL)


def as_scikit_learn_reads(y: Any) -> Any:
    """Return targets of pandas with numbered columns of NumPy's types, others as they are.

    scikit-learn refuses columns of the same name, and reads the whole numbers and booleans of
    pandas' own types as floats. Columns with missing values stay as they are.
    """
    if is_pandas(y):
        columns = {place: as_scikit_learn_reads(y.iloc[:, place]) for place in range(y.shape[1])}
        return type(y)(columns, index=y.index)
    dtype = _numpy_type(y)
    return y if dtype is None else np.asarray(y, dtype)


def _numpy_type(column):
    """Return the type of NumPy for the numbers or booleans of pandas' own types; None of others."""
    dtype = getattr(column, "dtype", None)
    of_categories = getattr(getattr(dtype, "categories", None), "dtype", dtype)
    found = getattr(of_categories, "numpy_dtype", None)
    is_plain = found is None or found.kind not in "biuf" or column.isna().any()
    return None if is_plain else found


def names_of(y: Any, values: npt.NDArray) -> list[str]:
    """Return the names of targets (n_samples,) or (n_samples, n_outputs): those of y, or others.

    Others are taken if the text of a name is empty or that of another, such as of 1 and "1".
    """
    if values.ndim == 1:
        name = getattr(y, "name", None)
        return [name if isinstance(name, str) and name else "y"]
    own = [str(name) for name in getattr(y, "columns", ())]
    if len(own) == len(set(own)) == values.shape[1] and all(own):
        return own
    return [f"y{place}" for place in range(values.shape[1])]


def as_held(labels: npt.NDArray, missing: Sequence[str]) -> npt.NDArray:
    """Return what a table holds for sorted labels, (n_classes,), so that it tells them apart.

    Whole numbers, booleans and words are themselves. Other text is read as numbers, without the
    spaces around it, or as one of the words that mean a missing value: then "class 0", "class 1",
    ... are held, which is logged.
    """
    held = _plain(labels)
    if held is not None and not are_missing_in_a_table(held, missing).any():
        return held
    _log.info("the model has other names of classes: 'class 0' is %s", shown(str(labels[0])))
    return numbered("class", np.arange(len(labels)))


def _plain(labels):
    """Return labels as a table reads them back, but for missing ones; None if it does not."""
    kind = labels.dtype.kind
    if kind == "b":
        return labels
    if kind in "iuf" and (np.abs(labels.astype(np.float64)) < _EXACT).all():
        return labels.astype(np.int64)
    if not all(isinstance(each, str) for each in labels):
        return None
    are_distinct = len({each.lower() for each in labels}) == len(labels)
    are_words = are_distinct and all(map(_WORD.fullmatch, labels))
    return labels.astype(str) if are_words or all(map(_WHOLE.fullmatch, labels)) else None


def numbered(name: str, numbers: npt.NDArray) -> npt.NDArray:
    """Return text of a name and whole numbers, (n,), which a table reads as it is."""
    return np.char.add(f"{name} ", numbers.astype(str))


def are_missing_in_a_table(values: npt.NDArray, words: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which values (n,) a table takes for missing ones, as `words` mean them."""
    series = from_arrays("y", {"y": values}).frame["y"]
    if series.dtype.is_numeric():
        return np.isnan(Number.read(series, words)[0])
    return text(series, words).is_null().to_numpy()
