"""The sum of outer products ``G_W = A^T D`` over a batch, and the column sums of D.

``dL/dW(l) = delta(l) a(l-1)^T`` summed over the samples, in the transposed
storage W (n_in, n_out); ``dL/db(l) = sum_i delta_i(l)``.
"""

from .intrinsics import load_part, store_part, width
from .jit import inner


@inner
def column_sums(rows, columns, d, d_row, sums):
    """Write the sum of each of `columns` columns of D, rows added in a fixed order."""
    for j in range(0, columns, width(d)):
        left = columns - j
        even = load_part(d + j, left if rows > 0 else 0)
        odd = even * 0
        for r in range(1, rows - 1, 2):
            odd = odd + load_part(d + r * d_row + j, left)
            even = even + load_part(d + (r + 1) * d_row + j, left)
        if rows > 0 and rows % 2 == 0:
            odd = odd + load_part(d + (rows - 1) * d_row + j, left)
        store_part(sums + j, even + odd, left)
