"""Single steps from Python and from compiled code, on a network of two layers of 64 units."""

import copy
import pickle

import numpy as np
from numba import njit

from fastbp import Network, kernels

SIZES, BATCH, STEPS = [4, 64, 64, 2], 64, 100
_train_step = getattr(kernels, "train_step", None)


def _batch():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((BATCH, SIZES[0])).astype("float32")
    return X, rng.standard_normal((BATCH, SIZES[-1])).astype("float32")


@njit
def _many(state, X, y):
    for _ in range(STEPS):
        _train_step(state, X, y)


class Step:
    """One step of training on a batch."""

    def setup(self):
        self.net, (self.X, self.y) = Network(SIZES, seed=0), _batch()
        self.time_backward_and_update()
        if _train_step is None:
            return
        self.state = self.net.train_state(BATCH)
        self.time_step()
        self.time_100_steps_in_compiled_code()

    def time_backward_and_update(self):
        self.net.update(self.net.backward(self.X, self.y, n_threads=1)[1], n_threads=1)

    def time_step(self):
        self.net.step(self.X, self.y, n_threads=1)

    def time_100_steps_in_compiled_code(self):
        _many(self.state, self.X, self.y)


class FirstStep:
    """The first gradient of a network that was not used before."""

    number, params, param_names = 1, (("new", "copied", "unpickled"),), ("network",)

    def setup(self, network):
        new, (self.X, self.y) = Network(SIZES, seed=0), _batch()
        new.backward(self.X, self.y, n_threads=1)
        ways = {
            "new": lambda: Network(SIZES, seed=0),
            "copied": lambda: copy.deepcopy(new),
            "unpickled": lambda: pickle.loads(pickle.dumps(new)),
        }
        self.net = ways[network]()

    def time_backward(self, network):
        self.net.backward(self.X, self.y, n_threads=1)


class PartialFit:
    """One step of an estimator."""

    params, param_names = (("binary", "classes", "regression"),), ("target",)

    def setup(self, target):
        try:
            from fastbp import MLPClassifier, MLPRegressor
        except ImportError as error:
            raise NotImplementedError("scikit-learn is missing") from error
        self.X, y = _batch()
        self.y = {"binary": y[:, 0] > 0, "classes": np.arange(BATCH) % 3, "regression": y[:, 0]}[
            target
        ]
        kind = MLPRegressor if target == "regression" else MLPClassifier
        more = {} if target == "regression" else {"classes": np.unique(self.y)}
        self.model = kind(hidden_layer_sizes=SIZES[1:-1], random_state=0, n_threads=1)
        self.model.partial_fit(self.X, self.y, **more)

    def time_partial_fit(self, target):
        self.model.partial_fit(self.X, self.y)
