"""Whether a network whose weights are finite has outputs, or a loss, that are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..annotations import Threads
    from ..data.samples import Samples
    from ..engine.engine import Engine


def may_overflow(engine: Engine) -> bool:
    """Return whether weights, or outputs for usual inputs, may be infinite or NaN; it takes 2 us.

    Weights above `Plan.largest_sound` may come of inputs that are large, too.
    """
    params = engine.params
    return not max(params.max(), -params.min()) <= engine.plan.largest_sound


def overflows(engine: Engine, data: Samples, n_threads: Threads) -> bool:
    """Return whether an output for a row of `data` is infinite or NaN, or else their loss is."""
    return not np.isfinite(loss_of(engine, data, n_threads))


def loss_of(engine: Engine, data: Samples, n_threads: Threads) -> float:
    """Return the loss of `data`, 0 if no row has a weight; infinity if an output is not finite."""
    outputs, loss = engine.evaluate(data, n_threads)
    return loss if np.isfinite(outputs).all() else np.inf
