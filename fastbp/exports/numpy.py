"""Networks as Python source: one module that needs nothing but NumPy."""

import base64
from collections.abc import Sequence

from .. import __version__
from ..annotations import FilePath
from ..ensemble import Ensemble, members_of
from ..network import Network
from .network import as_network, comments, described, write
from .text import Language
from .trace import UFUNCS

_SOFTMAX = """

def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
"""
_ASCENDING = """

def ascending(z):
    m = z.shape[-1] // 2
    gaps = np.logaddexp(0, z)
    above = z[..., m : m + 1] + np.cumsum(gaps[..., m + 1 :], axis=-1)
    below = z[..., m : m + 1] - np.cumsum(gaps[..., :m][..., ::-1], axis=-1)[..., ::-1]
    return np.concatenate([below, z[..., m : m + 1], above], axis=-1)
"""
# a formula may overflow on the way to a finite result, or where np.where takes the other side
_FUNCTION = """

def {name}(z{alpha}):
    with np.errstate(all="ignore"):
        {body}
"""
_NUMPY = Language(
    export="to_numpy",
    operations={
        **{name: f"np.{name}({{0}})" for name in UFUNCS},
        "erf": "np.frompyfunc(math.erf, 1, 1)({0}).astype(z.dtype)",
        "maximum": "np.maximum({0}, {1})",
        "minimum": "np.minimum({0}, {1})",
        "select": "np.where({0}, {1}, {2})",
        "broadcast": "np.full_like(z, {1})",
    },
    number=lambda number: f"{number:.17g}" if number.is_integer() else repr(number),
    variable="{name} = {value}",
    result="return {}",
    indent="        ",
    alpha=", alpha",
    function=_FUNCTION,
    rows={"softmax": _SOFTMAX, "ascending": _ASCENDING},
)


def to_numpy(
    net: Network | Ensemble, path: FilePath | None = None, notes: Sequence[str] = ()
) -> str:
    """Return a network as the text of a Python module that needs nothing but NumPy.

    Its function ``predict(X)`` computes what ``net.forward`` does for X (n, n_in), with dropout
    inactive: the outputs (n, n_out), which are probabilities for cross_entropy, in the network's
    dtype; of an ensemble the mean of its members' outputs. The parameters are part of the text,
    in base64, and are exact.

    NumPy has no erf: the activation "gelu" calls Python's for each number.

    Parameters
    ----------
    net : Network or Ensemble
        The network or the ensemble; it is not changed.
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
    net = as_network("to_numpy", net, several=True)
    members = members_of(net)
    n_in = net.layers[0].n_in
    n_out = net.layers[-1].n_out
    activations = [layer.activation for member in members for layer in member.layers]
    functions = _NUMPY.functions(activations)
    endings = [""] if len(members) == 1 else [f"_{n}" for n in range(1, len(members) + 1)]
    parts = [
        f'"""{described(net)}; written by fastbp {__version__}.\n\n',
        f"predict(X) gives the outputs (n, {n_out}) for X (n, {n_in}), in {net.dtype.name}.\n",
        '"""\n\n',
        *(f"# {line}\n" for line in comments(notes)),
        "\n" if notes else "",
        "import base64\n",
        "import math\n" if "math." in functions else "",
        "\nimport numpy as np\n\n",
        *(_parameters(member, end) for member, end in zip(members, endings, strict=True)),
        functions,
        *(_predict(member, end) for member, end in zip(members, endings, strict=True)),
        _mean(endings) if len(members) > 1 else "",
    ]
    text = "".join(parts)
    write(path, text.encode())
    return text


def _parameters(net: Network, end: str) -> str:
    """Return the statements of all parameters as one flat array, and of the layers' parts of it.

    The names end with `end`.
    """
    flat = f"PARAMETERS{end}"
    dtype = net.dtype.newbyteorder("<")
    content = base64.encodebytes(net.parameters.astype(dtype).tobytes()).decode()
    lines = [f'{flat} = np.frombuffer(base64.b64decode("""\n{content}"""), "{dtype.str}")\n']
    place = 0
    for n, layer in enumerate(net.layers, 1):
        start, place = place, place + layer.n_in * layer.n_out
        shape = (layer.n_in, layer.n_out)
        lines.append(f"W{n}{end} = {flat}[{start}:{place}].reshape{shape}\n")
        if layer.bias:
            start, place = place, place + layer.n_out
            lines.append(f"b{n}{end} = {flat}[{start}:{place}]\n")
    return "".join(lines)


def _mean(endings: Sequence[str]) -> str:
    """Return the function that takes the mean of several."""
    total = " + ".join(f"predict{end}(X)" for end in endings)
    return f"\n\ndef predict(X):\n    return ({total}) / {len(endings)}\n"


def _predict(net: Network, end: str) -> str:
    lines = [f"a = np.asarray(X, np.{net.dtype.name})"]
    for n, layer in enumerate(net.layers, 1):
        z = f"a @ W{n}{end} + b{n}{end}" if layer.bias else f"a @ W{n}{end}"
        if layer.activation != "identity":
            z = _NUMPY.call(z, layer.activation, repr(float(layer.alpha)))
        lines.append(f"a = {z}")
    return f"\n\ndef predict{end}(X):\n    " + "\n    ".join([*lines, "return a"]) + "\n"
