"""Errors that callers may want to catch apart from ValueError and TypeError."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .training.history import History


class DivergenceError(ArithmeticError):
    """The loss became NaN or infinite; the network holds its best weights.

    If they are those from before a fit that does not resume one, so are its optimizer's moments
    and its count of steps; else these begin anew.

    Attributes
    ----------
    epoch, step : int
        Epoch, and batch within it, of the first loss that is not finite; both from 0.
    history : History or None
        The epochs before.
    """

    def __init__(self, message: str, epoch: int, step: int, history: History | None = None) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.step = step
        self.history = history

    def __reduce__(self):
        """Pickle: an exception that cannot be read stops the pool of processes it is sent to."""
        return type(self), (str(self), self.epoch, self.step, self.history)


class ModelFileError(ValueError):
    """A model file is truncated, altered, or of an unsupported version."""


class DataError(ValueError):
    """A table cannot be used: the message names the problem, its place and a remedy."""
