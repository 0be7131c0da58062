"""scikit-learn's MLPClassifier and MLPRegressor on fastbp's kernels: same names, same numbers."""

try:
    import sklearn  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "sklearn":
        raise
    raise ModuleNotFoundError(
        "fastbp.MLPClassifier and fastbp.MLPRegressor need scikit-learn: "
        'python -m pip install "fastbp[sklearn]"',
        name="sklearn",
    ) from error

from .classifier import MLPClassifier
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
