"""Numba: its decorators, its compiler, the disk cache and the threads."""
