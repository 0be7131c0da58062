"""What `Network.backward` returns."""

from dataclasses import dataclass

from ..annotations import Array


@dataclass(frozen=True)
class Gradients:
    """The gradient of a loss, layer by layer.

    Attributes
    ----------
    weights, biases : tuple of numpy.ndarray
        ``weights[l]`` (n_in, n_out) is dL/dW(l), ``biases[l]`` (n_out,) is dL/db(l):
        views of `flat`.
    flat : numpy.ndarray
        All of them, as the parameters lie in memory.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    flat: Array
