"""Forward and backward pass of one batch, over a plan of `records`.

A step is two parallel regions. In the first each thread takes some rows of the
batch all the way: gather, forward, output delta, hidden deltas. In the second
each takes some rows of every weight matrix: gradient, update, transposition for
the next step's ``D W^T``. Every element of a result is summed by one thread in
one order, so its bits do not depend on the number of threads.
"""

from numba import prange

from ..activation import activate_rows
from ..compiler.jit import inner, kernel, task
from ..dropout import drop_row
from ..formulas.activations import RELU
from ..hadamard import derivative_rows
from ..loss import loss_rows
from ..outer import column_sums, outer_rows
from ..random import DROPOUT, key_of, stream
from ..simd.dispatch import by_address
from ..simd.gemm import NO_GATE, RELU_GATE, SCRATCH_FLOATS, gemm, tiles_of
from ..simd.intrinsics import (
    address_of,
    integers_at,
    item_bytes,
    pointer,
    pointer_at,
    short_integers_at,
    width,
)
from ..simd.order import source_row
from ..simd.prefetch import set_row, start_ahead
from ..simd.reduce import row_squares
from ..simd.transpose import copy, transpose
from ..sparse_matmul import sparse_product
from ..sparse_outer import sparse_outer_rows
from ..update import corrected, update_range

# what a pass over the rows does after the forward pass
FORWARD, LOSS, TRAIN = 0, 1, 2
# what a pass over the weights does
GRADIENT, UPDATE, TRANSPOSE = 1, 2, 4


@inner
def _gather(run, like, batch, columns, lo, hi):
    """Copy rows of X into the batch."""
    x = pointer_at(like, run.x)
    for i in range(lo, hi):
        source = x + source_row(run.order, run.first + i) * run.x_row
        copy(1, columns, source, 0, batch + i * run.input_row, 0)


@inner
def _dropout_key(run, layer, i):
    """Return the key of the dropout after `layer` (0: of the input) for row `i`."""
    return stream(stream(key_of(run.seed, DROPOUT, run.step), layer), i)


@inner
def _forward_rows(layers, run, params, work, lo, hi, scratch, drop):
    """Z = A W + b, A = sigma(Z) for every layer, rows lo to hi of the batch."""
    rows, a, a_row = hi - lo, work + run.input, run.input_row
    if drop and run.input_drop > 0:
        for i in range(lo, hi):
            drop_row(_dropout_key(run, 0, i), run.input_drop, layers[0].n_in, a + i * a_row)
    for n in range(layers.size):
        layer = layers[n]
        z, out = work + layer.z + lo * layer.row, work + layer.a + lo * layer.row
        bias = params + max(layer.biases, 0)
        fused = layer.activation == RELU and layer.a == layer.z
        gate = RELU_GATE if fused else NO_GATE
        if n == 0 and run.columns != 0:
            sparse_product(
                pointer_at(work, run.x), short_integers_at(run.columns), integers_at(run.starts),
                run.order, run.first + lo, rows, layer.n_out, bias, layer.biases >= 0,
                params + layer.weights, z, layer.row, gate,
            )  # fmt: skip
        else:
            gemm(
                rows, layer.n_out, layer.n_in, bias, 0 if layer.biases >= 0 else -1,
                a + lo * a_row, a_row, 1, params + layer.weights, layer.n_out, layer.n_out,
                z, layer.row, gate, scratch, 0,
            )  # fmt: skip
        if not fused:
            activate_rows(
                layer.activation, layer.alpha, rows, layer.n_out, z, layer.row, out, layer.row
            )
        a, a_row = work + layer.output, layer.row
        if layer.output != layer.a:
            copy(rows, layer.n_out, out, layer.row, a + lo * a_row, a_row)
        if drop and layer.drop > 0:
            for i in range(lo, hi):
                key = _dropout_key(run, n + 1, i)
                drop_row(key, layer.drop, layer.n_out, a + i * a_row)


@inner
def _loss_rows(layers, run, work, lo, hi):
    """Write the loss of each row and the output delta."""
    last, canonical = layers[layers.size - 1], run.canonical != 0
    rows, place, row = hi - lo, lo * last.row, last.row
    d = work + last.delta + place
    parameter = run.loss_limit if canonical else run.loss_parameter
    loss_rows(
        run.loss, parameter, canonical, run.scale, run.order, run.first + lo, rows,
        last.n_out, work + last.z + place, work + last.a + place, row,
        run.y, run.labels, run.sample_weight, work + run.row_losses + lo, d,
    )  # fmt: skip
    if not canonical:
        kept = work + last.kept + place
        derivative_rows(last.activation, last.alpha, rows, last.n_out, d, row, kept, row)


@inner
def _backward_rows(layers, run, work, lo, hi, scratch):
    """D_prev = (D W^T) . sigma'(Z_prev) for every hidden layer, rows lo to hi."""
    rows = hi - lo
    for n in range(layers.size - 1, 0, -1):
        layer, previous = layers[n], layers[n - 1]
        d = work + previous.delta + lo * previous.row
        fused = previous.activation == RELU
        gemm(
            rows, layer.n_in, layer.n_out, d, -1,
            work + layer.delta + lo * layer.row, layer.row, 1,
            work + layer.transposed, previous.row, previous.row, d, previous.row,
            previous.kept - previous.delta if fused else NO_GATE, scratch, 0,
        )  # fmt: skip
        if previous.drop > 0:
            for i in range(lo, hi):
                key = _dropout_key(run, n, i)
                drop_row(
                    key, previous.drop, previous.n_out, work + previous.delta + i * previous.row
                )
        if not fused:
            kept = work + previous.kept + lo * previous.row
            derivative_rows(
                previous.activation, previous.alpha, rows, previous.n_out,
                d, previous.row, kept, previous.row,
            )  # fmt: skip


@task
def rows_task(layers, runs, params, work, aim, number):
    """Take the rows of one task through the net: to the output, the loss, or all deltas."""
    run = runs[0]
    p, w = pointer(params), pointer(work)
    lo, hi = number * run.rows // run.tasks, (number + 1) * run.rows // run.tasks
    scratch = w + run.scratch + number * run.scratch_row
    if run.columns == 0:
        _gather(run, w, w + run.input, layers[0].n_in, lo, hi)
    _forward_rows(layers, run, p, w, lo, hi, scratch, aim == TRAIN)
    if aim >= LOSS:
        _loss_rows(layers, run, w, lo, hi)
    if aim == TRAIN:
        _backward_rows(layers, run, w, lo, hi, scratch)


# calls `rows_task`, which is above, by its address in the run: all kernels share its machine code
run_rows_task = by_address(rows_task)


@kernel
def pass_over_rows(layers, runs, params, work, aim):
    """Run the rows of a batch through the net, some rows a task.

    `aim` is FORWARD, LOSS or TRAIN. Dropout acts only in training.
    """
    for number in prange(runs[0].tasks):
        run_rows_task(runs[0].rows_task, layers, runs, params, work, aim, number)


@inner
def _ask_ahead(layer, run, work, weight_rows, number):
    """Return the `ahead` of the rows that this task will gather next, or 0 where they are near."""
    start = run.first + run.rows
    count = min(run.rows, run.end - start)
    if run.ahead < 0 or count <= 0:
        return 0
    ahead, size = address_of(work + run.ahead + number * run.ahead_row), item_bytes(work)
    lo, hi = number * count // run.tasks, (number + 1) * count // run.tasks
    tiles = tiles_of(weight_rows, layer.n_out, width(work))
    start_ahead(ahead, hi - lo, layer.n_in * size, tiles)
    for i in range(lo, hi):
        set_row(ahead, i - lo, run.x + source_row(run.order, start + i) * run.x_row * size)
    return ahead


@inner
def _gradient_part(layer, run, work, a, a_row, lo, hi, g, biases, scratch, ahead):
    """G_W = A^T D for rows lo to hi of W to `g`, and G_b to `biases`."""
    d, d_row = work + layer.delta, layer.row
    outer_rows(
        lo, hi, run.rows, layer.n_out, a, a_row, 1, d, d_row, d_row, g, scratch, ahead
    )  # fmt: skip
    _bias_part(layer, run, work, hi, biases)


@inner
def _sparse_gradient_part(layer, run, work, lo, hi, begins, number, g, biases):
    """G_W = X^T D for rows lo to hi of W to `g`, of sparse X, and G_b to `biases`."""
    cursors = address_of(work + run.cursors + number * run.ahead_row)
    sparse_outer_rows(
        pointer_at(work, run.x), short_integers_at(run.columns), integers_at(run.starts),
        run.order, run.first, run.rows, lo, hi, begins, integers_at(cursors),
        layer.n_out, work + layer.delta, layer.row, g,
    )  # fmt: skip
    _bias_part(layer, run, work, hi, biases)


@inner
def _bias_part(layer, run, work, hi, biases):
    """G_b to `biases`, with the last rows of W."""
    if hi == layer.n_in and layer.biases >= 0:
        column_sums(run.rows, layer.n_out, work + layer.delta, layer.row, biases)


@inner
def _update_part(layer, run, rate, epsilon, params, moments, second, lo, hi, g, biases):
    """W = W - rate ... for rows lo to hi of W from `g`, and for b from `biases`."""
    place, count = layer.weights + lo * layer.n_out, (hi - lo) * layer.n_out
    update_range(
        run.optimizer, count, params + place, g, moments + place,
        moments + second + place, run.rate, run.decay, rate, run.beta1, run.beta2, epsilon,
        run.l1, run.l2, run.clip,
    )  # fmt: skip
    if hi == layer.n_in and layer.biases >= 0:
        place = layer.biases
        update_range(
            run.optimizer, layer.n_out, params + place, biases, moments + place,
            moments + second + place, run.rate, 0.0, rate, run.beta1, run.beta2, epsilon,
            0.0, 0.0, run.clip,
        )  # fmt: skip


@task
def weights_task(layers, runs, params, grads, moments, work, aims, number):
    """Gradient, update and transposition, as `aims` asks, of one task's rows of every W.

    With the transposition go the sums of squares of the rows, for the penalty of the next step.

    A gradient that is applied at once is not kept: block by block it passes through the cache.
    """
    run, tasks, in_passing = runs[0], runs[0].tasks, aims & GRADIENT and aims & UPDATE
    p, g, m, w = pointer(params), pointer(grads), pointer(moments), pointer(work)
    scratch = w + run.scratch + number * run.scratch_row
    block = scratch + SCRATCH_FLOATS
    rate, epsilon = run.rate, run.epsilon
    if aims & UPDATE:
        rate, epsilon = corrected(run.corrects, rate, run.beta1, run.beta2, epsilon, run.step + 1)
    a, a_row = w + run.input, run.input_row
    for n in range(layers.size):
        layer = layers[n]
        first, end = number * layer.n_in // tasks, (number + 1) * layer.n_in // tasks
        ahead = 0
        if aims & GRADIENT and n == 0:
            ahead = _ask_ahead(layer, run, w, end - first, number)
        for lo in range(first, end, layer.block_rows):
            hi = min(lo + layer.block_rows, end)
            place = layer.weights + lo * layer.n_out
            part, biases = g + place, g + layer.biases
            if in_passing:
                part, biases = block, block + (hi - lo) * layer.n_out
            if aims & GRADIENT and n == 0 and run.columns != 0:
                _sparse_gradient_part(layer, run, w, lo, hi, lo == first, number, part, biases)
            elif aims & GRADIENT:
                _gradient_part(layer, run, w, a, a_row, lo, hi, part, biases, scratch, ahead)
            if aims & UPDATE:
                _update_part(layer, run, rate, epsilon, p, m, params.size, lo, hi, part, biases)
            if aims & TRANSPOSE and run.penalty > 0:
                row_squares(hi - lo, layer.n_out, p + place, layer.n_out, w + layer.squares + lo)
            if aims & TRANSPOSE and layer.transposed >= 0:
                target, t_row = w + layer.transposed + lo, layers[n - 1].row
                transpose(hi - lo, layer.n_out, p + place, layer.n_out, target, t_row)
        a, a_row = w + layer.output, layer.row


# calls `weights_task`, which is above, by its address in the run
run_weights_task = by_address(weights_task)


@kernel
def pass_over_weights(layers, runs, params, grads, moments, work, aims):
    """Compute gradients, update parameters, transpose weights: any of the three.

    `aims` adds GRADIENT, UPDATE and TRANSPOSE. Each task takes its rows of every
    weight matrix, so that what one aim writes the next finds in the cache.
    """
    for number in prange(runs[0].tasks):
        run_weights_task(
            runs[0].weights_task, layers, runs, params, grads, moments, work, aims, number
        )
