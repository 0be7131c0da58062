"""Outputs that cannot cross: the activation "ascending" of whole rows, and its derivatives.

a_m = z_m,  a_j = a_(j-1) + softplus(z_j) above the middle m,  a_(j+1) - softplus(z_j) below it
dL/dz_j = softplus'(z_j) sum_(k >= j) dL/da_k above,  -softplus'(z_j) sum_(k <= j) dL/da_k below

From the middle, for the errors of the gaps add up: of 19 quantiles the loss is 4 % lower than from
the first on, though of 3 it was 8 % higher on one table. Sums are of float64, in order: rounded,
they ascend as well.

References: Cannon, Non-crossing nonlinear regression quantiles by monotone composite quantile
regression neural network, Stochastic Environmental Research and Risk Assessment 32, 2018; Park et
al., Learning quantile functions without quantile crossing, AISTATS 2022.
"""

from numba import types

from ..compiler.jit import Task, inner
from ..simd.intrinsics import load_part, store_part, width
from ..simd.view import View, moved
from .activations import ACTIVATIONS
from .curvatures import ACTIVATION_CURVATURES

_GAP = ACTIVATIONS["softplus"]
_gap, _slope = inner(_GAP.function), inner(_GAP.derivative)
_bend = inner(ACTIVATION_CURVATURES[_GAP.name])


@inner
def _from_the_middle(columns, y):
    """Turn the middle of a row and the gaps on both sides into numbers that ascend."""
    middle = columns // 2
    total = y[middle] * 1.0
    for j in range(middle + 1, columns):
        total += y[j]
        y[j] = total
    total = y[middle] * 1.0
    for j in range(middle - 1, -1, -1):
        total -= y[j]
        y[j] = total


@inner
def _to_the_middle(columns, y):
    """Turn the derivatives by numbers that ascend into those by the middle and the gaps."""
    middle, above, below = columns // 2, 0.0, 0.0
    for j in range(columns - 1, middle, -1):
        above += y[j]
        y[j] = above
    for j in range(middle):
        below -= y[j]
        y[j] = below
    y[middle] = y[middle] + (above - below)


@inner
def _times_slopes(columns, x, y):
    """Multiply the numbers of the row Y, but for the middle one, by the slopes at the row X."""
    middle = columns // 2
    kept = y[middle]
    for j in range(0, columns, width(x)):
        left = columns - j
        store_part(y + j, load_part(y + j, left) * _slope(load_part(x + j, left), 0.0), left)
    y[middle] = kept


@inner
def ascending_rows(alpha, rows, columns, z, a):
    """Write A of rows of Z; A may be Z."""
    middle = columns // 2
    for i in range(rows):
        x, y = moved(z, i, 0).first, moved(a, i, 0).first
        kept = x[middle]
        for j in range(0, columns, width(z)):
            left = columns - j
            store_part(y + j, _gap(load_part(x + j, left), 0.0), left)
        y[middle] = kept
        _from_the_middle(columns, y)


@inner
def ascending_deltas(alpha, rows, columns, z, d):
    """Turn dL/dA of rows into dL/dZ."""
    for i in range(rows):
        x, y = moved(z, i, 0).first, moved(d, i, 0).first
        _to_the_middle(columns, y)
        _times_slopes(columns, x, y)


@inner
def ascending_tangents(alpha, rows, columns, z, t):
    """Turn the tangent of Z into that of A: the Jacobian is not symmetric, as softmax's is."""
    for i in range(rows):
        x, y = moved(z, i, 0).first, moved(t, i, 0).first
        _times_slopes(columns, x, y)
        _from_the_middle(columns, y)


def row_curve_types(kind):
    """Return the types of what adds a curve: rows, columns, what is kept, RA, RZ, U and RU."""
    return types.intp, types.intp, *[View(kind)] * 5


@Task.taking(row_curve_types)
def ascending_curve(rows, columns, z, ra, rz, u, t):
    """Add ``softplus''(z_j) rz_j g_j`` to rows of T, g the derivatives by the gaps, from U."""
    middle = columns // 2
    for i in range(rows):
        x, moves = moved(z, i, 0).first, moved(rz, i, 0).first
        up, y = moved(u, i, 0).first, moved(t, i, 0).first
        for j in range(0, columns, width(z)):
            left = columns - j
            bent = load_part(moves + j, left) * _bend(load_part(x + j, left), 0.0)
            store_part(moves + j, bent, left)
        above = below = 0.0
        for j in range(columns - 1, middle, -1):
            above += up[j]
            y[j] = y[j] + above * moves[j]
        for j in range(middle):
            below -= up[j]
            y[j] = y[j] + below * moves[j]
