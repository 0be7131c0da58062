"""How much predictions change with the inputs of a network: the gradient of the output."""

import numpy as np
import numpy.typing as npt

from ..annotations import Threads
from ..ensemble import Ensemble, members_of
from ..kernels import activation, activation_derivative, matmul
from ..kernels.formulas.activations import ACTIVATIONS
from ..network import Network


def input_gradients(
    network: Network | Ensemble,
    X: npt.NDArray,
    output: int | None = None,
    n_threads: Threads = "auto",
) -> npt.NDArray[np.float64]:
    """Return d a_c / d x (n, n_in) of rows X (n, n_in), dropout inactive.

    c is the `output`, by default the largest: of the class that is predicted. Of an ensemble it
    is the mean of its members'.
    """
    place = network.forward(X, n_threads).argmax(axis=1) if output is None else output
    found = [_of_one(member, X, place, n_threads) for member in members_of(network)]
    mean: npt.NDArray[np.float64] = np.mean(found, axis=0)
    return mean


def _of_one(network, X, output, n_threads):
    """Return the gradients of one network; `output` is one for all rows, or of each row."""
    kept, outputs = [], np.ascontiguousarray(X, network.dtype)
    layers = list(zip(network.layers, network.weights, network.biases, strict=True))
    for layer, weights, biases in layers:
        Z = matmul(outputs, weights, biases if layer.bias else None, n_threads=n_threads)
        outputs = activation(Z, layer.activation, _alpha(layer), n_threads=n_threads)
        kept.append((Z, outputs))
    delta = np.zeros_like(outputs)
    delta[np.arange(len(delta)), output] = 1
    for (layer, weights, _), (Z, A) in zip(reversed(layers), reversed(kept), strict=True):
        if layer.activation == "softmax":  # of several outputs: a full Jacobian
            delta = A * (delta - (delta * A).sum(axis=1, keepdims=True))
        else:
            source = A if ACTIVATIONS[layer.activation].keeps == "a" else Z
            slope = activation_derivative(
                source, layer.activation, _alpha(layer), n_threads=n_threads
            )
            delta = delta * slope
        delta = matmul(delta, weights, transpose=True, n_threads=n_threads)
    return delta.astype(np.float64)


def _alpha(layer):
    return None if ACTIVATIONS[layer.activation].alpha is None else layer.alpha
