"""Networks and estimators as fitted MLPClassifier and MLPRegressor of scikit-learn, and back."""

from copy import deepcopy
from dataclasses import dataclass
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
from .network import LOSS_OF_OUTPUT, Layer, is_table_model, layers_of

_HIDDEN = ("identity", "logistic", "tanh", "relu")
_FITTED = (
    "n_iter_", "t_", "loss_", "loss_curve_", "best_loss_", "validation_scores_",
    "best_validation_score_", "_no_improvement_count", "feature_names_in_",
)  # fmt: skip


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
    source = _source(model, classes)
    layers = layers_of("to_sklearn", source.net, "model")
    classifies = source.binarizer is not None
    output = layers[-1].activation
    _check(layers, ("softmax", "logistic") if classifies else ("identity", "exp"))
    weights: list[Any] = [layer.weights for layer in layers]
    biases: list[Any] = [layer.biases for layer in layers]
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


@dataclass
class _Source:
    """The parts of an estimator of scikit-learn.

    Attributes
    ----------
    net : Network
        The network.
    binarizer : LabelBinarizer or None
        Has the labels; None for regression.
    parameters, fitted : dict
        Parameters of the estimator, and its fitted attributes other than the weights.
    """

    net: Network
    binarizer: Any
    parameters: dict
    fitted: dict


def _source(model: Any, classes: ArrayLike | None) -> _Source:
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


def _binarizer(net: Network, classes: ArrayLike | None) -> Any:
    """Return a LabelBinarizer of the labels of a network's outputs; None for regression."""
    n_out = net.layers[-1].n_out
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


def _check(layers: list[Layer], outputs: tuple[str, ...]) -> None:
    """Raise ValueError if scikit-learn lacks a feature of the network."""
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


def _parameters(estimator: Any, source: _Source, layers: list[Layer], output: str) -> dict:
    """Return the parameters of `estimator`, which has the defaults so far."""
    known = estimator.get_params()
    parameters = {name: value for name, value in source.parameters.items() if name in known}
    if parameters.get("warm_start") == "exact":
        parameters["warm_start"] = True
    parameters["hidden_layer_sizes"] = tuple(layer.n_out for layer in layers[:-1])
    if len(layers) > 1:
        parameters["activation"] = layers[0].activation
    else:
        parameters.pop("activation", None)
    if source.binarizer is None and output == "exp" and "loss" not in known:
        raise ValueError("fastbp.to_sklearn: output 'exp' takes scikit-learn 1.7 or later")
    if "loss" in known:
        parameters["loss"] = "poisson" if output == "exp" else "squared_error"
    return parameters
