"""Numba's threading layers, each for the processes that a test starts."""

from importlib.metadata import PackageNotFoundError, distribution

import pytest

LAYERS = ("omp", "tbb", "workqueue")


def need(layer):
    """Skip a test where a layer cannot be had: TBB is installed by pip."""
    if layer == "tbb":
        try:
            distribution("tbb")
        except PackageNotFoundError:
            pytest.skip("tbb is not installed")
