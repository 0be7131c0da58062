"""The errors a caller may want to catch apart from ValueError and TypeError."""


class DivergenceError(ArithmeticError):
    """Training met a loss that is not finite; the network holds its best weights.

    Attributes
    ----------
    epoch, step : int
        Where the loss was first not finite: the epoch, and the batch in it, from 0.
    history : History
        What was recorded until then.
    """

    def __init__(self, message, epoch, step, history=None):
        super().__init__(message)
        self.epoch, self.step, self.history = epoch, step, history


class ModelFileError(ValueError):
    """A model file is truncated, altered, or of a version this program cannot read."""


class DataError(ValueError):
    """A table cannot be used as it is: the message says what, where, and what to do."""
