"""Steps of a training: those of one process, and those that all ranks make together."""

from __future__ import annotations

import math
from typing import Any

from ..data.windows import Feed, Window
from ..engine.engine import Engine
from ..engine.run import fill
from ..kernels.compiler.threads import compile_twins, twin
from ..kernels.net.loop import gradient_of_part, train, update
from ..kernels.support.arrays import address
from ..kernels.tuning import SLICE_GROWTH, SLICE_SECONDS


class OwnSteps:
    """The steps of one process, many to a call of a kernel."""

    #: Whether no step would lower the loss.
    has_converged = False

    def __init__(self, engine: Engine, feed: Feed) -> None:
        engine.optimizer.require_steps()
        self._engine = engine
        self._batch = feed.batch

    def compile(self, threads: int) -> None:
        """Compile or load what they run."""
        compile_twins(train, self._engine.arrays(), parallel=threads > 1)

    def train(self, window: Window, part: slice, rates: Any, results: Any, threads: int) -> int:
        """Make the steps of the batches `part` of a window; return how many are done.

        `rates` (steps,) are theirs; `results`, two arrays (steps,), take the weighted sums of the
        losses and the penalties. A loss that is not finite ends them before its update.
        """
        arguments = (part.start * self._batch, self._batch, *results, threads)
        return int(self._engine.train(window.data, window.order, rates, *arguments))


class JointSteps:
    """Steps that all ranks make together: the gradient of a batch is the sum of their parts."""

    has_converged = False

    def __init__(self, engine: Engine, reduction: Any) -> None:
        self._engine = engine
        self._reduction = reduction

    def _arrays(self, grads):
        layers, runs, params, _, moments, work = self._engine.arrays()
        return layers, runs, params, grads, moments, work

    def compile(self, threads: int) -> None:
        """Compile or load what they run."""
        arrays, several = self._arrays(self._reduction.grads), threads > 1
        compile_twins(gradient_of_part, (*arrays, 0, 0, 0, 0.0), parallel=several)
        compile_twins(update, arrays, parallel=several)

    def train(self, window: Any, part: slice, rates: Any, results: Any, threads: int) -> int:
        """Make the steps of the batches `part` of a window, as `OwnSteps` does."""
        run, change, add = self._engine.run[0], self._engine.gate.change, self._reduction.add
        own, total = self._arrays(self._reduction.grads), self._arrays(self._reduction.total)
        pass_back, step = twin(gradient_of_part, threads), twin(update, threads)
        losses, starts, end = results[0], window.starts, len(window.order)
        places = {"order": address(window.order), "places": address(window.places)}
        fill(run, {**places, "tasks": threads})
        for done, number in enumerate(range(part.start, part.stop)):
            losses[done], scale = 0.0, window.scales[number]
            if scale == 0:  # no weights, no step
                continue
            first = starts[number]
            rows = starts[number + 1] - first
            losses[done] = loss = add(pass_back(*own, first, rows, end, scale))
            if not math.isfinite(loss):
                break
            run["rate"] = rates[done]
            change(step, *total)
        else:
            done = part.stop - part.start
        run["places"] = 0  # others have rows of their own
        return done


class JointPace:
    """The pace of all ranks: slices of as many steps on each, by the slowest of them."""

    def __init__(self, ranks: Any, threads: int) -> None:
        self._ranks, self._threads, self._steps = ranks, threads, 1

    def next_slice(self, most: int | None = None) -> tuple[int, int]:
        """Return the steps and the threads of the next slice."""
        return self._steps, self._threads

    def took(self, steps: int, threads: int, seconds: float) -> None:
        """Learn how long a slice took on this rank."""
        mean = self._ranks.largest(seconds) / steps
        self._steps = max(1, min(int(SLICE_SECONDS / mean), SLICE_GROWTH * self._steps))
