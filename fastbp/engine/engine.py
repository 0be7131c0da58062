"""The engine: the buffers of one net, and the calls into the kernels.

It holds no arithmetic; every number comes from `fastbp.kernels`.
"""

from time import perf_counter
from typing import Any
from weakref import ref

import numpy as np

from ..kernels.compiler.threads import choose_threads, compile_twins, note_apart, together, twin
from ..kernels.formulas.activations import ACTIVATIONS
from ..kernels.formulas.losses import LOSSES
from ..kernels.loss import slope_of, value_of
from ..kernels.net import loop
from ..kernels.net.epochs import train_epochs
from ..kernels.net.passes import (
    FORWARD,
    LOSS,
    TRANSPOSE,
    pass_over_weights,
    rows_task,
    weights_task,
)
from ..kernels.net.records import gathered
from ..kernels.simd.gemm import gemm
from ..kernels.simd.meeting import CELLS
from ..kernels.support.arrays import address, aligned_zeros
from ..kernels.tuning import (
    FAR_BYTES,
    FAR_DATA_BYTES,
    INFERENCE_FLOPS,
    INFERENCE_FLOPS_PACKED,
    INFERENCE_ROWS,
    INFERENCE_ROWS_PACKED,
)
from ..kernels.update import UPDATES
from ..memory import require_memory
from .dropped import Dropped
from .gate import Gate
from .inputs import Inputs, dense_fields, fields_of, inputs_of, numbers_of, target_fields
from .pace import pace_of_steps
from .plan import Plan
from .run import fill, new_run
from .steps import Steps, nothing

_NOTHING = np.zeros(1)


class Engine(Steps, Dropped):
    """The state of a net: parameters, moments, and the workspace of its last batch size.

    `params`, `grads` and `moments` are flat; `moments` holds the first and then the second.
    `epochs` counts completed ones. `gate` keeps whoever copies them apart from whoever trains.
    """

    def __init__(self, plan, loss, loss_parameter, optimizer, seed):
        self.plan = plan
        self.loss = loss
        self.loss_parameter = loss_parameter
        self.optimizer = optimizer
        largest = max(spec.n_in * spec.n_out for spec in plan.specs) * plan.dtype.itemsize
        packed = largest >= FAR_BYTES
        rows = min(INFERENCE_ROWS_PACKED, INFERENCE_FLOPS_PACKED // plan.flops_per_row_forward)
        self._inference_rows = max(INFERENCE_ROWS, rows) if packed else INFERENCE_ROWS
        self._dense = Inputs(plan.specs[0].n_in)
        self._in_float32 = plan.dtype.itemsize / 4  # float32 operations in the time of one
        record = LOSSES[loss]
        outputs = plan.specs[-1].n_out
        self._levels = record.levels_of("loss_parameter", loss_parameter, outputs, plan.dtype)
        has_partner = ACTIVATIONS.find(plan.specs[-1].activation).name == record.partner
        self._canonical = has_partner and record.from_logits is not None
        number = record.number_of(loss_parameter, outputs)
        self._run = new_run(plan, optimizer, record, number, self._levels)
        self._begin(seed)

    def _begin(self, seed):
        """Make the arrays, all zeros, and what is not shared with siblings."""
        size, row = self.plan.size, self.plan.row
        needed = size * self.plan.dtype.itemsize
        require_memory(needed, f"a network of {size:,} parameters", "fewer units take less")
        flat = aligned_zeros(3 * row, self.plan.dtype)
        self.params, self.moments = flat[:size], flat[row : row + 2 * size]
        # apart: where an update keeps no gradient, not even the edges of huge pages are touched
        self.grads = aligned_zeros(size, self.plan.dtype)
        self.epochs = 0
        self._training: Any = None
        self._cells = np.zeros(CELLS, np.int64)
        self._placed = nothing  # a weak reference to the data that the run points at
        self.gate = Gate()
        # idle workspaces for inference with their runs, and paces by the most threads: concurrent
        # calls take one each
        self._idle, self._paces = [], {}
        #: idle workspaces of `fastbp.derivatives`
        self.spare = []
        run = self._run[0]
        run["seed"], run["step"], run["cells"] = seed, 0, address(self._cells)

    def sibling(self, seed):
        """Return an engine like this one, with parameters of 0, before its first step."""
        other = object.__new__(type(self))
        other.__dict__.update(vars(self))
        other._run = gathered([self._run])
        other._begin(seed)
        return other

    @property
    def seed(self):
        """The seed of initial weights, shuffles and dropout."""
        return int(self._run[0]["seed"])

    @seed.setter
    def seed(self, seed):
        self._run[0]["seed"] = seed

    @property
    def steps(self):
        """Updates made so far."""
        return int(self._run[0]["step"])

    @steps.setter
    def steps(self, count):
        self._run[0]["step"] = count

    def progress(self):
        """Return copies of the parameters and the moments, and the steps and epochs made.

        They are of one moment between two steps, if another thread trains.
        """
        return self.gate.copy(
            lambda: (self.params.copy(), self.moments.copy(), self.steps, self.epochs)
        )

    def set_progress(self, params, moments=(0.0, 0.0), steps=0, epochs=None):
        """Go back, or on, to what `progress` returned; by default with moments as before a step."""

        def change():
            self.params[:], self.steps = params, steps
            self.moments.reshape(2, -1)[:] = np.reshape(moments, (2, -1))
            self.epochs = self.epochs if epochs is None else epochs

        self.gate.change(change)

    def set_parameters(self, params):
        """Replace the parameters alone."""
        self.gate.change(self.params.__setitem__, slice(None), params)

    def release(self):
        """Give back the buffers, those of idle workspaces too; they are laid out anew if needed."""
        self._training = None
        self._placed = nothing
        self._idle.clear()
        self.spare.clear()

    def set_layers(self, specs):
        """Take layers that differ in what is trained alone."""
        self.plan = Plan(specs, self.plan.input_drop, self.plan.dtype)
        self.release()

    def set_objective(self, penalty=0.0, loss_limit=np.inf):
        """Set an L2 penalty, which is divided by a batch's weights, and the limit of a loss.

        An output of a cross-entropy adds no more than the limit; its gradient has none.
        """
        self._run[0]["penalty"] = penalty
        self._run[0]["loss_limit"] = loss_limit

    def threads_of_rows(self, n_threads, rows):
        """Return how many threads inference on `rows` rows runs on."""
        flops = min(rows, self._inference_rows) * self.plan.flops_per_row_forward
        return choose_threads(n_threads, flops * self._in_float32, 1)

    def bytes_to_train(self, data, batch):
        """Return the bytes of buffers for batches of `data`, beside those that there are."""
        new = self.plan.workspace(batch, 1, True, self._inputs_to_train(data.x)).bytes
        return new if self._training is None else max(0, new - self._training.bytes)

    def start_training(self, data, batch, threads):
        """Prepare buffers for mini-batches of `batch` rows of `data`."""
        self._prepare(batch, threads, data)
        self.refresh()

    def train(self, data, order, rates, first, batch, losses, penalties, threads):
        """Run one slice of mini-batches on at most the prepared threads; see `loop.train`."""
        run = self._run[0]
        fields = {"order": address(order), "rates": address(rates), "steps": len(rates)}
        fields |= {"losses": address(losses), "penalties": address(penalties)}
        fields |= {"start": first, "stop": len(data) if order is None else len(order)}
        fill(run, {**fields, "batch": batch, "tasks": threads})
        if threads > 1 and (function := together(loop.train, threads)):
            self._cells[:] = 0
            done = self.gate.change(function, *self.arrays())
            if done >= 0:
                return done
            note_apart()
        run["tasks"] = 1
        return self.gate.change(loop.train.serial, *self.arrays())

    def train_epochs(self, data, order, state, rates, batch, losses, penalties):
        """Run epochs on one thread, each with the rows of `order` (n,) shuffled anew.

        `state` is that of NumPy's generator: words (624,) and place (1,); None: no shuffling.
        The arrays (epochs, batches) take losses and penalties. Return the epochs and, of the last
        if its loss is not finite, the steps that are done.
        """
        run, (epochs, steps) = self._run[0], losses.shape
        fields = {"order": address(order), "rates": address(rates), "steps": steps, "tasks": 1}
        fields |= {"losses": address(losses), "penalties": address(penalties)}
        fill(run, {**fields, "start": 0, "stop": len(order), "batch": batch})
        words, place = state or (np.empty(0, np.uint32), np.empty(0, np.int64))
        partners = np.empty(0 if state is None else len(order), np.uint64)
        given = (words, place, partners, order, epochs, *self.arrays())
        done = self.gate.change(train_epochs.serial, *given)
        return done, int(run["done"])

    def refresh(self):
        """Transpose the weights anew, since a caller may have set the parameters.

        On one thread: once per epoch, more threads would not pay.
        """
        pass_over_weights.serial(*self.arrays(), TRANSPOSE)

    def forward(self, data, n_threads="auto", go_on=None):
        """Return the outputs (n, n_out) for the rows of `data`; `go_on` is as for `evaluate`."""
        out = self.plan.new_outputs(len(data))
        return out if self._infer(FORWARD, data, out, _NOTHING, n_threads, go_on) else None

    def row_state(self):
        """Return a workspace for one row, as `kernels.forward_row` takes it."""
        here, run = self._take_idle(1, 1)
        return here.layers, run, self.params, here.work

    def evaluate(self, data, n_threads="auto", go_on=None):
        """Return the outputs (n, n_out) for the rows of `data`, and their weighted mean loss.

        The loss is 0 where no row has a weight, as in a part of the data. `go_on` is called between
        slices; if it returns False, the result is None.
        """
        out, total = self.plan.new_outputs(len(data)), np.zeros(1)
        if not self._infer(LOSS, data, out, total, n_threads, go_on):
            return None
        weight = data.total_weight
        return out, float(total[0] / weight) if weight else 0.0

    def scoring(self, data):
        """Return what `loop.infer` takes to score dense `data`: layers, run, work, batch."""
        batch = min(len(data), self._inference_rows)
        here, run = self._take_idle(batch, 1)
        self._place_data(run[0], data)
        return here.layers, run, here.work, batch

    def _infer(self, aim, data, out, total, n_threads, go_on=None):
        """Fill `out` in slices of rows; return whether `go_on` let it come to the end."""
        count = len(data)
        threads = self.threads_of_rows(n_threads, count)
        batch = min(count, self._inference_rows * threads)
        most = max(1, INFERENCE_FLOPS // (batch * self.plan.flops_per_row_forward))
        here, run = self._take_idle(batch, threads, inputs_of(data.x))
        pace: Any = None if threads == 1 else self._take_pace(threads)
        if aim == LOSS or not data.is_dense:
            self._place_data(run[0], data)
        x = address(numbers_of(data.x))
        arrays = (here.layers, run, self.params, here.work)
        first = 0
        while first < count:
            if go_on is not None and not go_on():
                return False
            if threads == 1:
                part = out[first : first + most * batch]
                loop.infer.serial(*arrays, aim, x, first, len(part), batch, part, total)
            else:
                steps, now = pace.next_slice()
                part = out[first : first + min(steps, most) * batch]
                run[0]["tasks"], at_once = now, min(batch, self._inference_rows * now)
                began = perf_counter()
                twin(loop.infer, now)(*arrays, aim, x, first, len(part), at_once, part, total)
                if len(part) >= batch:  # a rest would not be typical
                    steps = len(part) / (self._inference_rows * threads)
                    pace.took(steps, now, perf_counter() - began)
            first += len(part)
        if not data.is_dense:  # most calls are dense, and need not look
            fill(run[0], dense_fields(self._dense.gathered))
        self._idle.append((here, run))
        self._paces[threads] = pace
        return True

    def _take_idle(self, batch, threads, inputs=None):
        """Return an idle workspace for inference, of dense rows by default, and its run."""
        inputs = inputs or self._dense
        try:
            while True:
                here, run = self._idle.pop()
                fits = here.batch >= batch and here.tasks == threads
                if fits and here.inputs.cover(inputs):
                    return here, run
        except IndexError:  # not asked for before: another thread may take the last one
            here = self._workspace(batch, threads, False, inputs)
            run = gathered([self._run])
            run[0]["loss_slope"] = 0  # inference needs no deltas
            self._place(run, here)
            fill(run[0], {**dense_fields(self._dense.gathered), "order": 0})
            if threads > 1:  # the pace must not measure a compiler
                result = np.empty((0, 0), self.plan.dtype)
                arrays = (here.layers, run, self.params, here.work)
                compile_twins(loop.infer, (*arrays, *[0] * 5, result, _NOTHING))
            return here, run

    def _take_pace(self, threads):
        """Return what calls on so many threads have learned; a new pace for calls beside others."""
        if pace := self._paces.pop(threads, None):
            return pace
        flops = self._inference_rows * threads * self.plan.flops_per_row_forward
        return pace_of_steps(flops, threads)

    def _workspace(self, batch, threads, training, inputs):
        here = self.plan.workspace(batch, threads, training, inputs)
        require_memory(here.bytes, f"a batch of {batch:,} rows", "smaller batches take less")
        here.link(self.plan.specs, self._canonical)
        return here

    @property
    def run(self):
        """The record (1,) of `RUN` that the kernels read: seed, progress and hyper-parameters."""
        return self._run

    def arrays(self):
        """Return what the kernels of training take, after `start_training`."""
        here = self._training
        return here.layers, self._run, self.params, self.grads, self.moments, here.work

    def _prepare(self, batch, threads, data=None):
        """Lay out the training workspace, unless it fits, and point the run at `data`."""
        here, run = self._training, self._run[0]
        inputs = self._dense if data is None else self._inputs_to_train(data.x)
        fits = here is not None and (here.batch, here.tasks) == (batch, threads)
        if not (fits and here.inputs.cover(inputs)):
            self._lay_out(batch, threads, inputs)
        run["tasks"] = threads
        if data is None:
            return
        if self._placed() is data:
            run["order"] = 0
            return
        self._placed = ref(data)
        self._place_data(run, data)
        is_far = data.x.nbytes > FAR_DATA_BYTES and data.is_dense
        run["ahead"] = self._training.ahead if is_far else -1

    def _inputs_to_train(self, x):
        return inputs_of(x, self.plan.input_drop > 0)

    def _lay_out(self, batch, threads, inputs):
        """Make the training workspace, and tell the run where it lies and what code to run."""
        self._training, self._placed = None, nothing  # a Ctrl-C may end the compiler
        here = self._workspace(batch, threads, True, inputs)
        self._place_training(self._run, here)
        self._training = here

    def _place_training(self, runs, here):
        """Tell a run of a training where its workspace lies, and what code to run."""
        self._place(runs, here)
        run, dtype = runs[0], self.plan.dtype
        run["weights_task"] = weights_task.address(dtype)
        run["train_task"] = loop.train_task.address(dtype)
        self._place_loss(run)
        run["loss_slope"] = slope_of(self.loss, self._canonical, dtype)
        if update := UPDATES.get(self.optimizer.name):  # others do not make steps on batches
            run["update"] = update.address(dtype)

    def _place(self, runs, here):
        """Tell a run where its workspace lies, and what code to run."""
        run = runs[0]
        names = ("input", "input_row", "row_losses", "tasks", "ahead_row", "scratch", "scratch_row")
        places = {name: getattr(here, name) for name in names}
        # sparse rows are not asked for ahead, and their cursors lie in that place
        fill(run, {**places, "ahead": -1, "cursors": here.ahead})
        run["rows_task"] = rows_task.address(self.plan.dtype)
        run["gemm"] = gemm.address(self.plan.dtype)

    def _place_loss(self, run):
        """Tell a run what code computes the loss."""
        source, value = value_of(self.loss, self._canonical, self.plan.dtype)
        run["loss_source"], run["loss_value"] = source, value

    def _place_data(self, run, data):
        """Point a run at data, rows in their own order, and at the code for it."""
        self._place_loss(run)
        dtype = self.plan.dtype
        fill(run, fields_of(data.x, dtype) | target_fields(data, dtype) | {"order": 0})
