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
from .simd.view import matrix, moved, strided
from .support import arrays
from .tuning import MULTIPLY_ADD_FLOPS


@kernel
def product(M, N, K, bias, a, a_row, a_col, b, b_row, out, tasks, scratch):
    """``out = bias + A B`` from addresses, rows of A or columns of B shared by the tasks."""
    for task in prange(tasks):
        like = pointer(out)
        part = aligned(pointer(scratch)) + task * SCRATCH_FLOATS
        start = matrix(pointer_at(like, bias), 0 if bias != 0 else -1)
        x = strided(pointer_at(like, a), a_row, a_col)
        y, z = matrix(pointer_at(like, b), b_row), matrix(like, N)
        if tasks <= M:
            lo, hi = task * M // tasks, (task + 1) * M // tasks
            x, z = moved(x, lo, 0), moved(z, lo, 0)
            gemm(hi - lo, N, K, start, x, y, N, z, NO_GATE, part, 0)
        else:
            lo, hi = task * N // tasks, (task + 1) * N // tasks
            start, y, z = moved(start, 0, lo), moved(y, 0, lo), moved(z, 0, lo)
            gemm(M, hi - lo, K, start, x, y, hi - lo, z, NO_GATE, part, 0)


@kernel
def transposed(rows, columns, a, a_row, out, tasks):
    """``out = A^T`` (columns, rows), rows of A shared by the tasks."""
    for task in prange(tasks):
        lo, hi = task * rows // tasks, (task + 1) * rows // tasks
        source = matrix(pointer_at(pointer(out), a), a_row)
        target = matrix(pointer(out), rows)
        transpose_block(hi - lo, columns, moved(source, lo, 0), moved(target, 0, lo))


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
        a, w = (arrays.address(A), *arrays.steps(A)), (arrays.address(W), arrays.steps(W)[0])
        scratch = arrays.scratch(tasks * SCRATCH_FLOATS, A.dtype)
        twin(product, tasks)(M, N, K, arrays.address(bias), *a, *w, out, tasks, scratch)
    return out
