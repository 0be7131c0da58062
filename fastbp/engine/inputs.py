"""Samples as a run reads them; X are dense rows, sparse rows, or rows with ramps."""

from typing import Any, NamedTuple

import numpy as np

from ..kernels.loss import weighted_rows
from ..kernels.ramp_matmul import ramp_product
from ..kernels.ramp_outer import place_integers, ramp_outer_rows
from ..kernels.sparse_matmul import sparse_product
from ..kernels.sparse_outer import sparse_outer_rows
from ..kernels.support.arrays import address
from ..kernels.support.ramp_rows import RampRows
from ..kernels.support.sparse_rows import SparseRows

# the fields of a run that only X of one kind sets
_DENSE = {"columns": 0, "starts": 0, "ramps": 0}


class Inputs(NamedTuple):
    """What X needs of a workspace.

    `gathered` are the numbers of a row that are copied to it: of sparse rows, which are read where
    they lie, those of the longest if inputs drop out, else none. The gradient of `together`
    features is computed at once.
    """

    gathered: int
    together: int = 1

    def cover(self, other: "Inputs") -> bool:
        """Return whether a workspace for these has room for others."""
        return self.gathered >= other.gathered and self.together >= other.together

    def places(self, rows: int) -> int:
        """Return how many integers a task needs for the gradient of so many rows."""
        return place_integers(rows) if self.together > 1 else 0


def inputs_of(x: Any, drops: bool = False) -> Inputs:
    """Return what the rows of X need of a workspace, where inputs drop out or do not."""
    if isinstance(x, SparseRows):
        return Inputs(int(np.diff(x.starts).max(initial=0)) if drops else 0)
    if isinstance(x, RampRows):
        return Inputs(x.values.shape[1], int(x.ramps.max()))
    return Inputs(x.shape[1])


def numbers_of(x: Any) -> Any:
    """Return the array of the numbers that X holds."""
    if isinstance(x, SparseRows):
        return x.data
    return x.values if isinstance(x, RampRows) else x


def fields_of(x: Any, dtype: Any) -> dict[str, Any]:
    """Return the fields of a run that point at X, and at the code for it."""
    fields = _DENSE | {"x": address(numbers_of(x)), "x_row": x.shape[1]}
    if isinstance(x, SparseRows):
        fields |= {
            "columns": address(x.columns),
            "starts": address(x.starts),
            "sparse_product": sparse_product.address(dtype),
            "sparse_outer": sparse_outer_rows.address(dtype),
        }
    elif isinstance(x, RampRows):
        fields |= {
            "x_row": x.values.shape[1],
            "ramps": address(x.starts),
            "ramp_height": x.height,
            "ramp_product": ramp_product.address(dtype),
            "ramp_outer": ramp_outer_rows.address(dtype),
        }
    return fields


def target_fields(data: Any, dtype: Any) -> dict[str, int]:
    """Return the fields of a run that point at the targets and weights of `Samples`."""
    by_output = data.output_weight is not None
    return {
        "y": address(data.y),
        "labels": address(data.labels),
        "sample_weight": address(data.weight),
        "output_weight": address(data.output_weight),
        "weighted_rows": weighted_rows.address(dtype) if by_output else 0,
        "signed": data.signed,
    }


def dense_fields(columns: int) -> dict[str, Any]:
    """Return the fields of a run whose X are dense rows of so many columns, but where they are."""
    return _DENSE | {"x_row": columns}
