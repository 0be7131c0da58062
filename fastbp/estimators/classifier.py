"""`MLPClassifier`: labels to targets, and outputs to labels and probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target

from ..annotations import Array, ClassWeight, Floats, FloatType, Matrix, Stream, Threads, Weights
from ..components.optimizers import Optimizer
from ..components.schedules import Schedule
from .labels import LabelledMLP
from .parameters import CONSTRAINTS, fitting, keep_arguments, stochastic_only


class MLPClassifier(LabelledMLP):
    """Multilayer perceptron classifier, a drop-in replacement for scikit-learn's.

    It minimizes the log loss by Adam, gradient descent or L-BFGS. In float64, with the same
    `random_state`, it reproduces scikit-learn's results.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default (100,)
        Units of the hidden layers.
    activation : str or list of str, default "relu"
        Activation of the hidden layers, or one for each: names in ``fastbp.ACTIVATIONS``.
    solver : {"adam", "sgd", "lbfgs"}, default "adam"
        Adam; gradient descent with momentum; or SciPy's L-BFGS-B on the full data.
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
    loss : str, default "log_loss"
        The cross-entropy that suits the targets, or another name in ``fastbp.LOSSES``; summed
        over the outputs, except the squared error and those with "mean", which are their means.
    loss_parameter : float, optional
        Threshold of "huber" (default 1), or quantile of "quantile" (default 0.5).
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
    class_weight : dict, list of dict, "balanced" or None, default None
        Weights of the classes, as in scikit-learn's other classifiers; multiplied by
        `sample_weight`, which "balanced" counts as repeated rows.
    label_smoothing : float, default 0
        Train on ``(1 - s) y + s / K``, where y is 1 for the class of a sample and 0 for the other
        of K classes; K is 2 in each column of an indicator matrix. Validation does not.
    soft_labels : bool, default False
        Whether the y of training has a row of probabilities (n_classes,) for each sample, such as
        the predictions of another model. The classes are the columns, 0 to n_classes - 1. Then
        validation and `score` take rows, whose most likely class is right, or labels; so does
        `scoring` by a name. It excludes `class_weight`.
    missing_targets : bool, default False
        Whether an indicator matrix of several labels may hold NaN, which counts for nothing: in
        training, in `score`, where a row is right if all labels that it has are, and counts by
        their number, and in the scores of early stopping. Then `scoring` must be None or a function
        that knows of NaN.
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
    classes_ : ndarray of shape (n_classes,)
        Sorted labels.
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
    MLPRegressor : For numeric targets.
    Network : The same model without scikit-learn.

    References
    ----------
    Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, Nature
    323, 1986. Glorot and Bengio, AISTATS 2010 (initial weights). Kingma and Ba, Adam, ICLR 2015,
    section 2. Sutskever et al., ICML 2013, eq. 1 to 4 (momentum).

    Examples
    --------
    >>> from fastbp import MLPClassifier
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier((20,), max_iter=2000, random_state=0).fit(X, y)
    >>> bool(clf.score(X, y) > 0.95)
    True
    """

    _parameter_constraints: ClassVar = {
        **CONSTRAINTS,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "soft_labels": ["boolean"],
        "missing_targets": ["boolean"],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] | NDArray[np.integer[Any]] = (100,),
        activation: str | Sequence[str] = "relu",
        *,
        solver: Literal["adam", "sgd", "lbfgs"] = "adam",
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
        loss: str = "log_loss",
        loss_parameter: float | None = None,
        monotonic_cst: ArrayLike | dict[str, int] | None = None,
        dropout: float | Sequence[float] = 0.0,
        optimizer: str | Optimizer | None = None,
        schedule: str | Schedule | None = None,
        clip_norm: float | None = None,
        class_weight: ClassWeight | None = None,
        label_smoothing: float = 0.0,
        soft_labels: bool = False,
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
        classes: ArrayLike | None = None,
        *,
        epoch: float | None = None,
    ) -> MLPClassifier:
        """Train one epoch on data, starting from the current weights.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`. X may also be an iterable of ``(X, y)`` or ``(X, y, sample_weight)``,
            or a source of ``fastbp.data``, with y None: this equals one call per block of the
            iterable, or per window of the source, in order, at most for `max_time`. A thread reads
            one block ahead.
        classes : array-like of shape (n_classes,), optional
            All labels; required in the first call. With `soft_labels` they may be left out, and
            name the columns in sorted order.
        epoch : float, optional
            Time of the schedule, in epochs: ``2.5`` is half-way through the third pass over all
            data. A pass over a source is one epoch, and needs no `epoch`. How much of an epoch
            other calls are is not known: without `epoch` they train at the full learning rate.

        Returns
        -------
        self : MLPClassifier
        """
        for (part, targets, weight), span in self._parts(X, y, sample_weight, epoch):
            if self.soft_labels and classes is None and not hasattr(self, "classes_"):
                classes = self._columns_of(targets)
            if _check_partial_fit_first_call(self, classes):
                there = self._without_gaps(targets)
                multilabel = type_of_target(there).startswith("multilabel")
                of_columns = multilabel and not self.soft_labels
                self._label_binarizer = LabelBinarizer().fit(there if of_columns else classes)
            self._fit(part, targets, weight, span)
        return self

    def predict(self, X: Matrix) -> Array:
        """Return the labels (n_samples,), or the indicator matrix (n_samples, n_classes).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        """
        outputs = self._outputs(X)
        outputs = outputs[:, 0] if self.n_outputs_ == 1 else outputs
        return self._label_binarizer.inverse_transform(outputs)

    def predict_proba(self, X: Matrix) -> Floats:
        """Return the class probabilities (n_samples, n_classes), ordered as in `classes_`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        """
        outputs = self._outputs(X)
        return np.hstack([1 - outputs, outputs]) if self.n_outputs_ == 1 else outputs

    def predict_log_proba(self, X: Matrix) -> Floats:
        """Return the logarithms (n_samples, n_classes) of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        """
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=probabilities)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
