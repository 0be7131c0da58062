"""The loops over mini-batches that Python calls: training, inference, and single steps.

Each runs the two passes of `passes` over the batches of a run.
"""

import numpy as np

from ..compiler.jit import inner, kernel
from ..simd.intrinsics import broadcast, fma, load_part, pointer, store_part, width
from ..simd.order import sample_weight, source_row
from ..simd.transpose import copy
from ..simd.view import matrix
from ..update import clip_factor
from .passes import GRADIENT, LOSS, TRAIN, TRANSPOSE, UPDATE, pass_over_rows, pass_over_weights


@inner
def start_batch(runs, first, rows):
    """Point the run at a batch: `rows` rows from position `first` of the order."""
    runs[0].first, runs[0].rows = first, rows


@inner
def start_step(runs, like, first, rows, end):
    """Point the run at a batch of a training step; the data end at position `end` of the order."""
    start_batch(runs, first, rows)
    run = runs[0]
    total = float(rows)
    run.end = end
    if run.sample_weight != 0:
        total = 0.0
        for i in range(rows):
            total += sample_weight(like, run.sample_weight, source_row(run.order, first + i))
    run.scale = 1 / total if total != 0 else 0.0
    run.l2 = run.own_l2 + run.penalty * run.scale


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
def update(layers, runs, params, grads, moments, work):
    """Apply one optimizer step to the parameters from `grads`, clipped by global norm."""
    run = runs[0]
    run.clip = clip_factor(grads.size, pointer(grads), run.clip_norm)
    pass_over_weights(layers, runs, params, grads, moments, work, UPDATE + TRANSPOSE)
    run.step += 1


@kernel
def train(layers, runs, params, grads, moments, work, rates, first, rows, batch, losses, penalties):
    """Run a mini-batch for each of `rates`; return the number of batches that were run.

    Batch s starts at position ``first + s batch`` of the order, which ends at `rows`. A loss that
    is not finite ends the loop before its update; a batch whose weights sum to 0 has no update.
    ``losses[s]`` is the weighted sum of the losses of batch s, ``penalties[s]`` the penalty of the
    weights before its update (`penalty_loss`).
    """
    run = runs[0]
    for s in range(rates.size):
        start = first + s * batch
        start_step(runs, pointer(work), start, min(batch, rows - start), rows)
        losses[s] = penalties[s] = 0.0
        if run.scale == 0:
            continue
        pass_over_rows(layers, runs, params, work, TRAIN)
        loss = batch_loss(runs, work, 0.0)
        losses[s], penalties[s] = loss, penalty_loss(layers, run, work)
        if not np.isfinite(loss):
            return s
        run.rate = rates[s]
        if run.clip_norm > 0:
            pass_over_weights(layers, runs, params, grads, moments, work, GRADIENT)
            # as in `update`, which would be another kernel to compile
            run.clip = clip_factor(grads.size, pointer(grads), run.clip_norm)
            pass_over_weights(layers, runs, params, grads, moments, work, UPDATE + TRANSPOSE)
        else:
            run.clip = 1.0
            pass_over_weights(
                layers, runs, params, grads, moments, work, GRADIENT + UPDATE + TRANSPOSE
            )
        run.step += 1
    return rates.size


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
