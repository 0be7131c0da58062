"""Networks as C source: one file that needs nothing but <math.h>."""

import re
from collections.abc import Sequence

import numpy as np

from .. import __version__
from ..annotations import Array, FilePath
from ..ensemble import Ensemble, members_of
from ..network import Network
from ..quoted import quoted
from .network import as_network, comments, described, write
from .text import Language

_KEYWORDS = (
    "auto break case char const continue default do double else enum extern float for goto if "
    "inline int long register restrict return short signed sizeof static struct switch typedef "
    "union unsigned void volatile while"
)
_NUMBERS_PER_LINE = 6

_SOFTMAX = """
static void NAME_softmax(REAL *a, int n)
{
    REAL most = a[0], sum = 0.0@;
    for (int j = 1; j < n; j++)
        most = a[j] > most ? a[j] : most;
    for (int j = 0; j < n; j++)
        sum += a[j] = exp@(a[j] - most);
    for (int j = 0; j < n; j++)
        a[j] /= sum;
}
"""
_ASCENDING = """
static void NAME_ascending(REAL *a, int n)
{
    for (int j = 0; j < n; j++)
        if (j != n / 2)
            a[j] = (a[j] > 0 ? a[j] : 0) + log1p@(exp@(-fabs@(a[j])));
    for (int j = n / 2 + 1; j < n; j++)
        a[j] = a[j - 1] + a[j];
    for (int j = n / 2 - 1; j >= 0; j--)
        a[j] = a[j + 1] - a[j];
}
"""

# REAL is the type, @ the suffix that it gives to numbers and to functions: 1.0f, expf
_MATH = ("exp", "expm1", "log", "log1p", "tanh", "erf", "sqrt")  # functions of <math.h>
_C = Language(
    export="to_c",
    operations={
        **{name: f"{name}@({{0}})" for name in _MATH},
        "absolute": "fabs@({0})",
        "broadcast": "({1})",
        "select": "{0} ? {1} : {2}",
        "maximum": "{0} < {1} ? {1} : {0}",
        "minimum": "{0} > {1} ? {1} : {0}",
    },
    number=lambda number: f"{number!r}@",
    variable="REAL {name} = {value};",
    result="return {};",
    indent="    ",
    alpha=", REAL alpha",
    function="\nstatic REAL NAME_{name}(REAL z{alpha})\n{{\n    {body}\n}}\n",
    rows={"softmax": _SOFTMAX, "ascending": _ASCENDING},
)

_HEAD = """\
/* WHAT; written by fastbp VERSION.
 *
 *     REAL x[UPPER_INPUTS], out[UPPER_OUTPUTS];
 *     NAME_predict(x, out);
 *
 * To compile it, and as a program that reads rows of numbers and prints the outputs of each:
 *
 *     cc -std=c99 -O3 -c NAME.c
 *     cc -std=c99 -O3 -DUPPER_MAIN -o NAME NAME.c -lm
 *     ./NAME < rows.txt
 *
 * It has no state, so threads may call it at once, and asks for no memory but the stack's.
 */
#include <math.h>

#define UPPER_INPUTS N_IN
#define UPPER_OUTPUTS N_OUT

/* the outputs for one row; x and out do not overlap */
void NAME_predict(const REAL *x, REAL *out);
"""

_DENSE = """
/* z = x W + b, with W (n_in, n_out) row by row; b may be null */
static void NAME_dense(const REAL *restrict x, int n_in, const REAL *restrict w,
                       const REAL *restrict b, int n_out, REAL *restrict z)
{
    for (int j = 0; j < n_out; j++)
        z[j] = b ? b[j] : 0.0@;
    for (int i = 0; i < n_in; i++, w += n_out)
        for (int j = 0; j < n_out; j++)
            z[j] += x[i] * w[j];
}
"""

# a row is a line: numbers, with spaces, commas or semicolons between them
_MAIN = """
#ifdef UPPER_MAIN
#include <stdio.h>

int main(void)
{
    REAL x[UPPER_INPUTS], out[UPPER_OUTPUTS];
    int n = 0, got;
    while ((got = scanf("%SCANF%*[ ,;\\t\\r]", &x[n])) == 1) {
        int c = getchar(), ends = c == '\\n' || c == EOF;
        if (!ends)
            ungetc(c, stdin);
        if (ends != (++n == UPPER_INPUTS))
            break;
        if (n < UPPER_INPUTS)
            continue;
        n = 0;
        NAME_predict(x, out);
        for (int j = 0; j < UPPER_OUTPUTS; j++)
            printf("%.PRINTFg%c", (double)out[j], j + 1 < UPPER_OUTPUTS ? ' ' : '\\n');
    }
    if (got != EOF || n > 0) {
        fprintf(stderr, "expected rows of %d numbers\\n", UPPER_INPUTS);
        return 1;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
#endif
"""


def to_c(
    net: Network | Ensemble,
    path: FilePath | None = None,
    name: str = "net",
    notes: Sequence[str] = (),
) -> str:
    """Return a network as the text of one C99 file that needs nothing but <math.h>.

    ``void NAME_predict(const REAL *x, REAL *out)`` computes what ``net.forward`` does for one
    row, with dropout inactive; of an ensemble it is the mean. REAL is float or double, the
    network's dtype. Weights are written as hexadecimal numbers and are exact. ``NAME_INPUTS`` and
    ``NAME_OUTPUTS``, with the name in capitals, are the sizes. With ``NAME_MAIN`` defined, the file
    is a program that reads rows and prints the outputs of each. It has no state and calls no
    malloc; the stack holds two hidden layers.

    Parameters
    ----------
    net : Network or Ensemble
        The network or the ensemble; it is not changed.
    path : str or path, optional
        Where to write the text, atomically.
    name : str, default "net"
        The prefix of all names in the file: a C identifier that begins with a letter.
    notes : sequence of str, optional
        Lines of a comment at the beginning.

    Returns
    -------
    str
        The text.

    Raises
    ------
    TypeError, ValueError
        If `net` is not a network, its weights are not finite, an activation cannot be written in
        C, or `name` is not such a name.
    OSError
        If `path` cannot be written.

    Examples
    --------
    >>> import fastbp
    >>> text = fastbp.to_c(fastbp.Network([4, 8, 3]), name="iris")
    >>> "void iris_predict(const float *x, float *out);" in text
    True
    """
    net = as_network("to_c", net, several=True)
    _check_name(name)
    members = members_of(net)
    names = ["NAME"] if len(members) == 1 else [f"NAME_{n}" for n in range(1, len(members) + 1)]
    pairs = list(zip(members, names, strict=True))
    arrays = [array for member, own in pairs for array in _arrays(member, own)]
    functions = _C.functions(layer.activation for member in members for layer in member.layers)
    if len(members) == 1:
        predict = [_predict(members[0], "NAME", "void NAME_predict")]
    else:
        predict = [_predict(member, own, f"static void {own}") for member, own in pairs]
        predict.append(_mean(names))
    parts = [_HEAD, *arrays, _DENSE, functions, *predict, _MAIN]
    double = net.dtype == np.float64
    words = {
        "WHAT": described(net),
        "VERSION": __version__,
        "N_IN": net.layers[0].n_in,
        "N_OUT": net.layers[-1].n_out,
        "REAL": "double" if double else "float",
        "SCANF": "lf" if double else "f",
        "PRINTF": 17 if double else 9,
        "@": "" if double else "f",
        "UPPER": name.upper(),
        "NAME": name,
    }
    text = re.sub("|".join(words), lambda match: str(words[match[0]]), "".join(parts))
    if notes:
        text = "".join(["/*\n", *(f" * {line}\n" for line in comments(notes)), " */\n", text])
    write(path, text.encode())
    return text


def _arrays(net: Network, name: str) -> list[str]:
    """Return the constant arrays of a network, whose names begin with `name`."""
    arrays = []
    for n, (layer, W, b) in enumerate(zip(net.layers, net.weights, net.biases, strict=True), 1):
        arrays.append(_array(f"{name}_w{n}", W.ravel()))
        if layer.bias:
            arrays.append(_array(f"{name}_b{n}", b))
    return arrays


def _array(name: str, numbers: Array) -> str:
    """Return a constant array, exact in hexadecimal."""
    texts = [_hexadecimal(number) for number in numbers.tolist()]
    lines = [
        ", ".join(texts[i : i + _NUMBERS_PER_LINE]) for i in range(0, len(texts), _NUMBERS_PER_LINE)
    ]
    return f"\nstatic const REAL {name}[{len(texts)}] = {{\n    " + ",\n    ".join(lines) + "\n};\n"


def _hexadecimal(number: float) -> str:
    mantissa, exponent = float(number).hex().split("p")
    return f"{mantissa.rstrip('0')}p{exponent}@" if number else "0.0@"


def _mean(names: Sequence[str]) -> str:
    """Return the function of one row that takes the mean of the functions of several networks."""
    lines = ["REAL a[UPPER_OUTPUTS];", f"{names[0]}(x, out);"]
    for name in names[1:]:
        lines += [f"{name}(x, a);", "for (int j = 0; j < UPPER_OUTPUTS; j++)"]
        lines.append("    out[j] += a[j];")
    lines += ["for (int j = 0; j < UPPER_OUTPUTS; j++)", f"    out[j] /= {len(names)};"]
    return _function("void NAME_predict", lines)


def _function(head: str, lines: Sequence[str]) -> str:
    body = "\n    ".join(lines)
    return f"\n{head}(const REAL *x, REAL *out)\n{{\n    {body}\n}}\n"


def _predict(net: Network, name: str, head: str) -> str:
    """Return the function of one row: two buffers alternate, and the last layer fills `out`.

    The names of its arrays begin with `name`, and its text with `head`.
    """
    widths = [layer.n_out for layer in net.layers[:-1]]
    lines = [
        f"REAL {buffer}[{max(widths[n::2])}];" for n, buffer in enumerate("uv") if widths[n::2]
    ]
    a_prev = "x"
    for n, layer in enumerate(net.layers, 1):
        a = "out" if n == len(net.layers) else "vu"[n % 2]
        b = f"{name}_b{n}" if layer.bias else "0"
        lines.append(f"NAME_dense({a_prev}, {layer.n_in}, {name}_w{n}, {b}, {layer.n_out}, {a});")
        if layer.activation in _C.rows:
            lines.append(f"NAME_{layer.activation}({a}, {layer.n_out});")
        elif layer.activation != "identity":
            alpha = _hexadecimal(net.dtype.type(layer.alpha))
            call = _C.call(f"{a}[j]", layer.activation, alpha)
            lines.append(f"for (int j = 0; j < {layer.n_out}; j++)")
            lines.append(f"    {a}[j] = NAME_{call};")
        a_prev = a
    return _function(head, lines)


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"fastbp.to_c: name={quoted(name)}: expected text")
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name) or name in _KEYWORDS.split():
        raise ValueError(
            f"fastbp.to_c: name={quoted(name)}: expected a C identifier that is no keyword and "
            "begins with a letter"
        )
