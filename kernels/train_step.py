"""Steps of training, callable from compiled code: forward, loss, backward, update."""

import numpy as np

from .compiler.jit import inner, kernel
from .net.passes import GRADIENT, UPDATE
from .net.step import all_within, labels_within, place_batch, train_on_batch
from .simd.intrinsics import (
    address_of,
    checked_pointer,
    integers_at,
    item_bytes,
    place_of_integers,
    places_of_targets,
    pointer,
    pointer_at,
)
from .simd.order import source_row


@inner
def _rows_within(run, like, place, rows, columns, low, high):
    """Return whether the rows that are to be trained on, at an address, lie from low to high."""
    if run.order == 0:
        return all_within(like, place, rows * columns, low, high)
    found, row = True, columns * item_bytes(like)
    for i in range(rows):
        start = place + source_row(run.order, i) * row
        found = found and all_within(like, start, columns, low, high)
    return found


@inner
def _labels_within(run, rows, classes):
    """Return whether the labels that are to be trained on are 0 to ``classes - 1``."""
    if run.order == 0:
        return labels_within(run.labels, rows, classes)
    found = True
    for i in range(rows):
        label = integers_at(run.labels)[source_row(run.order, i)]
        found = found and 0 <= label < classes
    return found


@inner
def _add_up_to_one(run, like, rows, columns):
    """Return whether the targets of each row, which are probabilities, add up to 1."""
    found, y = True, pointer_at(like, run.y)
    for i in range(rows):
        total, start = 0.0, source_row(run.order, i) * columns
        for j in range(columns):
            total += y[start + j]
        found = found and abs(total - 1) <= 1e-3
    return found


@inner
def _are_finite(run, like, rows, inputs, outputs):
    """Return whether X and y hold neither NaN nor infinity, in the rows to be trained on."""
    most = run.largest
    if not _rows_within(run, like, run.x, rows, inputs, -most, most):
        return False
    return run.labels != 0 or _rows_within(run, like, run.y, rows, outputs, -most, most)


@inner
def _targets_suit(run, like, rows, columns):
    """Return whether the loss accepts the targets of the rows to be trained on."""
    if run.labels != 0:
        return run.takes_labels != 0 and _labels_within(run, rows, columns)
    if not _rows_within(run, like, run.y, rows, columns, run.target_low, run.target_high):
        return False
    return run.takes_labels == 0 or _add_up_to_one(run, like, rows, columns)


@inner
def _is_scheduled(own):
    """Return whether the network has a schedule, whose time compiled code does not know."""
    return np.isnan(own.learning_rate)


@inner
def _take_place(run, own):
    """Take from the network's own run where its training stands, and its learning rate."""
    run.step, run.seed, run.rate = own.step, own.seed, own.learning_rate


@kernel
def one_batch(state, X, y):
    """Train a network on one batch, from the caller's compiled code; return its mean loss.

    A loss that is not finite, NaN of data that are not, updates nothing. The loss is of the
    weights before the step. The learning rate is the optimizer's, which
    ``Network.set_learning_rate`` changes between calls; it must have no schedule.

    Parameters
    ----------
    state : tuple
        The result of ``Network.train_state``; each thread needs its own. Parameters, moments and
        the number of steps are the network's.
    X : array (n, n_in)
        The inputs, at most as many rows as the state was made for: contiguous, of the network's
        dtype.
    y : array (n, n_out), or (n,) of 64-bit integers for cross_entropy
        Targets of the same dtype, with one output also (n,); or class labels 0 to n_out - 1. Rows
        of probabilities, which must add up to 1, are taken as they are.

    Raises
    ------
    ValueError
        If `X` or `y` has another shape, the loss does not accept the targets, or the optimizer
        has a schedule; nothing is written.
    numba.TypingError
        While the caller's code is compiled, if one has another dtype or is not contiguous.
    """
    layers, runs, params, grads, moments, work, own, _ = state
    run, n_in, n_out = runs[0], layers[0].n_in, layers[layers.size - 1].n_out
    rows, columns = X.shape
    here = pointer(work)
    x = address_of(checked_pointer(X, here))
    targets, labels = places_of_targets(y, here)
    if rows < 1 or rows > run.batch:
        raise ValueError("train_step: X has no rows, or more than the state was made for")
    size = rows if labels != 0 else rows * n_out
    if columns != n_in or y.shape[0] != rows or y.size != size:
        raise ValueError("train_step: expected X (n, n_in), and y (n, n_out) or labels (n,)")
    if _is_scheduled(own[0]):
        raise ValueError("train_step: the optimizer has a schedule, whose time is not known")
    place_batch(runs, x, n_in, targets, labels, 0, False, 0)
    if not _are_finite(run, here, rows, n_in, n_out):
        return np.nan
    if not _targets_suit(run, here, rows, n_out):
        raise ValueError("train_step: y holds targets that the loss does not accept")
    _take_place(run, own[0])
    arrays = (layers, runs, params, grads, moments, work)
    loss = train_on_batch(*arrays, 0, rows, GRADIENT + UPDATE)
    own[0].step = run.step
    return loss


@inner
def _order_is_within(order, rows):
    """Return whether all row numbers are of so many rows."""
    found = True
    for row in order:
        found = found and 0 <= row < rows
    return found


@kernel
def many_batches(state, X, y, order):
    """Train a network on batches of rows, from the caller's compiled code; return the mean loss.

    The rows `order` of X and y are taken in batches of as many as the state was made for; the last
    may be smaller. The mean is over the rows. A loss that is not finite ends the steps before its
    update, and is returned. Else as `train_step`.

    Parameters
    ----------
    state, X, y
        As for `train_step`, of any number of rows.
    order : array (m,) of 64-bit integers
        Row numbers; one may come several times.
    """
    layers, runs, params, grads, moments, work, own, _ = state
    run, n_in, n_out = runs[0], layers[0].n_in, layers[layers.size - 1].n_out
    rows, columns = X.shape
    here = pointer(work)
    x = address_of(checked_pointer(X, here))
    targets, labels = places_of_targets(y, here)
    places, count = place_of_integers(order), order.size
    if count < 1:
        raise ValueError("train_steps: the order holds no row")
    size = rows if labels != 0 else rows * n_out
    if columns != n_in or y.shape[0] != rows or y.size != size:
        raise ValueError("train_steps: expected X (n, n_in), and y (n, n_out) or labels (n,)")
    if _is_scheduled(own[0]):
        raise ValueError("train_steps: the optimizer has a schedule, whose time is not known")
    if not _order_is_within(order, rows):
        raise ValueError("train_steps: the order holds a number that is no row of X")
    place_batch(runs, x, n_in, targets, labels, 0, False, places)
    if not _are_finite(run, here, count, n_in, n_out):
        return np.nan
    if not _targets_suit(run, here, count, n_out):
        raise ValueError("train_steps: y holds targets that the loss does not accept")
    _take_place(run, own[0])
    total = 0.0
    for first in range(0, count, run.batch):
        taken = min(run.batch, count - first)
        arrays = (layers, runs, params, grads, moments, work)
        loss = train_on_batch(*arrays, first, taken, GRADIENT + UPDATE)
        own[0].step = run.step
        if not np.isfinite(loss):
            return loss
        total += loss * taken
    return total / count


train_step, train_steps = one_batch.serial, many_batches.serial
