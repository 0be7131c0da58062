"""The shared part of both ensembles: their members, the mean of these, and its spread."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..annotations import Floats, Matrix, Weights
from ..ensemble import Ensemble, ensemble_of, mean_and_spread_of
from ..estimators.missing import gaps_of, name_switch
from ..estimators.parameters import CONSTRAINTS as OF_MEMBERS
from ..estimators.parameters import fitting
from ..network import Network
from .members import bags_of, train, training_rows_of
from .shared import Rows

if TYPE_CHECKING:
    from typing_extensions import Self

_log = logging.getLogger("fastbp")
# of the parameters that both have
CONSTRAINTS: dict[str, Any] = {
    "n_members": [Interval(Integral, 1, None, closed="left")],
    "members": [StrOptions({"seeds", "bags", "folds"})],
    "cv": ["cv_object"],
    "random_state": ["random_state"],
    "n_threads": OF_MEMBERS["n_threads"],
}
_OF_SAMPLES = ("estimators_samples_", "oob_score_", "oob_decision_function_", "oob_prediction_")


class MLPEnsemble(BaseEstimator, ABC):
    """The part of both ensembles that does not depend on what the targets are."""

    estimators_: list[Any]
    estimators_samples_: list[Rows]
    oob_score_: float
    n_outputs_: int
    _classifies: ClassVar[bool]

    @abstractmethod
    def _template(self):
        """Return the estimator that the members are clones of."""

    @property
    def _takes_gaps(self) -> bool:
        """Whether targets may be missing."""
        return False

    @abstractmethod
    def _meet(self, y):
        """Learn what there is to know of the targets."""

    @abstractmethod
    def _of_member(self, member, X):
        """Return what is averaged: a member's probabilities, or its predictions."""

    @abstractmethod
    def _score_of(self, y, means, weight):
        """Return scikit-learn's score of means of what members give."""

    @abstractmethod
    def _keep_oob(self, means):
        """Keep the means (n, ...) of the members that have not seen the row."""

    @fitting
    def fit(self, X: Matrix, y: ArrayLike, sample_weight: Weights = None) -> Self:
        """Train all members.

        Parameters
        ----------
        X, y, sample_weight
            As for the `fit` of a member.

        Returns
        -------
        self : MLPEnsembleClassifier or MLPEnsembleRegressor

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid, the folds do not fit, or a member fails, which is named.
        KeyboardInterrupt
            After Ctrl-C, which ends all members within a slice of about 50 ms.
        """
        template = self._template()
        data = self._meet_data(X, y, sample_weight, template.dtype)
        seeds, samples = self._drawn(*data)
        self.estimators_ = train(template, seeds, samples, data, self.n_threads)
        for name in _OF_SAMPLES:
            self.__dict__.pop(name, None)
        if samples:
            self.estimators_samples_ = samples
            self._predict_the_unseen(*data)
        return self

    @property
    def network_(self) -> Network | Ensemble:
        """The `fastbp.Ensemble` of the members' networks, to save and to export; of one, it.

        ValueError if a bag lacks a class, as its network has no output for it.
        """
        check_is_fitted(self)
        return ensemble_of(member.network_ for member in self.estimators_)

    def _drawn(self, X, y, weight):
        """Return the seeds of the members, and the rows that each trains on, or none."""
        folds = []
        if self.members == "folds":
            folds = training_rows_of(self.cv, self.n_members, X, y, self._classifies)
        random_state = check_random_state(self.random_state)
        count = len(folds) or self.n_members
        seeds = random_state.randint(np.iinfo(np.int32).max, size=count).tolist()
        return seeds, bags_of(seeds, len(y), weight) if self.members == "bags" else folds

    def _meet_data(self, X, y, weight, dtype):
        """Return X, y and the weights, checked once for all members, and learn of them."""
        X, y, weight = self._checked(X, y, weight, dtype)
        self._meet(y)
        return X, y.toarray() if issparse(y) else y, weight

    def _checked(self, X, y, weight, dtype, reset=True):
        is_single = str(dtype) == "float32" or dtype is np.float32
        floats = np.float32 if is_single else (np.float64, np.float32)
        of_y = {"multi_output": True, "y_numeric": not self._classifies, "reset": reset}
        there, gaps = gaps_of(y, None) if self._takes_gaps else (y, None)
        try:
            X, y = validate_data(self, X, there, accept_sparse="csr", dtype=floats, **of_y)
        except ValueError as error:
            if not self._classifies:
                name_switch(error)
            raise
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y.toarray() if issparse(y) else y, warn=True)
        if gaps is not None:
            y = np.where(gaps.reshape(y.shape), np.nan, y)
        return X, y, None if weight is None else _check_sample_weight(weight, X)

    def _predict_the_unseen(self, X, y, weight):
        """Keep for each row the mean of the members that have not seen it."""
        total: Any = np.zeros((len(y), *self._of_member(self.estimators_[0], X[:1]).shape[1:]))
        times = np.zeros(len(y))
        for member, seen in zip(self.estimators_, self.estimators_samples_, strict=True):
            rows = np.setdiff1d(np.arange(len(y)), seen)
            if rows.size:
                asked = member.n_threads
                member.set_params(n_threads=1)  # for so little, more would not pay
                total[rows] += self._of_member(member, X[rows])
                member.set_params(n_threads=asked)
                times[rows] += 1
        known = times > 0
        if not known.all():
            _log.info(
                "out-of-bag predictions: %s of %s rows have none, all %s members trained on them",
                *(f"{(~known).sum():,}", f"{len(y):,}", len(self.estimators_)),
            )
        total[~known] = np.nan
        means = (total.T / np.maximum(times, 1)).T
        weight = np.where(known, 1.0 if weight is None else weight, 0)
        scored = weight != 0
        if self._takes_gaps:
            scored &= ~np.isnan(y).reshape(len(y), -1).all(axis=1)
        score = np.nan  # of fewer than two rows, or outputs that overflow, there is no R2
        if np.count_nonzero(scored) > 1 and np.isfinite(means[scored]).all():
            score = self._score_of(y[scored], means[scored], weight[scored])
        self.oob_score_ = float(score)
        self._keep_oob(means)

    def _outputs(self, X):
        """Yield what each member gives for X, which is checked once."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", reset=False)
        return (self._of_member(member, X) for member in self.estimators_)

    def predict_std(self, X: Matrix) -> Floats:
        """Return the spread: the standard deviation over the K members of what they give.

        It is ``sqrt(sum_k (p_k - p)^2 / K)``, where p is the mean of the p_k: of the probabilities
        of a classifier (n_samples, n_classes), or the predictions of a regressor (n_samples,) or
        (n_samples, n_outputs).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        """
        return mean_and_spread_of(self._outputs(X))[1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
