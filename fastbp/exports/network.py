"""What every export reads of a network, checked and copied."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..checks import all_finite
from ..kernels.support.files import write_whole
from ..network import Network
from ..tables.wording import printable


@dataclass(frozen=True)
class Layer:
    """One dense layer: ``A = sigma(A_prev W + b)``, and dropout of A in training.

    Attributes
    ----------
    weights : numpy.ndarray
        W (n_in, n_out).
    biases : numpy.ndarray or None
        b (n_out,), or None where the layer has none.
    activation : str
        A name in ``fastbp.ACTIVATIONS``.
    alpha : float
        The parameter of ``leaky_relu`` and ``elu``; others do not read it.
    drop : float
        The rate of dropout.
    """

    weights: np.ndarray
    biases: np.ndarray | None
    activation: str
    alpha: float
    drop: float


def layers_of(function, net, argument="net"):
    """Return the layers of a network, their arrays copied.

    Raises
    ------
    TypeError
        If `net` is no network; the message names `function`.
    ValueError
        If it holds NaN or infinity.
    """
    if not isinstance(net, Network):
        raise TypeError(
            f"fastbp.{function}: {argument}={_shown(net)}: expected a fastbp.Network{_hint(net)}"
        )
    if not all_finite(net.parameters):
        raise ValueError(
            f"fastbp.{function}: the weights of {argument} hold NaN or infinity, as after training "
            "that diverged; expected finite numbers"
        )
    return [
        Layer(
            weights.copy(), biases.copy() if spec.bias else None, spec.activation,
            spec.alpha, spec.dropout,
        )
        for spec, weights, biases in zip(
            net.layers, net.weights, net.biases, strict=True
        )
    ]  # fmt: skip


def input_drop_of(net):
    """Return the rate of dropout of a network's inputs."""
    return net.input_dropout


def is_table_model(model):
    """Return whether `model` is a network with the schema of the tables that it reads."""
    return hasattr(model, "schema") and isinstance(getattr(model, "network", None), Network)


def described(layers):
    """Return the shape of a net in words: ``8-16-3, relu, softmax``."""
    sizes = [len(layers[0].weights), *(layer.weights.shape[1] for layer in layers)]
    return ", ".join(["-".join(map(str, sizes)), *(layer.activation for layer in layers)])


def comments(notes):
    """Return lines that can stand in a comment of C or of Python."""
    if isinstance(notes, str):
        raise TypeError(f"notes={notes!r}: expected a sequence of lines")
    return [printable(str(line)).replace("*/", "* /") for line in notes]


def write(path, content):
    """Write `content`, text or bytes, to `path` as a whole, unless that is None.

    Raises
    ------
    OSError
        If it cannot be written; what was there is there still.
    """
    if path is not None:
        content = content.encode() if isinstance(content, str) else content
        write_whole(Path(path), content, sync=True)


def _shown(value):
    """Return a short form of what a caller gave."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _hint(value):
    if is_table_model(value):
        return "; of a table model, its `network` (to_onnx takes its preprocessing along)"
    if hasattr(value, "coefs_"):
        return "; fastbp.from_sklearn makes one of scikit-learn's multilayer perceptrons"
    return ""
