"""Networks and estimators as scikit-learn's fitted MLPClassifier and MLPRegressor, and back."""

from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn import neural_network
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..checks import all_finite
from ..estimators import MLPClassifier, MLPRegressor
from ..network import Network
from .network import is_table_model, layers_of

_HIDDEN = ("identity", "logistic", "tanh", "relu")
# the loss of a network that has the outputs of scikit-learn's out_activation_
_LOSSES = {
    "softmax": "cross_entropy",
    "logistic": "binary_cross_entropy",
    "identity": "squared_error",
    "exp": "poisson",
}
_FITTED = (
    "n_iter_", "t_", "loss_", "loss_curve_", "best_loss_", "validation_scores_",
    "best_validation_score_", "_no_improvement_count", "feature_names_in_",
)  # fmt: skip


def to_sklearn(model, classes=None):
    """Return a network or an estimator of fastbp as a fitted estimator of scikit-learn.

    Its `predict` and `predict_proba` give the same, up to rounding; `partial_fit`, or `fit` with
    `warm_start`, goes on from there by scikit-learn's own optimizer and loss. A network with the
    loss "cross_entropy" or "binary_cross_entropy" becomes an MLPClassifier, of many labels if the
    latter has several outputs; any other an MLPRegressor. Softmax of two outputs becomes the
    logistic of their difference, as scikit-learn has it. Dropout, which acts in training only, is
    left out.

    The preprocessing of a table has no exact twin among scikit-learn's transformers, so that the
    model of a table is refused: `to_onnx` takes its preprocessing along.

    Parameters
    ----------
    model : Network, MLPClassifier or MLPRegressor
        What to convert; it is not changed. Of an estimator, the parameters that scikit-learn has
        as well are kept.
    classes : array_like (n_classes,), optional
        The labels of a network's outputs, sorted as in `classes_`; default: 0, 1 and so on.

    Returns
    -------
    sklearn.neural_network.MLPClassifier or sklearn.neural_network.MLPRegressor

    Raises
    ------
    ValueError
        If the net has what scikit-learn's has not, which the message names: activations of hidden
        layers other than identity, logistic, tanh and relu, or different ones; a layer without
        biases; an output that is neither softmax nor logistic of a classifier, neither identity
        nor exp of a regressor. If `classes` are not as many as the outputs tell apart.
    TypeError
        If `model` is none of these.
    sklearn.exceptions.NotFittedError
        If an estimator is not fitted.

    Examples
    --------
    >>> import fastbp
    >>> clf = fastbp.to_sklearn(fastbp.Network([4, 8, 3], loss="cross_entropy"), ["a", "b", "c"])
    >>> clf.predict_proba([[5.1, 3.5, 1.4, 0.2]]).shape
    (1, 3)
    """
    source = _source(model, classes)
    layers = layers_of("to_sklearn", source.net, "model")
    classifies, output = source.binarizer is not None, layers[-1].activation
    _check(layers, ("softmax", "logistic") if classifies else ("identity", "exp"))
    weights, biases = [layer.weights for layer in layers], [layer.biases for layer in layers]
    if classifies and output == "softmax" and len(biases[-1]) == 2:
        output = "logistic"
        weights[-1], biases[-1] = (np.diff(a, axis=-1) for a in (weights[-1], biases[-1]))

    kind = neural_network.MLPClassifier if classifies else neural_network.MLPRegressor
    estimator = kind()
    estimator.set_params(**_parameters(estimator, source, layers, output))
    vars(estimator).update(
        coefs_=weights,
        intercepts_=biases,
        out_activation_=output,
        n_features_in_=len(weights[0]),
        n_layers_=len(layers) + 1,
        n_outputs_=len(biases[-1]),
        _random_state=check_random_state(estimator.random_state),
        **source.fitted,
    )
    if classifies:
        estimator._label_binarizer = source.binarizer
        estimator.classes_ = source.binarizer.classes_
    return estimator


def from_sklearn(estimator, *, optimizer="adam", seed=0):
    """Return a network that gives the outputs of a fitted estimator of scikit-learn.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        scikit-learn's, or fastbp's; of the latter the net itself is copied, with its optimizer.
    optimizer : str or Optimizer, default "adam"
        As for `Network`; the moments of scikit-learn's are left behind.
    seed : int, default 0
        Keys shuffles and dropout.

    Returns
    -------
    Network
        Of the dtype of `coefs_`. It knows no labels: ``net.predict`` gives places in the
        estimator's `classes_`, as ``estimator.classes_[net.predict(X)]``; of many labels the
        indicator matrix. Its `forward` gives `predict_proba`, of two classes the second column,
        and for numbers what `predict` gives, (n, n_outputs).

    Raises
    ------
    TypeError
        If `estimator` is none of these.
    ValueError
        If its weights do not follow each other or are not finite.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    if isinstance(estimator, (MLPClassifier, MLPRegressor)):
        return deepcopy(estimator.network_)
    if not isinstance(estimator, (neural_network.MLPClassifier, neural_network.MLPRegressor)):
        raise TypeError(
            f"fastbp.from_sklearn: estimator is a {type(estimator).__name__}: expected a fitted "
            "MLPClassifier or MLPRegressor; of a pipeline or a search, that step of it"
        )
    check_is_fitted(estimator, "coefs_")
    coefs = [np.asarray(w) for w in estimator.coefs_]
    intercepts = [np.asarray(b) for b in estimator.intercepts_]
    sizes = [len(coefs[0]), *(len(b) for b in intercepts)]
    if [w.shape for w in coefs] != list(pairwise(sizes)):
        raise ValueError(
            f"fastbp.from_sklearn: estimator.coefs_ have shapes {[w.shape for w in coefs]} and "
            f"intercepts_ {[b.shape for b in intercepts]}: expected layers that follow each other"
        )
    network = Network(
        sizes,
        estimator.activation,
        _LOSSES[estimator.out_activation_],
        optimizer,
        dtype="float32" if coefs[0].dtype == np.float32 else "float64",
        seed=seed,
    )
    for own, given in zip((*network.weights, *network.biases), (*coefs, *intercepts), strict=True):
        own[:] = given
    if not all_finite(network.parameters):
        raise ValueError(
            "fastbp.from_sklearn: estimator.coefs_ or intercepts_ hold NaN or infinity: expected "
            "finite numbers"
        )
    return network


@dataclass
class _Source:
    """What an estimator is made from: a net, and what is known beside it.

    Attributes
    ----------
    net : Network
        The net.
    binarizer : LabelBinarizer or None
        Knows the labels; None for numbers.
    parameters, fitted : dict
        Of the estimator to make.
    """

    net: Any
    binarizer: Any
    parameters: dict
    fitted: dict


def _source(model, classes):
    if is_table_model(model):
        raise TypeError(
            "fastbp.to_sklearn: scikit-learn has no exact twin of a table model's preprocessing: "
            "use fastbp.to_onnx, or give its `network`, which takes encoded features"
        )
    if not isinstance(model, (MLPClassifier, MLPRegressor)):
        layers_of("to_sklearn", model, "model")
        fitted = {"n_iter_": model.epochs, "t_": 0, "loss_curve_": [], "best_loss_": np.inf}
        fitted |= {"_no_improvement_count": 0, "validation_scores_": None}
        fitted["best_validation_score_"] = None
        return _Source(model, _binarizer(model, classes), {}, fitted)
    if classes is not None:
        raise ValueError(f"fastbp.to_sklearn: classes={classes!r}: the estimator has its own")
    net = deepcopy(model.network_)
    binarizer = deepcopy(model._label_binarizer) if isinstance(model, MLPClassifier) else None
    fitted = {name: getattr(model, name) for name in _FITTED if hasattr(model, name)}
    return _Source(net, binarizer, model.get_params(), deepcopy(fitted))


def _binarizer(net, classes):
    """Return what scikit-learn knows the labels of a network's outputs by; None for numbers."""
    n_out = net.weights[-1].shape[1]
    if net.loss not in ("cross_entropy", "binary_cross_entropy") or (
        net.loss == "binary_cross_entropy" and n_out > 1
    ):
        if classes is not None:
            raise ValueError(
                f"fastbp.to_sklearn: classes={classes!r}: the {n_out} outputs of {net.loss} are "
                "not classes that exclude each other"
            )
        many = net.loss == "binary_cross_entropy"
        return LabelBinarizer().fit(np.eye(n_out, dtype=int)) if many else None
    count = 2 if net.loss == "binary_cross_entropy" else n_out
    if count < 2:
        raise ValueError("fastbp.to_sklearn: model has softmax of one output: expected two or more")
    labels = np.arange(count) if classes is None else np.asarray(classes)
    if labels.shape != (count,) or not np.array_equal(np.unique(labels), labels):
        raise ValueError(
            f"fastbp.to_sklearn: classes={classes!r}: expected {count} different labels, sorted"
        )
    return LabelBinarizer().fit(labels)


def _check(layers, outputs):
    """Raise ValueError where a net has what scikit-learn's has not."""
    hidden = sorted({layer.activation for layer in layers[:-1]})
    lacks = [f"activation {name!r} in hidden layers" for name in hidden if name not in _HIDDEN]
    if len(hidden) > 1:
        lacks.append(f"different activations of hidden layers, {', '.join(hidden)}")
    if any(layer.biases is None for layer in layers):
        lacks.append("layers without biases (bias=False)")
    if layers[-1].activation not in outputs:
        lacks.append(f"output {layers[-1].activation!r} there, only {' and '.join(outputs)}")
    if lacks:
        raise ValueError(f"fastbp.to_sklearn: scikit-learn has no {'; no '.join(lacks)}")


def _parameters(estimator, source, layers, output):
    """Return the parameters of the estimator to make, which so far has the defaults."""
    known = estimator.get_params()
    parameters = {name: value for name, value in source.parameters.items() if name in known}
    if parameters.get("warm_start") == "exact":
        parameters["warm_start"] = True
    parameters["hidden_layer_sizes"] = tuple(len(layer.biases) for layer in layers[:-1])
    if len(layers) > 1:
        parameters["activation"] = layers[0].activation
    else:
        parameters.pop("activation", None)
    if source.binarizer is None and output == "exp" and "loss" not in known:
        raise ValueError("fastbp.to_sklearn: output 'exp' takes scikit-learn 1.7 or later")
    if "loss" in known:
        parameters["loss"] = "poisson" if output == "exp" else "squared_error"
    return parameters
