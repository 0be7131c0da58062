"""Forward and backward pass of one batch, over a plan of `records`.

A step has two parts. In the first, each thread takes some rows of the batch through all
layers: gather, forward, output delta, hidden deltas. In the second, each thread takes some
rows of every weight matrix: gradient, update, transposition for the next step's ``D W^T``.
One thread sums each element of a result, in a fixed order, so its bits do not depend on the
number of threads.
"""

from numba import from_dtype, prange, types

from ..activation import ACTIVATE
from ..compiler.jit import Task, inner, kernel
from ..hadamard import SCALE
from ..loss import FROM_OUTPUTS, loss_rows
from ..outer import column_sums, outer_rows
from ..ramp_matmul import run_ramp_product
from ..ramp_outer import column_of, run_ramp_outer
from ..simd.dispatch import by_address
from ..simd.gemm import FEW_ROWS, NO_GATE, RELU_GATE, SCRATCH_FLOATS, run_gemm, tiles_of
from ..simd.intrinsics import (
    address_of,
    broadcast,
    integers_at,
    item_bytes,
    pointer,
    pointer_at,
    store_part,
    width,
)
from ..simd.order import source_row
from ..simd.prefetch import set_row, start_ahead
from ..simd.reduce import row_squares
from ..simd.transpose import copy, transpose
from ..simd.view import matrix, moved
from ..sparse_matmul import run_product
from ..sparse_outer import run_outer
from ..update import corrected, run_update
from .masks import drop_deltas, drop_inputs, drop_outputs, sparse_inputs
from .projection import run_project
from .records import LAYER, RUN
from .samples import clip_samples

# each calls a loop by its address in the layer: machine code that all kernels share, and that is
# compiled when it is first used
_activate, _scale = by_address(ACTIVATE["relu"]), by_address(SCALE["relu"])
_clip_samples = by_address(clip_samples)

# the aims of a pass over the rows: the outputs, with dropout or without, the losses too, all
# deltas too
DROPPED, FORWARD, LOSS, TRAIN = -1, 0, 1, 2
# the aims of a pass over the weights, which add up
GRADIENT, UPDATE, TRANSPOSE = 1, 2, 4


@inner
def _gather(run, like, batch, columns, lo, hi):
    """Copy rows lo to hi of the batch, `columns` long, from X."""
    x = pointer_at(like, run.x)
    for i in range(lo, hi):
        source = matrix(x + source_row(run.order, run.first + i) * run.x_row, 0)
        copy(1, columns, source, moved(batch, i, 0))


@inner
def _forward_rows(layers, run, params, work, lo, hi, scratch, drop):
    """Z = A W + b, A = sigma(Z) for every layer, rows lo to hi of the batch."""
    rows = hi - lo
    a = matrix(work + run.input, run.input_row)
    if drop and run.input_drop > 0:
        drop_inputs(run, work, layers[0].n_in, lo, hi, a)
    for n in range(layers.size):
        layer = layers[n]
        x = moved(a, lo, 0)
        z = moved(matrix(work + layer.z, layer.row), lo, 0)
        out = moved(matrix(work + layer.a, layer.row), lo, 0)
        start = matrix(params + max(layer.biases, 0), 0 if layer.biases >= 0 else -1)
        w = matrix(params + layer.weights, layer.n_out)
        gate = RELU_GATE if layer.relu and layer.activate == 0 else NO_GATE
        if n == 0 and run.ramps != 0:
            layout, n_out = (run.x_row, run.ramps, run.ramp_height), layer.n_out
            run_ramp_product(run.ramp_product, rows, n_out, layout, start, x, w, z, gate, scratch)
        elif n == 0 and run.columns != 0:
            first = run.first + lo
            X = sparse_inputs(run, work, lo, drop)
            n_out, product = layer.n_out, run.sparse_product
            run_product(product, X, run.order, first, rows, n_out, start, w.first, z, gate)
        else:
            n_in, n_out = layer.n_in, layer.n_out
            run_gemm(run.gemm, rows, n_out, n_in, start, x, w, n_out, z, gate, scratch, 0)
        if layer.activate != 0:
            _activate(layer.activate, layer.alpha, rows, layer.n_out, z, out)
        a = matrix(work + (layer.output if drop else layer.a), layer.row)
        if drop and layer.drop > 0:
            drop_outputs(layers, run, work, n, lo, hi)


@inner
def _loss_rows(layers, run, work, lo, hi):
    """Write the loss of each row and the output delta."""
    last = layers[layers.size - 1]
    loops = (run.loss_source, run.loss_value, run.loss_slope, run.weighted_rows)
    from_outputs = run.loss_source == FROM_OUTPUTS
    rows = hi - lo
    z = moved(matrix(work + last.z, last.row), lo, 0)
    a = moved(matrix(work + last.a, last.row), lo, 0)
    d = moved(matrix(work + last.delta, last.row), lo, 0)
    data = (run.order, run.y, run.labels, run.sample_weight, run.output_weight)
    first = run.first + lo
    parameter = run.loss_parameter if from_outputs else run.loss_limit
    rule = (parameter, run.loss_levels, run.scale)
    losses = work + run.row_losses + lo
    loss_rows(loops, rule, data, first, rows, last.n_out, z, a, losses, d)
    if from_outputs and last.scale != 0:
        kept = moved(matrix(work + last.kept, last.row), lo, 0)
        _scale(last.scale, last.alpha, rows, last.n_out, kept, d)


@inner
def _backward_rows(layers, run, work, lo, hi, scratch):
    """D_prev = (D W^T) . sigma'(Z_prev) for every hidden layer, rows lo to hi."""
    rows = hi - lo
    for n in range(layers.size - 1, 0, -1):
        layer, previous = layers[n], layers[n - 1]
        row = previous.row
        deltas = matrix(work + previous.delta, row)
        d = moved(deltas, lo, 0)
        zeros = matrix(work, -1)
        next_d = moved(matrix(work + layer.delta, layer.row), lo, 0)
        turned = matrix(work + layer.transposed, row)
        gate = previous.kept - previous.delta if previous.relu else NO_GATE
        n_in, n_out = layer.n_in, layer.n_out
        run_gemm(run.gemm, rows, n_in, n_out, zeros, next_d, turned, row, d, gate, scratch, 0)
        if previous.drop > 0:
            drop_deltas(previous, work, lo, hi, deltas)
        if previous.scale != 0:
            kept = moved(matrix(work + previous.kept, row), lo, 0)
            _scale(previous.scale, previous.alpha, rows, previous.n_out, kept, d)


def array_types(kind, count):
    """Return the Numba types of layers, runs, and of `count` arrays of a net's floats."""
    kinds = (from_dtype(LAYER), from_dtype(RUN), *[kind] * count)
    return tuple(types.Array(each, 1, "C") for each in kinds)


@inner
def start_of_part(number, count, tasks):
    """Return the first of `count` rows that a task takes, and the one before does not.

    It is a multiple of the rows of the middle tile, which divides those of the main one:
    13 rows need one tile more than 12, and take 1.5 times as long (512 x 512, float32).
    """
    tiles = (count + FEW_ROWS - 1) // FEW_ROWS
    return min(count, (number * tiles + tasks - 1) // tasks * FEW_ROWS)


@Task.taking(lambda kind: (*array_types(kind, 2), types.intp, types.intp))
def rows_task(layers, runs, params, work, aim, number):
    """Take the rows of one task through all layers: to the output, the loss, or all deltas."""
    run = runs[0]
    p, w = pointer(params), pointer(work)
    lo = start_of_part(number, run.rows, run.tasks)
    hi = start_of_part(number + 1, run.rows, run.tasks)
    scratch = w + run.scratch + number * run.scratch_row
    if run.columns == 0:
        _gather(run, w, matrix(w + run.input, run.input_row), run.x_row, lo, hi)
    _forward_rows(layers, run, p, w, lo, hi, scratch, aim in (TRAIN, DROPPED))
    if aim >= LOSS:
        _loss_rows(layers, run, w, lo, hi)
    if aim == TRAIN:
        _backward_rows(layers, run, w, lo, hi, scratch)
        if run.clip_samples != 0:
            _clip_samples(run.clip_samples, layers, runs, work, lo, hi, number)


# calls `rows_task`, which is above, by its address in the run: all kernels share its machine code
run_rows_task = by_address(rows_task)


@kernel
def pass_over_rows(layers, runs, params, work, aim):
    """Run the rows of a batch through the net, divided among the tasks.

    `aim` is DROPPED, FORWARD, LOSS or TRAIN; DROPPED and TRAIN have dropout.
    """
    for number in prange(runs[0].tasks):
        run_rows_task(runs[0].rows_task, layers, runs, params, work, aim, number)


@inner
def _ask_ahead(layer, run, work, weight_rows, number):
    """Return the list of rows to prefetch: those the task gathers next; 0 if the data is small."""
    start = run.first + run.rows
    count = min(run.rows, run.end - start)
    if run.ahead < 0 or count <= 0:
        return 0
    ahead = address_of(work + run.ahead + number * run.ahead_row)
    size = item_bytes(work)
    lo, hi = start_of_part(number, count, run.tasks), start_of_part(number + 1, count, run.tasks)
    tiles = tiles_of(weight_rows, layer.n_out, width(work))
    start_ahead(ahead, hi - lo, layer.n_in * size, tiles)
    for i in range(lo, hi):
        set_row(ahead, i - lo, run.x + source_row(run.order, start + i) * run.x_row * size)
    return ahead


@inner
def _gradient_part(layer, run, work, a, lo, hi, g, biases, scratch, ahead):
    """G_W = A^T D for rows lo to hi of W to `g`, and G_b to `biases`."""
    d = matrix(work + layer.delta, layer.row)
    outer_rows(run.gemm, lo, hi, run.rows, layer.n_out, a, d, layer.row, g, scratch, ahead)
    _bias_part(layer, run, d, hi, biases)


@inner
def _sparse_gradient_part(layer, run, work, lo, hi, begins, number, g, biases):
    """G_W = X^T D for rows lo to hi of W to `g`, of sparse X, and G_b to `biases`."""
    cursors = integers_at(address_of(work + run.cursors + number * run.ahead_row))
    d = matrix(work + layer.delta, layer.row)
    X = sparse_inputs(run, work, 0, True)
    batch, n_out = (run.order, run.first, run.rows), layer.n_out
    run_outer(run.sparse_outer, X, batch, lo, hi, begins, cursors, n_out, d, g)
    _bias_part(layer, run, d, hi, biases)


@inner
def _ramp_gradient_part(layer, run, work, a, lo, hi, number, g, biases):
    """G_W = X^T D for rows lo to hi of W to `g`, of X with ramps, and G_b to `biases`."""
    starts, d = integers_at(run.ramps), matrix(work + layer.delta, layer.row)
    first, end = column_of(starts, run.x_row, lo), column_of(starts, run.x_row, hi)
    layout, n_out = (run.ramps, run.ramp_height), layer.n_out
    places = address_of(work + run.cursors + number * run.ahead_row)
    run_ramp_outer(run.ramp_outer, run.rows, first, end, n_out, layout, a, d, g, places)
    _bias_part(layer, run, d, hi, biases)


@inner
def _end_of_part(run, n, row):
    """Return the last row of W up to `row` that a part of layer n may end at: not among ramps."""
    if n > 0 or run.ramps == 0:
        return row
    starts = integers_at(run.ramps)
    return starts[column_of(starts, run.x_row, row)]


@inner
def _bias_part(layer, run, d, hi, biases):
    """G_b to `biases`, with the last rows of W."""
    if hi == layer.n_in and layer.biases >= 0:
        column_sums(run.rows, layer.n_out, d, biases)


@inner
def _no_gradient(layer, lo, hi, g, biases):
    """Write zeros for rows lo to hi of W to `g`, and for b, of a layer that is not trained."""
    _zeros((hi - lo) * layer.n_out, g)
    if hi == layer.n_in and layer.biases >= 0:
        _zeros(layer.n_out, biases)


@inner
def _zeros(count, g):
    for i in range(0, count, width(g)):
        store_part(g + i, broadcast(g, 0.0), count - i)


@inner
def _update_part(layer, run, rate, epsilon, params, moments, second, lo, hi, g, biases):
    """W = W - rate ... for rows lo to hi of W from `g`, and for b from `biases`."""
    place, count = layer.weights + lo * layer.n_out, (hi - lo) * layer.n_out
    m, beta1, beta2 = moments + place, run.beta1, run.beta2
    numbers = (run.rate, run.decay, rate, beta1, beta2, epsilon, run.l1, run.l2, run.clip)
    run_update(run.update, count, params + place, g, m, m + second, numbers)
    if hi == layer.n_in and layer.biases >= 0:  # with the last rows of W, without penalties
        b, m = params + layer.biases, moments + layer.biases
        numbers = (run.rate, 0.0, rate, beta1, beta2, epsilon, 0.0, 0.0, run.clip)
        run_update(run.update, layer.n_out, b, biases, m, m + second, numbers)


@Task.taking(lambda kind: (*array_types(kind, 4), types.intp, types.intp))
def weights_task(layers, runs, params, grads, moments, work, aims, number):
    """Compute gradient, update and transposition, as in `aims`, of one task's rows of every W.

    The transposition includes the sums of squares of the rows, for the penalty of the next step.
    A gradient that is applied at once is not stored: each block stays in the cache.
    """
    run, tasks, in_passing = runs[0], runs[0].tasks, aims & GRADIENT and aims & UPDATE
    p, g, m, w = pointer(params), pointer(grads), pointer(moments), pointer(work)
    scratch = w + run.scratch + number * run.scratch_row
    block = scratch + SCRATCH_FLOATS
    rate, epsilon = run.rate, run.epsilon
    if aims & UPDATE:
        rate, epsilon = corrected(run.corrects, rate, run.beta1, run.beta2, epsilon, run.step + 1)
    a = matrix(w + run.input, run.input_row)
    for n in range(layers.size):
        layer = layers[n]
        own = aims & TRANSPOSE if layer.frozen != 0 else aims
        first = _end_of_part(run, n, start_of_part(number, layer.n_in, tasks))
        end = _end_of_part(run, n, start_of_part(number + 1, layer.n_in, tasks))
        ahead = 0
        if own & GRADIENT and n == 0:
            ahead = _ask_ahead(layer, run, w, end - first, number)
        lo = first
        while lo < end:
            hi = min(_end_of_part(run, n, min(lo + layer.block_rows, layer.n_in)), end)
            place = layer.weights + lo * layer.n_out
            part, biases = g + place, g + layer.biases
            if in_passing:
                part, biases = block, block + (hi - lo) * layer.n_out
            if own & GRADIENT and n == 0 and run.ramps != 0:
                _ramp_gradient_part(layer, run, w, a, lo, hi, number, part, biases)
            elif own & GRADIENT and n == 0 and run.columns != 0:
                _sparse_gradient_part(layer, run, w, lo, hi, lo == first, number, part, biases)
            elif own & GRADIENT:
                _gradient_part(layer, run, w, a, lo, hi, part, biases, scratch, ahead)
            elif aims & GRADIENT and not in_passing:
                _no_gradient(layer, lo, hi, part, biases)
            if own & UPDATE:
                _update_part(layer, run, rate, epsilon, p, m, params.size, lo, hi, part, biases)
                if layer.project != 0:
                    signs = w + layer.signs + lo
                    run_project(layer.project, hi - lo, layer.n_out, p + place, signs)
            weights = matrix(p + place, layer.n_out)
            if aims & TRANSPOSE and run.penalty > 0:
                row_squares(hi - lo, layer.n_out, weights, w + layer.squares + lo)
            if aims & TRANSPOSE and layer.transposed >= 0:
                turned = matrix(w + layer.transposed + lo, layers[n - 1].row)
                transpose(hi - lo, layer.n_out, weights, turned)
            lo = hi
        a = matrix(w + layer.output, layer.row)


# calls `weights_task`, which is above, by its address in the run
run_weights_task = by_address(weights_task)


@kernel
def pass_over_weights(layers, runs, params, grads, moments, work, aims):
    """Compute gradients, update parameters and transpose weights, as in `aims`.

    `aims` is a sum of GRADIENT, UPDATE and TRANSPOSE. Each task takes its rows of every
    weight matrix through all aims, while they are in its cache.
    """
    for number in prange(runs[0].tasks):
        run_weights_task(
            runs[0].weights_task, layers, runs, params, grads, moments, work, aims, number
        )
