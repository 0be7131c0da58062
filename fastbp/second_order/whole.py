"""What optimizers of all rows share: what they refuse, and the loss as a function."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..annotations import Floats
from ..components.second_order import LevenbergMarquardt
from ..data.windows import Feed
from ..engine.engine import Engine

#: Losses of which J^T J is the Hessian but for what vanishes with the errors
SQUARES = ("squared_error", "mean_squared_error")


#: Of numbers that overflow: a search takes shorter steps then, and a loss that is not finite ends.
no_warnings = np.errstate(over="ignore", invalid="ignore")


def require_whole(engine: Engine) -> None:
    """Raise ValueError unless an optimizer of all rows can train this network."""
    optimizer, plan = engine.optimizer, engine.plan
    if plan.input_drop or any(spec.dropout for spec in plan.specs):
        raise ValueError(
            f"optimizer={optimizer!r}: the network has dropout, with which each evaluation is of "
            "another function: leave it out, or use another optimizer, such as Adam"
        )
    if not all(spec.trainable for spec in plan.specs):
        raise ValueError(f"optimizer={optimizer!r}: it trains all layers; some are not trainable")
    if plan.keeps_signs:
        raise ValueError(
            f"optimizer={optimizer!r}: it keeps no signs of weights, which a monotonic network "
            "needs; use another optimizer, such as Adam"
        )
    if isinstance(optimizer, LevenbergMarquardt) and engine.loss not in SQUARES:
        raise ValueError(
            f'loss="{engine.loss}": LevenbergMarquardt needs {" or ".join(SQUARES)}; use LBFGS()'
        )


class WholeSteps:
    """Iterations of an optimizer that sees all rows, in the place of steps on batches.

    `l2` replaces the optimizer's.
    """

    def __init__(self, engine: Engine, feed: Feed, l2: float | None = None) -> None:
        require_whole(engine)
        self.engine, self.data = engine, feed.head
        self.has_converged = False
        numbers = engine.optimizer.hyper_parameters
        self.tol, self._l2 = numbers["tol"], numbers["l2"] if l2 is None else l2
        is_weight = np.zeros(engine.plan.size, bool)
        for weights in engine.plan.weights(is_weight):
            weights[:] = True
        #: L2 penalty of each parameter (n_parameters,).
        self.penalties: Floats = self._l2 * is_weight

    def train(self, window: Any, part: slice, rates: Any, results: Any, threads: int) -> int:
        """Make one iteration; return 1, or 0 if the loss is not finite before it.

        `results` take the weighted sum of the losses, and the penalty, before it.
        """
        weights = self.engine.params.astype(np.float64)
        loss = self.iterate(weights, threads)
        penalty = self.penalty_of(weights)
        results[0][0], results[1][0] = (loss - penalty) * self.data.total_weight, penalty
        if not np.isfinite(loss):
            return 0
        self.engine.steps += 1
        return 1

    def iterate(self, weights: Floats, threads: int) -> float:
        """Make an iteration from the parameters `weights`; return the objective before it."""
        raise NotImplementedError

    def remembered(self) -> dict[str, Floats]:
        """Return what a checkpoint must hold for the same steps to follow, beside the network."""
        return {}

    def recall(self, kept: dict[str, Floats]) -> None:
        """Go on from what `remembered` returned; ModelFileError if it is of another optimizer."""

    def penalty_of(self, weights: Floats) -> float:
        """Return ``l2 / 2 sum W^2``."""
        return 0.5 * float(self.penalties @ (weights * weights)) if self._l2 else 0.0
