"""`MLPEnsembleRegressor`: the mean of the predictions of several nets."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, overload

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_pinball_score, r2_score

from ..annotations import ArrayLike, Floats, Matrix, Threads, Weights
from ..data.samples import Samples
from ..ensemble import mean_and_spread_of, mean_of
from ..estimators import MLPRegressor
from ..estimators.parameters import keep_arguments
from ..training.metrics import metric_of
from .ensemble import CONSTRAINTS, MLPEnsemble


class MLPEnsembleRegressor(RegressorMixin, MLPEnsemble):
    """Several `MLPRegressor`, trained one on each core, that predict by their mean.

    Parameters
    ----------
    estimator : MLPRegressor or None, default None
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
    estimators_ : list of MLPRegressor
        The members. Each has the bits that it has alone.
    estimators_samples_ : list of ndarray
        Rows that each member trained on, as often as they were drawn; not with "seeds".
    oob_prediction_ : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Mean predictions by the members that have not trained on the row; NaN where all have.
        Not with "seeds".
    oob_score_ : float
        R2 of these on the rows that have them, with `sample_weight`.
    n_outputs_ : int
        Outputs of a member.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of these columns; only if X has names.

    See Also
    --------
    MLPEnsembleClassifier : For labels.
    fit_many : Trains many models that differ in more than this.

    References
    ----------
    Lakshminarayanan, Pritzel and Blundell, Simple and scalable predictive uncertainty estimation
    using deep ensembles, NeurIPS 2017 (seeds). Breiman, Bagging predictors, Machine Learning 24,
    1996 (bags).

    Examples
    --------
    >>> from fastbp import MLPEnsembleRegressor, MLPRegressor
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(200, 5, noise=1.0, random_state=0)
    >>> net = MLPRegressor(hidden_layer_sizes=(50,), solver="lbfgs")
    >>> ensemble = MLPEnsembleRegressor(net, members="bags", random_state=0).fit(X, y / y.std())
    >>> mean, std = ensemble.predict(X, return_std=True)
    >>> bool((std > 0).all())
    True
    """

    oob_prediction_: Floats
    _classifies = False
    _parameter_constraints: ClassVar = {"estimator": [MLPRegressor, None], **CONSTRAINTS}

    def __init__(
        self,
        estimator: MLPRegressor | None = None,
        n_members: int = 5,
        *,
        members: Literal["seeds", "bags", "folds"] = "seeds",
        cv: Any = None,
        random_state: int | np.random.RandomState | None = None,
        n_threads: Threads = "auto",
    ) -> None:
        keep_arguments(self, locals())

    def _template(self):
        return MLPRegressor() if self.estimator is None else self.estimator

    @property
    def _takes_gaps(self):
        return self._template().missing_targets

    def _meet(self, y):
        levels = self._levels
        self.n_outputs_ = len(levels) if levels else 1 if y.ndim == 1 else y.shape[1]

    @property
    def _levels(self):
        """The levels of the quantiles that a member predicts, if it does."""
        given = self._template().loss_parameter
        return given if isinstance(given, (list, tuple)) else ()

    def _of_member(self, member, X):
        return member.predict(X)

    def _score_of(self, y, means, weight):
        there = ~np.isnan(y)
        if self._levels:
            weight = None if weight is None else weight[there]
            columns = zip(self._levels, means[there].reshape(-1, len(self._levels)).T, strict=True)
            scored = [
                d2_pinball_score(y[there], q, sample_weight=weight, alpha=a) for a, q in columns
            ]
            return float(np.mean(scored))
        if there.all():
            return r2_score(y, means, sample_weight=weight)
        outputs, counts = means.reshape(len(y), -1), there.reshape(len(y), -1).astype(means.dtype)
        counts = counts if weight is None else counts * weight[:, None]
        targets = np.where(there, y, 0).reshape(outputs.shape).astype(means.dtype)
        return metric_of("squared_error").score(
            outputs, Samples(outputs, targets, output_weight=counts)
        )

    def score(self, X: Matrix, y: ArrayLike, sample_weight: Weights = None) -> float:
        """Return R2 of the mean predictions, or of several quantiles the mean of their D2.

        Parameters
        ----------
        X, y, sample_weight
            As for the `score` of a member.
        """
        means = self.predict(X)
        if not (self._levels or self._template().missing_targets):
            return float(r2_score(y, means, sample_weight=sample_weight))
        X, y, weight = self._checked(X, y, sample_weight, self._template().dtype, reset=False)
        if np.isnan(y).all():
            raise ValueError("y: all targets are NaN: expected some that are not")
        return float(self._score_of(y, means, weight))

    def _keep_oob(self, means):
        self.oob_prediction_ = means

    @overload
    def predict(self, X: Matrix, return_std: Literal[False] = False) -> Floats: ...

    @overload
    def predict(self, X: Matrix, return_std: Literal[True]) -> tuple[Floats, Floats]: ...

    def predict(self, X: Matrix, return_std: bool = False) -> Floats | tuple[Floats, Floats]:
        """Return the mean predictions (n_samples,), or (n_samples, n_outputs).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        return_std : bool, default False
            Whether to return a pair: the means, and their spread as `predict_std` gives it.
        """
        outputs = self._outputs(X)
        return mean_and_spread_of(outputs) if return_std else mean_of(outputs)
