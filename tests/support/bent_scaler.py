"""How inputs of a table are scaled, from the definition, as a transformer of scikit-learn."""

import itertools

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin


def bend(x, bound):
    """Return ``x / sqrt(1 + (x / bound)^2)`` of x within 1e6; x itself where there is no bound."""
    x = np.clip(x, -1e6, 1e6)
    return x / np.sqrt(1 + (x / bound) ** 2) if bound else x


def ramps_of(values, edges):
    """Return the ramps (n, k) of values: lines between two points, flat outside; 0 if missing."""
    ramps = [np.interp(values, pair, (0.0, 0.5)) for pair in itertools.pairwise(edges)]
    return np.where(np.isnan(values), 0.0, ramps).T


class BentScaler(TransformerMixin, BaseEstimator):
    """Standardizes by what lies near the median, and bends the rest."""

    def fit(self, X, y=None):
        self.parts_ = [self._part(column[~np.isnan(column)]) for column in self._matrix(X).T]
        return self

    def transform(self, X):
        columns = zip(self._matrix(X).T, self.parts_, strict=True)
        return np.column_stack([bend((x - m) / s, b) for x, (m, s, b) in columns])

    @staticmethod
    def _matrix(X):
        return np.asarray(X, dtype=float)

    @staticmethod
    def _part(x):
        """Return mean, deviation and bound of a column without missing values."""
        low, median, high = np.percentile(x, [25, 50, 75])
        q = (high - low) / 1.349
        if q == 0:
            q = np.median(np.abs(x[x != median] - median)) / 2
        sizes = np.sort(np.abs(x - median) / q)
        tail = sizes[int(0.95 * (len(x) - 1))]
        b = 4 * tail if tail > 2.5 else 3
        near = np.clip(x, median - b * q, median + b * q)
        return near.mean(), near.std(), b * q / near.std()
