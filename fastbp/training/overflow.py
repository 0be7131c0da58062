"""Whether a network whose weights are finite has outputs that are not."""

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
    """Return whether an output for a row of `data` is infinite or NaN."""
    return not np.isfinite(engine.forward(data, n_threads)).all()
