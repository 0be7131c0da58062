"""The Hadamard product ``D = D . S``, and the one with an activation's derivative.

``delta(l) = (W(l+1)^T delta(l+1)) . sigma'(z(l))``: `hadamard_rows` multiplies a
block of back-propagated errors by the derivative while both are in the cache.
"""

from .activation import SOFTMAX, apply_derivative
from .jit import inner
from .intrinsics import keep_first, lane_sum, load_part, store_part, width


@inner
def hadamard_rows(rows, columns, d, d_row, s, s_row):
    """``D = D . S`` of a block."""
    for r in range(rows):
        for j in range(0, columns, width(d)):
            here, left = d + r * d_row + j, columns - j
            store_part(here, load_part(here, left) * load_part(s + r * s_row + j, left), left)


@inner
def derivative_rows(code, alpha, rows, columns, d, d_row, s, s_row):
    """``D = D . sigma'`` of a block, from what the activation keeps in S.

    Softmax has a full Jacobian: ``d_j = a_j (d_j - sum_k d_k a_k)``.
    """
    for r in range(rows):
        shift = 0.0
        if code == SOFTMAX:
            for j in range(0, columns, width(d)):
                left = columns - j
                part = load_part(d + r * d_row + j, left) * load_part(s + r * s_row + j, left)
                shift += lane_sum(keep_first(part, left))
        for j in range(0, columns, width(d)):
            here, left = d + r * d_row + j, columns - j
            kept = load_part(s + r * s_row + j, left)
            if code == SOFTMAX:
                slope = kept
            else:
                slope = apply_derivative(code, kept, alpha)
            store_part(here, (load_part(here, left) - shift) * slope, left)
