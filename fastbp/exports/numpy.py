"""Networks as Python source: one module that needs nothing but NumPy."""

import base64
from collections.abc import Sequence

from .. import __version__
from ..annotations import FilePath
from ..network import Network
from .network import Layer, comments, described, layers_of, write
from .text import Language, body_of, function_name
from .trace import UFUNCS, formula_of

_NUMPY = Language(
    calls={
        **{name: f"np.{name}({{0}})" for name in UFUNCS},
        "erf": "np.frompyfunc(math.erf, 1, 1)({0}).astype(z.dtype)",
        "maximum": "np.maximum({0}, {1})",
        "minimum": "np.minimum({0}, {1})",
        "select": "np.where({0}, {1}, {2})",
        "broadcast": "np.full_like(z, {1})",
    },
    choices={},
    number=lambda number: f"{number:.17g}" if number.is_integer() else repr(number),
    variable="{name} = {value}",
)

_SOFTMAX = """

def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
"""


def to_numpy(net: Network, path: FilePath | None = None, notes: Sequence[str] = ()) -> str:
    """Return a network as the text of a Python module that needs nothing but NumPy.

    Its function ``predict(X)`` computes what ``net.forward`` does for X (n, n_in), with dropout
    inactive: the outputs (n, n_out), which are probabilities for cross_entropy, in the network's
    dtype. The parameters are part of the text, in base64, and are exact.

    NumPy has no erf: the activation "gelu" calls Python's for each number.

    Parameters
    ----------
    net : Network
        The network; it is not changed.
    path : str or path, optional
        Where to write the text, atomically.
    notes : sequence of str, optional
        Lines of a comment below the module's docstring.

    Returns
    -------
    str
        The text.

    Raises
    ------
    TypeError, ValueError
        If `net` is not a network, its weights are not finite, or an activation cannot be written
        in NumPy.
    OSError
        If `path` cannot be written.

    Examples
    --------
    >>> import fastbp
    >>> net = fastbp.Network([4, 8, 3], loss="cross_entropy")
    >>> exec(fastbp.to_numpy(net), module := {})
    >>> module["predict"]([[5.1, 3.5, 1.4, 0.2]]).shape
    (1, 3)
    """
    layers = layers_of("to_numpy", net)
    functions = "".join(map(_function, dict.fromkeys(layer.activation for layer in layers)))
    text = "".join(
        [
            _head(net, layers),
            *(f"# {line}\n" for line in comments(notes)),
            "\n" * bool(notes),
            "import base64\n",
            "import math\n" * ("math." in functions),
            "\nimport numpy as np\n\n",
            _parameters(net),
            _views(layers),
            functions,
            _predict(net, layers),
        ]
    )
    write(path, text)
    return text


def _head(net: Network, layers: list[Layer]) -> str:
    shapes = f"(n, {layers[-1].n_out}) for X (n, {layers[0].n_in})"
    return (
        f'"""A multilayer perceptron, {described(layers)}; written by fastbp {__version__}.\n\n'
        f"predict(X) gives the outputs {shapes}, in {net.dtype.name}.\n"
        '"""\n\n'
    )


def _parameters(net: Network) -> str:
    """Return the statement of all parameters as one flat array: W1, b1, W2, ..."""
    dtype = net.dtype.newbyteorder("<")
    content = base64.encodebytes(net.parameters.astype(dtype).tobytes()).decode()
    return f'PARAMETERS = np.frombuffer(base64.b64decode("""\n{content}"""), "{dtype.str}")\n'


def _views(layers: list[Layer]) -> str:
    """Return the statements that name the weights and biases of each layer."""
    lines = []
    place = 0
    for n, layer in enumerate(layers, 1):
        end = place + layer.weights.size
        lines.append(f"W{n} = PARAMETERS[{place}:{end}].reshape{layer.weights.shape}\n")
        place = end
        if layer.biases is not None:
            end += layer.n_out
            lines.append(f"b{n} = PARAMETERS[{place}:{end}]\n")
            place = end
    return "".join(lines)


def _function(activation: str) -> str:
    """Return the function of an activation; the identity needs none."""
    if activation == "identity":
        return ""
    if activation == "softmax":
        return _SOFTMAX
    name = function_name("to_numpy", activation)
    formula = formula_of("to_numpy", activation)
    alpha = ", alpha" if formula.reads_alpha else ""
    statements, result = body_of(formula, _NUMPY)
    # a formula may overflow on the way to a finite result, or where np.where takes the other side
    head = f'\n\ndef {name}(z{alpha}):\n    with np.errstate(all="ignore"):\n        '
    return head + "\n        ".join([*statements, f"return {result}"]) + "\n"


def _predict(net: Network, layers: list[Layer]) -> str:
    lines = [f"a = np.asarray(X, np.{net.dtype.name})"]
    for n, layer in enumerate(layers, 1):
        z = f"a @ W{n}" + ("" if layer.biases is None else f" + b{n}")
        lines.append(f"a = {_activated(z, layer)}")
    return "\n\ndef predict(X):\n    " + "\n    ".join([*lines, "return a"]) + "\n"


def _activated(z: str, layer: Layer) -> str:
    """Return the text of the activation of z."""
    name = layer.activation
    if name == "identity":
        return z
    if name == "softmax":
        return f"softmax({z})"
    alpha = f", {float(layer.alpha)!r}" if formula_of("to_numpy", name).reads_alpha else ""
    return f"{function_name('to_numpy', name)}({z}{alpha})"
