"""The classifier: labels to targets, outputs to labels and probabilities."""

from typing import ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from ..kernels.formulas.losses import LOSSES
from .base import BaseMLP
from .documents import documented
from .parameters import CONSTRAINTS, keep_arguments, names, not_lbfgs


@documented
class MLPClassifier(ClassifierMixin, BaseMLP):
    """Multilayer perceptron that classifies, as scikit-learn's of the same name.

    It minimizes the log loss by Adam, by gradient descent or by L-BFGS. With the same
    `random_state`, in float64, it gives scikit-learn's numbers.

    Parameters
    ----------
    {parameters}
    loss : str, default "log_loss"
        The cross-entropy of what the targets are, or another name in ``fastbp.LOSSES``,
        summed over the outputs (the squared error: their mean).
    {additions}
    class_weight : dict, list of dict, "balanced" or None, default None
        Weights of the classes, as scikit-learn's other classifiers have them; multiplied with
        `sample_weight`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    {attributes}

    See Also
    --------
    MLPRegressor : For numbers.
    Network : Without scikit-learn.

    References
    ----------
    {references}

    Examples
    --------
    >>> from fastbp import MLPClassifier
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier((20,), max_iter=400, random_state=0).fit(X, y)
    >>> bool(clf.score(X, y) > 0.95)
    True
    """

    _numeric_targets = False
    _parameter_constraints: ClassVar = {
        **CONSTRAINTS,
        "loss": [names(LOSSES)],
        "class_weight": [dict, list, str, None],
    }

    def __init__(
        self,
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
        loss="log_loss",
        loss_parameter=None,
        dropout=0.0,
        optimizer=None,
        schedule=None,
        clip_norm=None,
        class_weight=None,
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
            Labels, or an indicator matrix of many.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples.
        eval_set : tuple (X, y), optional
            Data whose loss is kept in `validation_loss_curve_` after every epoch; with
            `early_stopping` what is scored, no rows being held back then.

        Returns
        -------
        self : MLPClassifier

        Raises
        ------
        ValueError, TypeError
            If an argument is not of this form, or the weights became infinite.
        """
        return self._fit(X, y, sample_weight, eval_set=eval_set)

    @available_if(not_lbfgs)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None, classes=None):
        """Train one epoch on data, from where the net stands.

        Parameters
        ----------
        X, y, sample_weight
            As for `fit`. X may be an iterable of ``(X, y)`` or ``(X, y, sample_weight)``, or a
            source of ``fastbp.data``, and y None: that is one call for each block, or for each
            of the source's windows, in their order, while a thread reads the next.
        classes : array-like of shape (n_classes,), optional
            All labels there are; needed by the first call.

        Returns
        -------
        self : MLPClassifier
        """
        for part, targets, weight in self._parts(X, y, sample_weight):
            if _check_partial_fit_first_call(self, classes):
                self._label_binarizer = LabelBinarizer()
                multilabel = type_of_target(targets).startswith("multilabel")
                self._label_binarizer.fit(targets if multilabel else classes)
            self._fit(part, targets, weight, incremental=True)
        return self

    def _meet(self, y, incremental):
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        elif not self.warm_start:
            self._check_known(y)
        elif set(unique_labels(y)) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {unique_labels(y)}"
            )

    def _check_known(self, y):
        classes = unique_labels(y)
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _weights(self, y, weight, incremental):
        if self.class_weight is None:
            return weight
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit. In order to use "
                "'balanced' weights, use compute_class_weight('balanced', classes=classes, "
                "y=y) and pass the resulting weights as the class_weight parameter."
            )
        by_class = compute_sample_weight(self.class_weight, y)
        return by_class if weight is None else weight * by_class

    def _encode(self, y):
        if self._kind() == "multiclass":
            if y.ndim != 1:
                raise ValueError("The object was not fitted with multilabel input.")
            return {"labels": np.searchsorted(self.classes_, y).astype(np.int64)}
        return {"y": self._label_binarizer.transform(y)}

    def _kind(self):
        """Return "binary", "multiclass" or "multilabel-indicator"."""
        return self._label_binarizer.y_type_

    def _output(self):
        several = self._kind() == "multiclass"
        loss = LOSSES.find(self.loss).name
        if loss == "cross_entropy" and not several:
            loss = "binary_cross_entropy"
        return ("softmax" if several else "logistic"), loss

    def _stratifies(self):
        return self.n_outputs_ == 1

    def _labels_of(self, outputs):
        return self._label_binarizer.inverse_transform(
            outputs[:, 0] if self.n_outputs_ == 1 else outputs
        )

    def _score_outputs(self, outputs, data):
        if not np.isfinite(outputs).all():
            return np.nan
        if data.labels is not None:
            pair = data.labels, outputs.argmax(axis=1)
        else:
            pair = data.y > 0.5, outputs > 0.5
        return accuracy_score(*pair, sample_weight=data.weight)

    def predict(self, X):
        """Return the labels (n_samples,), or the indicator matrix, of samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        """
        return self._labels_of(self._outputs(X))

    def predict_proba(self, X):
        """Return the probabilities (n_samples, n_classes) of the classes, as in `classes_`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        """
        outputs = self._outputs(X)
        return np.hstack([1 - outputs, outputs]) if self.n_outputs_ == 1 else outputs

    def predict_log_proba(self, X):
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
