"""The gradient of each sample by itself, and its norm, which does not need the gradient.

G_W = a d^T, G_b = d, and |G_W|^2 = |a|^2 |d|^2, with the deltas d of the sample.

Reference: Goodfellow, Efficient per-example gradient computations, arXiv:1510.01799, 2015.
"""

from math import sqrt

import numpy as np
from numba import from_dtype, types

from ..compiler.jit import Task, inner
from ..simd.intrinsics import integers_at, load_part, pointer, store_part, width
from ..simd.order import sample_weight, source_row
from ..simd.reduce import least_squares_sum, row_squares, scaled_squares
from ..simd.view import matrix
from ..sparse_matmul import numbers_of_row
from .masks import sparse_inputs
from .records import LAYER, RUN

# rows whose squares are kept at once, in the scratch of a task
_AT_ONCE = 64


@inner
def _write_outer(n_in, n_out, a, d, g):
    """Write ``a d^T`` (n_in, n_out) of two vectors at pointers; d is padded to whole vectors."""
    lanes = width(a)
    if n_out == 1:
        for k in range(0, n_in, lanes):
            store_part(g + k, load_part(a + k, n_in - k) * d[0], n_in - k)
        return
    # what whole vectors write behind a row is of the next, which is written later
    padded = n_out + (-n_out) % lanes
    whole = min(n_in, max(0, (n_in * n_out - padded) // n_out + 1))
    for k in range(whole):
        x, row = a[k], g + k * n_out
        for j in range(0, n_out, lanes):
            store_part(row + j, load_part(d + j, lanes) * x, lanes)
    for k in range(whole, n_in):
        x, row = a[k], g + k * n_out
        for j in range(0, n_out, lanes):
            store_part(row + j, load_part(d + j, n_out - j) * x, n_out - j)


@inner
def write_sample(layers, run, work, i, g):
    """Write the gradient of row i of the block, in the order of the parameters, to `g`."""
    a = work + run.input + i * run.input_row
    for n in range(layers.size):
        layer = layers[n]
        d = work + layer.delta + i * layer.row
        _write_outer(layer.n_in, layer.n_out, a, d, g + layer.weights)
        if layer.biases >= 0:
            for j in range(0, layer.n_out, width(d)):
                left = layer.n_out - j
                store_part(g + layer.biases + j, load_part(d + j, left), left)
        a = work + layer.output + i * layer.row


@inner
def _sparse_row(run, work, i):
    """Return the pointer to the numbers of row i of a sparse X of the batch, and how many."""
    X, source = sparse_inputs(run, work, 0, True), source_row(run.order, run.first + i)
    starts = X[2]
    first = starts[source]
    return numbers_of_row(X, i, source) + first, starts[source + 1] - first


@inner
def _sparse_squares(run, like, i):
    """Return the sum of squares of row i of a sparse X of the batch."""
    numbers, count = _sparse_row(run, like, i)
    total = 0.0
    for k in range(count):
        total += float(numbers[k]) * float(numbers[k])
    return total


@inner
def _ramp_squares(run, row):
    """Return the sum of squares of the features of a row of numbers with ramps, at a pointer."""
    starts, total = integers_at(run.ramps), 0.0
    for c in range(run.x_row):
        x = float(row[c])
        if starts[c + 1] - starts[c] > 1:  # a position: full ramps, and the part of one
            full = float(int(x))
            x = run.ramp_height * sqrt(full + (x - full) * (x - full))
        total += x * x
    return total


@inner
def _input_squares(run, work, columns, first, rows, out):
    """Write the sum of squares of each row of X of the batch from row `first` on."""
    a = work + run.input + first * run.input_row
    if run.columns == 0 and run.ramps == 0:
        row_squares(rows, columns, matrix(a, run.input_row), out)
        return
    for i in range(rows):
        if run.ramps != 0:
            out[i] = _ramp_squares(run, a + i * run.input_row)
        else:
            out[i] = _sparse_squares(run, work, first + i)


@inner
def _length(count, p):
    """Return the norm of `count` floats at a pointer, in float64."""
    top, squares = scaled_squares(count, p)
    return top * sqrt(squares)


@inner
def _together(a, b):
    """Return ``sqrt(a^2 + b^2)`` of numbers of at least 0; NaN if one is."""
    if a != a or b != b:
        return a + b
    top = max(a, b)
    if not 0 < top < np.inf:
        return top
    return top * sqrt((a / top) * (a / top) + (b / top) * (b / top))


@inner
def _input_length(run, work, columns, i):
    """Return the norm of row i of X of the batch, in float64."""
    a = work + run.input + i * run.input_row
    if run.ramps != 0:
        return sqrt(_ramp_squares(run, a))
    if run.columns == 0:
        return _length(columns, a)
    numbers, count = _sparse_row(run, work, i)
    return _length(count, numbers)


@inner
def _scaled_norm(layers, run, work, i):
    """Return the norm of the gradient of row i in float64, where squares overflow or vanish."""
    total = 0.0
    for n in range(layers.size):
        layer = layers[n]
        own = 0.0
        if layer.frozen == 0:
            own = _length(layer.n_out, work + layer.delta + i * layer.row)
        if own == 0:  # as most often where no sum is known; the inputs may be infinite
            continue
        if n == 0:
            a = _input_length(run, work, layer.n_in, i)
        else:
            a = _length(layer.n_in, work + layers[n - 1].output + i * layers[n - 1].row)
        if layer.biases >= 0:
            a = _together(a, 1.0)
        total = _together(total, a * own)
    return total


@inner
def _norms(layers, run, work, first, rows, scratch, norms):
    """Write the norms of the gradients of at most `_AT_ONCE` rows from row `first` on."""
    inputs, deltas = scratch, scratch + _AT_ONCE
    for i in range(rows):
        norms[i] = 0.0
    for n in range(layers.size):
        layer = layers[n]
        if layer.frozen != 0:
            continue
        if n == 0:
            _input_squares(run, work, layer.n_in, first, rows, inputs)
        else:
            before = layers[n - 1]
            a = work + before.output + first * before.row
            row_squares(rows, layer.n_in, matrix(a, before.row), inputs)
        d = work + layer.delta + first * layer.row
        row_squares(rows, layer.n_out, matrix(d, layer.row), deltas)
        bias = 1.0 if layer.biases >= 0 else 0.0
        of_inputs, of_deltas = least_squares_sum(d, layer.n_in), least_squares_sum(d, layer.n_out)
        for i in range(rows):
            square = inputs[i] + bias
            is_known = square >= of_inputs and deltas[i] >= of_deltas
            norms[i] = norms[i] + square * deltas[i] if is_known else np.nan
    least = least_squares_sum(norms, 1)
    for i in range(rows):
        if least <= norms[i] < np.inf:
            norms[i] = sqrt(norms[i])
        else:
            norms[i] = _scaled_norm(layers, run, work, first + i)


@inner
def write_norms(layers, run, work, lo, hi, scratch, norms):
    """Write the norms of the gradients of rows lo to hi of the batch to `norms`, from `lo` on."""
    for first in range(lo, hi, _AT_ONCE):
        rows = min(_AT_ONCE, hi - first)
        _norms(layers, run, work, first, rows, scratch, norms + first)


def _types(kind):
    arrays = [types.Array(from_dtype(each), 1, "C") for each in (LAYER, RUN)]
    return *arrays, types.Array(kind, 1, "C"), *[types.intp] * 3


@Task.taking(_types)
def clip_samples(layers, runs, work, lo, hi, number):
    """Scale the deltas of rows lo to hi, so that no sample's gradient is above the largest norm.

    The deltas include the share of a sample in the mean, ``w / sum w``, and so does the limit,
    which is that of the mean weight of its outputs, and of a weight below 0 without its sign.
    """
    run, w = runs[0], pointer(work)
    scratch = w + run.scratch + number * run.scratch_row
    norms = scratch + 2 * _AT_ONCE
    for first in range(lo, hi, _AT_ONCE):
        rows = min(_AT_ONCE, hi - first)
        _norms(layers, run, w, first, rows, scratch, norms)
        for i in range(rows):
            source = source_row(run.order, run.first + first + i)
            share = run.scale * abs(sample_weight(w, run.sample_weight, source))
            most, norm = run.clip_sample_norm * share, 1.0 * norms[i]
            if not norm < np.inf:  # in float32; in float64 it may not be
                norm = _scaled_norm(layers, run, w, first + i)
            if not norm <= most:  # it may be infinite, or NaN: then the sample does not count
                factor = most / norm if norm < np.inf else 0.0
                for n in range(layers.size):
                    d = w + layers[n].delta + (first + i) * layers[n].row
                    for j in range(0, layers[n].n_out, width(d)):
                        left = layers[n].n_out - j
                        store_part(d + j, load_part(d + j, left) * factor, left)
