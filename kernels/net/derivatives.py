"""Derivatives of a network in blocks of rows: backward from any delta, tangents, Jacobians.

D(l-1) = (D(l) W(l)^T) . sigma'(Z(l-1)),  dX = D(1) W(1)^T
RZ(l) = RA(l-1) W(l) + A(l-1) V(l) + v(l),  RA(l) = RZ(l) . sigma'(Z(l))

R is the derivative along a direction, of the inputs or of the parameters: V and v are the weights
and biases of that direction. A block of rows goes through the net in one pass, whose tasks share
its rows; in a second one they share the rows of each W, to add ``A^T D`` to the gradient. The size
of a block does not depend on the number of threads, and each number is summed in one order.

Reference: Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6, 1994.
"""

import numpy as np
from numba import from_dtype, prange, types

from ..compiler.jit import Task, inner, kernel
from ..hadamard import SCALE
from ..outer import column_sums
from ..simd.dispatch import by_address
from ..simd.gemm import NO_GATE, SCRATCH_FLOATS, run_gemm
from ..simd.intrinsics import broadcast, load_part, one_hot, pointer, pointer_at, store_part, width
from ..simd.transpose import copy, transpose
from ..simd.view import matrix, strided
from .loop import start_batch
from .passes import FORWARD, TRAIN, array_types, run_rows_task, start_of_part
from .samples import write_norms, write_sample

_int = np.int64

# what a layer has beside its record: places in the workspace, and addresses of loops
PLACE = np.dtype(
    [
        ("turned", _int),  # W^T (n_out, n_in)
        ("turned_row", _int),  # its row stride, and that of V^T
        ("turned_v", _int),  # V^T (n_out, n_in)
        ("tangent_z", _int),  # RZ (rows, n_out), with the row stride of Z
        ("tangent", _int),  # RA; may be RZ
        ("tangent_delta", _int),  # RD
        ("scale", _int),  # the loop that multiplies by sigma'; 0 if nothing does, or a product
        ("push", _int),  # the same of a tangent: another loop, if the Jacobian is not symmetric
        ("curve", _int),  # the loop that multiplies by sigma''; 0 if that is 0
        ("row_curve", _int),  # the loop of `curvature.ROW_CURVES` of an activation of rows, or 0
    ]
)

# what is asked for
JOB = np.dtype(
    [
        ("cotangent", _int),  # address of dL/dA (n, n_out)
        ("from_outputs", _int),  # whether the derivatives are those of or by A, else Z
        ("dx", _int),  # address of dX (n, n_in), or (n, n_out, n_in) of a Jacobian; or 0
        ("tangents", _int),  # address of the direction of X (n, n_in), or 0
        ("v", _int),  # address of the direction of the parameters, or 0
        ("slope", _int),  # addresses of the loops of dL/da and of d2L/da2
        ("curve", _int),
        ("slopes_task", _int),  # address of the machine code of `curvature.slopes_task`
        ("block", _int),  # address of a block of rows of the normal equations, and its row stride
        ("block_row", _int),
        ("adds", _int),  # whether sums go on from those of earlier blocks
    ]
)

_scale = by_address(SCALE["relu"])


def part_types(kind):
    """Return the Numba types of what a part of a pass takes."""
    layers, runs, *floats = array_types(kind, 3)
    places, jobs = (types.Array(from_dtype(each), 1, "C") for each in (PLACE, JOB))
    return layers, places, jobs, runs, *floats, types.intp


@inner
def rows_of_part(run, number):
    """Return the first row of the block that a task takes, and that after its last."""
    lo = start_of_part(number, run.rows, run.tasks)
    return lo, start_of_part(number + 1, run.rows, run.tasks)


@inner
def scratch_of(run, work, number):
    """Return the scratch of a task."""
    return pointer(work) + run.scratch + number * run.scratch_row


@inner
def rows_at(like, place, row, lo):
    """Return the view of a matrix at a place of the workspace, from row `lo` on."""
    return matrix(pointer(like) + (place + lo * row), row)


@inner
def times_slope(layer, place, work, target, lo, hi):
    """Multiply rows of the matrix at the place `target` by sigma', if no product did."""
    if place.scale != 0:
        kept, t = rows_at(work, layer.kept, layer.row, lo), rows_at(work, target, layer.row, lo)
        _scale(place.scale, layer.alpha, hi - lo, layer.n_out, kept, t)


@inner
def _push(layer, place, work, lo, hi):
    """Multiply rows of the tangent RZ, at the place of RA, by sigma', if no product did."""
    if place.push != 0:
        kept = rows_at(work, layer.kept, layer.row, lo)
        t = rows_at(work, place.tangent, layer.row, lo)
        _scale(place.push, layer.alpha, hi - lo, layer.n_out, kept, t)


@inner
def gate_of(layer, place, target):
    """Return the gate with which a product into the place `target` applies sigma' of ReLU."""
    return layer.kept - target if layer.relu and place.scale == 0 else NO_GATE


@inner
def backward_from(layers, places, run, work, lo, hi, scratch):
    """D_prev = (D W^T) . sigma'(Z_prev) for every hidden layer, from the delta of the last."""
    for n in range(layers.size - 1, 0, -1):
        layer, previous, place = layers[n], layers[n - 1], places[n - 1]
        next_d = rows_at(work, layer.delta, layer.row, lo)
        d = rows_at(work, previous.delta, previous.row, lo)
        row = places[n].turned_row
        turned = matrix(pointer(work) + places[n].turned, row)
        gate, zeros = gate_of(previous, place, previous.delta), matrix(pointer(work), -1)
        n_in, n_out = layer.n_in, layer.n_out
        run_gemm(run.gemm, hi - lo, n_in, n_out, zeros, next_d, turned, row, d, gate, scratch, 0)
        times_slope(previous, place, work, previous.delta, lo, hi)


@inner
def to_inputs(layers, places, run, work, lo, hi, target, scratch):
    """Write ``dX = D W^T`` of the first layer, rows lo to hi, to the view `target`."""
    layer, row = layers[0], places[0].turned_row
    turned, zeros = matrix(pointer(work) + places[0].turned, row), matrix(pointer(work), -1)
    d = rows_at(work, layer.delta, layer.row, lo)
    n_in, n_out = layer.n_in, layer.n_out
    gemm = run.gemm
    run_gemm(gemm, hi - lo, n_in, n_out, zeros, d, turned, row, target, NO_GATE, scratch, 0)


@inner
def gradient_of_inputs(layers, places, jobs, run, work, lo, hi, scratch):
    """Write dX of rows lo to hi to where the job wants it, if it does."""
    n_in = layers[0].n_in
    if jobs[0].dx != 0:
        dx = pointer_at(pointer(work), jobs[0].dx) + (run.first + lo) * n_in
        to_inputs(layers, places, run, work, lo, hi, matrix(dx, n_in), scratch)


@inner
def tangent_rows(layers, places, job, run, params, work, lo, hi, scratch, to_outputs):
    """RZ = RA_prev W + A_prev V + v, RA = RZ . sigma'(Z), rows lo to hi of the block.

    Unless it goes `to_outputs`, RA of the last layer is RZ.
    """
    p, w = pointer(params), pointer(work)
    v, rows, n_in = pointer_at(w, job.v), hi - lo, layers[0].n_in
    a = rows_at(work, run.input, run.input_row, lo)
    t = matrix(pointer_at(w, job.tangents) + (run.first + lo) * n_in, n_in)
    for n in range(layers.size):
        layer, place = layers[n], places[n]
        rz = rows_at(work, place.tangent_z, layer.row, lo)
        gate, start = gate_of(layer, place, place.tangent_z), matrix(w, -1)
        moves = n > 0 or job.tangents != 0  # whether the inputs of the layer have a tangent
        n_in, n_out = layer.n_in, layer.n_out
        if job.v != 0:
            start = matrix(v + max(layer.biases, 0), 0 if layer.biases >= 0 else -1)
            first_gate = NO_GATE if moves else gate
            b = matrix(v + layer.weights, n_out)
            run_gemm(run.gemm, rows, n_out, n_in, start, a, b, n_out, rz, first_gate, scratch, 0)
            start = rz
        if moves:
            b = matrix(p + layer.weights, n_out)
            run_gemm(run.gemm, rows, n_out, n_in, start, t, b, n_out, rz, gate, scratch, 0)
        t = rows_at(work, place.tangent, layer.row, lo)
        if place.tangent != place.tangent_z:
            copy(rows, n_out, rz, t)
        if to_outputs or n < layers.size - 1:
            _push(layer, place, work, lo, hi)
        a = rows_at(work, layer.output, layer.row, lo)


@Task.taking(part_types)
def turn_part(layers, places, jobs, runs, params, work, out, number):
    """Transpose a task's rows of every W, and of every V where there is a place for it."""
    run = runs[0]
    for n in range(layers.size):
        layer, place = layers[n], places[n]
        lo = start_of_part(number, layer.n_in, run.tasks)
        rows = start_of_part(number + 1, layer.n_in, run.tasks) - lo
        first = layer.weights + lo * layer.n_out
        turned = matrix(pointer(work) + place.turned + lo, place.turned_row)
        transpose(rows, layer.n_out, matrix(pointer(params) + first, layer.n_out), turned)
        if place.turned_v >= 0 and jobs[0].v != 0:
            v = pointer_at(pointer(params), jobs[0].v) + first
            turned = matrix(pointer(work) + place.turned_v + lo, place.turned_row)
            transpose(rows, layer.n_out, matrix(v, layer.n_out), turned)


@Task.taking(part_types)
def vjp_part(layers, places, jobs, runs, params, work, out, number):
    """Run rows forward, and backward from the cotangent of their outputs."""
    run, job, last = runs[0], jobs[0], layers[layers.size - 1]
    run_rows_task(run.rows_task, layers, runs, params, work, FORWARD, number)
    lo, hi = rows_of_part(run, number)
    given = pointer_at(pointer(work), job.cotangent) + (run.first + lo) * last.n_out
    copy(hi - lo, last.n_out, matrix(given, last.n_out), rows_at(work, last.delta, last.row, lo))
    if job.from_outputs:
        times_slope(last, places[layers.size - 1], work, last.delta, lo, hi)
    scratch = scratch_of(run, work, number)
    backward_from(layers, places, run, work, lo, hi, scratch)
    gradient_of_inputs(layers, places, jobs, run, work, lo, hi, scratch)


@Task.taking(part_types)
def loss_part(layers, places, jobs, runs, params, work, out, number):
    """Run rows forward, and backward from the loss, to the inputs."""
    run = runs[0]
    run_rows_task(run.rows_task, layers, runs, params, work, TRAIN, number)
    lo, hi = rows_of_part(run, number)
    scratch = scratch_of(run, work, number)
    gradient_of_inputs(layers, places, jobs, run, work, lo, hi, scratch)


@Task.taking(part_types)
def jacobian_part(layers, places, jobs, runs, params, work, out, number):
    """Run rows forward once, and backward from each output.

    Write the derivatives to dX (n, n_out, n_in), or by the parameters to `out` (n, n_out, size).
    """
    run, job, last = runs[0], jobs[0], layers[layers.size - 1]
    run_rows_task(run.rows_task, layers, runs, params, work, FORWARD, number)
    lo, hi = rows_of_part(run, number)
    scratch, n_in, outputs = scratch_of(run, work, number), layers[0].n_in, last.n_out
    for k in range(outputs):
        for i in range(lo, hi):
            d = pointer(work) + last.delta + i * last.row
            for j in range(0, outputs, width(d)):
                store_part(d + j, one_hot(d, k - j), outputs - j)
        if job.from_outputs:
            times_slope(last, places[layers.size - 1], work, last.delta, lo, hi)
        backward_from(layers, places, run, work, lo, hi, scratch)
        if job.dx != 0:
            place = ((run.first + lo) * outputs + k) * n_in
            target = matrix(pointer_at(pointer(work), job.dx) + place, outputs * n_in)
            to_inputs(layers, places, run, work, lo, hi, target, scratch)
        else:
            for i in range(lo, hi):
                row = pointer(out) + ((run.first + i) * outputs + k) * params.size
                write_sample(layers, run, pointer(work), i, row)


@Task.taking(part_types)
def samples_part(layers, places, jobs, runs, params, work, out, number):
    """Write the gradient of the loss of each row to `out` (n, size)."""
    run = runs[0]
    run_rows_task(run.rows_task, layers, runs, params, work, TRAIN, number)
    lo, hi = rows_of_part(run, number)
    for i in range(lo, hi):
        row = pointer(out) + (run.first + i) * params.size
        write_sample(layers, run, pointer(work), i, row)


@Task.taking(part_types)
def norms_part(layers, places, jobs, runs, params, work, out, number):
    """Write the norm of the gradient of the loss of each row to `out` (n,)."""
    run = runs[0]
    run_rows_task(run.rows_task, layers, runs, params, work, TRAIN, number)
    lo, hi = rows_of_part(run, number)
    norms, scratch = pointer(out) + run.first, scratch_of(run, work, number)
    write_norms(layers, run, pointer(work), lo, hi, scratch, norms)


@Task.taking(part_types)
def jvp_part(layers, places, jobs, runs, params, work, out, number):
    """Run rows forward with their tangent; write that of the outputs to `out` (n, n_out)."""
    run, job, last = runs[0], jobs[0], layers[layers.size - 1]
    run_rows_task(run.rows_task, layers, runs, params, work, FORWARD, number)
    lo, hi = rows_of_part(run, number)
    scratch = scratch_of(run, work, number)
    of_outputs = job.from_outputs != 0
    tangent_rows(layers, places, job, run, params, work, lo, hi, scratch, of_outputs)
    target = matrix(pointer(out) + (run.first + lo) * last.n_out, last.n_out)
    place = places[layers.size - 1].tangent
    copy(hi - lo, last.n_out, rows_at(work, place, last.row, lo), target)


@inner
def add_sums(rows, columns, d, sums, block, adds):
    """Write the column sums of D to `sums`, or add them; `block` holds them in between."""
    column_sums(rows, columns, d, block)
    for j in range(0, columns, width(d)):
        part = load_part(block + j, columns - j)
        before = load_part(sums + j, columns - j) if adds else broadcast(d, 0.0)
        store_part(sums + j, part + before, columns - j)


@inner
def add_outer(layer, run, lo, hi, a, d, g, adds, scratch):
    """Write ``A^T D`` of the block for rows lo to hi of W to `g`, or add it."""
    turned = strided(a.first + lo * a.column, a.column, a.row)
    target = matrix(g + layer.weights + lo * layer.n_out, layer.n_out)
    start = target if adds else matrix(g, -1)
    columns = layer.n_out
    gemm = run.gemm
    run_gemm(
        gemm, hi - lo, columns, run.rows, start, turned, d, columns, target, NO_GATE, scratch, 0
    )


@Task.taking(part_types)
def sums_part(layers, places, jobs, runs, params, work, out, number):
    """Add ``A^T D`` and the column sums of D of the block to the gradient `out` (size,)."""
    run, g = runs[0], pointer(out)
    adds, scratch = jobs[0].adds != 0, scratch_of(run, work, number)
    a = matrix(pointer(work) + run.input, run.input_row)
    for n in range(layers.size):
        layer = layers[n]
        lo = start_of_part(number, layer.n_in, run.tasks)
        hi = start_of_part(number + 1, layer.n_in, run.tasks)
        d = matrix(pointer(work) + layer.delta, layer.row)
        add_outer(layer, run, lo, hi, a, d, g, adds, scratch)
        if lo < hi and hi == layer.n_in and layer.biases >= 0:
            sums, block = g + layer.biases, scratch + SCRATCH_FLOATS
            add_sums(run.rows, layer.n_out, d, sums, block, adds)
        a = matrix(pointer(work) + layer.output, layer.row)


# calls a part, as those above, by its address
_run_part = by_address(vjp_part)


@kernel
def over_tasks(part, layers, places, jobs, runs, params, work, out):
    """Run the part at an address, as `vjp_part`, on each task."""
    for number in prange(runs[0].tasks):
        _run_part(part, layers, places, jobs, runs, params, work, out, number)


@kernel
def derive(
    turn, over_rows, over_weights, layers, places, jobs, runs, params, work, out, sums, count, batch
):
    """Run parts at addresses over `count` rows, in blocks of `batch`.

    `turn` runs once before, if it is not 0; `over_rows` writes to `out`; `over_weights`, if it is
    not 0, adds to `sums`.
    """
    if turn != 0:
        over_tasks(turn, layers, places, jobs, runs, params, work, out)
    for first in range(0, count, batch):
        start_batch(runs, first, min(batch, count - first))
        over_tasks(over_rows, layers, places, jobs, runs, params, work, out)
        if over_weights != 0:
            over_tasks(over_weights, layers, places, jobs, runs, params, work, sums)
            jobs[0].adds = 1
