"""The iterations of Levenberg and Marquardt.

With A = J^T J + diag(l2), J the derivatives of the outputs, each row times the root of its share
of the weights, g the gradient, and D the largest diagonal of A so far: ``(A + mu D) s = -g``. With
r'' the second derivative of the outputs along s, ``(A + mu D) c = -J^T r''``: the network moves by
``s + c / 2``, along a curve on which the outputs are straighter.

References: Marquardt, An algorithm for least-squares estimation of nonlinear parameters, SIAM J.
Appl. Math. 11, 1963; Hagan and Menhaj, Training feedforward networks with the Marquardt algorithm,
IEEE Trans. Neural Networks 5, 1994, eq. 5 and 13; Transtrum and Sethna, Improvements to the
Levenberg-Marquardt algorithm for nonlinear least-squares minimization, arXiv:1201.5885, 2012,
section 3 (the curve); Moré, The Levenberg-Marquardt algorithm: implementation and theory, Numerical
Analysis, Lecture Notes in Mathematics 630, 1978, section 6 (D).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..annotations import Floats
from ..data.windows import Feed
from ..derivatives.passes import aligned_copy, taken
from ..engine.engine import Engine
from ..kernels.net import normal
from ..kernels.support.arrays import address, aligned_zeros
from ..kernels.support.ramp_rows import RampRows
from ..kernels.tuning import CACHE_LINE
from ..memory import require_memory
from .whole import WholeSteps, no_warnings

# a block of rows takes about so many bytes: it stays in a cache
_BLOCK_BYTES = 1 << 18
# mu below which no step is tried, and above which the equations have no solution at all
_LEAST, _MOST = 1e-15, 1e300
# the least of D is this many times the rounding of its largest, as errors of J^T J are a share of
# its largest numbers: in float32 all of D are alike
_LEAST_SCALE = 1e7
# a step is refused if twice its turn is longer than this times the step
_MOST_CURVED = 1.5
# a step that changes the outputs less than this times what rounding does has no known curve
_KNOWN = 4.0
# a step lowers the objective if it does so by this share of what is predicted
_ENOUGH = 1e-4


@dataclass(frozen=True)
class Equations:
    """J^T J, the gradient and the objective, of some parameters."""

    weights: Floats
    matrix: Floats
    slope: Floats
    objective: float


class MarquardtSteps(WholeSteps):
    """Iterations with a damping that is kept from one to the next.

    It is kept where other optimizers have their first moment, so that checkpoints have it too.
    """

    def __init__(self, engine: Engine, feed: Feed, l2: float | None = None) -> None:
        super().__init__(engine, feed, l2)
        if self.data.is_sparse:
            raise ValueError(
                "X is sparse: LevenbergMarquardt takes dense rows: give X.toarray(), or use LBFGS()"
            )
        if isinstance(self.data.x, RampRows):  # each row of J has a part of each input
            self.data = replace(self.data, x=self.data.x.dense())
        plan, n_out = engine.plan, engine.plan.specs[-1].n_out
        line, item = CACHE_LINE // plan.dtype.itemsize, plan.dtype.itemsize
        # a column for the errors, and whole cache lines
        self._width = -(-(plan.size + 1) // line) * line
        most = max(1, _BLOCK_BYTES // (n_out * self._width * item))
        self._rows = min(len(self.data), most)
        shapes = (self._rows * n_out, self._width), (plan.size + 1, self._width)
        numbers = sum(rows * columns for rows, columns in shapes)
        needed = 4 * 8 * plan.size**2 + item * numbers
        remedy = "fewer units take less; LBFGS() takes none of it"
        require_memory(needed, f"LevenbergMarquardt of {plan.size:,} parameters", remedy)
        self._block, self._sums = (aligned_zeros(a * b, plan.dtype) for a, b in shapes)
        self._cholesky = np.empty(plan.size**2)
        self._diagonal = np.diag_indices(plan.size)
        # the mean squared error is the squared error times 2 / n_out
        self._factor = 2 / n_out if engine.loss == "mean_squared_error" else 1.0
        self._last: Equations | None = None
        if not engine.steps or not engine.moments[0] > 0:
            engine.moments[0] = engine.optimizer.hyper_parameters["damping"]

    @no_warnings
    def compile(self, threads: int) -> None:
        """Compile or load what an iteration runs."""
        weights = self.engine.params.astype(np.float64)
        equations, ones = self._equations(weights, threads), np.ones(len(weights))
        step = self._solution(equations, 1.0, ones)
        if step is not None:
            self._curved(equations, step, ones, threads)
        self.engine.set_parameters(weights)

    @no_warnings
    def iterate(self, weights: Floats, threads: int) -> float:
        """Make the first step that lowers the objective; return what it was before."""
        engine, last = self.engine, self._last
        if last is None or not np.array_equal(last.weights, weights):  # or a callback changed them
            last = self._equations(weights, threads)
        if not np.isfinite(last.objective):
            return last.objective
        is_flat = np.abs(last.slope).max() <= self.tol
        self._last = last if is_flat else self._stepped(last, threads)
        if self._last is last:
            engine.set_parameters(weights)
            self.has_converged = True
        return last.objective

    @property
    def objective(self) -> float:
        """The loss and the penalty after the last iteration."""
        return math.nan if self._last is None else self._last.objective

    def _stepped(self, last, threads):
        """Return the equations after the first step that lowers the objective, or `last`."""
        moments, scales = self.engine.moments, self._scaled(last)
        damping, growth = max(float(moments[0]), _LEAST), 2.0
        while True:
            step = self._solution(last, damping, scales)
            curved = None if step is None else self._curved(last, step, scales, threads)
            if curved is not None:
                if self._is_nothing(last.weights, curved):
                    return last
                found = self._equations(last.weights - curved, threads)
                predicted = 0.5 * float(step @ (damping * scales * step + last.slope))
                ratio = (last.objective - found.objective) / predicted if predicted > 0 else 0.0
                if ratio > _ENOUGH:
                    # above 1 the power is no larger than 1 / 3, and may overflow
                    share = 1 - (2 * min(ratio, 1.0) - 1) ** 3
                    moments[0] = damping * max(1 / 3, share)
                    return found
            if damping > _MOST:
                return last
            damping *= growth
            growth *= 2

    def _is_nothing(self, weights, step):
        """Return whether the parameters stay the same where a step is subtracted from them."""
        dtype = self.engine.plan.dtype
        return np.array_equal((weights - step).astype(dtype), weights.astype(dtype))

    def _scaled(self, equations):
        """Return D (size,): the largest diagonal so far, which lies with the second moments."""
        kept = self.engine.moments[self.engine.plan.size :]
        np.maximum(kept, equations.matrix[self._diagonal], out=kept)
        scales = kept.astype(np.float64)
        least = min(1.0, _LEAST_SCALE * np.finfo(kept.dtype).eps)
        return np.maximum(scales, max(least * scales.max(), np.finfo(float).tiny))

    def _solution(self, equations, damping, scales):
        """Return the damped step, None if there is none that is finite."""
        given = equations.matrix.reshape(-1), damping, scales, self._cholesky
        if not normal.factor_damped.serial(*given):
            return None
        step = np.empty(len(equations.slope))
        normal.solve_factored.serial(self._cholesky, equations.slope, step)
        return step if np.isfinite(step).all() else None

    def _curved(self, last, step, scales, threads):
        """Return a step, which is still to be subtracted, along the curve; None if too bent."""
        engine, data = self.engine, self.data
        engine.set_parameters(last.weights - normal.SHARE * step)
        ahead = engine.forward(data, threads)
        noise = 2 / normal.SHARE**2 * np.finfo(ahead.dtype).eps * np.abs(ahead).max()
        if step @ (last.matrix @ step) <= (_KNOWN * noise) ** 2:
            return step
        engine.set_parameters(last.weights)
        flat, v = np.empty_like(engine.params), aligned_copy(-step.astype(engine.plan.dtype))
        with taken(engine, self._rows, threads, 4) as passes:
            passes.run[0]["scale"] = self._factor / data.total_weight
            places = {"cotangent": address(ahead), "v": address(v)}
            passes.derive(normal.bent_part, data, None, flat, **places)
        change = np.empty(len(step))
        normal.solve_factored.serial(self._cholesky, flat.astype(np.float64), change)
        turn, length = (np.sqrt(scales @ (each * each)) for each in (change, step))
        if 2 * turn <= _MOST_CURVED * length:
            return step + 0.5 * change
        return None if engine.plan.dtype == np.float64 else step  # in float32 it is less sure

    def _equations(self, weights, threads):
        """Set the parameters; return their `Equations`, in float64."""
        engine, data, outputs = self.engine, self.data, self.engine.plan.specs[-1].n_out
        engine.set_parameters(weights)
        weights = engine.params.astype(np.float64)
        job = {"block": address(self._block), "block_row": self._width}
        with taken(engine, self._rows, threads, 1 + 2 * outputs) as passes:
            passes.derive(normal.equations_part, data, None, self._sums, normal.square_part, **job)
        size, factor = engine.plan.size, self._factor / data.total_weight
        matrix = np.empty((size, size))
        normal.mirrored.serial(self._sums, self._width, factor, matrix)
        matrix[self._diagonal] += self.penalties
        last = factor * self._sums[size * self._width :][: size + 1].astype(np.float64)
        slope = last[:size] + self.penalties * weights
        objective = 0.5 * float(last[size]) + self.penalty_of(weights)
        return Equations(weights, matrix, slope, objective)
