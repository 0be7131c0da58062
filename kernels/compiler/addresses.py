"""Whether a limit such as ``ulimit -v`` leaves the addresses that kernels take.

LLVM ends the process, or waits without end, where they run out: too few are refused before.
"""

import os
import re
import sys
from importlib.util import find_spec

from ...memory import require_addresses
from .processors import processors_allowed

# measured with Numba 0.68: all kernels of a network take 90 MiB, and one of them 26 at most
_KERNELS, _KERNEL = 128 << 20, 32 << 20
# those of a network take 8 MiB together when they are loaded
_LOADED = 8 << 20
# Numba's compiler imports scipy.linalg if it can: 81 MiB, and 41 more for each thread of its
# OpenBLAS beyond the first, of which it starts no more than 64
_LINALG, _BLAS_THREAD, _MOST_THREADS = 48 << 20, 40 << 20, 64
_REMEDY = "give it more, or compile ahead without the limit: fastbp warmup"


def require_to_compile(is_first):
    """Raise MemoryError if too few addresses are left to compile a kernel.

    The first of an empty cache is refused where those after it would be.
    """
    needed = (_KERNELS if is_first else _KERNEL) + _linalg()
    require_addresses(needed, "compiling kernels", _REMEDY)


def require_to_load():
    """Raise MemoryError if too few addresses are left for a kernel of the cache."""
    require_addresses(_LOADED, "loading kernels")


def _linalg():
    if "scipy.linalg" in sys.modules or not find_spec("scipy"):
        return 0
    threads = [_MOST_THREADS, len(processors_allowed())]
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):  # the first that is set counts
        asked = re.match("[1-9][0-9]{0,8}", os.environ.get(name, "").strip())
        if asked:
            threads.append(int(asked[0]))
            break
    return _LINALG + min(threads) * _BLAS_THREAD
