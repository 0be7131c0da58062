"""One step of training on a batch of a caller's arrays, for Python and for compiled code.

The weights are transposed at the beginning: a caller may have set them since the last step.
"""

import numpy as np

from ..compiler.jit import inner, kernel
from ..simd.intrinsics import (
    address_of,
    broadcast,
    integers_at,
    lane_sum,
    load_part,
    pointer,
    pointer_at,
    select,
    width,
)
from ..update import clip_factor
from .loop import batch_loss, penalize, start_step
from .passes import GRADIENT, TRAIN, TRANSPOSE, UPDATE, pass_over_rows, pass_over_weights


@inner
def all_within(like, address, count, low, high):
    """Return whether `count` floats at an address lie from `low` <= 0 to `high` >= 0."""
    outside, zero, one = broadcast(like, 0.0), broadcast(like, 0.0), broadcast(like, 1.0)
    p = pointer_at(like, address)
    for i in range(0, count, width(like)):
        x = load_part(p + i, count - i)
        outside = outside + select(x >= low, select(x <= high, zero, one), one)  # NaN is in neither
    return lane_sum(outside) == 0


@inner
def labels_within(labels, rows, classes):
    """Return whether the labels at an address are 0 to ``classes - 1``."""
    found = True
    for i in range(rows):
        label = integers_at(labels)[i]
        found = found and 0 <= label < classes
    return found


@inner
def place_batch(runs, x, columns, y, labels, weight, signed, order):
    """Point the run at dense rows of `columns` numbers: addresses, 0 for what there is not.

    `signed` says whether the weights may be negative.
    """
    run = runs[0]
    run.signed, run.output_weight, run.weighted_rows = signed, 0, 0
    run.x, run.x_row, run.y, run.labels = x, columns, y, labels
    run.sample_weight, run.order = weight, order
    run.columns = run.starts = run.ramps = run.places = 0
    run.ahead = -1


@inner
def _is_sound(layers, run, like, rows):
    """Return whether X, targets and weights of the first rows may be trained on."""
    n_out, most = layers[layers.size - 1].n_out, run.largest
    if not all_within(like, run.x, rows * layers[0].n_in, -most, most):
        return False
    least = 0.0 if run.signed == 0 else -most
    if run.sample_weight != 0 and not all_within(like, run.sample_weight, rows, least, most):
        return False
    if run.labels != 0:
        return labels_within(run.labels, rows, n_out)
    return all_within(like, run.y, rows * n_out, run.target_low, run.target_high)


@kernel
def train_on_batch(layers, runs, params, grads, moments, work, first, rows, aims):
    """Run the rows from position `first` of the order on through the net; return their mean loss.

    With aims GRADIENT `grads` are written, with GRADIENT + UPDATE the parameters are updated at
    the run's rate, unless the loss is not finite; it is NaN where all weights are 0.
    """
    run = runs[0]
    start_step(runs, pointer(work), first, rows, first + rows)
    if run.scale == 0:
        return np.nan
    pass_over_weights(layers, runs, params, grads, moments, work, TRANSPOSE)
    pass_over_rows(layers, runs, params, work, TRAIN)
    loss = batch_loss(runs, work, 0.0) * run.scale
    if aims == GRADIENT:
        pass_over_weights(layers, runs, params, grads, moments, work, GRADIENT)
        penalize(layers, run, params, grads)
        return loss
    if not np.isfinite(loss):
        return loss
    run.clip = 1.0
    if run.clip_norm > 0:
        pass_over_weights(layers, runs, params, grads, moments, work, GRADIENT)
        run.clip = clip_factor(grads.size, pointer(grads), run.clip_norm)
        aims = UPDATE
    pass_over_weights(layers, runs, params, grads, moments, work, aims)
    run.step += 1
    return loss


@kernel
def batch_step(
    layers,
    runs,
    params,
    grads,
    moments,
    work,
    x,
    y,
    labels,
    weight,
    signed,
    rows,
    tasks,
    rate,
    updates,
):
    """Train on a batch of dense rows, or find its gradient; return its mean loss.

    `x` and those after it are addresses, up to `weight`, which may be `signed`; with `x` 0 the run
    points at checked data already. The loss is NaN, and nothing is done, where X, targets or
    weights are not as the loss expects them.
    """
    run = runs[0]
    run.tasks, run.rate = tasks, rate
    if x != 0:
        place_batch(runs, x, layers[0].n_in, y, labels, weight, signed, 0)
        if not _is_sound(layers, run, pointer(work), rows):
            return np.nan
    aims = GRADIENT + UPDATE if updates else GRADIENT
    return train_on_batch(layers, runs, params, grads, moments, work, 0, rows, aims)


@kernel
def batch_update(layers, runs, params, grads, moments, work, tasks, rate):
    """Apply one optimizer step from `grads`, clipped by global norm, unless one is not finite.

    Return whether all are.
    """
    run = runs[0]
    run.tasks, run.rate = tasks, rate
    if not all_within(
        pointer(work), address_of(pointer(grads)), grads.size, -run.largest, run.largest
    ):
        return False
    run.clip = clip_factor(grads.size, pointer(grads), run.clip_norm)
    pass_over_weights(layers, runs, params, grads, moments, work, UPDATE)
    run.step += 1
    return True
