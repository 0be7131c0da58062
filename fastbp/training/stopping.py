"""Early stopping: the rule, and what a caller may say of it."""

from __future__ import annotations

from dataclasses import dataclass

from ..checks import settle
from ..kernels.support.scalars import a_flag, a_number, a_whole_number


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the monitored loss has not improved for `patience` epochs.

    The validation loss is monitored if there is validation data, else the
    training loss.

    Parameters
    ----------
    patience : int, default 10
        Epochs without improvement before training stops.
    min_delta : float, default 0
        How much lower a loss must be to count as an improvement.
    restore_best : bool, default True
        Whether the network gets back the weights of the best epoch.
    """

    patience: int = 10
    min_delta: float = 0.0
    restore_best: bool = True

    def __post_init__(self):
        settle(
            self,
            patience=a_whole_number("patience", self.patience, least=1),
            min_delta=a_number("min_delta", self.min_delta, low=0),
            restore_best=a_flag("restore_best", self.restore_best),
        )


def as_stopping(early_stopping: bool | int | EarlyStopping | None) -> EarlyStopping | None:
    """Return the argument `early_stopping` of `Network.fit` as an `EarlyStopping`, or None."""
    if early_stopping is None or early_stopping is False:
        return None
    if early_stopping is True:
        return EarlyStopping()
    if isinstance(early_stopping, EarlyStopping):
        return early_stopping
    return EarlyStopping(a_whole_number("early_stopping", early_stopping, least=1))
