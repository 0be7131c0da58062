"""Single steps of an engine: a gradient, an update, or both on one batch of the caller's arrays."""

from typing import Any, NamedTuple

import numpy as np

from ..kernels.compiler.threads import choose_threads, twin
from ..kernels.net import loop
from ..kernels.net.records import gathered
from ..kernels.net.step import batch_step, batch_update
from ..kernels.simd.gemm import MAIN_ROWS
from ..kernels.support.arrays import address
from ..kernels.tuning import REGIONS_PER_GRADIENT, UPDATE_FLOPS
from .run import rate_in_compiled_code


class Batch(NamedTuple):
    """Addresses of a batch of dense rows, which the kernel checks; 0 for what there is not.

    They are good as long as the caller keeps the arrays. With `x` 0 the run points at checked data.
    """

    x: int
    y: int
    labels: int
    weight: int
    signed: bool  # whether weights may be negative
    rows: int


class Steps:
    """What an `Engine` does in single steps."""

    # of the engine
    plan: Any
    optimizer: Any
    gate: Any
    grads: Any
    params: Any
    moments: Any
    arrays: Any
    refresh: Any
    _run: Any
    _dense: Any
    _levels: Any
    _place_training: Any
    _workspace: Any
    _placed: Any
    _prepare: Any
    _training: Any
    _in_float32: float

    def threads_of_step(self, n_threads, data, rows, regions=REGIONS_PER_GRADIENT):
        """Return the number of threads for a training step on `rows` rows of `data`.

        `regions` is what it costs to share it, in parallel regions.
        """
        flops = rows / len(data) * self.plan.flops_of(data.x)
        if not data.is_dense:  # the products may take less time than the update
            flops += UPDATE_FLOPS * self.plan.size
        parts = rows // MAIN_ROWS
        return choose_threads(n_threads, flops * self._in_float32, regions, parts)

    def gradient(self, data, n_threads="auto", most_threads=None):
        """Run all of `data` forward and backward as one batch: fill `grads`.

        Return the mean loss, and the penalty, which `grads` include. Calls with different
        numbers of threads share buffers if they name the same `most_threads`.
        """
        threads = self.threads_of_step(n_threads, data, len(data))
        self._prepare(len(data), most_threads or threads, data)
        self._run[0]["tasks"] = threads
        self.refresh()
        return twin(loop.gradient, threads)(*self.arrays(), 0, len(data))

    def update(self, grads, rate, n_threads="auto"):
        """Apply one optimizer step from flat gradients at the learning rate `rate`.

        Those of layers that are not trained count as zeros. Return whether the others are finite;
        else nothing is updated.
        """
        threads = choose_threads(n_threads, UPDATE_FLOPS * self.plan.size * self._in_float32, 1)
        if not self._has_room(1, threads):
            self._prepare(1, threads)
        self._run[0]["ramps"], self._placed = 0, nothing  # the data of the gradient may be gone
        frozen = self.plan.frozen
        if frozen or not (grads.dtype == self.plan.dtype and grads.flags.carray):
            self.grads[:] = grads
            grads = self.grads
            for places in frozen:  # those of vjp are not 0, and would count in the norm that clips
                grads[places] = 0
        layers, run, params, _, moments, work = self.arrays()
        arrays = (layers, run, params, grads, moments, work)
        return self.gate.change(twin(batch_update, threads), *arrays, threads, rate)

    def place(self, data, n_threads):
        """Return the `Batch` of all of checked `data`.

        The run is pointed at them unless they are dense, without weights of outputs.
        """
        if data.is_plain:
            x, y, labels, weight = map(address, (data.x, data.y, data.labels, data.weight))
            return Batch(x, y, labels, weight, data.signed, len(data))
        threads = self.threads_of_step(n_threads, data, len(data))
        self._prepare(len(data), threads, data)
        return Batch(0, 0, 0, 0, data.signed, len(data))

    def gradient_of(self, batch, n_threads="auto"):
        """Fill `grads` with the gradient of a `Batch`; return its mean loss."""
        kernel, threads = self._kernel(batch, n_threads)
        return kernel(*self.arrays(), *batch, threads, 0.0, False)

    def step(self, batch, rate, n_threads="auto"):
        """Train on a `Batch` at a learning rate; return its mean loss.

        Nothing is updated unless it is finite. It is NaN, too, if the arrays are not as the loss
        expects them.
        """
        kernel, threads = self._kernel(batch, n_threads)
        return self.gate.change(kernel, *self.arrays(), *batch, threads, rate, True)

    def set_optimizer(self, optimizer):
        """Take an optimizer that differs in its learning rate alone."""
        self.optimizer = optimizer
        self._run[0]["learning_rate"] = rate_in_compiled_code(optimizer)

    def train_state(self, batch):
        """Return the buffers for steps on batches of rows, as `kernels.train_step` takes them."""
        here = self._workspace(batch, 1, True, self._dense)
        run = gathered([self._run])
        self._place_training(run, here)
        run[0]["batch"] = batch
        levels = np.empty(0, self.plan.dtype) if self._levels is None else self._levels
        arrays = self.params, self.grads, self.moments
        return here.layers, run, *arrays, here.work, self._run, levels

    def _kernel(self, batch, n_threads):
        """Prepare the buffers for a batch; return the kernel of a step, and its threads."""
        if not batch.x:
            threads = self._training.tasks
            return twin(batch_step, threads), threads
        flops = batch.rows * self.plan.flops_per_row * self._in_float32
        parts = batch.rows // MAIN_ROWS
        threads = choose_threads(n_threads, flops, REGIONS_PER_GRADIENT, parts)
        if not self._has_room(batch.rows, threads) or not self._training.inputs.cover(self._dense):
            self._prepare(batch.rows, threads)
        self._placed = nothing
        return twin(batch_step, threads), threads

    def _has_room(self, rows, threads):
        """Return whether the training workspace suffices for so many rows and threads."""
        here = self._training
        return here is not None and here.batch >= rows and here.tasks >= threads


def nothing():
    """Replace a weak reference to nothing."""
