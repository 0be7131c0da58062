"""Checks of arguments and arrays, sparse rows, and atomic files, without Numba."""
