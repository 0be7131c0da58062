"""Numba: decorators, compiler passes, the disk cache, and threads."""
