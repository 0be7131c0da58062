"""The loops over mini-batches that Python calls: training, inference, and single steps.

Each runs the two passes of `passes` over the batches of a run.
"""

import numpy as np
from numba import prange, types

from ..compiler.jit import Task, inner, kernel
from ..simd.dispatch import by_address
from ..simd.intrinsics import (
    broadcast,
    doubles_at,
    fma,
    integers_at,
    load_part,
    pointer,
    store_part,
    width,
)
from ..simd.meeting import all_present, leave, meet
from ..simd.order import sample_weight, source_row
from ..simd.transpose import copy
from ..simd.view import matrix
from ..update import clip_factor
from .passes import (
    GRADIENT,
    LOSS,
    TRAIN,
    TRANSPOSE,
    UPDATE,
    array_types,
    pass_over_rows,
    pass_over_weights,
    run_rows_task,
    run_weights_task,
)


@inner
def start_batch(runs, first, rows):
    """Point the run at a batch: `rows` rows from position `first` of the order."""
    runs[0].first, runs[0].rows = first, rows


@inner
def start_step(runs, like, first, rows, end):
    """Point the run at a batch of a training step; the data end at position `end` of the order."""
    run = runs[0]
    total = float(rows)
    if run.sample_weight != 0 and run.signed == 0:
        total = 0.0
        for i in range(rows):
            total += sample_weight(like, run.sample_weight, source_row(run.order, first + i))
    _start_scaled(runs, first, rows, end, 1 / total if total != 0 else 0.0)


@inner
def _start_scaled(runs, first, rows, end, scale):
    """Start a step as `start_step` does; `scale` is 1 / sum of the weights of all its rows."""
    start_batch(runs, first, rows)
    run = runs[0]
    run.end, run.scale = end, scale
    run.l2 = run.own_l2 + run.penalty * scale


@inner
def batch_loss(runs, work, total):
    """Return `total` plus the weighted losses of a batch's rows, added in order."""
    run = runs[0]
    for i in range(run.rows):
        total += (pointer(work) + run.row_losses)[i]
    return total


@inner
def penalty_loss(layers, run, work):
    """Return ``penalty / 2 sum W^2`` over all weights, without biases."""
    total = 0.0
    if run.penalty > 0:
        for n in range(layers.size):
            squares = pointer(work) + layers[n].squares
            for i in range(layers[n].n_in):
                total += squares[i]
    return 0.5 * run.penalty * total


@inner
def penalize(layers, run, params, grads):
    """Add the gradient of the penalty of a batch, ``penalty scale W``, to the gradients."""
    factor = run.penalty * run.scale
    if factor != 0:
        for n in range(layers.size):
            layer = layers[n]
            if layer.frozen != 0:
                continue
            w, g = pointer(params) + layer.weights, pointer(grads) + layer.weights
            count = layer.n_in * layer.n_out
            for i in range(0, count, width(w)):
                left = count - i
                slope = fma(broadcast(w, factor), load_part(w + i, left), load_part(g + i, left))
                store_part(g + i, slope, left)


@kernel
def gradient(layers, runs, params, grads, moments, work, first, rows):
    """Run one batch forward and backward: write `grads`, return its mean loss and penalty."""
    start_step(runs, pointer(work), first, rows, first + rows)
    pass_over_rows(layers, runs, params, work, TRAIN)
    pass_over_weights(layers, runs, params, grads, moments, work, GRADIENT)
    penalize(layers, runs[0], params, grads)
    scale = runs[0].scale
    return batch_loss(runs, work, 0.0) * scale, penalty_loss(layers, runs[0], work) * scale


@kernel
def gradient_of_part(layers, runs, params, grads, moments, work, first, rows, end, scale):
    """Run some rows of a batch forward and backward; return the weighted sum of their losses.

    `grads` are their part of the batch's gradient, whose parts add up; `scale` is 1 / sum of the
    weights of the whole batch. The order of rows ends at position `end`.
    """
    _start_scaled(runs, first, rows, end, scale)
    if rows == 0:
        grads[:] = 0
        return 0.0
    pass_over_rows(layers, runs, params, work, TRAIN)
    pass_over_weights(layers, runs, params, grads, moments, work, GRADIENT)
    return batch_loss(runs, work, 0.0)


@kernel
def update(layers, runs, params, grads, moments, work):
    """Apply one optimizer step to the parameters from `grads`, clipped by global norm."""
    run = runs[0]
    run.clip = clip_factor(grads.size, pointer(grads), run.clip_norm)
    pass_over_weights(layers, runs, params, grads, moments, work, UPDATE + TRANSPOSE)
    run.step += 1


@inner
def _start_next_step(runs, like, s):
    """Start step `s`, or the first after it whose batch has weights; `run.goes_on` says if any."""
    run = runs[0]
    run.goes_on = 0
    while s < run.steps and run.goes_on == 0:
        start = run.start + s * run.batch
        start_step(runs, like, start, min(run.batch, run.stop - start), run.stop)
        doubles_at(run.losses)[s] = doubles_at(run.penalties)[s] = 0.0
        if run.scale != 0:
            run.goes_on = 1
        else:
            s += 1
    run.done = s


@inner
def _take_losses(layers, runs, work):
    """Write the losses of a step whose rows are done; stop the run if they are not finite."""
    run = runs[0]
    s = run.done
    loss = batch_loss(runs, work, 0.0)
    doubles_at(run.losses)[s] = loss
    doubles_at(run.penalties)[s] = penalty_loss(layers, run, work)
    run.rate, run.clip = doubles_at(run.rates)[s], 1.0
    if not np.isfinite(loss):
        run.goes_on = 0


@Task.taking(lambda kind: (*array_types(kind, 4), types.intp))
def train_task(layers, runs, params, grads, moments, work, number):
    """Take one task's part of all steps; what is not shared is done by the last at a meeting."""
    run, tasks, cells = runs[0], runs[0].tasks, integers_at(runs[0].cells)
    if not all_present(cells, tasks):
        return
    if meet(cells, tasks):
        _start_next_step(runs, pointer(work), 0)
        leave(cells, tasks)
    arrays = (layers, runs, params, grads, moments, work)
    while run.goes_on != 0:
        run_rows_task(run.rows_task, layers, runs, params, work, TRAIN, number)
        if meet(cells, tasks):
            _take_losses(layers, runs, work)
            leave(cells, tasks)
        if run.goes_on == 0:
            break
        aims = GRADIENT + UPDATE + TRANSPOSE
        if run.clip_norm > 0:
            run_weights_task(run.weights_task, *arrays, GRADIENT, number)
            if meet(cells, tasks):
                run.clip = clip_factor(grads.size, pointer(grads), run.clip_norm)
                leave(cells, tasks)
            aims = UPDATE + TRANSPOSE
        run_weights_task(run.weights_task, *arrays, aims, number)
        if meet(cells, tasks):
            run.step += 1
            _start_next_step(runs, pointer(work), run.done + 1)
            leave(cells, tasks)


# calls `train_task`, which is above, by its address in the run
run_train_task = by_address(train_task)


@kernel
def train(layers, runs, params, grads, moments, work):
    """Run the mini-batches of a run; return their number, -1 if the tasks do not run together.

    Batch s starts at position ``run.start + s run.batch`` of the order, which ends at ``run.stop``.
    A loss that is not finite ends the loop before its update; a batch whose weights sum to 0 has no
    update. ``run.losses[s]`` is the weighted sum of the losses of batch s, ``run.penalties[s]`` the
    penalty of the weights before its update (`penalty_loss`).
    """
    runs[0].done = -1
    for number in prange(runs[0].tasks):
        run_train_task(runs[0].train_task, layers, runs, params, grads, moments, work, number)
    return runs[0].done


@kernel
def infer(layers, runs, params, work, aim, x, first, rows, batch, out, total):
    """Run rows of X, at the address `x`, through the net; write the outputs (rows, n_out) to `out`.

    With aim LOSS the weighted losses are added to ``total[0]`` in the order of rows, whatever the
    batches.
    """
    last = layers[layers.size - 1]
    runs[0].x = x
    for start in range(first, first + rows, batch):
        here = min(batch, first + rows - start)
        start_batch(runs, start, here)
        pass_over_rows(layers, runs, params, work, aim)
        target = matrix(pointer(out) + (start - first) * last.n_out, last.n_out)
        copy(here, last.n_out, matrix(pointer(work) + last.a, last.row), target)
        if aim == LOSS:
            total[0] = batch_loss(runs, work, total[0])
