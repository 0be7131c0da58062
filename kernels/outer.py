"""The sum of outer products over a batch, ``G_W = A^T D``, and the column sums of D.

dL/dW(l) = delta(l) a(l-1)^T                 G_W = A_prev^T D, in the storage of W (n_in, n_out)
dL/db(l) = delta(l)                          G_b = sum_i D_i
"""

import numpy as np
from numba import prange

from .compiler.jit import inner, kernel
from .compiler.threads import Threads, choose_threads, twin
from .simd.gemm import NO_GATE, SCRATCH_FLOATS, gemm, run_gemm
from .simd.intrinsics import aligned, broadcast, load_part, pointer, pointer_at, store_part, width
from .simd.view import matrix, strided
from .support import arrays
from .tuning import MULTIPLY_ADD_FLOPS


@inner
def column_sums(rows, columns, d, sums):
    """Write the sum of each of `columns` columns of D, rows added in a fixed order."""
    fours = rows // 4 * 4
    d_row = d.row
    for j in range(0, columns, width(d)):
        left = columns - j
        x = d.first + j
        total = broadcast(d, 0.0)
        # sums stay in registers: loading a sum that was just stored would wait for the store
        odd, even = total, total
        for r in range(0, fours, 4):
            y = x + r * d_row
            even = even + (load_part(y, left) + load_part(y + 2 * d_row, left))
            odd = odd + (load_part(y + d_row, left) + load_part(y + 3 * d_row, left))
        for r in range(fours, rows):
            total = total + load_part(x + r * d_row, left)
        store_part(sums + j, total + (even + odd), left)


@inner
def outer_rows(gemm, lo, hi, rows, columns, a, d, d_width, g, scratch, ahead):
    """Write rows lo to hi of ``G = A^T D`` to `g`; A (rows, n_in), D (rows, columns).

    `gemm` is the address of that function, `a` and `d` are views, `g` a pointer; `d_width` and
    what follows are as for `gemm`.
    """
    turned = strided(a.first + lo * a.column, a.column, a.row)
    zeros, target = matrix(g, -1), matrix(g, columns)
    run_gemm(
        gemm, hi - lo, columns, rows, zeros, turned, d, d_width, target, NO_GATE, scratch, ahead
    )


@kernel
def outer_sum(gemm, rows, n_in, n_out, a, a_row, a_col, d, d_row, out, sums, tasks, scratch):
    """Write ``A^T D`` to `out` and the column sums of D to `sums`; A and D by address."""
    for task in prange(tasks):
        g = pointer(out)
        part = aligned(pointer(scratch)) + task * SCRATCH_FLOATS
        lo, hi = task * n_in // tasks, (task + 1) * n_in // tasks
        x, y = strided(pointer_at(g, a), a_row, a_col), matrix(pointer_at(g, d), d_row)
        outer_rows(gemm, lo, hi, rows, n_out, x, y, n_out, g + lo * n_out, part, 0)
        if task == tasks - 1:
            column_sums(rows, n_out, y, pointer(sums))


def outer(
    A: arrays.Floats,
    D: arrays.Floats,
    *,
    out: arrays.Floats | None = None,
    n_threads: Threads = "auto",
) -> tuple[arrays.Floats, arrays.Floats]:
    """Return ``G_W = A^T D``, the sum of the outer products of the rows, and ``G_b = sum_i D_i``.

    Parameters
    ----------
    A : array (batch, n_in)
        The layer's inputs, float32 or float64, of any strides.
    D : array (batch, n_out)
        The layer's deltas, of the same dtype. Rows that are not contiguous are copied.
    out : array (n_in, n_out), optional
        Written: C-contiguous, of the same dtype. It must not overlap A or D.
    n_threads : int or "auto"
        Threads to share the rows of the result.

    Returns
    -------
    G_W : array (n_in, n_out)
        `out`, or a new array.
    G_b : array (n_out,)
        The column sums of D; a new array.

    Raises
    ------
    TypeError
        If a dtype is neither float32 nor float64, or the dtypes differ.
    ValueError
        If a rank or shape is wrong, or `out` cannot be written or overlaps an argument.
    """
    A = arrays.strided("A", A)
    D = arrays.rows("D", D, like=A)
    (rows, n_in), n_out = A.shape, D.shape[1]
    arrays.expect("D", D, (rows, n_out))
    if out is not None:
        arrays.apart(out, A=A, D=D)
    out = arrays.output("out", out, (n_in, n_out), A.dtype)
    sums = np.zeros(n_out, A.dtype)
    tasks = min(
        choose_threads(n_threads, MULTIPLY_ADD_FLOPS * rows * n_in * n_out, 1), max(n_in, 1)
    )
    a, d = (arrays.address(A), *arrays.steps(A)), (arrays.address(D), arrays.steps(D)[0])
    scratch = arrays.scratch(tasks * SCRATCH_FLOATS, A.dtype)
    sizes = (gemm.address(out.dtype), rows, n_in, n_out)
    twin(outer_sum, tasks)(*sizes, *a, *d, out, sums, tasks, scratch)
    return out, sums
