"""Whether a network whose weights are finite has outputs that are not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..kernels.formulas.activations import ACTIVATIONS

if TYPE_CHECKING:
    from ..data.samples import Samples
    from ..engine.engine import Engine

_LARGEST_INPUT = 1e6


def may_overflow(engine: Engine) -> bool:
    """Return whether outputs may be infinite or NaN, by a bound of them; it takes some us.

    An output of a layer is at most the sum of its inputs, each times the largest weight; but a
    positive one may be the exponential of it. Inputs of the network count as 1e6.
    """
    params, specs = engine.params, engine.plan.specs
    largest = float(max(params.max(), -params.min()))
    if not math.isfinite(largest) or any(_is_exponential(spec.activation) for spec in specs):
        return True
    grows = (math.log(max(1.0, largest) * (spec.n_in + 1)) for spec in specs)
    return math.log(_LARGEST_INPUT) + sum(grows) > math.log(np.finfo(params.dtype).max)


def overflows(engine: Engine, data: Samples) -> bool:
    """Return whether an output for a row of `data` is infinite or NaN."""
    return not np.isfinite(engine.forward(data)).all()


def _is_exponential(name):
    return ACTIVATIONS[name].outputs == "positive"
