"""scikit-learn's MLPClassifier and MLPRegressor on fastbp's kernels: same names, same numbers."""

from .classifier import MLPClassifier
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
