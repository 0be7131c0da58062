"""Which steps a training makes, by its optimizer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..components.second_order import LBFGS, WholeBatch
from ..data.feed import is_stream
from .lbfgs import LBFGSSteps
from .marquardt import MarquardtSteps

# more rows than any data have
_ALL_ROWS = 2**62


def steps_of(optimizer: Any) -> type[LBFGSSteps] | type[MarquardtSteps] | None:
    """Return what makes the iterations of an optimizer of all rows, None for any other."""
    if not isinstance(optimizer, WholeBatch):
        return None
    return LBFGSSteps if isinstance(optimizer, LBFGS) else MarquardtSteps


def with_all_rows(options: Any, optimizer: Any, comm: Any, given: tuple[Any, Any, Any]) -> Any:
    """Return the options of a fit, whose batch is all rows if the optimizer takes them at once.

    `given` are X, y and the weights. It raises ValueError if the optimizer cannot serve the fit.
    """
    if not isinstance(optimizer, WholeBatch):
        return options
    name = type(optimizer).__name__
    if comm is not None:
        raise ValueError(f"comm: {name} trains on one process; expected None")
    if options.allowed.signed:
        raise ValueError(
            f"signed=True: {name} minimizes a loss that negative weights leave without a minimum; "
            "expected False, or an optimizer of steps, such as Adam"
        )
    if is_stream(*given):
        raise ValueError(f"X is a stream: {name} takes all rows at once: give arrays")
    return replace(options, batch_size=_ALL_ROWS, shuffle=False)
