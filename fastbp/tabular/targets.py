"""The targets of an estimator as columns of a table: their names, and classes as it holds them."""

import logging
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..tables.wording import shown

_log = logging.getLogger("fastbp")
# whole numbers below are exact in float64
_EXACT = 2**53
_WHOLE = re.compile(r"0|-?[1-9]\d{0,14}")
_WORD = re.compile(r"[^\W\d_](?:.*\S)?", re.DOTALL)


def names_of(y: Any, values: npt.NDArray) -> list[str]:
    """Return the names of targets (n_samples,) or (n_samples, n_outputs): those of y, or others."""
    if values.ndim == 1:
        name = getattr(y, "name", None)
        return [name if isinstance(name, str) and name else "y"]
    own = [str(name) for name in getattr(y, "columns", ())]
    if len(own) == values.shape[1] and all(own):
        return own
    return [f"y{place}" for place in range(values.shape[1])]


def as_held(labels: npt.NDArray, missing: Sequence[str]) -> npt.NDArray:
    """Return what a table holds for sorted labels, (n_classes,), so that it tells them apart.

    Whole numbers, booleans and words are themselves. Other text is read as numbers, without the
    spaces around it, or as one of the words that mean a missing value: then its places are held,
    which is logged.
    """
    kind = labels.dtype.kind
    if kind == "b":
        return labels
    if kind in "iuf" and (np.abs(labels.astype(np.float64)) < _EXACT).all():
        return labels.astype(np.int64)
    if all(isinstance(each, str) for each in labels):
        are_distinct = len({each.lower() for each in labels}) == len(labels)
        are_words = all(_WORD.fullmatch(each) and each not in missing for each in labels)
        if all(map(_WHOLE.fullmatch, labels)) or (are_words and are_distinct):
            return labels.astype(str)
    _log.info("the classes are numbered in the model: 0 is %s, and so on", shown(str(labels[0])))
    return np.arange(len(labels))
