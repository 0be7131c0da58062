"""Argument checks, array checks and files, without Numba."""
