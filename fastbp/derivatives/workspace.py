"""Where the intermediate results of derivatives lie, for one block of rows."""

from dataclasses import replace

import numpy as np

from ..engine.inputs import Inputs
from ..engine.plan import Plan, Workspace
from ..kernels.hadamard import PUSH, SCALE
from ..kernels.net.curvature import CURVES, ROW_CURVES
from ..kernels.net.derivatives import PLACE

# a block fills about so many bytes of a cache, but has at least so many rows: its products add to
# the whole gradient
_BLOCK_BYTES = 1 << 20
_LEAST_ROWS, _MOST_ROWS = 512, 4096


def without_dropout(plan):
    """Return the plan of the same net without dropout, whose layers are all derived by."""
    return Plan(
        [replace(spec, dropout=0.0, trainable=True) for spec in plan.specs], 0.0, plan.dtype
    )


def rows_of_block(plan):
    """Return how many rows a block has: it does not depend on the number of threads."""
    numbers = sum(spec.n_in + 6 * spec.n_out for spec in plan.specs)
    rows = _BLOCK_BYTES // (numbers * plan.dtype.itemsize)
    return min(max(rows, _LEAST_ROWS), _MOST_ROWS)


class Tangents(Workspace):
    """A workspace with what derivatives need beside a step: see `PLACE`.

    `is_second` says whether there are places for tangents of deltas and for their directions.
    """

    def __init__(self, plan, batch, tasks, is_second):
        super().__init__(plan, batch, tasks, True, Inputs(plan.specs[0].n_in))
        self.is_second = is_second
        self.places = np.zeros(len(plan.specs), PLACE)
        before = self.input_row
        for n, (place, record) in enumerate(zip(self.places, self.layers, strict=True)):
            self._place(place, record, plan.specs[n], before, n)
            before = int(record["row"])
        self.bytes = self._size * self._item

    def _place(self, place, record, spec, before, n):
        turned, block = spec.n_out * before, self.batch * int(record["row"])
        place["turned"] = record["transposed"] if n > 0 else self._take(turned)
        place["turned_row"] = before
        place["turned_v"] = self._take(turned) if self.is_second else -1
        place["tangent"] = self._take(block)
        keeps_both = self.is_second and spec.activation != "identity"
        place["tangent_z"] = self._take(block) if keeps_both else place["tangent"]
        place["tangent_delta"] = self._take(block) if self.is_second else -1
        for field, loops in (("curve", CURVES), ("row_curve", ROW_CURVES)):
            if self.is_second and spec.activation in loops:
                place[field] = loops[spec.activation].address(self._dtype)
        is_last = n == len(self.places) - 1
        if spec.activation != "identity" and (is_last or spec.activation != "relu"):
            scale = SCALE[spec.activation]
            place["scale"] = scale.address(self._dtype)
            place["push"] = PUSH.get(spec.activation, scale).address(self._dtype)
