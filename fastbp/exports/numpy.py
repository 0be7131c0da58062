"""Networks as Python source: one module that needs nothing but NumPy."""

import base64
import textwrap

from .. import __version__
from ..kernels.formulas.activations import (
    ACTIVATIONS,
    GELU_CUBIC,
    SELU_ALPHA,
    SELU_SCALE,
    SQRT_2_PI,
)
from .network import comments, described, layers_of, write

# the formulas of kernels/activation.py as expressions of z and alpha; beyond 80, where exp
# would overflow in float32, the others are as good as constant
_FORMULAS = {
    "logistic": "1 / (1 + np.exp(np.minimum(-z, 80)))",
    "tanh": "np.tanh(z)",
    "relu": "np.maximum(z, 0)",
    "leaky_relu": "np.where(z < 0, alpha * z, z)",
    "elu": "np.where(z < 0, alpha * np.expm1(np.minimum(z, 0)), z)",
    "selu": f"{SELU_SCALE} * np.where(z < 0, {SELU_ALPHA} * np.expm1(np.minimum(z, 0)), z)",
    "gelu": "0.5 * z * (1 + erf(z * 0.5**0.5))",
    "gelu_tanh": f"0.5 * z * (1 + np.tanh({SQRT_2_PI} * (z + {GELU_CUBIC} * z * z * z)))",
    "silu": "z / (1 + np.exp(np.minimum(-z, 80)))",
    "softplus": "np.logaddexp(z, 0)",
    "mish": "z * np.tanh(np.logaddexp(z, 0))",
    "hard_sigmoid": "np.clip(z / 6 + 0.5, 0, 1)",
    "hard_tanh": "np.clip(z, -1, 1)",
    "hard_swish": "z * np.clip(z / 6 + 0.5, 0, 1)",
    "exp": "np.exp(z)",
    "softmax": "softmax(z)",
}

# what formulas call that NumPy has not, by name: module to import, definition
_FUNCTIONS = {
    "gelu": (
        "import math\n",
        """
        def erf(z):
            return np.frompyfunc(math.erf, 1, 1)(z).astype(z.dtype)
        """,
    ),
    "softmax": (
        "",
        """
        def softmax(z):
            e = np.exp(z - z.max(axis=-1, keepdims=True))
            return e / e.sum(axis=-1, keepdims=True)
        """,
    ),
}


def to_numpy(net, path=None, notes=()):
    """Return a network as the text of a Python module that needs nothing but NumPy.

    Its function ``predict(X)`` gives what ``net.forward`` does for X (n, n_in), dropout inactive:
    the outputs (n, n_out), which are probabilities for cross_entropy, in the network's dtype. The
    parameters stand in the text, in base64, so that none is rounded.

    NumPy has no erf: the activation "gelu" calls Python's, number by number.

    Parameters
    ----------
    net : Network
        What to convert; it is not changed.
    path : str or path, optional
        Where to write the text; the file is written as a whole or not at all.
    notes : sequence of str, optional
        Lines of a comment below the module's docstring.

    Raises
    ------
    TypeError, ValueError
        If `net` is no network, or its weights are not finite.
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
    used = {layer.activation for layer in layers}
    needed = [function for name, function in _FUNCTIONS.items() if name in used]
    text = "".join(
        [
            _head(net, layers),
            *(f"# {line}\n" for line in comments(notes)),
            "\n" * bool(notes),
            "import base64\n",
            *(imported for imported, _ in needed),
            "\nimport numpy as np\n\n",
            _parameters(net),
            _views(layers),
            *(f"\n{textwrap.dedent(definition)}" for _, definition in needed),
            _predict(net, layers),
        ]
    )
    write(path, text)
    return text


def _head(net, layers):
    n_in, n_out = len(layers[0].weights), layers[-1].weights.shape[1]
    return (
        f'"""A multilayer perceptron, {described(layers)}; written by fastbp {__version__}.\n\n'
        f"predict(X) gives the outputs (n, {n_out}) for X (n, {n_in}), in {net.dtype.name}.\n"
        '"""\n\n'
    )


def _parameters(net):
    """Return the statement of all parameters as one flat array: W1, b1, W2, ..."""
    dtype = net.dtype.newbyteorder("<")
    content = base64.encodebytes(net.parameters.astype(dtype).tobytes()).decode()
    return f'PARAMETERS = np.frombuffer(base64.b64decode("""\n{content}"""), "{dtype.str}")\n'


def _views(layers):
    lines, place = [], 0
    for n, layer in enumerate(layers, 1):
        n_in, n_out = layer.weights.shape
        end = place + n_in * n_out
        lines.append(f"W{n} = PARAMETERS[{place}:{end}].reshape({n_in}, {n_out})\n")
        place = end
        if layer.biases is not None:
            lines.append(f"b{n} = PARAMETERS[{place}:{place + n_out}]\n")
            place += n_out
    return "".join(lines)


def _predict(net, layers):
    lines = [f"a = np.asarray(X, np.{net.dtype.name})"]
    for n, layer in enumerate(layers, 1):
        product = f"a @ W{n}" + ("" if layer.biases is None else f" + b{n}")
        if layer.activation == "identity":
            lines.append(f"a = {product}")
            continue
        formula = _FORMULAS[layer.activation]
        if ACTIVATIONS[layer.activation].alpha is not None:
            formula = formula.replace("alpha", repr(float(layer.alpha)))
        lines += [f"z = {product}", f"a = {formula}"]
    return "\n\ndef predict(X):\n    " + "\n    ".join([*lines, "return a"]) + "\n"
