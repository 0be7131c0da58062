"""The estimators inside scikit-learn's own: searches, ensembles, pipelines, routed metadata.

What scikit-learn's MLPClassifier and MLPRegressor give there, ours give too: in float64 the
nets are the same.
"""

import joblib
import numpy as np
import pytest
import sklearn.neural_network
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastbp

THEIRS, OURS = sklearn.neural_network, fastbp
IRIS = load_iris(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
DIABETES = DIABETES[0][:150] * 20, DIABETES[1][:150] / 77
WEIGHTS = np.linspace(0.1, 3, len(IRIS[1]))
FEW = {"hidden_layer_sizes": (6,), "max_iter": 15, "learning_rate_init": 0.02, "random_state": 0}
ALPHAS = {"alpha": [1e-4, 0.3, 3.0]}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def classifier(package, **options):
    return package.MLPClassifier(**{**FEW, **options})


def regressor(package, **options):
    return package.MLPRegressor(**{**FEW, **options})


def scaled(estimator):
    return make_pipeline(StandardScaler(), estimator)


def assert_same(found, expected, tolerance=1e-8):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("make, data", [(classifier, IRIS), (regressor, DIABETES)])
@pytest.mark.parametrize("options", [{}, {"solver": "lbfgs"}, {"early_stopping": True}], ids=str)
def test_cross_validation_gives_scikit_learns_scores(make, data, options):
    found = cross_val_score(scaled(make(OURS, **options)), *data, cv=3)
    expected = cross_val_score(scaled(make(THEIRS, **options)), *data, cv=3)
    assert_same(found, expected, 1e-5 if options.get("solver") else 1e-8)


def test_cross_validated_probabilities_are_scikit_learns():
    found, expected = (
        cross_val_predict(scaled(classifier(package)), *IRIS, cv=3, method="predict_proba")
        for package in (OURS, THEIRS)
    )
    assert_same(found, expected)


def test_a_learning_curve_by_partial_fits_is_scikit_learns():
    options = {"exploit_incremental_learning": True, "train_sizes": [30, 60], "cv": 3}
    options |= {"shuffle": True, "random_state": 0}
    found, expected = (
        learning_curve(classifier(package), *IRIS, **options) for package in (OURS, THEIRS)
    )
    for ours, theirs in zip(found, expected, strict=True):
        assert_same(ours, theirs)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_search_in_parallel_finds_what_scikit_learn_finds(backend):
    with joblib.parallel_config(backend=backend):
        found = GridSearchCV(classifier(OURS), ALPHAS, cv=3, n_jobs=2).fit(*IRIS)
    expected = GridSearchCV(classifier(THEIRS), ALPHAS, cv=3).fit(*IRIS)
    assert_same(found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])
    assert found.best_params_ == expected.best_params_
    assert_same(found.predict_proba(IRIS[0]), expected.predict_proba(IRIS[0]))


def test_threads_that_fit_beside_each_other_do_not_disturb():
    many = [classifier(OURS, random_state=seed, n_threads=2) for seed in range(8)]
    with joblib.parallel_config(backend="threading"):
        fitted = joblib.Parallel(n_jobs=4)(joblib.delayed(clf.fit)(*IRIS) for clf in many)
    for clf in fitted:
        alone = clone(clf).fit(*IRIS)
        assert np.array_equal(clf.predict_proba(IRIS[0]), alone.predict_proba(IRIS[0]))


def test_other_searches_find_what_scikit_learn_finds():
    grid = {"mlpclassifier__alpha": [1e-4, 3.0], "mlpclassifier__activation": ["relu", "tanh"]}
    for search, options in [
        (HalvingGridSearchCV, {"param_grid": grid, "factor": 2}),
        (RandomizedSearchCV, {"param_distributions": grid, "n_iter": 3}),
    ]:
        found, expected = (
            search(scaled(classifier(package)), cv=2, random_state=0, **options)
            for package in (OURS, THEIRS)
        )
        found.fit(*IRIS), expected.fit(*IRIS)
        assert found.best_params_ == expected.best_params_
        assert_same(found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])


def test_what_scikit_learn_refuses_can_be_searched_too():
    grid = {
        "activation": ["gelu", ["silu"]],
        "optimizer": [None, "rmsprop", fastbp.AdamW(0.01)],
        "loss": ["log_loss", "squared_error"],
        "dropout": [0.0, 0.1],
    }
    search = RandomizedSearchCV(classifier(OURS), grid, n_iter=6, cv=2, random_state=0).fit(*IRIS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert set(search.best_params_) == set(grid)


ENSEMBLES = {
    "bagging": lambda mlp: BaggingClassifier(mlp, n_estimators=3, random_state=0),
    "boosting": lambda mlp: AdaBoostClassifier(mlp, n_estimators=3, random_state=0),
    "stacking": lambda mlp: StackingClassifier(
        [("mlp", mlp), ("line", LogisticRegression())], cv=2
    ),
    "voting": lambda mlp: VotingClassifier(
        [("mlp", mlp), ("line", LogisticRegression())], voting="soft"
    ),
    "one against the rest": OneVsRestClassifier,
    "sigmoid": lambda mlp: CalibratedClassifierCV(mlp, cv=2),
    "isotonic": lambda mlp: CalibratedClassifierCV(mlp, cv=2, method="isotonic", ensemble=False),
}


@pytest.mark.parametrize("name", ENSEMBLES)
def test_an_ensemble_predicts_what_it_does_with_scikit_learns(name):
    X, y = StandardScaler().fit_transform(IRIS[0]), IRIS[1]
    found, expected = (ENSEMBLES[name](classifier(package)).fit(X, y) for package in (OURS, THEIRS))
    assert_same(found.predict_proba(X), expected.predict_proba(X), 1e-6)
    assert np.array_equal(found.predict(X), expected.predict(X))


@pytest.mark.parametrize(
    "ensemble",
    [
        lambda mlp: BaggingRegressor(mlp, n_estimators=3, random_state=0),
        lambda mlp: StackingRegressor([("mlp", mlp)], RidgeCV(), cv=2),
        lambda mlp: MultiOutputRegressor(mlp),
    ],
    ids=["bagging", "stacking", "multi-output"],
)
def test_an_ensemble_of_regressors_predicts_what_it_does_with_scikit_learns(ensemble):
    X, y = DIABETES
    if isinstance(ensemble(RidgeCV()), MultiOutputRegressor):
        y = np.c_[y, y**2]
    found, expected = (ensemble(regressor(package)).fit(X, y) for package in (OURS, THEIRS))
    assert_same(found.predict(X), expected.predict(X), 1e-6)


def test_inspection_sees_what_it_sees_in_scikit_learns():
    options = {"n_repeats": 3, "random_state": 0, "n_jobs": 2}
    found, expected = (classifier(package).fit(*IRIS) for package in (OURS, THEIRS))
    with joblib.parallel_config(backend="threading"):
        ours, theirs = (permutation_importance(clf, *IRIS, **options) for clf in (found, expected))
    assert_same(ours.importances, theirs.importances)
    ours, theirs = (partial_dependence(clf, IRIS[0], [0, 1]) for clf in (found, expected))
    assert_same(ours["average"], theirs["average"])


def test_features_are_selected_as_with_scikit_learns():
    found, expected = (
        SequentialFeatureSelector(classifier(package), n_features_to_select=2, cv=2).fit(*IRIS)
        for package in (OURS, THEIRS)
    )
    assert np.array_equal(found.support_, expected.support_)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_names_of_columns_are_kept_in_a_pipeline_of_frames(library):
    frames = pytest.importorskip(library)
    names = ["a", "b", "c", "d"]
    frame = frames.DataFrame(dict(zip(names, IRIS[0].T, strict=True)))
    pipeline = scaled(classifier(OURS)).set_output(transform=library).fit(frame, IRIS[1])
    assert list(pipeline[-1].feature_names_in_) == names
    expected = scaled(classifier(OURS)).fit(*IRIS)
    assert_same(pipeline.predict_proba(frame), expected.predict_proba(IRIS[0]))
    with pytest.raises(ValueError, match="feature names"):
        pipeline[-1].predict(frame[names[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        pipeline[-1].predict(IRIS[0])


def test_a_pipeline_routes_sample_weights_to_the_estimator_that_asks():
    X = StandardScaler().fit_transform(IRIS[0])
    weighted = classifier(OURS).fit(X, IRIS[1], sample_weight=WEIGHTS)
    plain = classifier(OURS).fit(X, IRIS[1])
    with config_context(enable_metadata_routing=True):
        asks, declines = (
            make_pipeline(
                StandardScaler().set_fit_request(sample_weight=False),
                classifier(OURS).set_fit_request(sample_weight=asked),
            )
            for asked in (True, False)
        )
        asks.fit(*IRIS, sample_weight=WEIGHTS)
        assert_same(asks.predict_proba(IRIS[0]), weighted.predict_proba(X))
        with pytest.raises(TypeError, match=r"'sample_weight'.*not routed"):
            declines.fit(*IRIS, sample_weight=WEIGHTS)
        assert_same(declines.fit(*IRIS).predict_proba(IRIS[0]), plain.predict_proba(X))
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            scaled(classifier(OURS)).fit(*IRIS, sample_weight=WEIGHTS)


def test_a_search_routes_sample_weights_as_with_scikit_learns():
    with config_context(enable_metadata_routing=True):
        found, expected = (
            GridSearchCV(
                classifier(package)
                .set_fit_request(sample_weight=True)
                .set_score_request(sample_weight=True),
                ALPHAS,
                cv=3,
            ).fit(*IRIS, sample_weight=WEIGHTS)
            for package in (OURS, THEIRS)
        )
        assert found.best_params_ == expected.best_params_
        name = "mean_test_score"
        assert_same(found.cv_results_[name], expected.cv_results_[name])
        assert_same(found.predict_proba(IRIS[0]), expected.predict_proba(IRIS[0]))
        plain = GridSearchCV(classifier(OURS), ALPHAS, cv=3).fit(*IRIS)
        assert not np.allclose(found.cv_results_[name], plain.cv_results_[name])


def test_an_eval_set_is_routed_too():
    with config_context(enable_metadata_routing=True):
        pipeline = scaled(regressor(OURS).set_fit_request(eval_set=True))
        pipeline.fit(*DIABETES, eval_set=DIABETES)
        assert len(pipeline[-1].validation_loss_curve_) == pipeline[-1].n_iter_
        reg = regressor(OURS).set_fit_request(eval_set="held")
        result = cross_validate(
            scaled(reg), *DIABETES, cv=2, params={"held": DIABETES}, return_estimator=True
        )
        for estimator in result["estimator"]:
            assert len(estimator[-1].validation_loss_curve_) == estimator[-1].n_iter_
