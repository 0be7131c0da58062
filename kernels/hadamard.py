"""The Hadamard product ``D . S``, and that with an activation's derivative.

``delta(l) = (W(l+1)^T delta(l+1)) . sigma'(z(l))``: `SCALE` multiplies a
block of back-propagated errors by the derivative while both are in the cache. `gemm` applies
that of ReLU before it stores the errors.
"""

from numba import prange

from .compiler.jit import inner, kernel
from .compiler.threads import Threads, choose_threads, twin
from .formulas.activations import ACTIVATIONS
from .formulas.ascending import ascending_deltas, ascending_tangents
from .simd.dispatch import block_loops
from .simd.intrinsics import keep_first, lane_sum, load_part, pointer, pointer_at, store_part, width
from .simd.view import moved
from .support import arrays
from .tuning import HADAMARD_FLOPS


@inner
def _softmax_rows(alpha, rows, columns, a, d):
    """``d_j = a_j (d_j - sum_k d_k a_k)`` of each row: softmax has a full Jacobian."""
    for r in range(rows):
        x = moved(d, r, 0).first
        y = moved(a, r, 0).first
        shift = 0.0
        for j in range(0, columns, width(d)):
            left = columns - j
            part = load_part(x + j, left) * load_part(y + j, left)
            shift += lane_sum(keep_first(part, left, 0.0))
        for j in range(0, columns, width(d)):
            left = columns - j
            slope = load_part(y + j, left)
            store_part(x + j, (load_part(x + j, left) - shift) * slope, left)


# D = D . sigma' of a block, from S, which the activation keeps: A or Z
SCALE = block_loops(
    "scale",
    {r.name: r.derivative for r in ACTIVATIONS.values()},
    scale=True,
    softmax=_softmax_rows,
    ascending=ascending_deltas,
)
# the same of a tangent, which goes forward: where the Jacobian of a row is not symmetric
PUSH = block_loops("push", {}, ascending=ascending_tangents)


@kernel
def multiply(rows, columns, d, d_row, s, s_row, out, tasks):
    """Write ``D . S`` to `out`; D and S by address and row stride, rows shared by the tasks."""
    for task in prange(tasks):
        like = pointer(out)
        x, y = pointer_at(like, d), pointer_at(like, s)
        for r in range(task * rows // tasks, (task + 1) * rows // tasks):
            for j in range(0, columns, width(like)):
                left = columns - j
                value = load_part(x + r * d_row + j, left) * load_part(y + r * s_row + j, left)
                store_part(like + r * columns + j, value, left)


def hadamard(
    D: arrays.Floats,
    S: arrays.Floats,
    *,
    out: arrays.Floats | None = None,
    n_threads: Threads = "auto",
) -> arrays.Floats:
    """Return the elementwise product ``D . S``.

    Parameters
    ----------
    D, S : array (batch, n)
        float32 or float64, of one dtype. Rows that are not contiguous are copied.
    out : array (batch, n), optional
        Written: C-contiguous, of the same dtype; it may be D or S itself.
    n_threads : int or "auto"
        Threads to share the rows.

    Returns
    -------
    array (batch, n)
        `out`, or a new array.

    Raises
    ------
    TypeError
        If a dtype is neither float32 nor float64, or the dtypes differ.
    ValueError
        If a rank or shape is wrong, or `out` overlaps D or S without being it.
    """
    D = arrays.rows("D", D)
    S = arrays.rows("S", S, like=D)
    arrays.expect("S", S, D.shape)
    is_new = out is None
    out = arrays.output("out", out, D.shape, D.dtype)
    if not is_new:
        arrays.apart_or_equal(out, D=D, S=S)
    if out.size:
        tasks = choose_threads(n_threads, HADAMARD_FLOPS * out.size, 1)
        d, s = ((arrays.address(a), arrays.steps(a)[0]) for a in (D, S))
        twin(multiply, tasks)(*D.shape, *d, *s, out.reshape(-1), tasks)
    return out
