"""The learning rate over the epochs, as scikit-learn's solvers change it."""

import numpy as np

from ..components.schedules import Constant

# scikit-learn divides the rate of "adaptive" until it is as small
_ADAPTIVE_FACTOR, _ADAPTIVE_LEAST = 5.0, 1e-6


class Rates:
    """The rate of a solver, where it stands.

    Parameters
    ----------
    optimizer : Optimizer
        Holds the initial rate, and the schedule that multiplies all others.
    policy : {"constant", "invscaling", "adaptive"}
        What scikit-learn calls `learning_rate`.
    power_t : float
        The exponent of "invscaling".

    Attributes
    ----------
    value : float
        The rate of the next epoch, before the schedule.
    """

    def __init__(self, optimizer, policy="constant", power_t=0.5):
        self._optimizer, self._policy, self._power_t = optimizer, policy, power_t
        self.value = optimizer.hyper_parameters["learning_rate"]

    def of_epoch(self, epoch, batches):
        """Return the rates (batches,) of the steps of an epoch, counted from 0."""
        if isinstance(self._optimizer.schedule, Constant):
            return np.full(batches, self.value)
        return self.value * self._optimizer.factors(epoch + np.arange(batches) / batches)

    def epoch_ended(self, seen):
        """Set the next epoch's rate: `seen` samples have been trained on in all."""
        if self._policy == "invscaling":
            initial = self._optimizer.hyper_parameters["learning_rate"]
            self.value = initial / (seen + 1) ** self._power_t

    def goes_on(self):
        """Return whether a rate that is still to come may help, and what to tell of it."""
        if self._policy != "adaptive":
            return False, " Stopping."
        if self.value <= _ADAPTIVE_LEAST:
            return False, " Learning rate too small. Stopping."
        self.value /= _ADAPTIVE_FACTOR
        return True, f" Setting learning rate to {self.value:f}"
