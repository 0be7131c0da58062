"""`TabularRegressor`: numbers from the rows of a table."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_pinball_score
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from ..annotations import Floats, Weights
from ..estimators.parameters import keep_arguments
from ..kernels.support.scalars import a_number
from ..tables.declared import takes
from ..tables.options import TrainOptions
from ..tables.read.frames import as_known
from ..tables.result.outputs import bound_names
from .base import TabularEstimator
from .parameters import INSTEAD, OF_CLASSES, arguments_of
from .targets import as_scikit_learn_reads, in_seconds, names_of


@takes(TrainOptions, without={*INSTEAD, *OF_CLASSES})
class TabularRegressor(RegressorMixin, TabularEstimator):
    """Predicts numbers from frames as they are, by the networks of `fastbp.train`.

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
    model_ : TableModel
        The trained model: to save, to export, and with the ``record`` of its training.
    feature_importances_ : ndarray of shape (n_features_in_,)
        Permutation importance on samples that were not trained on; computed when first read.
    n_outputs_ : int
        Targets.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of these columns; only if X has names.

    See Also
    --------
    TabularClassifier : For classes.
    train : The same without scikit-learn, from files too.

    Examples
    --------
    >>> from fastbp import TabularRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> reg = TabularRegressor(random_state=0).fit(X, y)
    >>> bool(reg.score(X, y) > 0.4)
    True
    """

    _task: ClassVar = "regression"

    def __init__(
        self, *, random_state: int | np.random.RandomState | None = None, **options: Any
    ) -> None:
        given = {"random_state": random_state, **options}
        keep_arguments(self, arguments_of(TabularRegressor.__init__, given))

    def _targets(self, y, kept, words):
        given = as_scikit_learn_reads(in_seconds(y))
        values = check_array(
            given, ensure_2d=False, dtype="numeric", input_name="y", estimator=self
        )
        values = values[kept].astype(np.float64)
        names = names_of(y, values)
        columns = [values] if values.ndim == 1 else values.T
        self._is_flat = values.ndim == 1
        return dict(zip(names, columns, strict=True))

    def predict(self, X: Any) -> Floats:
        """Return predicted numbers (n_samples,), or (n_samples, n_outputs) of several.

        Several levels of `quantile` are several outputs of a target, in ascending order.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Samples with the columns that were fitted.
        """
        found = self._predictions(X)
        schema = self.model_.schema
        several = [f"prediction of {target.label}" for target in schema.targets]
        names = several if schema.more_targets else ["prediction"]
        numbers = found.select(names).to_numpy()
        return numbers[:, 0] if self._is_flat and len(names) == 1 else numbers

    def score(self, X: Any, y: ArrayLike, sample_weight: Weights = None) -> float:
        """Return R2 of the predictions, or D2 of several levels of `quantile`; 1 is the best.

        Several levels have no R2: it is highest for the mean, which none of them is. D2 is the
        share of the pinball loss of constant quantiles that the predictions save, see
        ``sklearn.metrics.d2_pinball_score``: here its mean over levels and targets. It is highest
        for the true quantiles, and 0 for constant ones.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Samples with the columns that were fitted.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True numbers, or durations, which are seconds.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples.
        """
        check_is_fitted(self)
        y = in_seconds(as_known(y))
        targets = self.model_.schema.targets
        n_levels = len(targets) // self.n_outputs_
        if n_levels == 1:
            return super().score(X, y, sample_weight)
        true = check_array(as_scikit_learn_reads(y), ensure_2d=False, input_name="y")
        true = true.reshape(len(true), -1).repeat(n_levels, axis=1)
        columns = zip(targets, true.T, self.predict(X).T, strict=True)
        scores = [
            d2_pinball_score(*pair, sample_weight=sample_weight, alpha=target.quantile)
            for target, *pair in columns
        ]
        return float(np.mean(scores))

    def predict_interval(self, X: Any, level: float = 0.9) -> Floats:
        """Return the lower and the upper bound of numbers, (n_samples, 2).

        About a share `level` of the targets lies between them, by the residuals of samples that
        did not train: see ``interval`` of `TableModel.predict`. Of a `y` with several columns they
        are (n_samples, n_outputs, 2).

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Samples with the columns that were fitted.
        level : float, default 0.9
            Share between 0 and 1.

        Raises
        ------
        ValueError
            If too few samples did not train, or none.
        """
        level = a_number("level", level, above=0, below=1)
        try:
            found = self._predictions(X, interval=level)
        except ValueError as error:  # of too few samples, by the name that predict of a model has
            error.args = (re.sub("^interval=", "level=", str(error)),)
            raise
        names = bound_names(self.model_.schema)
        bounds = [found.select(both).to_numpy() for both in names]
        return bounds[0] if self._is_flat else np.stack(bounds, axis=1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
