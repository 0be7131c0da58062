"""Scores of outputs against targets, the higher the better: accuracy and R2.

An accuracy is the share of the weights of rows that are right. R2 is 1 minus the residual over
the total sum of squares, the mean over the outputs that vary.
"""

import numpy as np

from ..compiler.jit import inner, kernel

# what a row holds: a class, a bit for each output, or numbers
CLASSES, BITS, NUMBERS = 0, 1, 2


@inner
def _largest(row):
    """Return the place of the first of the largest numbers of a row."""
    place = 0
    for j in range(1, row.size):
        if row[j] > row[place]:
            place = j
    return place


@inner
def _is_right(kind, output, target, labels, i):
    """Return whether the output of row `i` has the class, or all bits, of its target."""
    if kind == CLASSES:
        return _largest(output) == (labels[i] if labels.size > 0 else _largest(target))
    right = True
    for j in range(output.size):
        right = right and (output[j] > 0.5) == (target[j] > 0.5)
    return right


@inner
def _weight_of(weight, i):
    return np.float64(weight[i]) if weight.size > 0 else 1.0


@inner
def _sums_of_squares(outputs, y, weight, j):
    """Return the residual and the total sum of squares of an output; 0 if it is constant."""
    total, mean, residual, spread, least, most = 0.0, 0.0, 0.0, 0.0, np.inf, -np.inf
    for i in range(len(y)):
        total += _weight_of(weight, i)
        mean += _weight_of(weight, i) * y[i, j]
    for i in range(len(y)):
        w, target = _weight_of(weight, i), np.float64(y[i, j])
        if w > 0:  # what counts for nothing may be infinite
            residual += w * (np.float64(outputs[i, j]) - target) ** 2
            spread += w * (target - mean / total) ** 2
            least, most = min(least, target), max(most, target)
    return residual, spread if least < most else 0.0


@kernel
def score(kind, outputs, y, labels, weight):
    """Return the score of outputs (n, n_out), in float64 and in the order of rows.

    The targets are `y` (n, n_out), or `labels` (n,) if there are any; without `weight` (n,) all
    rows weigh the same.
    """
    if kind == NUMBERS:
        varying, found, is_exact = 0, 0.0, True
        for j in range(y.shape[1]):
            residual, spread = _sums_of_squares(outputs, y, weight, j)
            is_exact = is_exact and residual == 0
            if spread > 0:
                varying += 1
                found += 1 - residual / spread
        if varying > 0:
            return found / varying
        return 1.0 if is_exact else 0.0
    right, total = 0.0, 0.0
    for i in range(len(outputs)):
        total += _weight_of(weight, i)
        row = y[i] if len(y) > 0 else outputs[i]
        if _is_right(kind, outputs[i], row, labels, i):
            right += _weight_of(weight, i)
    return right / total


@kernel
def score_by_output(kind, outputs, y, weight):
    """Return the score of outputs (n, n_out) against targets `y`, which have weights of their own.

    R2 is the mean over the outputs of theirs. A row has all bits if it has those of a weight above
    0, and counts by the sum of its weights.
    """
    found, total, is_exact = 0.0, 0.0, True
    if kind == NUMBERS:
        for j in range(y.shape[1]):
            residual, spread = _sums_of_squares(outputs, y, weight[:, j], j)
            is_exact = is_exact and residual == 0
            if spread > 0:
                total += 1
                found += 1 - residual / spread
        if total > 0:
            return found / total
        return 1.0 if is_exact else 0.0
    for i in range(len(y)):
        right, row = True, 0.0
        for j in range(y.shape[1]):
            row += weight[i, j]
            is_wrong = (outputs[i, j] > 0.5) != (y[i, j] > 0.5)
            right = right and not (weight[i, j] > 0 and is_wrong)
        total += row
        found += row if right else 0.0
    return found / total
