"""``Z = A W + b`` and ``D W^T`` on NumPy arrays, by `gemm`.

z(l) = W(l) a(l-1) + b(l)                    Z = A W + b
W(l+1)^T delta(l+1)                          D W^T
"""

import numpy as np
from numba import prange

from .compiler.jit import kernel
from .compiler.threads import Threads, choose_threads, twin
from .simd.gemm import NO_GATE, SCRATCH_FLOATS, gemm, run_gemm
from .simd.intrinsics import aligned, pointer, pointer_at
from .simd.transpose import transpose as transpose_block
from .simd.view import matrix, moved, strided
from .support import arrays
from .support.scalars import a_flag
from .tuning import MULTIPLY_ADD_FLOPS


@kernel
def product(gemm, M, N, K, bias, a, a_row, a_col, b, b_row, out, tasks, scratch):
    """Write ``bias + A B`` to `out`; rows of A or columns of B shared by the tasks.

    The arguments are addresses and strides in elements; bias 0 means zeros.
    """
    for task in prange(tasks):
        like = pointer(out)
        part = aligned(pointer(scratch)) + task * SCRATCH_FLOATS
        start = matrix(pointer_at(like, bias), 0 if bias != 0 else -1)
        x = strided(pointer_at(like, a), a_row, a_col)
        y, z = matrix(pointer_at(like, b), b_row), matrix(like, N)
        if tasks <= M:
            lo, hi = task * M // tasks, (task + 1) * M // tasks
            x, z = moved(x, lo, 0), moved(z, lo, 0)
            run_gemm(gemm, hi - lo, N, K, start, x, y, N, z, NO_GATE, part, 0)
        else:
            lo, hi = task * N // tasks, (task + 1) * N // tasks
            start, y, z = moved(start, 0, lo), moved(y, 0, lo), moved(z, 0, lo)
            run_gemm(gemm, M, hi - lo, K, start, x, y, hi - lo, z, NO_GATE, part, 0)


@kernel
def transposed(rows, columns, a, a_row, out, tasks):
    """Write ``A^T`` (columns, rows) to `out`, rows of A shared by the tasks."""
    for task in prange(tasks):
        lo, hi = task * rows // tasks, (task + 1) * rows // tasks
        source = matrix(pointer_at(pointer(out), a), a_row)
        target = matrix(pointer(out), rows)
        transpose_block(hi - lo, columns, moved(source, lo, 0), moved(target, 0, lo))


def matmul(
    A: arrays.Floats,
    W: arrays.Floats,
    bias: arrays.Floats | None = None,
    *,
    transpose: bool = False,
    out: arrays.Floats | None = None,
    n_threads: Threads = "auto",
) -> arrays.Floats:
    """Return ``A W + bias``, or ``A W^T`` with `transpose`.

    Each element is one chain of fused multiply-adds over k in order: its bits depend neither on
    the number of threads nor on other rows and columns. A single column of contiguous operands is
    the dot product of each row, summed lane by lane.

    Parameters
    ----------
    A : array (M, K)
        float32 or float64, of any strides.
    W : array (K, N), or (N, K) with `transpose`
        Of the same dtype. Rows that are not contiguous are copied.
    bias : array (N,), optional
        Added to each row; of the same dtype.
    transpose : bool, default False
        Multiply by ``W^T``, as in the backward pass.
    out : array (M, N), optional
        Written: C-contiguous, of the same dtype. It must not overlap another argument.
    n_threads : int or "auto"
        Threads to share the rows.

    Returns
    -------
    array (M, N)
        `out`, or a new array. ``K = 0`` gives the bias, or zeros.

    Raises
    ------
    TypeError
        If a dtype is neither float32 nor float64, or the dtypes differ.
    ValueError
        If a rank or shape is wrong, or `out` cannot be written or overlaps an argument.
    """
    transpose = a_flag("transpose", transpose)
    A = arrays.strided("A", A)
    W = arrays.rows("W", W, like=A)
    M, K = A.shape
    N = W.shape[0] if transpose else W.shape[1]
    arrays.expect("W", W, (N, K) if transpose else (K, N))
    if bias is not None:
        bias = np.ascontiguousarray(arrays.floats("bias", bias, 1, like=A))
        arrays.expect("bias", bias, (N,))
    if out is not None:
        arrays.apart(out, A=A, W=W, **({} if bias is None else {"bias": bias}))
    out = arrays.output("out", out, (M, N), A.dtype)
    tasks = choose_threads(n_threads, MULTIPLY_ADD_FLOPS * M * N * K, 1)
    if out.size:
        if transpose:
            turned = arrays.aligned_zeros(K * N, A.dtype).reshape(K, N)
            row = arrays.steps(W)[0]
            twin(transposed, tasks)(N, K, arrays.address(W), row, turned.reshape(-1), tasks)
            W = turned
        a, w = (arrays.address(A), *arrays.steps(A)), (arrays.address(W), arrays.steps(W)[0])
        scratch = arrays.scratch(tasks * SCRATCH_FLOATS, A.dtype)
        sizes = (gemm.address(out.dtype), M, N, K)
        twin(product, tasks)(*sizes, arrays.address(bias), *a, *w, out, tasks, scratch)
    return out
