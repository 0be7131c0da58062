"""`TabularClassifier`: classes from the rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from ..annotations import Array, Floats
from ..estimators.parameters import keep_arguments
from ..quoted import quoted
from ..tables.declared import takes
from ..tables.options import TrainOptions
from ..tables.wording import listed
from .base import TabularEstimator
from .parameters import INSTEAD, OF_NUMBERS, arguments_of
from .samples import are_missing
from .targets import as_held, as_scikit_learn_reads, names_of


@takes(TrainOptions, without={*INSTEAD, *OF_NUMBERS})
class TabularClassifier(ClassifierMixin, TabularEstimator):
    """Predicts classes from frames as they are, by the networks of `fastbp.train`.

    Columns of categories, dates, booleans and numbers are encoded by their kinds, missing values
    included. By default each network stops early on a fold of its own, so that no sample is held
    back from all. All parameters are keywords.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default None
        Seed for split, weights, shuffling and dropout: a whole number is the `seed` of
        `fastbp.train`.
    **options
        The fields of ``fastbp.tables.options.TrainOptions``; `takes` names them here.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted labels, as they were given; of an indicator matrix the places of its columns.
    model_ : TableModel
        The trained model: to save, to export, and with the ``record`` of its training.
    feature_importances_ : ndarray of shape (n_features_in_,)
        Permutation importance on samples that were not trained on; computed when first read.
    n_outputs_ : int
        Targets: 1, or the columns of an indicator matrix.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of these columns; only if X has names.

    See Also
    --------
    TabularRegressor : For numbers.
    train : The same without scikit-learn, from files too.

    Examples
    --------
    >>> from fastbp import TabularClassifier
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> clf = TabularClassifier(random_state=0).fit(X, y)
    >>> bool(clf.score(X, y) > 0.9)
    True
    """

    _task: ClassVar = "classification"
    classes_: Array

    def __init__(
        self, *, random_state: int | np.random.RandomState | None = None, **options: Any
    ) -> None:
        given = {"random_state": random_state, **options}
        keep_arguments(self, arguments_of(TabularClassifier.__init__, given))

    def _targets(self, y, kept, words):
        given = as_scikit_learn_reads(y)
        checks = {"dtype": None, "ensure_all_finite": False}  # pandas' NA is said below
        values = check_array(given, ensure_2d=False, input_name="y", estimator=self, **checks)
        values = values[kept]
        if values.dtype == object and (missing := are_missing(values)).any():
            place = 1 + kept[missing.nonzero()[0][0]]
            raise ValueError(f"y has no label in row {place:,}: give one, or leave the row out")
        assert_all_finite(values, input_name="y")
        check_classification_targets(values)
        self._is_multilabel = type_of_target(values) == "multilabel-indicator"
        if self._is_multilabel:
            self.classes_ = np.arange(values.shape[1])
            return dict(zip(names_of(y, values), values.astype(np.int64).T, strict=True))
        values = column_or_1d(values, warn=True)
        self.classes_, places = np.unique(values, return_inverse=True)
        self._held = as_held(self.classes_, places, words)
        return {names_of(y, values)[0]: self._held[places]}

    def _parameters(self):
        parameters = super()._parameters()
        weights = parameters["class_weight"]
        if isinstance(weights, Mapping) and not self._is_multilabel:
            held = dict(zip(self.classes_.tolist(), self._held.tolist(), strict=True))
            for label in weights:
                if label not in held:
                    raise ValueError(
                        f"class_weight={quoted(weights)}: {quoted(label)} is no class; expected "
                        f"some of {listed(held)}"
                    )
            parameters["class_weight"] = {held[label]: w for label, w in weights.items()}
        return parameters

    def predict(self, X: Any) -> Array:
        """Return the labels (n_samples,), or the indicator matrix (n_samples, n_outputs).

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Samples with the columns that were fitted.
        """
        probabilities = self.predict_proba(X)
        if self._is_multilabel:
            return (probabilities > 0.5).astype(np.int64)
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X: Any) -> Floats:
        """Return the probabilities (n_samples, n_classes), in the order of `classes_`.

        Of an indicator matrix they are those that a column is 1.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Samples with the columns that were fitted.
        """
        found = self._predictions(X)
        schema = self.model_.schema
        if self._is_multilabel:
            names = [f"probability of {t.name}={t.classes[1]}" for t in schema.targets]
        else:
            are_booleans = schema.target.kind == "boolean"
            held = [str(each).lower() if are_booleans else str(each) for each in self._held]
            names = [f"probability of {each}" for each in held]
        return found.select(names).to_numpy()

    def predict_log_proba(self, X: Any) -> Floats:
        """Return the logarithms (n_samples, n_classes) of `predict_proba`.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Samples with the columns that were fitted.
        """
        return np.log(self.predict_proba(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
