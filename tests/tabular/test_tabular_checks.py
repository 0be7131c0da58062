"""scikit-learn's own checks of what an estimator must do."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from fastbp import TabularClassifier, TabularRegressor

_BY_ROWS = "samples are held back, and drawn into batches, one by one: two of weight 1 or one of 2"

_EARLY = "one network stops early by a loss in which all samples count the same, not their classes"


def fails(estimator):
    """Return the checks that an estimator is not to pass, and why."""
    failed = {"check_sample_weight_equivalence_on_dense_data": _BY_ROWS}
    if isinstance(estimator, TabularClassifier) and estimator.preset == "fast":
        failed["check_class_weight_classifiers"] = _EARLY
    return failed


@parametrize_with_checks(
    [
        estimator(random_state=0, **options)
        for estimator in (TabularClassifier, TabularRegressor)
        for options in ({}, {"preset": "fast"})
    ],
    expected_failed_checks=fails,
    xfail_strict=True,
)
def test_scikit_learns_checks_of_estimators_pass(estimator, check):
    check(estimator)
