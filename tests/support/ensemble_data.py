"""Small data, and members that train in no time, for the tests of ensembles of estimators."""

import numpy as np
from sklearn.datasets import load_diabetes, load_digits

from fastbp import MLPClassifier, MLPRegressor

X, LABELS = load_digits(return_X_y=True)
X, LABELS = X[:300] / 16, LABELS[:300]
NAMES = np.array([f"digit {label}" for label in range(10)])[LABELS]
DIABETES, AMOUNTS = load_diabetes(return_X_y=True)
DIABETES, AMOUNTS = DIABETES[:200] * 20, AMOUNTS[:200] / 77
NET = MLPClassifier((12,), max_iter=6, learning_rate_init=0.01, batch_size=40)
LINE = MLPRegressor(hidden_layer_sizes=(12,), max_iter=6, learning_rate_init=0.01)
