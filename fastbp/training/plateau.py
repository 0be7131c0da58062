"""A learning rate that falls when training no longer makes progress."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NoReturn

from ..checks import settle
from ..kernels.support.scalars import a_number, a_whole_number


@dataclass(frozen=True)
class ReduceLROnPlateau:
    """Multiply the learning rate by `factor` where a loss has not improved for `patience` epochs.

    Give it to ``Network.fit(..., callbacks=ReduceLROnPlateau())``. It watches the validation loss
    if there is validation data, else the training loss; a schedule of the optimizer applies too.
    A resumed training that gets it again continues as one that nobody ended.

    Parameters
    ----------
    factor : float, default 0.1
        Above 0 and below 1.
    patience : int, default 10
        Epochs without improvement before the rate falls, and before it falls again.
    min_delta : float, default 0
        How much lower a loss must be to count as an improvement.
    least : float, default 0
        The learning rate falls to no less than this share of the optimizer's.
    """

    factor: float = 0.1
    patience: int = 10
    min_delta: float = 0.0
    least: float = 0.0

    def __post_init__(self) -> None:
        settle(
            self,
            factor=a_number("factor", self.factor, above=0, below=1),
            patience=a_whole_number("patience", self.patience, least=1),
            min_delta=a_number("min_delta", self.min_delta, low=0),
            least=a_number("least", self.least, low=0, below=1),
        )

    def __call__(self, entry: dict[str, Any]) -> NoReturn:
        """Raise TypeError: a caller that only calls it would leave the rate as it is."""
        raise TypeError(
            "callbacks: ReduceLROnPlateau acts in Network.fit alone, not in fits of tables or "
            "ensembles; the estimators have learning_rate='adaptive'"
        )


class Plateau:
    """What a `ReduceLROnPlateau` has seen: `factor` is that of the next epoch."""

    def __init__(self, rule: ReduceLROnPlateau) -> None:
        self._rule, self._best, self._waited = rule, math.inf, 0
        self.factor = 1.0

    def see(self, loss: float) -> None:
        """Take the loss of an epoch."""
        rule = self._rule
        if loss < self._best - rule.min_delta:
            self._best, self._waited = loss, 0
            return
        self._waited += 1
        if self._waited == rule.patience:
            self._waited, self.factor = 0, max(rule.least, self.factor * rule.factor)
