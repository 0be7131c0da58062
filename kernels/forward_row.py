"""``a(L)`` of one sample: all layers of one row, callable from compiled code."""

from .compiler.jit import kernel
from .net.loop import start_batch
from .net.passes import FORWARD, pass_over_rows
from .simd.intrinsics import address_of, checked_pointer, pointer, writable_pointer
from .simd.transpose import copy
from .simd.view import matrix


@kernel
def one_row(state, x, out):
    """Write a network's outputs for one row of inputs, from the caller's compiled code.

    Parameters
    ----------
    state : tuple
        The result of ``Network.row_state``; each thread needs its own.
    x : array (n_in,)
        The inputs: contiguous, of the network's dtype.
    out : array (n_out,)
        Written: the outputs ``a(L)``, without dropout.

    Raises
    ------
    ValueError
        If `x` or `out` has another length; nothing is written.
    numba.TypingError
        While the caller's code is compiled, if one has another dtype or is not contiguous, or
        `out` is read-only, as an array of ``bytes`` is.
    """
    layers, runs, params, work = state
    last = layers[layers.size - 1]
    if x.size != layers[0].n_in or out.size != last.n_out:
        raise ValueError("forward_row: x and out must be as long as the network is wide")
    here = pointer(work)
    runs[0].x, target = address_of(checked_pointer(x, here)), writable_pointer(out, here)
    start_batch(runs, 0, 1)
    pass_over_rows(layers, runs, params, work, FORWARD)
    copy(1, last.n_out, matrix(here + last.a, last.row), matrix(target, last.n_out))


forward_row = one_row.serial
