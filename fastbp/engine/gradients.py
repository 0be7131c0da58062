"""The gradients that `Network.backward` returns."""

from dataclasses import dataclass

from ..annotations import Floats


@dataclass(frozen=True)
class Gradients:
    """The gradient of a loss, layer by layer.

    Attributes
    ----------
    weights, biases : tuple of numpy.ndarray
        ``weights[l]`` (n_in, n_out) is dL/dW(l), ``biases[l]`` (n_out,) is dL/db(l):
        views of `flat`.
    flat : numpy.ndarray
        All gradients in the order of ``Network.parameters``.
    """

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    flat: Floats
