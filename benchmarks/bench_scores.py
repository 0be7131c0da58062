"""The tables of scikit-learn: the error on held-out rows, beside the time of the fit."""

import numpy as np

from fastbp import Adam, Network
from fastbp.kernels import permutation

CLASSES = ("iris", "wine", "breast_cancer", "digits")
TABLES = (*CLASSES, "diabetes")


def load(table):
    """Return X, standardized, and y of a table, in an order of their own."""
    try:
        from sklearn import datasets
    except ImportError:
        raise NotImplementedError("scikit-learn is not installed") from None
    X, y = getattr(datasets, f"load_{table}")(return_X_y=True)
    order = permutation(len(X), seed=0)
    X = (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-6)
    if table not in CLASSES:
        y = ((y - y.mean()) / y.std()).astype("float32").reshape(-1, 1)
    return X[order].astype("float32"), y[order]


class Scores:
    """One fit of a net with 64 hidden units; a quarter of the rows is held out."""

    params = (TABLES,)
    param_names = ("table",)

    def setup(self, table):
        X, y = load(table)
        held = len(X) // 4
        self.train, self.test = (X[held:], y[held:]), (X[:held], y[:held])
        self.outputs = int(y.max()) + 1 if table in CLASSES else 1
        self.loss = "cross_entropy" if table in CLASSES else "squared_error"
        self.time_fit(table)

    def time_fit(self, table):
        sizes = [self.train[0].shape[1], 64, self.outputs]
        self.network = Network(sizes, loss=self.loss, optimizer=Adam(3e-3), seed=0)
        self.network.fit(*self.train, epochs=30, batch_size=32)

    def track_error(self, table):
        """Return the share of wrong classes, or of the variance that is left."""
        X, y = self.test
        found = self.network.predict(X)
        if self.outputs > 1:
            return 100 * np.mean(found != y)
        return 100 * np.mean((found.reshape(y.shape) - y) ** 2) / y.var()

    track_error.unit = "%"
