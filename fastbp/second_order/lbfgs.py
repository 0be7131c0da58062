"""The iterations of the quasi-Newton method of limited memory.

Reference: Nocedal and Wright, Numerical Optimization, 2006, algorithm 7.4 and eq. 7.20.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from ..annotations import Floats
from ..data.windows import Feed
from ..engine.engine import Engine
from ..errors import ModelFileError
from ..kernels.compiler.threads import compile_twins
from ..kernels.net.loop import gradient
from .line_search import Trial, line_search
from .whole import WholeSteps, no_warnings

# steps and changes of the gradient whose product is no more than this share of their lengths'
# would make an H that is not positive definite
_LEAST_CURVATURE = 1e-12
# a first step of length 1 at most is lost in the rounding of a large loss; one is tried that is
# to lower it by so many units in its last place
_UNITS = 1000
_NOTHING = np.empty(0)


class LBFGSSteps(WholeSteps):
    """Iterations that remember the last steps; each begins where the last one ended."""

    def __init__(self, engine: Engine, feed: Feed) -> None:
        super().__init__(engine, feed)
        self._pairs: deque[tuple[Floats, Floats]] = deque(
            maxlen=int(engine.optimizer.hyper_parameters["memory"])
        )
        self._last: tuple[Floats, float, Floats] | None = None

    def compile(self, threads: int) -> None:
        """Compile or load what an iteration runs."""
        arrays = self.engine.arrays()
        compile_twins(gradient, (*arrays, 0, len(self.data)), parallel=threads > 1)

    def remembered(self) -> dict[str, Floats]:
        """Return the last steps with the changes of the gradient, and where the last one ended."""
        if self._last is None:
            return {}
        weights, value, slope = self._last
        pairs = np.array(self._pairs, np.float64).reshape(-1, 2, len(weights))
        return {"pairs": pairs, "end": np.stack([weights, slope]), "value": np.array([value])}

    def recall(self, kept: dict[str, Floats]) -> None:
        """Go on from what `remembered` returned; ModelFileError if it is of another optimizer."""
        if not kept:
            return
        size, most = self.engine.plan.size, self._pairs.maxlen
        pairs, end, value = (kept.get(name, _NOTHING) for name in ("pairs", "end", "value"))
        shapes = [pairs.shape[1:], end.shape, value.shape]
        is_whole = shapes == [(2, size), (2, size), (1,)] and len(pairs) <= (most or 0)
        if not (is_whole and all(a.dtype == np.float64 for a in (pairs, end, value))):
            raise ModelFileError("the checkpoint does not hold the last steps of LBFGS")
        self._pairs.extend((step, change) for step, change in pairs)
        self._last = end[0], float(value[0]), end[1]

    @no_warnings
    def iterate(self, weights: Floats, threads: int) -> float:
        """Make a step along the direction of descent; return the objective before it."""
        value, slope = self._known(weights, threads)
        if not np.isfinite(value):
            return value
        if np.abs(slope).max() <= self.tol:
            self.has_converged = True
            return value
        found = self._searched(weights, value, slope, threads)
        if found is None and self._pairs:  # once more, along the gradient
            self._pairs.clear()
            found = self._searched(weights, value, slope, threads)
        if found is None:
            self.engine.set_parameters(weights)
            self.has_converged = True
            return value
        new, new_value, new_slope = found
        self.engine.set_parameters(new)
        step, change = new - weights, new_slope - slope
        if step @ change > _LEAST_CURVATURE * np.linalg.norm(step) * np.linalg.norm(change):
            self._pairs.append((step, change))
        self._last = self.engine.params.astype(np.float64), new_value, new_slope
        return value

    def _known(self, weights, threads):
        """Return value and gradient, which the last search found unless someone set weights."""
        if self._last is not None and np.array_equal(self._last[0], weights):
            return self._last[1:]
        self._pairs.clear()
        return self._evaluated(weights, threads)

    def _evaluated(self, weights, threads):
        self.engine.set_parameters(weights)
        loss, _ = self.engine.gradient(self.data, threads, threads)
        slope = self.engine.grads.astype(np.float64) + self.penalties * weights
        return loss + self.penalty_of(weights), slope

    def _searched(self, weights, value, slope, threads):
        """Return new parameters with their value and gradient, None if there are no better ones."""
        direction = -self._times_inverse(slope)
        along = float(direction @ slope)
        if not along < 0:
            return None

        def at(length):
            new = weights + length * direction
            new_value, new_slope = self._evaluated(new, threads)
            along_there = float(direction @ new_slope)
            return Trial(length, new_value, along_there, (new, new_value, new_slope))

        first = 1.0 if self._pairs else min(1.0, 1 / np.abs(slope).sum())
        trial = line_search(at, Trial(0.0, value, along), first)
        if trial is None and self._last is None:
            seen = _UNITS * np.finfo(self.engine.plan.dtype).eps * abs(value) / -along
            trial = line_search(at, Trial(0.0, value, along), seen) if seen > first else None
        return None if trial is None or not trial.value < value else trial.found

    def _times_inverse(self, slope):
        """Return the approximate inverse of the Hessian times a vector, by the two loops."""
        result, factors = slope.copy(), []
        for step, change in reversed(self._pairs):
            rho = 1 / (change @ step)
            factor = rho * (step @ result)
            result -= factor * change
            factors.append((rho, factor))
        if self._pairs:
            step, change = self._pairs[-1]
            result *= (step @ change) / (change @ change)
        for (step, change), (rho, factor) in zip(self._pairs, reversed(factors), strict=True):
            result += (factor - rho * (change @ result)) * step
        return result
