"""Networks and estimators as fitted MLPClassifier and MLPRegressor of scikit-learn, and back."""

from copy import deepcopy
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn import neural_network
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..checks import all_finite
from ..components.optimizers import Optimizer
from ..estimators import MLPClassifier, MLPRegressor
from ..network import Network
from ..quoted import quoted
from .network import LOSS_OF_OUTPUT, as_network, is_table_model

_HIDDEN = ("identity", "logistic", "tanh", "relu")
# fitted attributes that are not made from the weights, with their values before training
_FITTED: dict[str, Any] = {
    "n_iter_": 0,
    "t_": 0,
    "loss_curve_": [],
    "best_loss_": np.inf,
    "validation_scores_": None,
    "best_validation_score_": None,
    "_no_improvement_count": 0,
}


def to_sklearn(
    model: Network | MLPClassifier | MLPRegressor, classes: ArrayLike | None = None
) -> "neural_network.MLPClassifier | neural_network.MLPRegressor":
    """Return a network or an estimator of fastbp as a fitted estimator of scikit-learn.

    Its `predict` and `predict_proba` agree up to rounding; `partial_fit`, or `fit` with
    `warm_start`, continues training with scikit-learn's optimizer and loss. A network with the
    loss "cross_entropy" or "binary_cross_entropy" becomes an MLPClassifier, multilabel if the
    latter has several outputs; any other network becomes an MLPRegressor. Softmax of two outputs
    becomes the logistic of their difference, as in scikit-learn. Dropout, which acts in training
    only, is left out.

    Models of tables are refused, since scikit-learn's transformers have no exact counterpart of
    their preprocessing; `to_onnx` includes it.

    Parameters
    ----------
    model : Network, MLPClassifier or MLPRegressor
        The model; it is not changed. The parameters of an estimator that scikit-learn has too are
        kept.
    classes : array_like (n_classes,), optional
        The labels of a network's outputs, sorted as in `classes_`; default: 0, 1 and so on.

    Returns
    -------
    sklearn.neural_network.MLPClassifier or sklearn.neural_network.MLPRegressor

    Raises
    ------
    ValueError
        If scikit-learn lacks a feature of the network, which the message names: activations of
        hidden layers other than identity, logistic, tanh and relu, or several of them; a layer
        without biases; an output other than softmax and logistic (classifiers) or identity and
        exp (regressors). If the number of `classes` does not fit the outputs.
    TypeError
        If `model` has another type.
    sklearn.exceptions.NotFittedError
        If an estimator is not fitted.

    Examples
    --------
    >>> import fastbp
    >>> clf = fastbp.to_sklearn(fastbp.Network([4, 8, 3], loss="cross_entropy"), ["a", "b", "c"])
    >>> clf.predict_proba([[5.1, 3.5, 1.4, 0.2]]).shape
    (1, 3)
    """
    if is_table_model(model):
        raise TypeError(
            "fastbp.to_sklearn: scikit-learn has no exact twin of a table model's preprocessing: "
            "use fastbp.to_onnx, or give its `network`, which takes encoded features"
        )
    own: dict[str, Any] = {}
    if isinstance(model, (MLPClassifier, MLPRegressor)):
        if classes is not None:
            raise ValueError(
                f"fastbp.to_sklearn: classes={quoted(classes)}: the estimator has its own"
            )
        net = as_network("to_sklearn", model.network_, "model")
        binarizer = deepcopy(model._label_binarizer) if isinstance(model, MLPClassifier) else None
        names = [*_FITTED, "loss_", "feature_names_in_"]
        fitted = deepcopy({name: getattr(model, name) for name in names if hasattr(model, name)})
        own = model.get_params(deep=False)
    else:
        net = as_network("to_sklearn", model, "model")
        binarizer = _binarizer(net, classes)
        fitted = {**deepcopy(_FITTED), "n_iter_": net.epochs}
    _check(net, ("identity", "exp") if binarizer is None else ("softmax", "logistic"))
    weights: list[Any] = [W.copy() for W in net.weights]
    biases: list[Any] = [b.copy() for b in net.biases]
    output = net.layers[-1].activation
    if output == "softmax" and len(biases[-1]) == 2:
        output = "logistic"
        weights[-1] = np.diff(weights[-1])
        biases[-1] = np.diff(biases[-1])

    kind = neural_network.MLPRegressor if binarizer is None else neural_network.MLPClassifier
    estimator = kind()
    estimator.set_params(**_parameters(own, estimator.get_params(), net))
    vars(estimator).update(
        coefs_=weights,
        intercepts_=biases,
        out_activation_=output,
        n_features_in_=len(weights[0]),
        n_layers_=len(weights) + 1,
        n_outputs_=len(biases[-1]),
        _random_state=check_random_state(estimator.random_state),
        **fitted,
    )
    if binarizer is not None:
        estimator._label_binarizer = binarizer
        estimator.classes_ = binarizer.classes_
    return estimator


def from_sklearn(estimator: Any, *, optimizer: str | Optimizer = "adam", seed: int = 0) -> Network:
    """Return a network with the outputs of a fitted estimator of scikit-learn.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        scikit-learn's, or fastbp's, whose network is copied with its optimizer.
    optimizer : str or Optimizer, default "adam"
        As for `Network`; the moments of scikit-learn's optimizer are not copied.
    seed : int, default 0
        Seed for shuffling and dropout.

    Returns
    -------
    Network
        In the dtype of `coefs_`. It has no labels: ``estimator.classes_[net.predict(X)]`` are
        the classes; for multilabel targets ``net.predict`` is the indicator matrix. Its `forward`
        is `predict_proba` of a classifier (the second column for two classes), and `predict` of
        a regressor, (n, n_outputs).

    Raises
    ------
    TypeError
        If `estimator` has another type.
    ValueError
        If the shapes of its weights do not fit each other, or they are not finite.
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
        LOSS_OF_OUTPUT[estimator.out_activation_],
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


def _binarizer(net: Network, classes: ArrayLike | None) -> Any:
    """Return a LabelBinarizer of the labels of a network's outputs; None for regression."""
    n_out = net.layers[-1].n_out
    is_binary = net.loss == "binary_cross_entropy"
    if net.loss != "cross_entropy" and not (is_binary and n_out == 1):
        if classes is not None:
            raise ValueError(
                f"fastbp.to_sklearn: classes={quoted(classes)}: the {n_out} outputs of "
                f"{net.loss} are not classes that exclude each other"
            )
        return LabelBinarizer().fit(np.eye(n_out, dtype=int)) if is_binary else None
    count = 2 if is_binary else n_out
    if count < 2:
        raise ValueError("fastbp.to_sklearn: model has softmax of one output: expected two or more")
    labels = np.arange(count) if classes is None else np.asarray(classes)
    if labels.shape != (count,) or not np.array_equal(np.unique(labels), labels):
        raise ValueError(
            f"fastbp.to_sklearn: classes={quoted(classes)}: expected {count} different labels, "
            "sorted"
        )
    return LabelBinarizer().fit(labels)


def _check(net: Network, outputs: tuple[str, ...]) -> None:
    """Raise ValueError if scikit-learn lacks a feature of the network."""
    *hidden_layers, last = net.layers
    hidden = sorted({layer.activation for layer in hidden_layers})
    lacks = [
        f"activation {quoted(name)} in hidden layers" for name in hidden if name not in _HIDDEN
    ]
    if len(hidden) > 1:
        lacks.append(f"different activations of hidden layers, {', '.join(hidden)}")
    if not all(layer.bias for layer in net.layers):
        lacks.append("layers without biases (bias=False)")
    if last.activation not in outputs:
        lacks.append(f"output {quoted(last.activation)} there, only {' and '.join(outputs)}")
    if lacks:
        raise ValueError(f"fastbp.to_sklearn: scikit-learn has no {'; no '.join(lacks)}")


def _parameters(own: dict, theirs: dict, net: Network) -> dict:
    """Return those of an estimator's own parameters that theirs has too, and the network's."""
    *hidden, last = net.layers
    parameters = {name: value for name, value in own.items() if name in theirs}
    parameters["warm_start"] = bool(parameters.get("warm_start"))  # "exact" is fastbp's
    parameters["hidden_layer_sizes"] = tuple(layer.n_out for layer in hidden)
    parameters["activation"] = hidden[0].activation if hidden else theirs["activation"]
    if "loss" in theirs:
        parameters["loss"] = "poisson" if last.activation == "exp" else "squared_error"
    elif last.activation == "exp":
        raise ValueError("fastbp.to_sklearn: output 'exp' needs scikit-learn 1.7 or later")
    return parameters
