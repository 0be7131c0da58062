"""Scores of predictions against a table's target, gathered frame by frame."""

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ...ensemble import Ensemble
from ...network import Network
from ..columns.schema import Schema, Target

_SHOWN = 500  # predictions that a report shows beside their targets
_BINS = 40
_OF_QUANTILES = ("pinball_loss", "coverage")


def scores_of(schema: Schema, network: Network | Ensemble) -> "Scores":
    """Return empty scores for the target of a schema, or for several, by the network's loss."""
    level = network.loss_parameter if network.loss == "quantile" else None
    levels = schema.quantiles or [level] * len(schema.targets)
    each = [
        ClassScores(target) if target.task == "classification" else NumberScores(target, own)
        for target, own in zip(schema.targets, levels, strict=True)
    ]
    return SeveralScores(schema, each) if schema.more_targets else each[0]


class ClassScores:
    """Scores of class probabilities."""

    def __init__(self, target: Target) -> None:
        count = len(target.classes)
        self.rows = 0
        self.confusion = np.zeros((count, count), np.int64)
        self._log_loss = 0.0
        self._positive: list[npt.NDArray] = []
        self._labels: list[npt.NDArray[np.bool_]] = []
        self._weights: list[npt.NDArray] = []

    @property
    def weight(self) -> float:
        """The sum of the weights of the rows."""
        return float(self.confusion.sum())

    def add(
        self, outputs: npt.NDArray, labels: npt.NDArray, weight: npt.NDArray | None = None
    ) -> None:
        """Add probabilities (n, classes), the true classes (n,) int64, and weights (n,), or 1."""
        count = len(self.confusion)
        pairs = labels * count + outputs.argmax(axis=1)
        added = np.bincount(pairs, weight, minlength=count * count).reshape(count, count)
        self.rows += len(labels)
        self.confusion = self.confusion + added
        right = outputs[np.arange(len(labels)), labels].astype(np.float64)
        losses = -np.log(np.maximum(right, np.finfo(outputs.dtype).tiny))
        self._log_loss += float(_sum(losses, weight))
        if count == 2:
            self._positive.append(outputs[:, 1].copy())
            self._labels.append(labels == 1)
            if weight is not None:
                self._weights.append(weight)

    def metrics(self) -> dict[str, float]:
        """Return them by name: accuracy, balanced_accuracy, macro_f1, log_loss, roc_auc of two.

        The mean recall and the mean F1 are of the classes that occur, and roc_auc is NaN where
        rows are of one class, as in scikit-learn.
        """
        right = np.diag(self.confusion)
        there = self.confusion.sum(axis=1)
        named = there + self.confusion.sum(axis=0)
        found = {
            "rows": self.rows,
            "accuracy": float(right.sum() / self.weight),
            "balanced_accuracy": float((right[there > 0] / there[there > 0]).mean()),
            "macro_f1": float((2 * right[named > 0] / named[named > 0]).mean()),
            "log_loss": float(self._log_loss / self.weight),
        }
        if self._positive:
            weights = np.concatenate(self._weights) if self._weights else None
            scores, labels = np.concatenate(self._positive), np.concatenate(self._labels)
            found["roc_auc"] = _roc_auc(scores, labels, weights)
        return found

    def details(self) -> dict[str, Any]:
        """Return the confusion matrix, of rows or of their weights, for the report."""
        return {"confusion": self.confusion.tolist(), "residuals": None}


class NumberScores:
    """Scores of predicted numbers, in the target's units."""

    def __init__(self, target: Target, quantile: Any = None) -> None:
        self._mean = target.mean
        self._scale = target.scale
        self._rate = target.rate
        self._quantile = quantile
        self.rows = 0
        self.weight = 0.0
        self._sums = np.zeros(5)
        self._more = np.zeros(2)
        self._shown = np.empty((2, 0))
        self._first: float | None = None

    def add(
        self, outputs: npt.NDArray, standardized: npt.NDArray, weight: npt.NDArray | None = None
    ) -> None:
        """Add outputs (n, 1) and targets (n,), both standardized, and weights (n,), or 1."""
        y = standardized.astype(np.float64)
        error = outputs[:, 0].astype(np.float64) - y
        # moments about the first target: targets that do not vary have a variance of exactly 0
        self._first = float(y[0]) if self._first is None else self._first
        about = y - self._first
        self.rows += len(y)
        moments = (about, about * about, error, error * error, np.abs(error))
        self.weight += len(y) if weight is None else float(weight.sum())
        self._sums += [_sum(values, weight) for values in moments]
        self._more += [_sum(values, weight) for values in self._of_loss(y, error)]
        self._shown = np.hstack([self._shown, np.stack([y, error])[:, :_SHOWN]])[:, :_SHOWN]

    def metrics(self) -> dict[str, float]:
        """Return them by name: r2, rmse, mae, and those of a quantile or a rate.

        R2 is 0 for a target that does not vary.
        """
        y, squares, _, errors, absolute = self._sums / self.weight
        variance = squares - y * y
        found = {
            "rows": self.rows,
            "r2": float(1 - errors / variance) if variance > 0 else 0.0,
            "rmse": float(math.sqrt(errors) * self._scale),
            "mae": float(absolute * self._scale),
        }
        first, second = (self._more / self.weight).tolist()
        if self._quantile is not None:
            found |= {"pinball_loss": first * self._scale, "coverage": second}
        elif self._rate:
            found["poisson_deviance"] = first * self._scale
        return found

    def _of_loss(self, y, error):
        """Return what a quantile or a rate is scored by, of each row."""
        if self._quantile is not None:
            loss = np.maximum(-self._quantile * error, (1 - self._quantile) * error)
            return loss, (error >= 0).astype(float)
        if self._rate:
            rate = np.maximum(y + error, np.finfo(np.float32).tiny)
            logs = y * np.log(np.where(y > 0, y, 1) / rate)
            return 2 * (logs - y + rate), np.zeros(len(y))
        return np.zeros((2, len(y)))

    def details(self) -> dict[str, Any]:
        """Return residuals and the first predictions, for the report."""
        y, error = self._shown
        counts, edges = np.histogram(error * self._scale, _BINS)
        mean = self._sums[2] / self.weight
        actual = y * self._scale + self._mean
        residuals = {
            "actual": actual.tolist(),
            "predicted": (actual + error * self._scale).tolist(),
            "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
            "mean": float(mean * self._scale),
            "std": float(math.sqrt(max(self._sums[3] / self.weight - mean**2, 0)) * self._scale),
        }
        return {"confusion": None, "residuals": residuals}


class SeveralScores:
    """Scores of several targets: of each, and of all together."""

    def __init__(self, schema: Schema, scores: "Sequence[ClassScores | NumberScores]") -> None:
        self._schema = schema
        self._targets = schema.targets
        self._scores = scores
        self._right = 0.0

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self._scores[0].rows

    @property
    def weight(self) -> float:
        """The sum of the weights of the rows."""
        return self._scores[0].weight

    def add(
        self, outputs: npt.NDArray, truth: npt.NDArray, weight: npt.NDArray | None = None
    ) -> None:
        """Add outputs and targets (n, n_targets): probabilities and 0 or 1, or numbers."""
        outputs = self._schema.uncrossed(outputs)
        right = ((outputs > 0.5) == (truth > 0.5)).all(axis=1).astype(np.float64)
        self._right += float(_sum(right, weight))
        for place, (target, scores) in enumerate(zip(self._targets, self._scores, strict=True)):
            output = outputs[:, place : place + 1]
            if target.task == "classification":
                both = np.hstack([1 - output, output])
                scores.add(both, truth[:, place].astype(np.int64), weight)
            else:
                scores.add(output, truth[:, place], weight)

    def metrics(self) -> dict[str, float]:
        """Return them by name, such as "rmse of price"; first those of all together.

        Numbers: r2, or of several quantiles pinball_loss, the mean over the targets. Classes:
        accuracy, the share of rows where all are right, and macro_f1, the mean F1 of the second
        classes, as scikit-learn has them.
        """
        each = [scores.metrics() for scores in self._scores]
        found: dict[str, float] = {"rows": self.rows}
        if self._schema.quantiles:
            found["pinball_loss"] = float(np.mean([scores["pinball_loss"] for scores in each]))
        elif self._targets[0].task == "regression":
            found["r2"] = float(np.mean([scores["r2"] for scores in each]))
        else:
            found["accuracy"] = self._right / self.weight
            f1 = [_f1_of_second(scores) for scores in self._scores]
            found["macro_f1"] = float(np.mean(f1))
        for target, scores in zip(self._targets, each, strict=True):
            names = _OF_QUANTILES if self._schema.quantiles else [n for n in scores if n != "rows"]
            found |= {f"{name} of {target.label}": scores[name] for name in names}
        return found

    def details(self) -> dict[str, Any]:
        """Return no confusion matrix and no residuals."""
        return {"confusion": None, "residuals": None}


Scores: TypeAlias = ClassScores | NumberScores | SeveralScores


def _f1_of_second(scores):
    """Return the F1 of the second of two classes; 0 where it neither is nor is predicted."""
    (_, wrong), (missed, right) = scores.confusion
    both = 2 * right + wrong + missed
    return 2 * right / both if both else 0.0


def _sum(values, weight):
    return values.sum() if weight is None else values @ weight


def _roc_auc(scores, labels, weights):
    """Return the area under the ROC curve; NaN, which is undefined, of one class.

    It is the share of pairs of a positive and a negative row in which the positive one has the
    higher score; equal scores count half (Fawcett, An introduction to ROC analysis, 2006, section
    7). A row counts as often as its weight says, or once.
    """
    found, place = np.unique(scores, return_inverse=True)
    positive, negative = (
        np.bincount(place[rows], None if weights is None else weights[rows], len(found))
        for rows in (labels, ~labels)
    )
    if not (positive.any() and negative.any()):
        return math.nan
    below = np.cumsum(negative) - negative / 2
    return float(positive @ below / (float(positive.sum()) * float(negative.sum())))
