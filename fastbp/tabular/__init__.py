"""scikit-learn's estimators over `fastbp.train`: frames as they are in, predictions out."""

from .classifier import TabularClassifier
from .regressor import TabularRegressor

__all__ = ["TabularClassifier", "TabularRegressor"]
