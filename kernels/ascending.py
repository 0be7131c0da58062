"""Outputs that cannot cross: the activation "ascending" of whole rows, and its derivatives.

a_1 = z_1,  a_j = a_(j-1) + softplus(z_j)
dL/dz_j = softplus'(z_j) sum_(k >= j) dL/da_k       without the slope for j = 1

Sums are of float64, in order: rounded, they never fall either. Reference: Cannon, Non-crossing
nonlinear regression quantiles by monotone composite quantile regression neural network, Stochastic
Environmental Research and Risk Assessment 32, 2018; Park et al., Learning quantile functions
without quantile crossing, AISTATS 2022.
"""

from numba import types

from .compiler.jit import Task, inner
from .formulas.activations import ACTIVATIONS
from .formulas.curvatures import ACTIVATION_CURVATURES
from .simd.intrinsics import load_part, store_part, width
from .simd.view import View, moved

_GAP = ACTIVATIONS["softplus"]
_gap, _slope = inner(_GAP.function), inner(_GAP.derivative)
_bend = inner(ACTIVATION_CURVATURES[_GAP.name])


@inner
def _running_sums(columns, y):
    """Replace each number of a row by the sum up to it."""
    total = 0.0
    for j in range(columns):
        total += y[j]
        y[j] = total


@inner
def _times_slopes(columns, x, y):
    """Multiply all numbers of the row Y but the first by the slope at the row X."""
    first = y[0]
    for j in range(0, columns, width(x)):
        left = columns - j
        store_part(y + j, load_part(y + j, left) * _slope(load_part(x + j, left), 0.0), left)
    y[0] = first


@inner
def ascending_rows(alpha, rows, columns, z, a):
    """Write A of rows of Z; A may be Z."""
    for i in range(rows):
        x, y = moved(z, i, 0).first, moved(a, i, 0).first
        first = x[0]
        for j in range(0, columns, width(z)):
            left = columns - j
            store_part(y + j, _gap(load_part(x + j, left), 0.0), left)
        y[0] = first
        _running_sums(columns, y)


@inner
def ascending_deltas(alpha, rows, columns, z, d):
    """Turn dL/dA of rows into dL/dZ."""
    for i in range(rows):
        x, y = moved(z, i, 0).first, moved(d, i, 0).first
        total = 0.0
        for j in range(columns - 1, -1, -1):
            total += y[j]
            y[j] = total
        _times_slopes(columns, x, y)


@inner
def ascending_tangents(alpha, rows, columns, z, t):
    """Turn the tangent of Z into that of A: the Jacobian is not symmetric, as softmax's is."""
    for i in range(rows):
        x, y = moved(z, i, 0).first, moved(t, i, 0).first
        _times_slopes(columns, x, y)
        _running_sums(columns, y)


def row_curve_types(kind):
    """Return the types of what adds a curve: rows, columns, what is kept, RA, RZ, U and RU."""
    return types.intp, types.intp, *[View(kind)] * 5


@Task.taking(row_curve_types)
def ascending_curve(rows, columns, z, ra, rz, u, t):
    """Add ``softplus''(z_j) rz_j sum_(k >= j) u_k`` to each row of T, not to the first number."""
    for i in range(rows):
        x, moves = moved(z, i, 0).first, moved(rz, i, 0).first
        up, y = moved(u, i, 0).first, moved(t, i, 0).first
        for j in range(0, columns, width(z)):
            left = columns - j
            bent = load_part(moves + j, left) * _bend(load_part(x + j, left), 0.0)
            store_part(moves + j, bent, left)
        total = 0.0
        for j in range(columns - 1, 0, -1):
            total += up[j]
            y[j] = y[j] + total * moves[j]
