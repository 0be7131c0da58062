"""Soft labels: rows of probabilities in place of classes, given so or made by smoothing."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin

from ..annotations import Array, Floats, Matrix, Weights
from ..checks import as_array, float_array

# what rows of probabilities may lack of 1, by rounding; `Network` takes as much
_TOLERANCE = 1e-3


def probabilities_of(y: Any) -> Floats:
    """Return rows of probabilities (n, n_classes), each divided by its sum, in float64.

    Raises
    ------
    ValueError, TypeError
        If `y` has another shape, or a row that is none of probabilities, which is named.
    """
    shape = as_array("y", y).shape
    if len(shape) != 2 or shape[1] < 2:
        raise ValueError(
            f"soft_labels=True, but y has shape {shape}: expected rows of probabilities "
            "(n_samples, n_classes); labels need soft_labels=False"
        )
    rows = float_array("y", y, np.float64, rank=2)
    for row in np.flatnonzero(rows.min(axis=1) < 0)[:1]:
        raise ValueError(
            f"y[{row}] holds {rows[row].min()}: soft_labels=True expects probabilities"
        )
    sums = rows.sum(axis=1)
    for row in np.flatnonzero(np.abs(sums - 1) > _TOLERANCE)[:1]:
        raise ValueError(
            f"y[{row}] adds up to {sums[row]}: soft_labels=True expects rows of probabilities that "
            "add up to 1"
        )
    return rows / sums[:, None]


def smoothed(targets: dict[str, Any], share: float, classes: int, dtype: Any) -> dict[str, Any]:
    """Return targets of which all `classes` get equal parts of a `share` of the probability.

    ``y' = (1 - share) y + share / classes``. An output that is the probability of one class of two
    has 2.

    Reference: Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, Rethinking the Inception architecture
    for computer vision, CVPR 2016, section 7.
    """
    part = share / classes
    if "labels" not in targets:
        return {"y": (1 - share) * targets["y"] + part}
    labels = targets["labels"]
    y = np.full((len(labels), classes), part, dtype)
    y[np.arange(len(labels)), labels] = 1 - share + part
    return {"y": y}


class Labelled(ClassifierMixin):
    """The part of a classifier that scores its labels, which may be soft."""

    classes_: Array

    @property
    @abstractmethod
    def _is_soft(self) -> bool:
        """Whether targets are rows of probabilities."""

    def _as_labels(self, y):
        """Return labels in place of rows of probabilities: the first of the most likely classes."""
        if self._is_soft and np.ndim(y) > 1:
            return self.classes_[probabilities_of(y).argmax(axis=1)]
        return y

    def _score_with_gaps(self, X, y, weight):
        """Return the score on labels of which some may be missing, None where none may be."""

    def score(self, X: Matrix, y: ArrayLike, sample_weight: Weights = None) -> float:
        """Return the share of samples whose labels, or all columns of labels, are predicted.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels, or an indicator matrix; where labels are soft also rows of probabilities, of
            which the most likely class is right.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples.
        """
        present = self._score_with_gaps(X, y, sample_weight)
        if present is not None:
            return present
        return float(super().score(X, self._as_labels(y), sample_weight))
