"""scikit-learn's own checks of what an estimator must do, with no exception asked for."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastbp import MLPClassifier, MLPRegressor


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [
        estimator(max_iter=100, n_threads=n_threads)
        for estimator in (MLPClassifier, MLPRegressor)
        for n_threads in (1, 2)
    ]
)
def test_scikit_learns_checks_of_estimators_pass(estimator, check):
    check(estimator)
