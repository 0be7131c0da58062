"""The nets to measure, with synthetic data.

The list repeats ``fastbp.diagnostics.bench`` with more rows: asv runs this file with old
commits of fastbp, so it must not import from modules that they lack.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Workload:
    """One net with its training set.

    Attributes
    ----------
    name : str
        Name in the tables of results.
    sizes : tuple of int
        Units of each layer from input to output.
    batch, rows : int
        Samples per step and in the training set.
    loss : str
        A name in ``fastbp.LOSSES``.
    """

    name: str
    sizes: tuple
    batch: int
    rows: int
    loss: str

    @property
    def flops_per_epoch(self):
        """Floating-point operations of one epoch: the first layer needs no ``D W^T``."""
        products = [a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False)]
        return self.rows * (6 * sum(products) - 2 * products[0])


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("tiny", (4, 32, 16, 4), 128, 10_000, "squared_error"),
        Workload("tabular", (32, 64, 64, 1), 64, 20_000, "squared_error"),
        Workload("digits", (64, 100, 10), 200, 1_797, "cross_entropy"),
        Workload("mnist", (784, 128, 10), 128, 20_000, "cross_entropy"),
        Workload("mnist2", (784, 512, 512, 10), 256, 20_000, "cross_entropy"),
        Workload("wide", (1024, 2048, 2048, 1000), 1024, 4_096, "cross_entropy"),
    )
}


def make_data(workload, rows=None, dtype="float32", seed=0):
    """Return synthetic data for a workload: a noisy linear map of normal inputs.

    Parameters
    ----------
    workload : Workload
        Gives the shapes and the loss.
    rows : int, optional
        Samples; default: ``workload.rows``.
    dtype : {"float32", "float64"}
        Dtype of the features and of real targets.
    seed : int
        Seed of the generator.

    Returns
    -------
    X, y : numpy.ndarray
        (rows, n_in), and (rows, n_out) targets or (rows,) int64 labels.
    """
    rng = np.random.default_rng(seed)
    n_in, n_out = workload.sizes[0], workload.sizes[-1]
    X = rng.standard_normal((rows or workload.rows, n_in), dtype="float32")
    y = X @ rng.standard_normal((n_in, n_out), dtype="float32") / np.float32(n_in**0.5)
    y += rng.standard_normal(y.shape, dtype="float32") / 4
    if workload.loss == "cross_entropy":
        return X.astype(dtype, copy=False), y.argmax(axis=1)
    return X.astype(dtype, copy=False), y.astype(dtype, copy=False)
