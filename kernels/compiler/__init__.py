"""Numba: decorators, compiler passes, the disk cache, and threads."""

import contextlib
import os
import sys

from ...memory import require_addresses

if "numba" not in sys.modules:
    # its import takes 183 MiB, 20 of them data, and fails where they run out: a library "cannot be
    # found"
    require_addresses(192 << 20, "Numba", data=24 << 20)
    # Numba's own import ends in an error of its code then; of what is no number, it warns
    with contextlib.suppress(ValueError):
        if int(given := os.environ.get("NUMBA_NUM_THREADS", "")) < 1:
            raise ImportError(f"NUMBA_NUM_THREADS={given}: set it to at least 1, or unset it")
