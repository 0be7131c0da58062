"""`MLPRegressor`: numeric targets and predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions

from ..annotations import Floats, FloatType, Matrix, Stream, Threads, Weights
from ..components.optimizers import Optimizer
from ..components.schedules import Schedule
from ..data.samples import check_range
from ..kernels.formulas.losses import LOSSES
from ..quoted import quoted
from ..training.metrics import metric_of
from .base import BaseMLP
from .missing import numbers_of
from .parameters import CONSTRAINTS, fitting, keep_arguments, stochastic_only


class MLPRegressor(RegressorMixin, BaseMLP):
    """Multilayer perceptron regressor, a drop-in replacement for scikit-learn's.

    It minimizes the squared error by Adam, gradient descent or L-BFGS. In float64, with the
    same `random_state`, it reproduces scikit-learn's results.

    Parameters
    ----------
    loss : str, default "squared_error"
        A name in ``fastbp.LOSSES``. It determines the output activation: exp for "poisson", the
        identity for "squared_error", "absolute_error", "huber", "quantile" and the means. Summed
        over the outputs, except the squared error and those with "mean", which are their means.
    hidden_layer_sizes : int or array-like of int, default (100,)
        Units of the hidden layers.
    activation : str or list of str, default "relu"
        Activation of the hidden layers, or one for each: names in ``fastbp.ACTIVATIONS``.
    solver : {"adam", "sgd", "lbfgs", "lm"}, default "adam"
        Adam; gradient descent with momentum; SciPy's L-BFGS-B on the full data; or
        Levenberg-Marquardt on the full data, for the squared error of small nets (see
        ``fastbp.LevenbergMarquardt``). The last makes at most `max_iter` iterations, completes
        the one it is in at `max_time`, and has converged where one lowers the loss by no more
        than `tol` times itself.
    alpha : float, default 1e-4
        Strength of the L2 penalty ``alpha / 2 sum W^2``, divided by the sum of the sample
        weights of a batch.
    batch_size : int or "auto", default "auto"
        Samples per step; "auto" is ``min(200, n_samples)``.
    learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
        Learning rate of "sgd": constant; ``learning_rate_init / (t_ + 1) ** power_t``; or
        divided by 5 when nothing has improved for `n_iter_no_change` epochs.
    learning_rate_init : float, default 1e-3
        Initial learning rate.
    power_t : float, default 0.5
        Exponent of "invscaling".
    max_iter : int, default 200
        Maximum number of epochs; with "lbfgs", of iterations.
    shuffle : bool, default True
        Whether to shuffle the samples in every epoch.
    random_state : int, RandomState instance or None, default None
        Generator of initial weights, shuffles, splits and dropout, or its seed.
    tol : float, default 1e-4
        Smallest improvement of the loss, or of the validation score, that counts.
    verbose : bool, default False
        Whether to print the loss of every epoch.
    warm_start : bool or "exact", default False
        True: start from the weights of the last fit. "exact": also from its moments, learning
        rate, order and split, so that two fits of 10 epochs equal one of 20, unless the loss,
        the layers or the optimizer have changed; of solvers of mini-batches.
    momentum : float, default 0.9
        Momentum of "sgd".
    nesterovs_momentum : bool, default True
        Whether the momentum is Nesterov's.
    early_stopping : bool, default False
        Whether to hold back part of the data and stop when its score no longer improves; the
        network then gets its best weights back, also where training diverges. Only "adam" and
        "sgd" do so: "lbfgs" passes it over, as scikit-learn's does.
    validation_fraction : float, default 0.1
        Fraction of the samples that early stopping holds back.
    beta_1 : float, default 0.9
        Decay rate of Adam's first moment.
    beta_2 : float, default 0.999
        Decay rate of Adam's second moment.
    epsilon : float, default 1e-8
        Term added to the root of Adam's second moment.
    n_iter_no_change : int or inf, default 10
        Epochs without improvement before training stops.
    max_fun : int, default 15000
        Maximum number of loss evaluations of "lbfgs".
    dtype : {"float32", "float64"} or None, default None
        Precision of the computation; None: float32 for X in float32, float64 otherwise.
    loss_parameter : float or sequence of float, optional
        Threshold of "huber" (default 1), or quantile of "quantile" (default 0.5). Several
        quantiles of one target, in ascending order, are as many outputs, which never cross; the
        score is then the mean of ``sklearn.metrics.d2_pinball_score``.
    monotonic_cst : array-like of int or dict of str, optional
        Features in which the output rises, 1, or falls, -1, else 0, in their order or by name, as
        in scikit-learn's HistGradientBoosting; of a classifier, the probability of the second of
        two classes. Use the activation "tanh": with "relu" the net is convex in all features.
    dropout : float or list of float, default 0
        Dropout rate of the hidden layers, or one for each.
    optimizer : str or Optimizer, optional
        A name in ``fastbp.OPTIMIZERS``, or an optimizer such as ``fastbp.AdamW(1e-3)``; replaces
        `solver` and its learning rate, momentum and betas.
    schedule : str or schedule, optional
        A name in ``fastbp.SCHEDULES``, or a schedule such as ``fastbp.Cosine(50)``; multiplies
        the learning rate. `partial_fit` follows it by its argument `epoch`.
    clip_norm : float, optional
        Scale gradients down to this global norm when they exceed it.
    missing_targets : bool, default False
        Whether y may hold NaN, which counts for nothing: in training, in `score` and in the scores
        of early stopping. Then `scoring` must be None or a function that knows of NaN.
    scoring : str, callable or None, default None
        Score that early stopping monitors, as in scikit-learn; None: accuracy, or R2. It gets
        the weights of the samples if it takes `sample_weight`.
    callbacks : callable or list, optional
        Called after every epoch with a dict of its number, loss and score; returning True stops
        training. Instances of scikit-learn's callback protocol are called by that protocol.
    max_time : float, optional
        Seconds after which training stops, within 0.3 s or one step; "lbfgs" completes its
        iteration first.
    n_threads : int or "auto", default "auto"
        Number of threads; the result does not depend on it.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Weights (n_in, n_out) and biases (n_out,) of the layers; writable.
    loss_ : float
        Loss of the last epoch, including its penalty.
    best_loss_ : float or None
        Lowest loss of all epochs; None with `early_stopping`.
    loss_curve_ : list of float
        Loss of every epoch.
    validation_scores_ : list of float or None
        Score of the held-back samples after every epoch; None without `early_stopping`.
    best_validation_score_ : float or None
        Highest of these scores; None without `early_stopping`.
    validation_loss_curve_ : list of float
        Loss of `X_val` or `eval_set` after every epoch, without penalty; only if fit has one.
    t_ : int
        Samples trained on, repetitions included.
    n_iter_ : int
        Epochs of the last fit.
    n_layers_ : int
        Layers, including input and output.
    n_outputs_ : int
        Outputs.
    out_activation_ : str
        Activation of the output layer.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of these columns; only if X has names.

    See Also
    --------
    MLPClassifier : For labels.
    Network : The same model without scikit-learn.

    References
    ----------
    Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, Nature
    323, 1986. Glorot and Bengio, AISTATS 2010 (initial weights). Kingma and Ba, Adam, ICLR 2015,
    section 2. Sutskever et al., ICML 2013, eq. 1 to 4 (momentum).

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
    _is_soft = False
    _parameter_constraints: ClassVar = {
        **CONSTRAINTS,
        "solver": [StrOptions({"lbfgs", "lm", "sgd", "adam"})],
        "missing_targets": ["boolean"],
        "loss_parameter": [*CONSTRAINTS["loss_parameter"], list, tuple],
    }

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: int | Sequence[int] | NDArray[np.integer[Any]] = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: Literal["adam", "sgd", "lbfgs", "lm"] = "adam",
        alpha: float = 0.0001,
        batch_size: int | Literal["auto"] = "auto",
        learning_rate: Literal["constant", "invscaling", "adaptive"] = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool | Literal["exact"] = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dtype: FloatType | None = None,
        loss_parameter: float | Sequence[float] | None = None,
        monotonic_cst: ArrayLike | dict[str, int] | None = None,
        dropout: float | Sequence[float] = 0.0,
        optimizer: str | Optimizer | None = None,
        schedule: str | Schedule | None = None,
        clip_norm: float | None = None,
        missing_targets: bool = False,
        scoring: str | Callable[..., float] | None = None,
        callbacks: Callable[..., object] | Sequence[Callable[..., object]] | None = None,
        max_time: float | None = None,
        n_threads: Threads = "auto",
    ) -> None:
        keep_arguments(self, locals())

    @stochastic_only
    @fitting
    def partial_fit(
        self,
        X: Matrix | Stream,
        y: ArrayLike | None = None,
        sample_weight: Weights = None,
        *,
        epoch: float | None = None,
    ) -> MLPRegressor:
        """Train one epoch on data, starting from the current weights.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`. X may also be an iterable of ``(X, y)`` or ``(X, y, sample_weight)``,
            or a source of ``fastbp.data``, with y None: this equals one call per block of the
            iterable, or per window of the source, in order, at most for `max_time`. A thread reads
            one block ahead.
        epoch : float, optional
            Time of the schedule, in epochs: ``2.5`` is half-way through the third pass over all
            data. A pass over a source is one epoch, and needs no `epoch`. How much of an epoch
            other calls are is not known: without `epoch` they train at the full learning rate.

        Returns
        -------
        self : MLPRegressor
        """
        for (part, targets, weight), span in self._parts(X, y, sample_weight, epoch):
            self._fit(part, targets, weight, span)
        return self

    def _read(self, y):
        return numbers_of(y)

    def _encode(self, y):
        targets = y[:, None] if y.ndim == 1 else y
        there = np.where(np.isnan(targets), 0, targets) if self.missing_targets else targets
        check_range(there, LOSSES.find(self.loss), "y")
        if self._has_levels():
            if targets.shape[1] > 1:
                raise ValueError(
                    f"y has {targets.shape[1]} targets: expected one, of which several quantiles "
                    f"loss_parameter={quoted(self.loss_parameter)} are predicted"
                )
            targets = np.repeat(targets, len(self.loss_parameter), axis=1)
        return {"y": targets}

    def _has_levels(self):
        has_levels = isinstance(self.loss_parameter, (list, tuple))
        if has_levels and not self.loss_parameter:
            raise ValueError(
                f"loss_parameter={quoted(self.loss_parameter)}: expected at least one level"
            )
        return has_levels

    def _output(self):
        record = LOSSES.find(self.loss)
        return "ascending" if self._has_levels() else record.partner, record.name

    def _score_outputs(self, outputs, data):
        if not data.total_weight:
            raise ValueError("y: no target is there among the rows that are scored")
        if self._has_levels():
            there = slice(None) if data.output_weight is None else data.output_weight[:, 0] > 0
            weight = None if data.weight is None else data.weight[there]
            y = data.y.reshape(len(outputs), -1)[there, 0]
            return self._pinball_score(y, outputs[there], weight)
        if data.output_weight is not None:
            return metric_of("squared_error").score(outputs, data)
        return r2_score(data.y, outputs, sample_weight=data.weight)

    def _pinball_score(self, y, outputs, weight):
        columns = outputs.reshape(len(outputs), -1).T
        if len(columns) != len(self.loss_parameter):
            raise ValueError(
                f"loss_parameter={quoted(self.loss_parameter)}: the fitted estimator predicts "
                f"{len(columns)} quantiles; fit it again"
            )
        levels = zip(self.loss_parameter, columns, strict=True)
        scores = [d2_pinball_score(y, a, sample_weight=weight, alpha=level) for level, a in levels]
        return float(np.mean(scores))

    def score(self, X: Matrix, y: ArrayLike, sample_weight: Weights = None) -> float:
        """Return R2 of the predictions, or of several quantiles the mean of their D2.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; with `missing_targets`, NaN counts for nothing.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples.
        """
        if self.missing_targets:
            return self._score_present(X, y, sample_weight)
        if self._has_levels():
            return self._pinball_score(column_or_1d(y), self.predict(X), sample_weight)
        return float(super().score(X, y, sample_weight))

    def predict(self, X: Matrix) -> Floats:
        """Return the predictions (n_samples,), or (n_samples, n_outputs), as of quantiles.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        """
        outputs = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs
