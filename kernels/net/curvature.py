"""Products of a direction V of the parameters with the Hessian of the mean loss, or Gauss-Newton's.

U(l-1) = D(l) W(l)^T,                 D(l-1) = U(l-1) . sigma'
RU(l-1) = RD(l) W(l)^T + D(l) V(l)^T, RD(l-1) = RU(l-1) . sigma' + U(l-1) . sigma'' . RZ(l-1)
H V = RA(l-1)^T D(l) + A(l-1)^T RD(l)

R is the derivative along V, and RZ and RA come from the pass of `derivatives.tangent_rows`. At the
output RU = w / sum w . d2L/da2 . RA. Of a canonical pair that is RD, with 1 for d2L/da2, as D is
a - y there. Gauss-Newton's product is ``J^T (d2L/da2) J V``: one backward pass from that RU.

References: Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6, 1994;
Schraudolph, Fast curvature matrix-vector products, Neural Computation 14, 2002.
"""

from numba import types

from ..compiler.jit import Task, inner
from ..formulas.ascending import ascending_curve, row_curve_types
from ..formulas.curvatures import ACTIVATION_CURVATURES, LOSS_CURVATURES
from ..loss import FROM_OUTPUTS, loss_rows
from ..simd.dispatch import block_loops, by_address, row_loops
from ..simd.gemm import NO_GATE, SCRATCH_FLOATS, run_gemm
from ..simd.intrinsics import fma, keep_first, lane_sum, load_part, pointer, store_part, width
from ..simd.view import matrix, moved
from .derivatives import (
    add_outer,
    add_sums,
    backward_from,
    gate_of,
    part_types,
    rows_at,
    rows_of_part,
    scratch_of,
    tangent_rows,
    times_slope,
)
from .passes import FORWARD, array_types, run_rows_task, start_of_part

# T = T . sigma'' of a block, from what the activation keeps; none where that is 0
CURVES = block_loops(
    "curve", {name: each for name, each in ACTIVATION_CURVATURES.items() if each}, scale=True
)
# Y[r] = d2L/da2 times a factor per row, from A, Y and the parameter
LOSS_CURVES = row_loops("loss_curve", LOSS_CURVATURES)
_curve = by_address(CURVES["tanh"])


def curve_of(name, canonical, dtype):
    """Return the address of the loop of d2L/da2, or 1 of a canonical pair."""
    return LOSS_CURVES["squared_error" if canonical else name].address(dtype)


@Task.taking(lambda kind: (*array_types(kind, 1), *[types.intp] * 4))
def slopes_task(layers, runs, work, slope, target, lo, hi):
    """Write ``w / sum w`` times what the loop `slope` makes of rows of outputs to `target`."""
    run, last = runs[0], layers[layers.size - 1]
    z, a = rows_at(work, last.z, last.row, lo), rows_at(work, last.a, last.row, lo)
    d = rows_at(work, target, last.row, lo)
    from_outputs = run.loss_source == FROM_OUTPUTS
    parameter = run.loss_parameter if from_outputs else run.loss_limit
    loops = (run.loss_source, run.loss_value, slope, run.weighted_rows)
    rule = (parameter, run.loss_levels, run.scale)
    data = (run.order, run.y, run.labels, run.sample_weight, run.output_weight)
    losses = pointer(work) + run.row_losses + lo
    loss_rows(loops, rule, data, run.first + lo, hi - lo, last.n_out, z, a, losses, d)


_run_slopes = by_address(slopes_task)


@inner
def _multiply(rows, columns, s, t):
    """Write ``T = T . S``, S and T (rows, columns)."""
    for i in range(rows):
        x, y = moved(s, i, 0).first, moved(t, i, 0).first
        for j in range(0, columns, width(s)):
            left = columns - j
            store_part(y + j, load_part(x + j, left) * load_part(y + j, left), left)


@inner
def _add_products(rows, columns, u, s, t):
    """Write ``T = T + U . S``, all (rows, columns)."""
    for i in range(rows):
        x, y, z = moved(u, i, 0).first, moved(s, i, 0).first, moved(t, i, 0).first
        for j in range(0, columns, width(s)):
            left = columns - j
            total = fma(load_part(x + j, left), load_part(y + j, left), load_part(z + j, left))
            store_part(z + j, total, left)


@inner
def _product_of_rows(columns, x, y):
    """Return the sum of the products of two rows at pointers."""
    total = 0.0
    for j in range(0, columns, width(x)):
        left = columns - j
        total += lane_sum(keep_first(load_part(x + j, left) * load_part(y + j, left), left, 0.0))
    return total


@Task.taking(row_curve_types)
def _softmax_curve(rows, columns, a, ra, rz, u, t):
    """Add ``ra_j (u_j - sum_k u_k a_k) - a_j sum_k u_k ra_k`` to each row of T."""
    for i in range(rows):
        p, q = moved(a, i, 0).first, moved(ra, i, 0).first
        x, y = moved(u, i, 0).first, moved(t, i, 0).first
        level, change = _product_of_rows(columns, x, p), _product_of_rows(columns, x, q)
        for j in range(0, columns, width(a)):
            left = columns - j
            part = load_part(q + j, left) * (load_part(x + j, left) - level)
            part = part - load_part(p + j, left) * change
            store_part(y + j, load_part(y + j, left) + part, left)


# T = T + what the change of a row's Jacobian makes of U, of activations of whole rows
ROW_CURVES = {"softmax": _softmax_curve, "ascending": ascending_curve}
_row_curve = by_address(_softmax_curve)


@inner
def _bend(layer, place, work, lo, hi):
    """Turn U and RU into D and RD, rows lo to hi; RZ is overwritten."""
    rows, columns, row = hi - lo, layer.n_out, layer.row
    u, t = rows_at(work, layer.delta, row, lo), rows_at(work, place.tangent_delta, row, lo)
    kept, rz = rows_at(work, layer.kept, row, lo), rows_at(work, place.tangent_z, row, lo)
    times_slope(layer, place, work, place.tangent_delta, lo, hi)
    if place.row_curve != 0:
        ra = rows_at(work, place.tangent, row, lo)
        _row_curve(place.row_curve, rows, columns, kept, ra, rz, u, t)
    elif place.curve != 0:
        _curve(place.curve, layer.alpha, rows, columns, kept, rz)
        _add_products(rows, columns, u, rz, t)
    times_slope(layer, place, work, layer.delta, lo, hi)


@inner
def _curved_tangent(layers, place, job, runs, work, target, lo, hi):
    """Write ``w / sum w . d2L/da2 . RA`` of the outputs to the place `target`."""
    last = layers[layers.size - 1]
    _run_slopes(job.slopes_task, layers, runs, work, job.curve, target, lo, hi)
    ra, t = rows_at(work, place.tangent, last.row, lo), rows_at(work, target, last.row, lo)
    _multiply(hi - lo, last.n_out, ra, t)


@inner
def _backward_twice(layers, places, run, work, n, lo, hi, scratch):
    """Take D and RD of layer n to the layer before."""
    layer, previous, place = layers[n], layers[n - 1], places[n - 1]
    row, rows, n_in, n_out = places[n].turned_row, hi - lo, layers[n].n_in, layers[n].n_out
    d = rows_at(work, layer.delta, layer.row, lo)
    rd = rows_at(work, places[n].tangent_delta, layer.row, lo)
    u = rows_at(work, previous.delta, previous.row, lo)
    ru = rows_at(work, place.tangent_delta, previous.row, lo)
    w = pointer(work)
    turned, turned_v = matrix(w + places[n].turned, row), matrix(w + places[n].turned_v, row)
    zeros, gemm = matrix(w, -1), run.gemm
    gate = gate_of(previous, place, previous.delta)
    run_gemm(gemm, rows, n_in, n_out, zeros, d, turned, row, u, gate, scratch, 0)
    run_gemm(gemm, rows, n_in, n_out, zeros, rd, turned, row, ru, NO_GATE, scratch, 0)
    gate = gate_of(previous, place, place.tangent_delta)
    run_gemm(gemm, rows, n_in, n_out, ru, d, turned_v, row, ru, gate, scratch, 0)
    _bend(previous, place, work, lo, hi)


@Task.taking(part_types)
def hvp_part(layers, places, jobs, runs, params, work, out, number):
    """Run rows forward and backward with their tangents: write all D and RD."""
    run, job, n = runs[0], jobs[0], layers.size - 1
    run_rows_task(run.rows_task, layers, runs, params, work, FORWARD, number)
    lo, hi = rows_of_part(run, number)
    scratch, last, place = scratch_of(run, work, number), layers[n], places[n]
    tangent_rows(layers, places, job, run, params, work, lo, hi, scratch, True)
    _curved_tangent(layers, place, job, runs, work, place.tangent_delta, lo, hi)
    _run_slopes(job.slopes_task, layers, runs, work, job.slope, last.delta, lo, hi)
    if job.from_outputs:
        _bend(last, place, work, lo, hi)
    while n > 0:
        _backward_twice(layers, places, run, work, n, lo, hi, scratch)
        n -= 1


@Task.taking(part_types)
def hvp_sums_part(layers, places, jobs, runs, params, work, out, number):
    """Add ``A^T RD + RA^T D`` and the column sums of RD of the block to `out` (size,)."""
    run, g = runs[0], pointer(out)
    adds, scratch = jobs[0].adds != 0, scratch_of(run, work, number)
    a = ra = matrix(pointer(work) + run.input, run.input_row)
    for n in range(layers.size):
        layer, place = layers[n], places[n]
        lo = start_of_part(number, layer.n_in, run.tasks)
        hi = start_of_part(number + 1, layer.n_in, run.tasks)
        rd = rows_at(work, place.tangent_delta, layer.row, 0)
        add_outer(layer, run, lo, hi, a, rd, g, adds, scratch)
        if n > 0:
            d = rows_at(work, layer.delta, layer.row, 0)
            add_outer(layer, run, lo, hi, ra, d, g, True, scratch)
        if lo < hi and hi == layer.n_in and layer.biases >= 0:
            sums, block = g + layer.biases, scratch + SCRATCH_FLOATS
            add_sums(run.rows, layer.n_out, rd, sums, block, adds)
        a = rows_at(work, layer.output, layer.row, 0)
        ra = rows_at(work, place.tangent, layer.row, 0)


@Task.taking(part_types)
def gauss_newton_part(layers, places, jobs, runs, params, work, out, number):
    """Run rows forward with their tangents, and backward from d2L/da2 . RA of the outputs."""
    run, job, last = runs[0], jobs[0], layers[layers.size - 1]
    run_rows_task(run.rows_task, layers, runs, params, work, FORWARD, number)
    lo, hi = rows_of_part(run, number)
    scratch, place = scratch_of(run, work, number), places[layers.size - 1]
    tangent_rows(layers, places, job, run, params, work, lo, hi, scratch, True)
    _curved_tangent(layers, place, job, runs, work, last.delta, lo, hi)
    if job.from_outputs:
        times_slope(last, place, work, last.delta, lo, hi)
    backward_from(layers, places, run, work, lo, hi, scratch)
