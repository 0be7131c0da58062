"""A batch of the caller's arrays as it lies, where a kernel can check it by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine.steps import Batch
from ..kernels.formulas.losses import LOSSES
from ..kernels.support.arrays import address

if TYPE_CHECKING:
    from ..engine.engine import Engine

_INTEGER = np.dtype(np.int64)


def batch_as_it_is(
    X: Any, y: Any, sample_weight: Any, engine: Engine, signed: bool = False
) -> Batch | None:
    """Return a `Batch` of arrays that need no conversion; None where `samples` must look at them.

    Types and shapes are checked here, numbers by the kernel that reads the batch.
    """
    plan = engine.plan
    dtype, n_out = plan.dtype, plan.specs[-1].n_out
    if not (_lies_well(X, dtype) and X.ndim == 2 and X.shape[1] == plan.specs[0].n_in):
        return None
    rows = len(X)
    if not rows:
        return None
    weight = 0
    if sample_weight is not None:
        if not _lies_well(sample_weight, dtype) or sample_weight.shape != (rows,):
            return None
        weight = address(sample_weight)
    if LOSSES[engine.loss].targets == "classes":  # probabilities may need to be scaled
        if _lies_well(y, _INTEGER) and y.shape == (rows,):
            return Batch(address(X), 0, address(y), weight, signed, rows)
        return None
    if _lies_well(y, dtype) and y.size == rows * n_out and y.shape in ((rows, n_out), (rows,)):
        return Batch(address(X), address(y), 0, weight, signed, rows)
    return None


def _lies_well(array, dtype):
    return type(array) is np.ndarray and array.dtype == dtype and array.flags.c_contiguous
