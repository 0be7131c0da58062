"""``a(L)`` of many samples: all layers, callable from compiled code."""

from .compiler.jit import kernel
from .net.loop import start_batch
from .net.passes import FORWARD, pass_over_rows
from .net.step import place_batch
from .simd.intrinsics import address_of, checked_pointer, pointer, writable_pointer
from .simd.transpose import copy
from .simd.view import matrix


@kernel
def all_rows(state, X, out):
    """Write a network's outputs for rows of inputs, from the caller's compiled code.

    Parameters
    ----------
    state : tuple
        The result of ``Network.train_state``; each thread needs its own.
    X : array (n, n_in)
        The inputs, of any number of rows: contiguous, of the network's dtype.
    out : array (n, n_out)
        Written: the outputs ``a(L)``, without dropout, with the bits of ``Network.forward``.

    Raises
    ------
    ValueError
        If `X` or `out` has another shape; nothing is written.
    numba.TypingError
        While the caller's code is compiled, if one has another dtype or is not contiguous, or
        `out` is read-only.
    """
    layers, runs, params, _, _, work, _, _ = state
    last = layers[layers.size - 1]
    rows, columns = X.shape
    if columns != layers[0].n_in or out.shape != (rows, last.n_out):
        raise ValueError("forward_batch: expected X (n, n_in) and out (n, n_out)")
    here = pointer(work)
    x, target = address_of(checked_pointer(X, here)), writable_pointer(out, here)
    place_batch(runs, x, columns, 0, 0, 0, False, 0)
    for first in range(0, rows, runs[0].batch):
        count = min(runs[0].batch, rows - first)
        start_batch(runs, first, count)
        pass_over_rows(layers, runs, params, work, FORWARD)
        place = matrix(target + first * last.n_out, last.n_out)
        copy(count, last.n_out, matrix(here + last.a, last.row), place)


forward_batch = all_rows.serial
