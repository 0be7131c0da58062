"""The dropout of a batch: of its inputs, of the outputs of layers, and again of their deltas.

A mask is of the seed, the step, the layer and the number of a row in its batch alone: any task,
any process that has the row draws it.
"""

from ..compiler.jit import inner
from ..dropout import drop_row, drop_row_again, drop_sparse_row
from ..random import DROPOUT, key_of, stream
from ..simd.intrinsics import address_of, integers_at, pointer_at, short_integers_at
from ..simd.order import source_row
from ..simd.view import matrix, moved


@inner
def sparse_inputs(run, work, lo, drop):
    """Return the sparse X of a run, see `numbers_of_row`; if they `drop` out those of row lo on."""
    places = short_integers_at(run.columns), integers_at(run.starts)
    if drop and run.input_drop > 0:
        return work + (run.input + lo * run.input_row), *places, run.input_row
    return pointer_at(work, run.x), *places, 0


@inner
def _place_of(run, i):
    """Return the place in its batch of row i of those that this process holds: it has the mask."""
    return i if run.places == 0 else integers_at(run.places)[run.first + i]


@inner
def drop_inputs(run, like, columns, lo, hi, a):
    """Apply the dropout of the inputs to rows lo to hi of the batch; copy those of a sparse X."""
    key = stream(key_of(run.seed, DROPOUT, run.step), 0)
    x, where, starts, _ = sparse_inputs(run, like, 0, False)
    for i in range(lo, hi):
        row, mine = moved(a, i, 0).first, stream(key, _place_of(run, i))
        if run.columns != 0:
            r = source_row(run.order, run.first + i)
            drop_sparse_row(mine, run.input_drop, x, where, starts[r], starts[r + 1], row)
        else:
            drop_row(mine, run.input_drop, columns, row, row, 0)


@inner
def _mask_of(layer, work, i):
    """Return the address of the mask of row i after a layer."""
    return address_of(work + layer.mask + i * layer.mask_row)


@inner
def drop_outputs(layers, run, work, n, lo, hi):
    """Write rows lo to hi of the output of layer n, the dropped A, and keep their masks."""
    layer = layers[n]
    key = stream(key_of(run.seed, DROPOUT, run.step), n + 1)
    a, output = matrix(work + layer.a, layer.row), matrix(work + layer.output, layer.row)
    for i in range(lo, hi):
        source, target = moved(a, i, 0).first, moved(output, i, 0).first
        mask = _mask_of(layer, work, i)
        drop_row(stream(key, _place_of(run, i)), layer.drop, layer.n_out, source, target, mask)


@inner
def drop_deltas(layer, work, lo, hi, d):
    """Multiply rows lo to hi of dL/d(output) by the masks that the forward pass kept."""
    for i in range(lo, hi):
        row = moved(d, i, 0).first
        drop_row_again(_mask_of(layer, work, i), layer.drop, layer.n_out, row)
