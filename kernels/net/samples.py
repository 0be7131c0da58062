"""The gradient of each sample by itself, and its norm, which does not need the gradient.

G_W = a d^T, G_b = d, and |G_W|^2 = |a|^2 |d|^2, with the deltas d of the sample.

Reference: Goodfellow, Efficient per-example gradient computations, arXiv:1510.01799, 2015.
"""

from math import sqrt

from ..compiler.jit import inner
from ..simd.intrinsics import load_part, store_part, width
from ..simd.reduce import row_squares
from ..simd.view import matrix

# rows whose squares are kept at once, in the scratch of a task
_AT_ONCE = 64


@inner
def _write_outer(n_in, n_out, a, d, g):
    """Write ``a d^T`` (n_in, n_out) of two vectors at pointers."""
    if n_out == 1:
        for k in range(0, n_in, width(a)):
            store_part(g + k, load_part(a + k, n_in - k) * d[0], n_in - k)
        return
    for k in range(n_in):
        x, row = a[k], g + k * n_out
        for j in range(0, n_out, width(a)):
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
def write_norms(layers, run, work, lo, hi, scratch, norms):
    """Write the norms of the gradients of rows lo to hi of the block to `norms`, from `lo` on."""
    for first in range(lo, hi, _AT_ONCE):
        rows = min(_AT_ONCE, hi - first)
        inputs, deltas, sums = scratch, scratch + _AT_ONCE, norms + first
        a, a_row = work + run.input, run.input_row
        for i in range(rows):
            sums[i] = 0.0
        for n in range(layers.size):
            layer = layers[n]
            d = work + layer.delta + first * layer.row
            row_squares(rows, layer.n_in, matrix(a + first * a_row, a_row), inputs)
            row_squares(rows, layer.n_out, matrix(d, layer.row), deltas)
            for i in range(rows):
                factor = inputs[i] + 1.0 if layer.biases >= 0 else inputs[i] + 0.0
                sums[i] = sums[i] + factor * deltas[i]
            a, a_row = work + layer.output, layer.row
        for i in range(rows):
            sums[i] = sqrt(sums[i])
