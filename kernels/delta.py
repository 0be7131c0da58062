"""The loss of a batch and the output delta, on rows and on NumPy arrays.

delta(L) = dL/da(L) . sigma'(z(L))           by the formula, or a - y for a canonical pair
"""

import numpy as np
from numba import prange

from . import arrays
from .apply import row_max
from .elementary import log
from .intrinsics import (
    broadcast,
    integers_at,
    keep_first,
    lane_max,
    lane_sum,
    load_part,
    one_hot,
    pointer,
    pointer_at,
    store_part,
    width,
)
from .jit import inner, kernel
from .loss import CROSS_ENTROPY, LOSSES, evaluate, evaluate_derivative, evaluate_from_logits
from .threads import choose_threads, twin


@inner
def _targets_part(y, label, j, left):
    """Return y[j:] as a vector: read, or one-hot from an integer label >= 0."""
    if label < 0:
        return load_part(y + j, left)
    return one_hot(y, label - j)


@inner
def _log_sum_exp(columns, z, a):
    """Return log sum_j exp(z_j) of a row, given its softmax a: ``z_j - log a_j`` at the maximum.

    There a_j is at least 1 / columns, so that the logarithm is exact to a rounding.
    """
    return row_max(columns, z) - lane_max(log(broadcast(a, row_max(columns, a))))


@inner
def row_loss(code, parameter, canonical, columns, z, a, y, label):
    """Return the loss of one sample.

    `canonical` says that the output activation is the loss's partner; z is
    then read, else a. `label` is the class, or -1 to read targets from y.
    """
    shift = 0.0
    if canonical and code == CROSS_ENTROPY:
        shift = _log_sum_exp(columns, z, a)
    total = 0.0
    for j in range(0, columns, width(z)):
        left = columns - j
        target = _targets_part(y, label, j, left)
        if canonical:
            part = evaluate_from_logits(code, load_part(z + j, left), target, shift)
        else:
            part = evaluate(code, load_part(a + j, left), target, parameter)
        total += lane_sum(keep_first(part, left, 0.0))
    return total


@inner
def row_delta(code, parameter, canonical, scale, columns, a, y, label, d):
    """Write ``scale dL/da`` of one sample, or ``scale (a - y)`` of a canonical pair."""
    for j in range(0, columns, width(a)):
        left = columns - j
        target, output = _targets_part(y, label, j, left), load_part(a + j, left)
        if canonical:
            slope = output - target
        else:
            slope = evaluate_derivative(code, output, target, parameter)
        store_part(d + j, slope * scale, left)


@kernel
def batch_losses(
    code, parameter, canonical, rows, columns, z, a, y, labels, scale, d, losses, tasks
):
    """Write the loss of each row and ``scale[row]`` times its derivative or canonical delta."""
    for task in prange(tasks):
        like = pointer(scale)
        for r in range(task * rows // tasks, (task + 1) * rows // tasks):
            place = r * columns
            label = -1 if labels == 0 else integers_at(labels)[r]
            outputs, target = pointer_at(like, a) + place, pointer_at(like, y) + place
            logits, delta = pointer_at(like, z) + place, pointer_at(like, d) + place
            losses[r] = row_loss(
                code, parameter, canonical, columns, logits, outputs, target, label
            )
            row_delta(code, parameter, canonical, scale[r], columns, outputs, target, label, delta)


def loss(A, y, name, *, Z=None, sample_weight=None, parameter=None, n_threads="auto"):
    """Return the mean loss of a batch and its derivative.

    Parameters
    ----------
    A : array (batch, n)
        Outputs, float32 or float64.
    y : array (batch, n), or (batch,) of int64 for cross_entropy
        Targets of the same dtype, or class labels 0 to n - 1.
    name : str
        A name in ``LOSSES``.
    Z : array (batch, n), optional
        The logits, if A is the loss's partner activation of Z: the value is then
        the stable one, and the derivative is that by Z, ``delta(L) = a - y``.
    sample_weight : array (batch,), optional
        Weights of the rows.
    parameter : float, optional
        The threshold of huber, or the quantile.
    n_threads : int or "auto"
        Threads to share the rows.

    Returns
    -------
    value : float
        ``sum_i w_i L_i / sum_i w_i``; 0 if the weights are.
    D : array (batch, n)
        Its derivative by A, or by Z if that is given.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another dtype, rank or shape, or a label out of range.
    """
    record, code = LOSSES.find(name), LOSSES.code(name)
    parameter = record.parameter_of("parameter", parameter)
    A = np.ascontiguousarray(arrays.floats("A", A, 2))
    Z_or_A = A if Z is None else np.ascontiguousarray(arrays.floats("Z", Z, 2, like=A))
    arrays.expect("Z", Z_or_A, A.shape)
    if Z is not None and record.from_logits is None:
        raise ValueError(f"Z: {record.name} has no partner activation; leave Z out")
    labels = None
    if np.asarray(y).ndim == 1 and record.targets == "classes":
        if np.asarray(y).dtype.kind not in "iub":
            raise TypeError(f"y has dtype {np.asarray(y).dtype}: expected integer labels")
        labels = np.ascontiguousarray(y, np.int64)
        arrays.expect("y", labels, A.shape[:1])
        if labels.size and not 0 <= labels.min() <= labels.max() < A.shape[1]:
            raise ValueError(f"y holds a label outside 0 to {A.shape[1] - 1}")
        y = None
    else:
        y = np.ascontiguousarray(arrays.floats("y", y, 2, like=A))
        arrays.expect("y", y, A.shape)
    weight = np.ones(len(A), A.dtype)
    if sample_weight is not None:
        weight = np.ascontiguousarray(arrays.floats("sample_weight", sample_weight, 1, like=A))
        arrays.expect("sample_weight", weight, A.shape[:1])
        if not (np.isfinite(weight) & (weight >= 0)).all():
            raise ValueError("sample_weight: expected finite weights of at least 0")
    total = weight.sum()
    scale = weight / total if total > 0 else np.zeros_like(weight)
    D, losses = np.empty_like(A), np.empty(len(A), A.dtype)
    tasks = choose_threads(n_threads, 60.0 * A.size, 1)
    twin(batch_losses, tasks)(
        code, parameter, Z is not None,
        *A.shape, arrays.address(Z_or_A), arrays.address(A), arrays.address(y),
        arrays.address(labels), scale, arrays.address(D), losses, tasks,
    )  # fmt: skip
    return float((losses.astype(np.float64) * scale).sum()), D
