"""The training of many small networks of one shape, one after the other, in one call.

Python is not needed between two networks, nor between two epochs: a network of an epoch of 10 us
would otherwise wait for it most of the time, and threads would wait for each other.
"""

import numpy as np
from numba import carray

from ..compiler.jit import inner, kernel
from ..random import SHUFFLE, fill_permutation
from ..simd.intrinsics import doubles_at, integers_at, memory_at, pointer
from .loop import infer, train
from .passes import LOSS, TRANSPOSE, pass_over_weights
from .score import score

_int = np.int64

# the training of one network: what to do, and how far it has come
FIT = np.dtype(
    [
        ("rows", _int),  # address of the numbers of its rows (count,), or 0 for all
        ("count", _int),  # number of its rows
        ("epochs", _int),
        ("params", _int),  # addresses of its parameters and moments
        ("moments", _int),
        ("first", _int),  # epochs that the network was trained before
        ("rates", _int),  # address of the learning rates of its steps (epochs, batches)
        ("rates_row", _int),  # bytes from the rates of an epoch to the next, 0 if all are the same
        ("losses", _int),  # address of the losses of its steps (epochs, batches)
        ("penalties", _int),  # address of the penalties of the steps of one epoch
        ("epoch", _int),  # epochs that are done
        ("done", _int),  # steps of the next epoch that are done
        ("failed", _int),  # whether a loss or a weight was not finite
        ("valid_losses", _int),  # addresses of validation losses and scores (epochs,)
        ("valid_scores", _int),
        ("best", _int),  # address of the parameters of the best epoch, or 0
        ("patience", _int),  # epochs without a better loss before it stops, or 0 for none
        ("min_delta", np.float64),  # how much lower the loss of a better epoch is
        ("best_loss", np.float64),
        ("best_epoch", _int),
        ("stopped", _int),  # whether it has waited for so long
    ]
)


@inner
def _all_finite(numbers):
    finite = True
    for number in numbers:
        finite = finite and np.isfinite(number)
    return finite


@kernel
def write_order(runs, fits, shuffles, rows):
    """Write the order of an epoch: as the rows of this network alone have, then their numbers."""
    run, fit = runs[0], fits[0]
    if shuffles:
        fill_permutation(run.seed, SHUFFLE, fit.first + fit.epoch, rows)
    else:
        for i in range(fit.count):
            rows[i] = i
    if fit.rows != 0:
        for i in range(fit.count):
            rows[i] = integers_at(fit.rows)[rows[i]]


@inner
def goes_on(fit):
    """Return whether a network has a step to make."""
    return fit.epoch < fit.epochs and fit.failed == 0 and fit.stopped == 0


@kernel
def go_on(fits, shuffles, order, steps, layers, runs, params, grads, moments, work):
    """Go on with an epoch of one network, for so many steps at most; return how many were made."""
    fit, run = fits[0], runs[0]
    batches = (fit.count + run.batch - 1) // run.batch
    if fit.done == 0 and run.order != 0:
        write_order(runs, fits, shuffles, order[: fit.count])
    run.start, run.stop = fit.done * run.batch, fit.count
    run.steps = min(steps, batches - fit.done)
    run.rates = fit.rates + fit.epoch * fit.rates_row + 8 * fit.done
    run.losses = fit.losses + 8 * (fit.epoch * batches + fit.done)
    run.penalties = fit.penalties
    made = train(layers, runs, params, grads, moments, work)
    fit.done += made
    if made < run.steps:
        fit.failed = 1
    elif fit.done == batches:
        fit.epoch, fit.done = fit.epoch + 1, 0
        if not _all_finite(params):
            fit.failed = 1
    return made


@kernel
def judge(fits, params, kind, weights, batch, total, layers, runs, work, out, y, labels, weight):
    """Score an epoch on validation data; note whether it is the best, or training has to stop."""
    fit, epoch = fits[0], fits[0].epoch - 1
    total[0] = 0.0
    infer(layers, runs, params, work, LOSS, runs[0].x, 0, len(out), batch, out, total)
    loss = total[0] / weights
    doubles_at(fit.valid_losses)[epoch] = loss
    doubles_at(fit.valid_scores)[epoch] = score(kind, out, y, labels, weight)
    if not np.isfinite(loss):
        fit.failed = 1
    elif loss < fit.best_loss - fit.min_delta:
        fit.best_loss, fit.best_epoch = loss, epoch
        if fit.best != 0:
            best = carray(memory_at(pointer(params), fit.best), params.size)
            best[:] = params
    elif fit.patience > 0 and epoch - fit.best_epoch >= fit.patience:
        fit.stopped = 1


@kernel
def train_many(fits, number, steps, judged, shuffles, order, layers, runs, grads, work, valid):
    """Train networks one after the other from `number` on, for about so many steps in all.

    Return the number of the network to go on with: those before are done, or failed. `fits` (n,)
    of `FIT` says how far each has come, and `runs` (n,) are theirs; `layers`, `grads` (size,) and
    `work` serve all. `valid` are the validation data and their buffers, as `judge` takes them, who
    takes the time of `judged` steps; 0 if there are none.
    """
    size = grads.size
    while number < fits.size and steps > 0:
        fit, run = fits[number : number + 1], runs[number : number + 1]
        params = carray(memory_at(pointer(grads), fit[0].params), size)
        moments = carray(memory_at(pointer(grads), fit[0].moments), 2 * size)
        arrays = (layers, run, params, grads, moments, work)
        pass_over_weights(*arrays, TRANSPOSE)
        while steps > 0 and goes_on(fit[0]):
            steps -= go_on(fit, shuffles, order, steps, *arrays)
            if fit[0].done == 0 and fit[0].failed == 0 and judged > 0:
                judge(fit, params, *valid)
                steps -= judged
        if not goes_on(fit[0]):
            number += 1
    return number
