"""Bags: rows drawn with replacement, as many as there are (Breiman, Machine Learning 24, 1996)."""

import numpy as np
import numpy.typing as npt

from ..kernels.random import BAGS, random_uniform


def bag_of(count: int, seed: int, place: int = 0) -> npt.NDArray[np.intp]:
    """Return the numbers (count,) of the rows in bag `place` of a seed, of 0 to `count` - 1."""
    drawn = random_uniform(count, seed, BAGS, place) * count
    return np.minimum(drawn.astype(np.intp), count - 1)  # a product may round up
