"""The derivatives of a net's outputs by its inputs, by the kernels of backpropagation.

dA(L)_k / dX = (((e_k . sigma'(Z(L))) W(L)^T . sigma'(Z(L-1))) W(L-1)^T ...) W(1)^T
"""

import numpy as np

from ..kernels import activation, activation_derivative, matmul
from ..kernels.formulas.activations import ACTIVATIONS


def input_gradient(network, X, n_threads="auto"):
    """Return the derivatives (n, n_out, n_in), or (n, n_in) of a single output.

    Parameters
    ----------
    network : Network
        Dropout is inactive.
    X : array-like (n, n_in)
        Dense samples.
    n_threads : int or "auto"
        Threads to share the rows.
    """
    specs = network.layers
    slopes = []
    a = np.ascontiguousarray(X, network.dtype)
    for spec, weights, biases in zip(specs, network.weights, network.biases, strict=True):
        z = matmul(a, weights, biases, n_threads=n_threads)
        a = activation(z, spec.activation, spec.alpha or None, n_threads=n_threads)
        if ACTIVATIONS[spec.activation].outputs != "simplex":
            kept = z if ACTIVATIONS[spec.activation].keeps == "z" else a
            slopes.append(
                activation_derivative(
                    kept, spec.activation, spec.alpha or None, n_threads=n_threads
                )
            )
    outputs = a.shape[1]
    gradient = np.empty((len(a), outputs, specs[0].n_in), network.dtype)
    for k in range(outputs):
        delta = np.zeros_like(a)
        if len(slopes) < len(specs):  # of the softmax: a_k ([j = k] - a_j)
            np.multiply(-a, a[:, k : k + 1], out=delta)
            delta[:, k] += a[:, k]
        else:
            delta[:, k] = slopes[-1][:, k]
        for n in range(len(specs) - 1, 0, -1):
            delta = matmul(delta, network.weights[n], transpose=True, n_threads=n_threads)
            delta *= slopes[n - 1]
        gradient[:, k] = matmul(delta, network.weights[0], transpose=True, n_threads=n_threads)
    return gradient[:, 0] if outputs == 1 else gradient
