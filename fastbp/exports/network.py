"""What all exports share: the layers of a network with their arrays, and the writing of files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..annotations import Array, FilePath
from ..checks import all_finite
from ..kernels.formulas.losses import LOSSES
from ..kernels.support.files import write_whole
from ..network import Network
from ..tables.wording import printable

# the loss whose partner an output activation is, as squared_error for the identity; where losses
# share a partner, the first one
LOSS_OF_OUTPUT: dict[str, str] = {loss.partner: loss.name for loss in reversed(LOSSES.values())}


@dataclass(frozen=True)
class Layer:
    """One dense layer: ``A = sigma(A_prev W + b)``, and dropout of A in training.

    Attributes
    ----------
    weights : numpy.ndarray
        W (n_in, n_out).
    biases : numpy.ndarray or None
        b (n_out,), or None if the layer has no biases.
    activation : str
        A name in ``fastbp.ACTIVATIONS``.
    alpha : float
        The activation's parameter; 0 if it has none.
    dropout : float
        Dropout rate after the activation.
    """

    weights: Array
    biases: Array | None
    activation: str
    alpha: float
    dropout: float

    @property
    def n_in(self) -> int:
        """Inputs."""
        return self.weights.shape[0]

    @property
    def n_out(self) -> int:
        """Units."""
        return self.weights.shape[1]


def layers_of(function: str, net: object, argument: str = "net") -> list[Layer]:
    """Return the layers of a network with copies of their arrays.

    Raises
    ------
    TypeError
        If `net` is not a network; the message names `function` and `argument`.
    ValueError
        If its weights contain NaN or infinity.
    """
    if not isinstance(net, Network):
        raise TypeError(
            f"fastbp.{function}: {argument}={_shortened(net)}: expected a fastbp.Network"
            f"{_hint(net)}"
        )
    if not all_finite(net.parameters):
        raise ValueError(
            f"fastbp.{function}: the weights of {argument} hold NaN or infinity, as after training "
            "that diverged; expected finite numbers"
        )
    arrays = zip(net.layers, net.weights, net.biases, strict=True)
    return [
        Layer(W.copy(), b.copy() if spec.bias else None, spec.activation, spec.alpha, spec.dropout)
        for spec, W, b in arrays
    ]


def is_table_model(model: object) -> bool:
    """Return whether `model` is a network with the schema of the tables that it reads."""
    return hasattr(model, "schema") and isinstance(getattr(model, "network", None), Network)


def described(layers: Sequence[Layer]) -> str:
    """Return sizes and activations in words: ``8-16-3, relu, softmax``."""
    sizes = [layers[0].n_in, *(layer.n_out for layer in layers)]
    return ", ".join(["-".join(map(str, sizes)), *(layer.activation for layer in layers)])


def comments(notes: Sequence[object]) -> list[str]:
    """Return lines that are safe in a comment of C or Python."""
    if isinstance(notes, str):
        raise TypeError(f"notes={notes!r}: expected a sequence of lines")
    return [printable(str(line)).replace("*/", "* /") for line in notes]


def write(path: FilePath | None, content: str | bytes | None) -> None:
    """Write text or bytes to a file, atomically; do nothing if `path` is None.

    Raises
    ------
    OSError
        If the file cannot be written; an older file of this name is then unchanged.
    """
    if path is not None and content is not None:
        content = content.encode() if isinstance(content, str) else content
        write_whole(Path(path), content, sync=True)


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _hint(value: object) -> str:
    if is_table_model(value):
        return "; of a table model, its `network` (to_onnx takes its preprocessing along)"
    if hasattr(value, "coefs_"):
        return "; fastbp.from_sklearn makes one of scikit-learn's multilayer perceptrons"
    return ""
