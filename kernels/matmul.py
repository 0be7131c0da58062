"""``Z = A W + b`` and ``D W^T`` on NumPy arrays: the public face of `gemm`.

z(l) = W(l) a(l-1) + b(l)                    Z = A W + b
W(l+1)^T delta(l+1)                          D W^T
"""

import numpy as np
from numba import prange

from .compiler.jit import kernel
from .compiler.threads import choose_threads, twin
from .simd.gemm import NO_GATE, SCRATCH_FLOATS, gemm
from .simd.intrinsics import aligned, pointer, pointer_at
from .simd.transpose import transpose as transpose_block
from .support import arrays
from .tuning import MULTIPLY_ADD_FLOPS


@kernel
def product(M, N, K, bias, a, a_row, a_col, b, b_row, out, tasks, scratch):
    """``out = bias + A B`` from addresses, rows of A or columns of B shared by the tasks."""
    for task in prange(tasks):
        z = pointer(out)
        part = aligned(pointer(scratch)) + task * SCRATCH_FLOATS
        start, start_row = pointer_at(z, bias), 0 if bias != 0 else -1
        x, y = pointer_at(z, a), pointer_at(z, b)
        lo, hi = task * M // tasks, (task + 1) * M // tasks
        if tasks <= M:
            gemm(
                hi - lo, N, K, start, start_row, x + lo * a_row, a_row, a_col,
                y, b_row, N, z + lo * N, N, NO_GATE, part, 0,
            )  # fmt: skip
        else:
            lo, hi = task * N // tasks, (task + 1) * N // tasks
            gemm(
                M, hi - lo, K, start + lo, start_row, x, a_row, a_col,
                y + lo, b_row, hi - lo, z + lo, N, NO_GATE, part, 0,
            )  # fmt: skip


@kernel
def transposed(rows, columns, a, a_row, out, tasks):
    """``out = A^T`` (columns, rows), rows of A shared by the tasks."""
    for task in prange(tasks):
        lo, hi = task * rows // tasks, (task + 1) * rows // tasks
        like = pointer(out)
        source = pointer_at(like, a) + lo * a_row
        transpose_block(hi - lo, columns, source, a_row, like + lo, rows)


def matmul(A, W, bias=None, *, transpose=False, out=None, n_threads="auto"):
    """Return ``A W + bias``, or ``A W^T`` with `transpose`.

    Each element is one chain of fused multiply-adds over k in order, the same
    bits for any number of threads and any neighbours. One column alone, of contiguous
    operands, is a dot product of each row, added up lane by lane.

    Parameters
    ----------
    A : array (M, K)
        float32 or float64, of any strides.
    W : array (K, N), or (N, K) with `transpose`
        Of the same dtype. Rows that are not contiguous are copied.
    bias : array (N,), optional
        Added to every row.
    transpose : bool, default False
        Whether W is used transposed, as the backward pass does.
    out : array (M, N), optional
        C-contiguous; written in place. It may overlap no other argument.
    n_threads : int or "auto"
        Threads to share the rows.

    Returns
    -------
    array (M, N)
        `out`, or a new array. ``K = 0`` gives the bias, or zeros.

    Raises
    ------
    TypeError
        If a dtype is neither float32 nor float64, or they differ.
    ValueError
        If shapes do not fit or `out` cannot be written.
    """
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
        a_row, a_col = arrays.steps(A)
        scratch = arrays.scratch(tasks * SCRATCH_FLOATS, A.dtype)
        twin(product, tasks)(
            M, N, K, arrays.address(bias), arrays.address(A), a_row, a_col,
            arrays.address(W), arrays.steps(W)[0], out, tasks, scratch,
        )  # fmt: skip
    return out
