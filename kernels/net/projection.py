"""Weights that keep their signs: what an update takes beyond 0 goes back to it.

W <- max(W, 0) for rows of sign 1, min(W, 0) for rows of sign -1; rows of sign 0 are free. A net
whose later weights are all of sign 1, and whose activations rise, rises or falls in the inputs
whose first weights have a sign.

References: Archer and Wang, Application of the back propagation neural network algorithm with
monotonicity constraints, Decision Sciences 24, 1993; Sill, Monotonic networks, NeurIPS 1997.
"""

from numba import types

from ..compiler.jit import Task
from ..simd.dispatch import by_address
from ..simd.intrinsics import load_part, select, store_part, width
from ..simd.vector import Pointer


@Task.taking(lambda kind: (types.intp, types.intp, Pointer(kind), Pointer(kind)))
def project_rows(rows, columns, w, signs):
    """Set the numbers of W (rows, columns) to 0 whose sign is not their row's; NaN stays NaN."""
    for i in range(rows):
        sign = signs[i]
        if sign != 0:
            row = w + i * columns
            for j in range(0, columns, width(w)):
                left = columns - j
                value = load_part(row + j, left)
                store_part(row + j, select(value * sign < 0, 0, value), left)


# calls `project_rows` by its address, which layers have whose weights keep signs
run_project = by_address(project_rows)
