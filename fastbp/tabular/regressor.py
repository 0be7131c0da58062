"""`TabularRegressor`: numbers from the rows of a table."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import check_array

from ..annotations import Floats
from ..estimators.parameters import keep_arguments
from ..tables.declared import takes
from ..tables.options import TrainOptions
from ..tables.result.outputs import bound_names
from .base import TabularEstimator
from .parameters import INSTEAD, OF_CLASSES, arguments_of
from .targets import as_scikit_learn_reads, names_of


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
        given = as_scikit_learn_reads(y)
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
        found = self._predictions(X, interval=level)
        names = bound_names(self.model_.schema)
        bounds = [found.select(both).to_numpy() for both in names]
        return bounds[0] if self._is_flat else np.stack(bounds, axis=1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
