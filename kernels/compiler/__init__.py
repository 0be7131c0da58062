"""Numba: decorators, compiler passes, the disk cache, and threads."""

import sys

from ...memory import require_addresses

if "numba" not in sys.modules:
    # its import takes 183 MiB, 20 of them data, and fails where they run out: a library "cannot be
    # found"
    require_addresses(192 << 20, "Numba", data=24 << 20)
