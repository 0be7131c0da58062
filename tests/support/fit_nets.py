"""Small nets and data to fit them to, for the tests of `fit` and of what it returns."""

import numpy as np

from fastbp import Adam, Network

rng = np.random.default_rng(42)
X, LABELS = rng.normal(size=(60, 4)), np.arange(60) % 3
TARGETS = np.column_stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]])


def classifier(**options):
    return Network([4, 16, 3], "tanh", "cross_entropy", Adam(0.02), **options)


def regressor(optimizer="adam", **options):
    return Network([4, 8, 2], "tanh", optimizer=optimizer, **options)
