"""The regressor: numbers as targets, numbers as predictions."""

from typing import ClassVar

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

from ..data.samples import check_range
from ..kernels.formulas.losses import LOSSES
from .base import BaseMLP
from .documents import documented
from .parameters import CONSTRAINTS, keep_arguments, names, not_lbfgs


@documented
class MLPRegressor(RegressorMixin, BaseMLP):
    """Multilayer perceptron that predicts numbers, as scikit-learn's of the same name.

    It minimizes the squared error by Adam, by gradient descent or by L-BFGS. With the same
    `random_state`, in float64, it gives scikit-learn's numbers.

    Parameters
    ----------
    loss : str, default "squared_error"
        A name in ``fastbp.LOSSES``, which gives the output its activation: exp for "poisson",
        the identity for "squared_error", "absolute_error", "huber" and "quantile". The squared
        error that is shown is the mean over the outputs, the others are sums.
    {parameters}
    {additions}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    MLPClassifier : For labels.
    Network : Without scikit-learn.

    References
    ----------
    {references}

    Examples
    --------
    >>> from fastbp import MLPRegressor
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(200, 5, noise=1.0, random_state=0)
    >>> reg = MLPRegressor("huber", (50,), solver="lbfgs", random_state=0).fit(X, y / y.std())
    >>> bool(reg.score(X, y / y.std()) > 0.95)
    True
    """

    _numeric_targets = True
    _parameter_constraints: ClassVar = {**CONSTRAINTS, "loss": [names(LOSSES)]}

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        dtype=None,
        loss_parameter=None,
        dropout=0.0,
        optimizer=None,
        schedule=None,
        clip_norm=None,
        scoring=None,
        callbacks=None,
        max_time=None,
        n_threads="auto",
    ):
        keep_arguments(self, locals())

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, eval_set=None):
        """Fit the net to data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples; float32 is trained in float32, all else in float64, unless `dtype` says so.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples.
        eval_set : tuple (X, y), optional
            Data whose loss is kept in `validation_loss_curve_` after every epoch; with
            `early_stopping` what is scored, no rows being held back then.

        Returns
        -------
        self : MLPRegressor

        Raises
        ------
        ValueError, TypeError
            If an argument is not of this form, or the weights became infinite.
        """
        return self._fit(X, y, sample_weight, eval_set=eval_set)

    @available_if(not_lbfgs)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Train one epoch on data, from where the net stands.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`. X may be an iterable of ``(X, y)`` or ``(X, y, sample_weight)``, or a
            source of ``fastbp.data``, and y None: that is one call for each block, or for each
            of the source's windows, in their order, while a thread reads the next.

        Returns
        -------
        self : MLPRegressor
        """
        for part, targets, weight in self._parts(X, y, sample_weight):
            self._fit(part, targets, weight, incremental=True)
        return self

    def _encode(self, y):
        targets = y[:, None] if y.ndim == 1 else y
        check_range(targets, LOSSES.find(self.loss), "y")
        return {"y": targets}

    def _output(self):
        record = LOSSES.find(self.loss)
        return record.partner, record.name

    def _score_outputs(self, outputs, data):
        if not np.isfinite(outputs).all():
            return np.nan
        return r2_score(data.y, outputs, sample_weight=data.weight)

    def predict(self, X):
        """Return the predictions (n_samples,), or (n_samples, n_outputs), of samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        """
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs
