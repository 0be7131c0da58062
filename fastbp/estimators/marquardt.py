"""The solver "lm" of `MLPRegressor`: Levenberg and Marquardt, all samples at once."""

from __future__ import annotations

import math
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..data.windows import Whole
from ..second_order.marquardt import MarquardtSteps
from ..training.stopped import Stopped


def minimize_squares(estimator, engine, data, share, before_iteration, after_iteration):
    """Minimize the squared error and the penalty of an estimator, in place.

    `share` and the two functions are as for `lbfgs.minimize_loss`. Training has converged when an
    iteration lowers the loss by no more than `tol` times itself, or none does. Return whether the
    loss is finite.
    """
    if data.weight is not None and (least := data.weight.min()) < 0:
        raise ValueError(
            f"sample_weight: one is {least:g}, but solver='lm' minimizes a sum of squares, which "
            "has no minimum then; expected weights of at least 0, or another solver"
        )
    deadline = time.perf_counter() + (estimator.max_time or math.inf)
    feed = Whole(data, len(data), False, 0)
    steps = MarquardtSteps(engine, feed, estimator.alpha / data.total_weight)
    threads = engine.threads_of_step(estimator.n_threads, data, len(data))
    steps.compile(threads)
    last, reason = math.inf, Stopped.EPOCHS
    for _ in range(estimator.max_iter):
        before_iteration()
        if not math.isfinite(steps.iterate(engine.params.astype(np.float64), threads)):
            return False
        objective = steps.objective
        penalty = steps.penalty_of(engine.params.astype(np.float64))
        if after_iteration((objective - penalty) * share + penalty):
            return True
        if steps.has_converged or last - objective <= estimator.tol * objective:
            return True
        last = objective
        if time.perf_counter() > deadline:
            reason = Stopped.TIME
            break
    limit = "time" if reason is Stopped.TIME else f"iterations ({estimator.max_iter})"
    warnings.warn(
        f"lm: the maximum {limit} was reached before it converged: give more max_iter or "
        "max_time, a larger tol, or scale the data",
        ConvergenceWarning,
        stacklevel=2,
    )
    return True
