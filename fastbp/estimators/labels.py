"""What a classifier knows of its labels: targets from them, smoothed or soft, and their scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.multiclass import unique_labels

from ..checks import as_array
from ..kernels.formulas.losses import LOSSES
from ..quoted import quoted
from ..training.metrics import metric_of
from .base import BaseMLP
from .class_weights import weigh_classes
from .missing import gaps_of
from .soft_labels import Labelled, probabilities_of, smoothed


class LabelledMLP(Labelled, BaseMLP):
    """The part of a classifier between labels and the targets of a network."""

    class_weight: Any
    label_smoothing: float
    soft_labels: bool
    missing_targets: bool
    _label_binarizer: LabelBinarizer
    _numeric_targets = False

    @property
    def _is_soft(self):
        return self.soft_labels

    def _read(self, y):
        if self.missing_targets and self.soft_labels:
            raise ValueError("missing_targets=True: with soft_labels=True no target may be missing")
        # labels may be held out to score on where those to train on are soft
        return probabilities_of(y) if self.soft_labels and np.ndim(y) > 1 else y

    def _may_have_gaps(self, y):
        known = np.empty(0) if issparse(y) or not self.missing_targets else as_array("y", y)
        shape = getattr(y, "shape", known.shape)
        return len(shape) > 1 and shape[1] > 1 and not issparse(y)

    def _score_with_gaps(self, X, y, weight):
        if self.missing_targets and self._may_have_gaps(y):
            return self._score_present(X, y, weight)
        return None

    def _without_gaps(self, y):
        """Return labels with the smallest in place of those that are missing."""
        return gaps_of(y, None)[0] if self.missing_targets and self._may_have_gaps(y) else y

    def _meet(self, y, incremental):
        y = self._without_gaps(y)
        is_new = not hasattr(self, "classes_") or not (self.warm_start or incremental)
        if self.soft_labels and (is_new or y.ndim == 1):
            self._learn(self._columns_of(y))
        elif is_new:
            self._learn(y)
        elif self.soft_labels or not self.warm_start:
            self._check_known(y)
        elif set(unique_labels(y)) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {unique_labels(y)}"
            )

    def _learn(self, y):
        """Learn the classes of labels."""
        self._label_binarizer = LabelBinarizer().fit(y)
        self.classes_ = self._label_binarizer.classes_

    def _columns_of(self, y):
        """Return the classes of soft labels without names; ValueError if they are not soft."""
        return np.arange(probabilities_of(y).shape[1])

    def _check_known(self, y):
        y = self._without_gaps(y)
        if self.soft_labels and y.ndim == 2:
            if self._kind() == "multilabel-indicator" or y.shape[1] != len(self.classes_):
                raise ValueError(
                    f"y has {y.shape[1]} columns of probabilities, but the fitted net has the "
                    f"{self._kind()} classes {self.classes_}"
                )
            return
        if y.ndim == 1 and y.dtype.kind in "biuf" and self.classes_.dtype.kind in "biuf":
            places = np.searchsorted(self.classes_, y)
            if (self.classes_.take(places, mode="clip") == y).all():  # in a tenth of the time
                return
        classes = unique_labels(y)
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _weights(self, y, weight, incremental):
        if self.class_weight is None:
            return weight
        if self._has_gaps(y):
            raise ValueError(
                f"class_weight={quoted(self.class_weight)}: with missing targets no column has "
                "shares of its classes; give sample_weight"
            )
        if self.soft_labels:
            raise ValueError(
                f"class_weight={quoted(self.class_weight)}: with soft_labels=True a row has no one "
                "class; give sample_weight"
            )
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit. In order to use "
                "'balanced' weights, use compute_class_weight('balanced', classes=classes, "
                "y=y) and pass the resulting weights as the class_weight parameter."
            )
        return weigh_classes(self.class_weight, y, self.classes_, weight)

    def _encode(self, y):
        if self.soft_labels and y.ndim == 2:
            return {"y": y[:, 1:] if y.shape[1] == 2 else y}
        if self._kind() == "multiclass":
            if y.ndim != 1:
                raise ValueError("The object was not fitted with multilabel input.")
            return {"labels": np.searchsorted(self.classes_, y).astype(np.int64)}
        if y.ndim == 1 and len(self.classes_) == 2:  # as the binarizer, which takes 0.4 ms
            return {"y": (y == self.classes_[1]).astype(np.int64)[:, None]}
        targets = self._label_binarizer.transform(self._without_gaps(y))
        return {"y": np.where(np.isnan(y), np.nan, targets) if self._has_gaps(y) else targets}

    def _has_gaps(self, y):
        return self.missing_targets and self._may_have_gaps(y) and bool(gaps_of(y, None)[1].any())

    def _to_learn(self, targets, dtype):
        if self.label_smoothing == 0:
            return targets
        classes = len(self.classes_) if self._kind() == "multiclass" else 2
        return smoothed(targets, self.label_smoothing, classes, dtype)

    def _kind(self):
        """Return "binary", "multiclass" or "multilabel-indicator"."""
        return self._label_binarizer.y_type_

    def _output(self):
        several = self._kind() == "multiclass"
        loss = LOSSES.find(self.loss).name
        if loss == "cross_entropy" and not several:
            loss = "binary_cross_entropy"
        return ("softmax" if several else "logistic"), loss

    def _score_outputs(self, outputs, data):
        if data.output_weight is not None:
            return metric_of("binary_cross_entropy").score(outputs, data)
        if self._kind() != "multiclass":
            right = ((outputs > 0.5) == (data.y > 0.5)).all(axis=1)
        else:
            labels = data.y.argmax(axis=1) if data.labels is None else data.labels
            right = outputs.argmax(axis=1) == labels
        return float(np.average(right, weights=data.weight))
