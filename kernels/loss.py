"""The loss of a batch and the output delta, on rows and on NumPy arrays.

L = sum_i w_i L_i / sum_i w_i                sum_ij w_ij L_ij / (sum_ij w_ij / n) by output
delta(L) = dL/da(L) . sigma'(z(L))           a - y if the activation is the loss's partner
"""

from typing import Any

import numpy as np
from numba import prange, types
from numpy.typing import NDArray

from .compiler.jit import Task, inner, kernel
from .compiler.threads import Threads, choose_threads, twin
from .formulas.losses import LOSSES
from .simd.dispatch import by_address, row_loops
from .simd.elementary import log
from .simd.intrinsics import (
    broadcast,
    integers_at,
    load_part,
    local_floats,
    one_hot,
    pointer,
    pointer_at,
    select,
    store_part,
    width,
)
from .simd.order import sample_weight, source_row
from .simd.reduce import keep_results, results_behind, row_maxima, sum_parts
from .simd.transpose import copy
from .simd.vector import Pointer
from .simd.view import View, matrix, moved
from .support import arrays
from .tuning import LOSS_FLOPS

# how the value of a loss is computed: from the outputs, or, of a canonical pair, from the logits,
# of the cross-entropy with log sum_j exp(z_j)
FROM_OUTPUTS, FROM_LOGITS, FROM_LOG_SUM = 0, 1, 2

_RECORDS = LOSSES.values()
# parts[r] = the loss of row r, one sum per lane, from A or Z, Y, and a number per row
VALUES = row_loops("loss", {r.name: r.value for r in _RECORDS}, sums=True)
LOGITS_VALUES = row_loops(
    "loss_from_logits", {r.name: r.from_logits for r in _RECORDS if r.from_logits}, sums=True
)
# Y[r] = dL/dA times a factor per row, from A, Y and the parameter
SLOPES = row_loops("loss_slope", {r.name: r.derivative for r in _RECORDS})
_value, _slope = (by_address(loops["squared_error"]) for loops in (VALUES, SLOPES))


def value_of(name, canonical, dtype):
    """Return how the value of a loss is computed, and the address of its loop.

    `canonical` says that the output activation is the loss's partner.
    """
    if not canonical:
        return FROM_OUTPUTS, VALUES[name].address(dtype)
    source = FROM_LOG_SUM if name == "cross_entropy" else FROM_LOGITS
    return source, LOGITS_VALUES[name].address(dtype)


def slope_of(name, canonical, dtype):
    """Return the address of the loop of the derivative of a loss, or of a canonical delta."""
    # a - y is the derivative of the squared error
    return SLOPES["squared_error" if canonical else name].address(dtype)


@inner
def _targets(order, first, rows, columns, y, labels, d):
    """Write the targets of `rows` samples from place `first` of the order to D."""
    for r in range(rows):
        source = source_row(order, first + r)
        target = moved(d, r, 0)
        if labels == 0:
            copy(1, columns, matrix(pointer_at(d.first, y) + source * columns, 0), target)
        else:
            label = integers_at(labels)[source]
            for j in range(0, columns, width(d)):
                store_part(target.first + j, one_hot(d, label - j), columns - j)


@inner
def _weights(order, first, rows, weights, scale, out, scaled):
    """Write the weights w of `rows` samples from place `first` of the order, and ``scale w``."""
    for r in range(rows):
        weight = sample_weight(out, weights, source_row(order, first + r))
        out[r], scaled[r] = weight, weight * scale


@inner
def _value_by_output(value, levels, count, n, a, y, numbers, parts):
    """Return the losses of `count` rows, with a parameter for each output."""
    sums = broadcast(a, 0.0)
    for j in range(n):
        keep_results(numbers, broadcast(a, pointer_at(a.first, levels)[j]))
        _value(value, count, 1, moved(a, 0, j), moved(y, 0, j), numbers, parts)
        sums = sums + sum_parts(parts)
    return sums


@inner
def _slope_by_output(slope, levels, count, n, a, d, numbers, weights):
    """Write the slopes of `count` rows to D, which holds the targets."""
    for j in range(n):
        keep_results(numbers, broadcast(a, pointer_at(a.first, levels)[j]))
        _slope(slope, count, 1, moved(a, 0, j), moved(d, 0, j), numbers, weights)


def _types_of_weighted(kind):
    size, number, view = types.intp, types.float64, View(kind)
    numbers = (*[size] * 3, number, size, number, *[size] * 6)
    return (*numbers, view, view, Pointer(kind), view)


@Task.taking(_types_of_weighted)
def weighted_rows(
    source, value, slope, parameter, levels, scale, order, y, weights, first, rows, n, z, a, out, d
):
    """Do what `loss_rows` does with the weight of each output, at `weights`: output by output.

    One of weight 0 counts for nothing, even if its loss is not finite.
    """
    parts = local_floats(z)
    numbers = results_behind(parts)
    keep_results(numbers, broadcast(z, parameter if parameter > 0 else np.inf))
    lanes = width(z)
    for i in range(0, rows, lanes):
        count, sums = min(lanes, rows - i), broadcast(z, 0.0)
        logits, outputs, delta = moved(z, i, 0), moved(a, i, 0), moved(d, i, 0)
        _targets(order, first + i, count, n, y, 0, delta)
        arguments = outputs if source == FROM_OUTPUTS else logits
        here = out + i
        for j in range(n):
            if levels != 0:
                keep_results(numbers, broadcast(z, pointer_at(z.first, levels)[j]))
            target = moved(delta, 0, j)
            _value(value, count, 1, moved(arguments, 0, j), target, numbers, parts)
            each = sum_parts(parts)
            for r in range(count):
                place = source_row(order, first + i + r) * n + j
                weight = sample_weight(z.first, weights, place)
                here[r], parts[r] = weight, weight * scale
            w = load_part(here, count)
            sums = sums + select(w == 0, w, w * each)
            if slope != 0:
                _slope(slope, count, 1, moved(outputs, 0, j), target, numbers, parts)
                for r in range(count):
                    if here[r] == 0:
                        moved(target, r, 0).first[0] = 0.0
        store_part(here, sums, count)


# calls `weighted_rows`, which is above, by its address in the run
_run_weighted_rows = by_address(weighted_rows)


@inner
def loss_rows(loops, rule, data, first, rows, n, z, a, losses, d):
    """Write the weighted losses of `rows` samples from place `first` of the order, and D.

    `loops` is what `value_of` and `slope_of` return, and the address of `weighted_rows`, 0 unless
    outputs have weights; without a slope D is not written. `rule` is ``(parameter, levels,
    scale)``: `levels` is the address of a parameter for each output, or 0; `data` holds the
    addresses ``(order, y, labels, weights, output_weights)``.

    D is ``scale w dL/da``, or ``scale w (a - y)`` of a canonical pair. For the cross-entropy, log
    sum_j exp(z_j) is ``z_j - log a_j`` at the row's maximum, where a_j is at least 1 / n and the
    logarithm accurate to one rounding. The parameter of a canonical cross-entropy, unless 0, is an
    upper limit of the loss of an output, or of a row with several classes. `z`, `a` and `d` have
    one row stride.
    """
    source, value, slope, weighted = loops
    parameter, levels, scale = rule
    order, y, labels, weights, by_output = data
    if weighted != 0:
        given = (source, value, slope, parameter, levels, scale, order, y, by_output)
        _run_weighted_rows(weighted, *given, first, rows, n, z, a, losses, d)
        return
    parts = local_floats(z)
    numbers = results_behind(parts)
    lanes = width(z)
    most = broadcast(z, parameter if parameter > 0 else np.inf)
    keep_results(numbers, most)
    for i in range(0, rows, lanes):
        count = min(lanes, rows - i)
        out = losses + i
        logits, outputs, delta = moved(z, i, 0), moved(a, i, 0), moved(d, i, 0)
        _targets(order, first + i, count, n, y, labels, delta)
        if source == FROM_LOG_SUM:
            top = row_maxima(count, n, logits, parts)
            keep_results(numbers, top - log(row_maxima(count, n, outputs, parts)))
        arguments = outputs if source == FROM_OUTPUTS else logits
        if levels != 0:
            sums = _value_by_output(value, levels, count, n, arguments, delta, numbers, parts)
        else:
            _value(value, count, n, arguments, delta, numbers, parts)
            sums = sum_parts(parts)
        if source == FROM_LOG_SUM:
            sums = select(sums > most, most, sums)
        _weights(order, first + i, count, weights, scale, out, parts)
        store_part(out, load_part(out, count) * sums, count)
        if slope != 0 and levels != 0:
            _slope_by_output(slope, levels, count, n, outputs, delta, numbers, parts)
        elif slope != 0:
            _slope(slope, count, n, outputs, delta, numbers, parts)


@kernel
def batch_losses(loops, parameter, levels, rows, columns, z, a, targets, scale, d, losses, tasks):
    """Write the weighted losses of the rows, and ``scale w`` times their derivatives or deltas.

    `targets` are the addresses ``(y, labels, weights, output_weights)``.
    """
    for task in prange(tasks):
        lo, hi = task * rows // tasks, (task + 1) * rows // tasks
        like = pointer(losses)
        outputs = matrix(pointer_at(like, a) + lo * columns, columns)
        logits = matrix(pointer_at(like, z) + lo * columns, columns)
        deltas = matrix(pointer_at(like, d) + lo * columns, columns)
        rule, data = (parameter, levels, scale), (0, *targets)
        count = hi - lo
        out = like + lo
        loss_rows(loops, rule, data, lo, count, columns, logits, outputs, out, deltas)


def loss(
    A: arrays.Floats,
    y: NDArray[Any],
    name: str,
    *,
    Z: arrays.Floats | None = None,
    sample_weight: arrays.Floats | None = None,
    parameter: float | None = None,
    n_threads: Threads = "auto",
) -> tuple[float, arrays.Floats]:
    """Return the mean loss of a batch and its derivative.

    Parameters
    ----------
    A : array (batch, n)
        Outputs of the network, float32 or float64.
    y : array (batch, n), or (batch,) of integers for cross_entropy
        Targets of the same dtype, or class labels 0 to n - 1.
    name : str
        A name in ``LOSSES``.
    Z : array (batch, n), optional
        The logits, if A is the loss's partner activation of Z: the value is then computed from
        them, which is stable, and D is ``delta(L) = a - y``.
    sample_weight : array (batch,) or (batch, n), optional
        Weights w of the rows, at least 0, of the same dtype; default: 1. Or weights of their
        outputs, for all losses but cross_entropy.
    parameter : float, optional
        The threshold of huber, or the quantile, or those of all outputs; default: that of the
        table.
    n_threads : int or "auto"
        Threads to share the rows.

    Returns
    -------
    value : float
        ``sum_i w_i L_i / sum_i w_i``; 0 if all weights are 0, or there are no outputs. With
        weights of outputs ``sum_ij w_ij L_ij / (sum_ij w_ij / n)``.
    D : array (batch, n)
        Its derivative with respect to A, or to Z if Z is passed; a new array.

    Raises
    ------
    TypeError
        If an array has another dtype.
    ValueError
        If `name` is unknown, a rank or shape is wrong, a label, weight or parameter is out of
        range, or the loss has no partner activation or no parameter.
    """
    record = LOSSES.find(name)
    parameter = record.parameter_of("parameter", parameter)
    A = np.ascontiguousarray(arrays.floats("A", A, 2))
    levels = record.levels_of("parameter", parameter, A.shape[1], A.dtype)
    parameter = record.number_of(parameter, max(1, A.shape[1]))
    Z_or_A = A if Z is None else np.ascontiguousarray(arrays.floats("Z", Z, 2, like=A))
    arrays.expect("Z", Z_or_A, A.shape)
    if Z is not None and record.from_logits is None:
        raise ValueError(f"Z: {record.name} has no partner activation; leave Z out")
    if np.asarray(y).ndim == 1 and record.targets == "classes":
        targets, labels = None, _labels(y, A)
    else:
        targets, labels = np.ascontiguousarray(arrays.floats("y", y, 2, like=A)), None
        arrays.expect("y", targets, A.shape)
    weight = _weights_of(sample_weight, A, record)
    by_output = weight.ndim == 2
    total = weight.sum(dtype=np.float64) / (max(1, A.shape[1]) if by_output else 1)
    scale = float(1 / total) if total > 0 else 0.0
    D = np.empty_like(A)
    if not A.size:  # a kernel looks for the largest output of a row
        return 0.0, D
    losses = np.empty(len(A), A.dtype)
    tasks = choose_threads(n_threads, LOSS_FLOPS * A.size, 1)
    places = [arrays.address(array) for array in (targets, labels, weight)]
    pair = (record.name, Z is not None, A.dtype)
    weighted = weighted_rows.address(A.dtype) if by_output else 0
    loops = (*value_of(*pair), slope_of(*pair), weighted)
    twin(batch_losses, tasks)(
        loops,
        parameter,
        arrays.address(levels),
        *A.shape,
        arrays.address(Z_or_A),
        arrays.address(A),
        (*places, places[-1] if by_output else 0),
        scale,
        arrays.address(D),
        losses,
        tasks,
    )
    return float(losses.sum(dtype=np.float64) * scale), D


def _labels(y, A):
    """Return class labels, checked, as int64."""
    labels = np.asarray(y)
    if labels.dtype.kind not in "iub":
        raise TypeError(f"y has dtype {labels.dtype}: expected integer labels")
    labels = np.ascontiguousarray(labels, np.int64)
    arrays.expect("y", labels, A.shape[:1])
    if labels.size and not 0 <= labels.min() <= labels.max() < A.shape[1]:
        raise ValueError(f"y holds a label outside 0 to {A.shape[1] - 1}")
    return labels


def _weights_of(sample_weight, A, record):
    """Return the weights of samples, or of their outputs, checked; 1 if there are none."""
    if sample_weight is None:
        return np.ones(len(A), A.dtype)
    rank = 2 if np.ndim(sample_weight) == 2 and record.adds_outputs else 1
    weight = np.ascontiguousarray(arrays.floats("sample_weight", sample_weight, rank, like=A))
    arrays.expect("sample_weight", weight, A.shape[:rank])
    if not (np.isfinite(weight) & (weight >= 0)).all():
        raise ValueError("sample_weight: expected finite weights of at least 0")
    return weight
