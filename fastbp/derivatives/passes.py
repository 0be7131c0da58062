"""The passes that compute derivatives: buffers, the records that kernels read, and the calls.

The weights are copied at the beginning: they are of one moment between two steps, if another
thread trains. Each call takes a workspace that no other uses.
"""

import numpy as np

from ..engine.inputs import fields_of, target_fields
from ..engine.run import fill
from ..kernels.compiler.threads import choose_threads, twin
from ..kernels.formulas.curvatures import ACTIVATION_CURVATURES, LOSS_CURVATURES
from ..kernels.formulas.custom import CustomFormula
from ..kernels.formulas.losses import LOSSES
from ..kernels.loss import slope_of, value_of
from ..kernels.net import curvature, derivatives
from ..kernels.net.derivatives import JOB, derive
from ..kernels.net.passes import rows_task
from ..kernels.net.records import gathered
from ..kernels.simd.gemm import MAIN_ROWS, gemm
from ..kernels.support.arrays import address, aligned_zeros
from ..memory import require_memory
from ..quoted import quoted
from .workspace import Tangents, rows_of_block, without_dropout

_NONE = np.zeros(1)


class Passes:
    """The buffers to derive one network by, for blocks of `batch` rows on `tasks` threads."""

    def __init__(self, engine, batch, tasks, is_second):
        plan = without_dropout(engine.plan)
        here = Tangents(plan, batch, tasks, is_second)
        require_memory(here.bytes, f"a block of {batch:,} rows", "give fewer rows at once")
        output = plan.specs[-1].activation
        record = LOSSES[engine.loss]
        self.is_canonical = output == record.partner and record.from_logits is not None
        here.link(plan.specs, self.is_canonical)
        self.here, self.plan, self._loss = here, plan, engine.loss
        #: Rows of a block, which the buffers may be larger than.
        self.batch = batch
        self.params = aligned_zeros(plan.size, plan.dtype)
        self.run, self.job = gathered([engine.run]), np.zeros(1, JOB)
        source, value = value_of(engine.loss, self.is_canonical, plan.dtype)
        names = ("input", "input_row", "row_losses", "tasks", "scratch", "scratch_row")
        fields = {name: getattr(here, name) for name in names}
        fields |= {"rows_task": rows_task.address(plan.dtype), "gemm": gemm.address(plan.dtype)}
        fields |= {"loss_source": source, "loss_value": value, "input_drop": 0.0}
        fields["loss_slope"] = slope_of(engine.loss, self.is_canonical, plan.dtype)
        fields |= {"order": 0, "places": 0, "ahead": -1, "loss_limit": np.inf, "clip_samples": 0}
        fill(self.run[0], fields)

    def fits(self, batch, tasks, is_second):
        """Return whether the buffers serve such blocks."""
        here = self.here
        is_wide = here.is_second or not is_second
        return here.batch >= batch and here.tasks == tasks and is_wide

    def derive(self, part, data, out=None, sums=None, add=derivatives.sums_part, **job):
        """Run a part of kernels/net over all rows of `data`; `add` adds to the array `sums`."""
        dtype = self.plan.dtype
        fill(self.run[0], fields_of(data.x, dtype) | target_fields(data, dtype))
        self.job[0] = 0
        fill(self.job[0], job)
        turn = 0 if part is derivatives.jvp_part else derivatives.turn_part.address(dtype)
        over_weights = 0 if sums is None else add.address(dtype)
        here, none = self.here, self.params[:0]
        twin(derive, here.tasks)(
            turn,
            part.address(dtype),
            over_weights,
            here.layers,
            here.places,
            self.job,
            self.run,
            self.params,
            here.work,
            none if out is None else out.reshape(-1),
            none if sums is None else sums,
            len(data),
            self.batch,
        )

    def curved(self, part, data, v, add=derivatives.sums_part):
        """Return what a part of kernels/net/curvature.py gives of the mean loss (size,)."""
        dtype, loss = self.plan.dtype, self._loss
        self.run[0]["scale"] = 1 / data.total_weight
        flat, v = np.empty(self.plan.size, dtype), aligned_copy(v)
        self.derive(
            part,
            data,
            None,
            flat,
            add,
            v=address(v),
            from_outputs=not self.is_canonical,
            slope=slope_of(loss, self.is_canonical, dtype),
            curve=curvature.curve_of(loss, self.is_canonical, dtype),
            slopes_task=curvature.slopes_task.address(dtype),
        )
        return flat


def check_curves(loss, *activations):
    """Raise ValueError unless the second derivatives of a loss and of activations are known."""
    unknown = [] if loss in LOSS_CURVATURES else [loss]
    unknown += [name for name in activations if name not in ACTIVATION_CURVATURES]
    if unknown:
        is_own = isinstance(unknown[0], CustomFormula)
        remedy = "formulas of your own have none" if is_own else "add it to formulas/curvatures.py"
        raise ValueError(f"the second derivative of {quoted(unknown[0])} is not known: {remedy}")


def aligned_copy(flat):
    """Return a copy of a flat array that starts on a cache line."""
    copy = aligned_zeros(flat.size, flat.dtype)
    copy[:] = flat
    return copy


class taken:
    """A `with` block that takes `Passes` for so many rows, whose weights are those of now."""

    def __init__(self, engine, rows, n_threads, passes=3, is_second=False):
        plan = engine.plan
        batch = min(rows, rows_of_block(plan))
        flops = passes * batch * plan.flops_per_row_forward * plan.dtype.itemsize / 4
        tasks = choose_threads(n_threads, flops, 2, max(1, batch // MAIN_ROWS))
        self._engine, self._asked = engine, (batch, tasks, is_second)

    def __enter__(self):
        engine = self._engine
        self._list = engine.spare
        try:
            while True:
                passes = self._list.pop()
                if passes.fits(*self._asked):
                    break
        except IndexError:  # another thread may take the last one
            passes = Passes(engine, *self._asked)
        passes.batch = self._asked[0]
        engine.gate.copy(lambda: np.copyto(passes.params, engine.params))
        self._passes = passes
        return passes

    def __exit__(self, *error):
        self._list.append(self._passes)
