"""`MLPEnsembleClassifier`: the mean of the probabilities of several nets."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer

from ..annotations import Array, Floats, Matrix, Threads
from ..ensemble import mean_of
from ..estimators import MLPClassifier
from ..estimators.parameters import keep_arguments
from ..estimators.soft_labels import Labelled, probabilities_of
from .ensemble import CONSTRAINTS, MLPEnsemble


class MLPEnsembleClassifier(Labelled, MLPEnsemble):
    """Several `MLPClassifier`, trained one on each core, that predict by their mean probability.

    Parameters
    ----------
    estimator : MLPClassifier or None, default None
        What the members are clones of; each stops early by itself, if it does. None: its defaults.
    n_members : int, default 5
        Members; with "folds", where `cv` is None.
    members : {"seeds", "bags", "folds"}, default "seeds"
        How the members differ, besides their random states. "seeds": all train on all rows.
        "bags": each on rows drawn with replacement, as many as there are; their numbers multiply
        the weights. "folds": each on all rows but those of one fold.
    cv : int, splitter, iterable or None, default None
        With "folds": the folds, as for scikit-learn's ``cross_val_predict``; each is a member.
        None: `n_members` folds.
    random_state : int, RandomState instance or None, default None
        Where the random states of the members come from, which replace that of `estimator`, and
        their bags. The first of many members are those of few.
    n_threads : int or "auto", default "auto"
        Members that are trained at once; the result does not depend on it.

    Attributes
    ----------
    estimators_ : list of MLPClassifier
        The members. Each has the bits that it has alone.
    classes_ : ndarray of shape (n_classes,)
        Sorted labels.
    estimators_samples_ : list of ndarray
        Rows that each member trained on, as often as they were drawn; not with "seeds".
    oob_decision_function_ : ndarray of shape (n_samples, n_classes)
        Mean probabilities by the members that have not trained on the row; NaN where all have.
        Not with "seeds".
    oob_score_ : float
        Accuracy of these on the rows that have them, with `sample_weight`.
    n_outputs_ : int
        Outputs of a member.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of these columns; only if X has names.

    See Also
    --------
    MLPEnsembleRegressor : For numeric targets.
    fit_many : Trains many models that differ in more than this.

    References
    ----------
    Lakshminarayanan, Pritzel and Blundell, Simple and scalable predictive uncertainty estimation
    using deep ensembles, NeurIPS 2017 (seeds). Breiman, Bagging predictors, Machine Learning 24,
    1996 (bags).

    Examples
    --------
    >>> from fastbp import MLPClassifier, MLPEnsembleClassifier
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((20,), max_iter=2000)
    >>> ensemble = MLPEnsembleClassifier(net, members="folds", random_state=0).fit(X, y)
    >>> bool(ensemble.oob_score_ > 0.9)
    True
    """

    oob_decision_function_: Floats
    _classifies = True
    _parameter_constraints: ClassVar = {"estimator": [MLPClassifier, None], **CONSTRAINTS}

    def __init__(
        self,
        estimator: MLPClassifier | None = None,
        n_members: int = 5,
        *,
        members: Literal["seeds", "bags", "folds"] = "seeds",
        cv: Any = None,
        random_state: int | np.random.RandomState | None = None,
        n_threads: Threads = "auto",
    ) -> None:
        keep_arguments(self, locals())

    def _template(self):
        return MLPClassifier() if self.estimator is None else self.estimator

    @property
    def _is_soft(self):
        return self._template().soft_labels

    def _meet(self, y):
        labels = np.arange(probabilities_of(y).shape[1]) if self._is_soft else y
        self._label_binarizer = LabelBinarizer().fit(labels)
        self.classes_ = self._label_binarizer.classes_
        self.n_outputs_ = 1 if self._is_binary() else len(self.classes_)

    def _is_binary(self):
        return self._label_binarizer.y_type_ == "binary"

    def _of_member(self, member, X):
        given = member.predict_proba(X)
        if len(member.classes_) == len(self.classes_):
            return given
        probabilities = np.zeros((len(given), len(self.classes_)), given.dtype)
        # a class that its rows do not have is not to be expected; a single one is certain
        places = np.searchsorted(self.classes_, member.classes_)
        probabilities[:, places] = given if len(places) > 1 else 1
        return probabilities

    def _labels(self, probabilities):
        """Return the labels, or the indicator matrix, that probabilities stand for."""
        outputs = probabilities[:, 1] if self._is_binary() else probabilities
        return self._label_binarizer.inverse_transform(outputs)

    def _score_of(self, y, means, weight):
        return accuracy_score(self._as_labels(y), self._labels(means), sample_weight=weight)

    def _keep_oob(self, means):
        self.oob_decision_function_ = means

    def predict(self, X: Matrix) -> Array:
        """Return the labels (n_samples,), or the indicator matrix (n_samples, n_classes).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        """
        return self._labels(self.predict_proba(X))

    def predict_proba(self, X: Matrix) -> Floats:
        """Return the mean probabilities (n_samples, n_classes), ordered as in `classes_`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        """
        return mean_of(self._outputs(X))

    def predict_log_proba(self, X: Matrix) -> Floats:
        """Return the logarithms (n_samples, n_classes) of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
