"""Activations and their derivatives, on blocks of rows and on NumPy arrays.

a(l) = sigma(z(l))                           A = sigma(Z)
sigma'(z(l))                                 from A if its formula allows, else from Z
"""

from numba import prange

from ..quoted import quoted
from .compiler.jit import inner, kernel
from .compiler.threads import Threads, choose_threads, twin
from .formulas.activations import ACTIVATIONS
from .formulas.ascending import ascending_rows
from .simd.dispatch import block_loops, by_address
from .simd.elementary import exp
from .simd.intrinsics import (
    broadcast,
    keep_first,
    load_part,
    local_floats,
    pointer,
    pointer_at,
    store_part,
    width,
)
from .simd.reduce import keep_part, keep_results, results_behind, row_maxima, sum_parts
from .simd.view import matrix, moved
from .support import arrays
from .support.scalars import a_number
from .tuning import ACTIVATION_FLOPS


@inner
def softmax_rows(alpha, rows, columns, z, a):
    """``A[r] = exp(Z[r]) / sum exp(Z[r])``, shifted by the row's maximum; A may be Z."""
    parts = local_floats(z)
    results = results_behind(parts)
    for i in range(0, rows, width(z)):
        count = min(width(z), rows - i)
        keep_results(results, row_maxima(count, columns, moved(z, i, 0), parts))
        for r in range(count):
            x, y = moved(z, i + r, 0).first, moved(a, i + r, 0).first
            total = broadcast(z, 0.0)
            for j in range(0, columns, width(z)):
                left = columns - j
                value = exp(load_part(x + j, left) - results[r])
                store_part(y + j, value, left)
                total = total + keep_first(value, left, 0.0)
            keep_part(parts, r, total)
        keep_results(results, 1 / sum_parts(parts))
        for r in range(count):
            y = moved(a, i + r, 0).first
            for j in range(0, columns, width(z)):
                store_part(y + j, load_part(y + j, columns - j) * results[r], columns - j)


# A = sigma(Z) of a block; A may be Z itself
ACTIVATE = block_loops(
    "activate",
    {r.name: r.function for r in ACTIVATIONS.values()},
    softmax=softmax_rows,
    ascending=ascending_rows,
)
# sigma' of a block, from A or Z
SLOPE = block_loops("slope", {r.name: r.derivative for r in ACTIVATIONS.values()})
_run = by_address(ACTIVATE["relu"])


@kernel
def over_rows(loop, alpha, rows, columns, s, s_row, out, tasks):
    """Write what the loop makes of S; S by address and row stride, rows shared by the tasks."""
    for task in prange(tasks):
        lo, hi = task * rows // tasks, (task + 1) * rows // tasks
        target = matrix(pointer(out) + lo * columns, columns)
        source = matrix(pointer_at(pointer(out), s) + lo * s_row, s_row)
        _run(loop, alpha, hi - lo, columns, source, target)


def activation(
    Z: arrays.Floats,
    name: str,
    alpha: float | None = None,
    *,
    out: arrays.Floats | None = None,
    n_threads: Threads = "auto",
) -> arrays.Floats:
    """Return ``A = sigma(Z)``.

    Parameters
    ----------
    Z : array (batch, n)
        Pre-activations, float32 or float64. Rows that are not contiguous are copied.
    name : str
        A name in ``ACTIVATIONS``; softmax and ascending act on each row.
    alpha : float, optional
        The parameter of ``leaky_relu`` and ``elu``, at least 0; default: that of the table.
    out : array (batch, n), optional
        Written: C-contiguous, of the dtype of Z; it may be Z itself.
    n_threads : int or "auto"
        Threads to share the rows.

    Returns
    -------
    array (batch, n)
        `out`, or a new array.

    Raises
    ------
    TypeError
        If Z is neither float32 nor float64, or `alpha` is not a number.
    ValueError
        If `name` is unknown, the activation has no `alpha`, a rank or shape is wrong, or `out`
        overlaps Z without being Z.
    """
    return _elementwise(ACTIVATE, "Z", Z, name, alpha, out, n_threads)


def activation_derivative(
    S: arrays.Floats,
    name: str,
    alpha: float | None = None,
    *,
    out: arrays.Floats | None = None,
    n_threads: Threads = "auto",
) -> arrays.Floats:
    """Return ``sigma'(Z)`` from the activation's output A, or from Z.

    Parameters
    ----------
    S : array (batch, n)
        The output A where ``ACTIVATIONS[name].keeps`` is "a", else the
        pre-activation Z.
    name, alpha, out, n_threads
        As for `activation`.

    Returns
    -------
    array (batch, n)
        `out`, or a new array.

    Raises
    ------
    TypeError, ValueError
        As `activation`, and for those of whole rows, whose derivative is a full Jacobian.
    """
    record = ACTIVATIONS.find(name)
    if record.of_rows:
        raise ValueError(f"{record.name} has a Jacobian, not an elementwise derivative")
    return _elementwise(SLOPE, "S", S, name, alpha, out, n_threads)


def _elementwise(loops, what, values, name, alpha, out, n_threads):
    record = ACTIVATIONS.find(name)
    if alpha is None:
        alpha = record.alpha or 0.0
    elif record.alpha is None:
        raise ValueError(f"alpha={quoted(alpha)}: {record.name} has no parameter")
    alpha = a_number("alpha", alpha, low=0)
    values = arrays.rows(what, values)
    is_new = out is None
    out = arrays.output("out", out, values.shape, values.dtype)
    if not is_new:
        arrays.apart_or_equal(out, **{what: values})
    if out.size:
        tasks = choose_threads(n_threads, ACTIVATION_FLOPS * out.size, 1)
        loop = loops[record.name].address(out.dtype)
        place = arrays.address(values)
        row = arrays.steps(values)[0]
        twin(over_rows, tasks)(loop, alpha, *values.shape, place, row, out.reshape(-1), tasks)
    return out
