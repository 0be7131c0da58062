"""scikit-learn's own checks of what an estimator must do, with no exception asked for nets."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastbp import MLPClassifier, MLPEnsembleClassifier, MLPEnsembleRegressor, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ENSEMBLES = {MLPEnsembleClassifier: MLPClassifier, MLPEnsembleRegressor: MLPRegressor}


@parametrize_with_checks(
    [
        estimator(max_iter=100, n_threads=n_threads)
        for estimator in (MLPClassifier, MLPRegressor)
        for n_threads in (1, 2)
    ]
)
def test_scikit_learns_checks_of_estimators_pass(estimator, check):
    check(estimator)


def bags_differ(ensemble):
    """Return the checks that no bag passes: scikit-learn exempts its BaggingClassifier too."""
    kinds = ("dense", "sparse") if ensemble.members == "bags" else ()
    name = "check_sample_weight_equivalence_on_{}_data"
    return {name.format(kind): "a row of weight 2 is drawn as one" for kind in kinds}


@parametrize_with_checks(
    [
        ensemble(member(max_iter=100), n_members=2, members=members)
        for ensemble, member in ENSEMBLES.items()
        for members in ("seeds", "bags", "folds")
    ],
    expected_failed_checks=bags_differ,
    xfail_strict=True,
)
def test_scikit_learns_checks_of_ensembles_pass(estimator, check):
    check(estimator)
