"""Compiling a kernel's parallel twin in a thread of its own, while its serial twin runs."""

import os
import threading

from numba import typeof
from numba.core.types import unliteral

# a twin from the disk cache takes about 50 ms to load; a compiled one takes seconds
_LOADING_SECONDS = 0.3


def parallel_twin(kernel, arguments):
    """Start to compile the parallel twin of `kernel`; return a function: whether it is done.

    The call waits for a twin that is in the disk cache, or compiled. Another is compiled in a
    thread of its own. Neither the end of the process nor a fork comes before the end of that
    thread: a child of a fork could never compile, since its parent's compiler is locked.

    Parameters
    ----------
    kernel : jit.Kernel
        Its serial twin must not need to be compiled: Numba's compiler serves one thread at a time.
    arguments : tuple
        Arguments of the types that it is called with.

    Returns
    -------
    callable
        ``is_done()``.
    """
    types = tuple(unliteral(typeof(argument)) for argument in arguments)
    compiled = kernel.parallel.overloads
    if types not in compiled:
        thread = threading.Thread(target=kernel.parallel.compile, args=(types,), name="fastbp")
        thread.start()
        os.register_at_fork(before=thread.join)
        thread.join(_LOADING_SECONDS)
    return lambda: types in compiled
