"""Derivatives of a network beside its gradient, on one thread."""

import numpy as np

from fastbp import Network

SIZES, BATCH = [64, 100, 10], 200
_OF = {
    "gradient": lambda net, X, y, v: net.backward(X, y, n_threads=1),
    "hvp": lambda net, X, y, v: net.hvp(X, y, v, n_threads=1),
    "gauss_newton": lambda net, X, y, v: net.gauss_newton_product(X, y, v, n_threads=1),
    "vjp": lambda net, X, y, v: net.vjp(X, y, n_threads=1),
    "jvp": lambda net, X, y, v: net.jvp(X, X, n_threads=1),
    "samples": lambda net, X, y, v: net.per_sample_gradients(X, y, n_threads=1),
    "norms": lambda net, X, y, v: net.per_sample_norms(X, y, n_threads=1),
}


class Derivatives:
    """One derivative of a batch."""

    params, param_names = (tuple(_OF),), ("of",)

    def setup(self, of):
        rng = np.random.default_rng(0)
        self.net = Network(SIZES, "tanh", seed=0)
        if not hasattr(self.net, "hvp"):
            raise NotImplementedError("a commit before derivatives")
        X, y = (rng.standard_normal((BATCH, n)).astype("float32") for n in (SIZES[0], SIZES[-1]))
        self.given = X, y, rng.standard_normal(self.net.parameters.size).astype("float32")
        self.time_derivative(of)

    def time_derivative(self, of):
        _OF[of](self.net, *self.given)
