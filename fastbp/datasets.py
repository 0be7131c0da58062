"""Real data sets that ship with scikit-learn (extra ``sklearn``), split by a fixed seed."""

from dataclasses import dataclass

import numpy as np

from .kernels.random import permutation
from .kernels.table import Table

_TEST_SHARE = 0.25
_SPLIT_SEED = 0


@dataclass(frozen=True)
class Split:
    """A data set in two parts; X is scaled to [0, 1].

    Attributes
    ----------
    train, test : tuple of numpy.ndarray
        ``(X, y)`` each.
    """

    train: tuple
    test: tuple


@dataclass(frozen=True)
class Dataset:
    """A data set by name, and the net that suits it.

    Attributes
    ----------
    name, title : str
        Its name in the command and what it is.
    load : callable
        ``load() -> Split``.
    sizes : tuple of int
        The layers of the net that `fastbp train` makes for it.
    """

    name: str
    title: str
    load: object
    sizes: tuple


def _digits():
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    order = permutation(len(X), _SPLIT_SEED)
    X, y = (X[order] / 16).astype(np.float32), y[order]
    test = round(len(X) * _TEST_SHARE)
    return Split((X[test:], y[test:]), (X[:test], y[:test]))


DATASETS = Table(
    "data set",
    [
        Dataset(
            "digits",
            "1,797 handwritten digits of 8 x 8 pixels (UCI, Alpaydin and Kaynak, 1998)",
            _digits,
            (64, 100, 10),
        )
    ],
)
