"""Training in single steps: backward, update, or both at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from .annotations import Array, Matrix, Threads, Weights
from .data.batches import batch_as_it_is
from .data.samples import samples
from .data.weights import allowed_of
from .engine.described import Described
from .engine.monotonic import require_signs
from .engine.plan import Gradients
from .errors import DivergenceError
from .kernels.support.scalars import a_flag, a_number, a_whole_number


class Stepping(Described):
    """What a `Network` does one step at a time."""

    def step(
        self,
        X: Matrix,
        y: ArrayLike,
        sample_weight: Weights = None,
        rate: float | None = None,
        *,
        epoch: float | None = None,
        steps_per_epoch: int | None = None,
        n_threads: Threads = "auto",
        missing_targets: bool = False,
        signed: bool = False,
    ) -> float:
        """Train on one batch, with the bits of a `fit` of this batch; return its mean loss.

        The loss is of the weights before the step. Contiguous arrays of the network's dtype, and
        class labels of 64 bits, are read where they lie.

        Parameters
        ----------
        X, y, sample_weight, missing_targets, signed
            The batch, as for `fit`.
        rate : float, optional
            The learning rate; default: the optimizer's, scaled by its schedule.
        epoch, steps_per_epoch : float, int, optional
            The schedule's time in epochs, which may be a fraction; or the steps of an epoch: the
            time is then the network's `steps` / `steps_per_epoch`. A schedule needs one of them.
        n_threads : int or "auto", default "auto"
            Threads; the result's bits do not depend on their number.

        Raises
        ------
        DivergenceError
            If the loss is not finite; nothing is updated then.
        ValueError, TypeError
            If an argument is invalid; the network is unchanged then.
        """
        rate = self._rate(rate, epoch, steps_per_epoch)
        allowed = allowed_of(missing_targets, signed)
        engine, loss = self._engine, math.nan
        batch = batch_as_it_is(X, y, sample_weight, engine, allowed.signed)
        in_use = self._hold()
        try:
            if batch is not None:
                loss = engine.step(batch, rate, n_threads)
            if not math.isfinite(loss):
                data = samples(X, y, engine.plan, engine.loss, sample_weight, allowed=allowed)
                if batch is None or data.has_gaps:
                    loss = engine.step(engine.place(data, n_threads), rate, n_threads)
        finally:
            in_use.release()
        if not math.isfinite(loss):
            raise DivergenceError(
                f"the loss became {loss} in step {engine.steps + 1}: nothing was updated",
                engine.epochs,
                engine.steps,
            )
        return loss

    def backward(
        self,
        X: Matrix,
        y: ArrayLike,
        sample_weight: Weights = None,
        n_threads: Threads = "auto",
        *,
        missing_targets: bool = False,
        signed: bool = False,
    ) -> tuple[float, Gradients]:
        """Run both passes on one batch: return its mean loss and the `Gradients`.

        The arguments are those of `fit`. Dropout acts as in the next training step. The optimizer
        adds the penalties l1 and l2; they are not part of this loss or gradient.
        """
        engine, loss, allowed = self._engine, math.nan, allowed_of(missing_targets, signed)
        batch = batch_as_it_is(X, y, sample_weight, engine, allowed.signed)
        in_use = self._hold()
        try:
            if batch is not None:
                loss = engine.gradient_of(batch, n_threads)
            if not math.isfinite(loss):
                data = samples(X, y, engine.plan, engine.loss, sample_weight, allowed=allowed)
                if batch is None or data.has_gaps:
                    loss = engine.gradient_of(engine.place(data, n_threads), n_threads)
            flat = engine.grads.copy()
        finally:
            in_use.release()
        return loss, Gradients(engine.plan.weights(flat), engine.plan.biases(flat), flat)

    def update(
        self,
        grads: Gradients,
        epoch: float | None = None,
        n_threads: Threads = "auto",
        *,
        rate: float | None = None,
        steps_per_epoch: int | None = None,
    ) -> None:
        """Apply one step of the optimizer from `grads`; layers that are not trained count as 0.

        The learning rate is `rate`, or the optimizer's, scaled by its schedule at the time `epoch`,
        which may be a fraction, or at `steps` / `steps_per_epoch`.

        Raises
        ------
        TypeError, ValueError
            If `grads` are of another network, or not finite, or a schedule is not told the time.
        """
        rate = self._rate(rate, epoch, steps_per_epoch)
        engine = self._engine
        flat = grads.flat if isinstance(grads, Gradients) else None
        is_whole = isinstance(flat, np.ndarray) and flat.shape == (engine.plan.size,)
        if not is_whole or _shapes(grads) != engine.plan.shapes:
            raise TypeError("grads: expected what backward of a network of this shape returned")
        in_use = self._hold()
        try:
            is_updated = engine.update(grads.flat, rate, n_threads)
        finally:
            in_use.release()
        if not is_updated:
            raise ValueError(
                "grads: they hold NaN or infinity, expected finite numbers; nothing was updated"
            )

    def train_state(self, batch_size: int) -> tuple[Array, ...]:
        """Return the state that ``fastbp.kernels.train_step(state, X, y)`` takes.

        With it your own ``@njit`` code trains the network: `train_step` and `train_steps` change
        its parameters, moments and steps, at its learning rate, and `forward_batch` reads them. A
        state holds the results of `batch_size` rows, and serves one thread at a time; meanwhile
        no other may train, copy or save the network.
        """
        self.optimizer.require_steps()
        require_signs(self._engine.plan, self._engine.params)
        rows = a_whole_number("batch_size", batch_size, least=1, below=2**31)
        return self._engine.train_state(rows)

    def set_learning_rate(self, learning_rate: float) -> None:
        """Go on with another learning rate, which a schedule scales; it is saved with the network.

        States of `train_state` follow it.
        """
        self.optimizer.require_steps()
        with self._alone():
            self._engine.set_optimizer(self.optimizer.with_learning_rate(learning_rate))

    def set_trainable(self, layer: int, trainable: bool) -> None:
        """Let training change a layer, of number 0 to L - 1, or leave it as it is from now on.

        A layer that is not trained passes gradients to those before it. Its own are zeros, in
        `backward` too, and neither penalties nor weight decay act on it. Its moments stay as they
        are. It is saved with the network. States of `train_state` made before do not follow.
        """
        specs, trainable = list(self.layers), a_flag("trainable", trainable)
        number = a_whole_number("layer", layer, least=0, below=len(specs))
        with self._alone():
            specs[number] = replace(specs[number], trainable=trainable)
            self._engine.set_layers(specs)

    def _rate(self, rate, epoch, steps_per_epoch):
        """Return the learning rate of a step."""
        self._engine.optimizer.require_steps()
        if rate is None:
            engine = self._engine
            if epoch is None and steps_per_epoch is None and not engine.optimizer.is_scheduled:
                return engine.optimizer.learning_rate
            return engine.optimizer.rate_of_step(engine.steps, epoch, steps_per_epoch)
        if epoch is not None or steps_per_epoch is not None:
            raise TypeError("rate: expected it alone, without epoch or steps_per_epoch")
        return a_number("rate", rate, low=0)

    def _hold(self):
        """Take the lock of the training buffers and return it, or raise RuntimeError."""
        require_signs(self._engine.plan, self._engine.params)
        in_use = self._engine.gate.in_use  # a child that is forked meanwhile has another
        if not in_use.acquire(blocking=False):
            raise RuntimeError(
                "another thread trains this network; give each thread a copy (copy.deepcopy)"
            )
        return in_use

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock of the training buffers, or raise RuntimeError."""
        in_use = self._hold()
        try:
            yield
        finally:
            in_use.release()


def _shapes(layers):
    return [array.shape for array in (*layers.weights, *layers.biases)]
