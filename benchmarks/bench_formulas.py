"""Every entry of the tables of formulas; new entries are included automatically."""

import numpy as np

from fastbp import ACTIVATIONS, INITIALIZERS, LOSSES, OPTIMIZERS, SCHEDULES, kernels

from .common import DTYPES, times_copy

ROWS, COLUMNS = 128, 512
PARAMETERS = 100_000
STEPS = 10_000


class Activation:
    """``A = sigma(Z)`` of one batch."""

    params = (tuple(ACTIVATIONS), DTYPES)
    param_names = ("activation", "dtype")

    def setup(self, activation, dtype):
        self.z = np.random.default_rng(0).standard_normal((ROWS, COLUMNS)).astype(dtype)
        self.out = np.empty_like(self.z)
        self.time_activation(activation, dtype)

    def time_activation(self, activation, dtype):
        kernels.activation(self.z, activation, out=self.out, n_threads=1)

    def track_times_copy(self, activation, dtype):
        return times_copy(self.z, self.time_activation, activation, dtype)

    track_times_copy.unit = "times a copy"


class ActivationDerivative:
    """``sigma'`` of one batch, from A or from Z."""

    params = Activation.params
    param_names = Activation.param_names

    def setup(self, activation, dtype):
        if ACTIVATIONS[activation].of_rows:
            raise NotImplementedError("the derivative of a row is a matrix; see Loss")
        z = np.random.default_rng(0).standard_normal((ROWS, COLUMNS)).astype(dtype)
        kept = z if ACTIVATIONS[activation].keeps == "z" else kernels.activation(z, activation)
        self.kept, self.out = kept, np.empty_like(z)
        self.time_derivative(activation, dtype)

    def time_derivative(self, activation, dtype):
        kernels.activation_derivative(self.kept, activation, out=self.out, n_threads=1)

    def track_times_copy(self, activation, dtype):
        return times_copy(self.kept, self.time_derivative, activation, dtype)

    track_times_copy.unit = "times a copy"


class Hadamard:
    """``D . S`` of one batch."""

    params = (DTYPES,)
    param_names = ("dtype",)

    def setup(self, dtype):
        self.d = np.random.default_rng(0).standard_normal((ROWS, COLUMNS)).astype(dtype)
        self.s, self.out = self.d[::-1].copy(), np.empty_like(self.d)
        self.time_hadamard(dtype)

    def time_hadamard(self, dtype):
        kernels.hadamard(self.d, self.s, out=self.out, n_threads=1)

    def track_times_copy(self, dtype):
        return times_copy(self.d, self.time_hadamard, dtype)

    track_times_copy.unit = "times a copy"


class Loss:
    """The mean loss of one batch and its derivative; the outputs are rows of probabilities."""

    params = (tuple(LOSSES), DTYPES)
    param_names = ("loss", "dtype")

    def setup(self, loss, dtype):
        rng = np.random.default_rng(0)
        outputs = rng.random((ROWS, COLUMNS)) + 0.1
        self.a = (outputs / outputs.sum(axis=1, keepdims=True)).astype(dtype)
        self.y = self.a[::-1].copy()
        if LOSSES[loss].targets == "classes":
            self.y = rng.integers(0, COLUMNS, ROWS)
        self.time_loss(loss, dtype)

    def time_loss(self, loss, dtype):
        kernels.loss(self.a, self.y, loss, n_threads=1)

    def track_times_copy(self, loss, dtype):
        return times_copy(self.a, self.time_loss, loss, dtype)

    track_times_copy.unit = "times a copy"


class Optimizer:
    """One update of 100,000 parameters, about those of the net mnist."""

    params = (tuple(OPTIMIZERS), DTYPES)
    param_names = ("optimizer", "dtype")

    def setup(self, optimizer, dtype):
        rng = np.random.default_rng(0)
        self.w = rng.standard_normal(PARAMETERS).astype(dtype)
        self.g = rng.standard_normal(PARAMETERS).astype(dtype)
        self.moments = np.zeros((2, PARAMETERS), dtype)
        self.time_update(optimizer, dtype)

    def time_update(self, optimizer, dtype):
        kernels.update(optimizer, self.w, self.g, self.moments, 1, learning_rate=1e-6, n_threads=1)

    def track_times_copy(self, optimizer, dtype):
        return times_copy(self.w, self.time_update, optimizer, dtype)

    track_times_copy.unit = "times a copy"


class Initializer:
    """The first weight matrix of mnist."""

    params = (tuple(INITIALIZERS),)
    param_names = ("initializer",)

    def setup(self, initializer):
        self.weights = np.empty((784, 128))
        self.time_draw(initializer)

    def time_draw(self, initializer):
        INITIALIZERS[initializer].draw(0, 0, self.weights)


class Schedule:
    """The learning rates of all steps of an epoch."""

    params = (tuple(SCHEDULES),)
    param_names = ("schedule",)

    def setup(self, schedule):
        self.schedule, self.t = SCHEDULES[schedule](), np.arange(STEPS) / STEPS

    def time_factors(self, schedule):
        self.schedule.factors(self.t)


class Random:
    """Numbers, orders and dropout of the counter-based generator."""

    params = (("random_uniform", "random_normal", "permutation", "dropout"),)
    param_names = ("kernel",)

    def setup(self, kernel):
        draw = getattr(kernels, kernel)
        if kernel == "dropout":
            a = np.ones((ROWS, COLUMNS), "float32")
            self.run = lambda: draw(a, 0.2, 0, n_threads=1)
        elif kernel == "permutation":
            self.run = lambda: draw(STEPS, 0)
        else:
            self.run = lambda: draw(STEPS, 0, n_threads=1)
        self.drawn = self.run()

    def time_draw(self, kernel):
        self.run()

    def track_times_copy(self, kernel):
        return times_copy(self.drawn, self.run)

    track_times_copy.unit = "times a copy"
