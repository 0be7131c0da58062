"""The run of a net: the record that the kernels read, as it is before the first step."""

import math
from typing import Any

import numpy as np

from ..components.optimizers import Optimizer
from ..kernels.formulas.losses import Loss
from ..kernels.net.records import RUN
from ..kernels.net.samples import clip_samples
from ..kernels.support.arrays import Floats, address
from .plan import Plan


def new_run(
    plan: Plan, optimizer: Optimizer, loss: Loss, parameter: float, levels: Floats | None
) -> Any:
    """Return the record (1,) of `RUN` with the hyper-parameters of an optimizer and a loss.

    `parameter` is the loss's, and `levels` those of its outputs, or None.
    """
    run = np.zeros(1, RUN)
    largest = float(np.finfo(plan.dtype).max)
    fill(
        run[0],
        {
            "input_drop": plan.input_drop,
            "loss_parameter": parameter,
            "loss_levels": address(levels),
            "loss_limit": np.inf,
            "largest": largest,
            "takes_labels": loss.targets == "classes",
            "target_low": -largest if loss.targets == "real" else 0.0,
            "target_high": 1.0 if loss.targets in ("unit", "classes") else largest,
        },
    )
    numbers = optimizer.hyper_parameters
    fill(
        run[0],
        {
            "corrects": optimizer.record.corrects,
            **{name: numbers.get(name, 0.0) for name in ("beta1", "beta2", "epsilon")},
            "l1": numbers["l1"],
            "l2": numbers["l2"],
            "own_l2": numbers["l2"],
            "decay": numbers["weight_decay"],
            "clip_norm": optimizer.clip_norm or 0.0,
            "learning_rate": rate_in_compiled_code(optimizer),
        },
    )
    if optimizer.clip_sample_norm:
        run[0]["clip_sample_norm"] = optimizer.clip_sample_norm
        run[0]["clip_samples"] = clip_samples.address(plan.dtype)
    return run


def rate_in_compiled_code(optimizer: Optimizer) -> float:
    """Return the learning rate of steps in a caller's compiled code; NaN if it has a schedule."""
    return math.nan if optimizer.is_scheduled else optimizer.learning_rate


def fill(record: Any, fields: dict[str, Any]) -> None:
    """Set fields of a record."""
    for name, value in fields.items():
        record[name] = value
