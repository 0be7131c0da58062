"""The estimators in scikit-learn's pipelines, searches and ensembles, in threads and in pickles."""

import pickle
import threading

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import BaggingRegressor, StackingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import DivergenceError, TabularClassifier, TabularRegressor
from tabular_data import INCOME, PEOPLE, RICH

QUICK = {
    "epochs": 8,
    "hidden": (16,),
    "learning_rate": 0.01,
    "random_state": 0,
    "ensemble": 1,
    "ensemble_by": "seeds",
}
CLASSIFIER, REGRESSOR = TabularClassifier(**QUICK), TabularRegressor(**QUICK)


def test_their_tags_say_what_they_take():
    assert is_classifier(CLASSIFIER) and is_regressor(REGRESSOR)
    for estimator in (CLASSIFIER, REGRESSOR):
        tags = estimator.__sklearn_tags__()
        assert tags.input_tags.allow_nan and tags.input_tags.string and tags.input_tags.categorical
        assert not tags.input_tags.sparse and tags.target_tags.required
    assert CLASSIFIER.__sklearn_tags__().classifier_tags.multi_label
    assert REGRESSOR.__sklearn_tags__().target_tags.multi_output
    with pytest.raises(NotFittedError):
        CLASSIFIER.predict(PEOPLE)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_scores_by_cross_validation_are_those_of_fits_by_hand(n_jobs):
    for estimator, y, splitter in [
        (CLASSIFIER, RICH, StratifiedKFold(3)),
        (REGRESSOR, INCOME, KFold(3)),
    ]:
        with joblib.parallel_config("threading"):
            found = cross_val_score(estimator, PEOPLE, y, cv=splitter, n_jobs=n_jobs)
        for (trains, tests), score in zip(splitter.split(PEOPLE, y), found, strict=True):
            fitted = clone(estimator).fit(PEOPLE.iloc[trains], y[trains])
            assert fitted.score(PEOPLE.iloc[tests], y[tests]) == score


@pytest.mark.slow
def test_processes_of_joblib_fit_the_same():
    alone = cross_val_score(REGRESSOR, PEOPLE, INCOME, cv=2)
    with joblib.parallel_config("loky"):
        found = cross_val_score(REGRESSOR, PEOPLE, INCOME, cv=2, n_jobs=2)
    assert (found == alone).all()


def test_a_search_finds_the_better_parameters():
    grid = {"epochs": [1, 30], "drop": [["age", "city"], []]}
    search = GridSearchCV(REGRESSOR, grid, cv=2).fit(PEOPLE, INCOME)
    assert search.best_params_ == {"epochs": 30, "drop": []}
    assert search.score(PEOPLE, INCOME) > 0.7
    assert search.best_estimator_.feature_importances_.shape == (6,)
    assert search.feature_names_in_.tolist() == list(PEOPLE.columns)


def test_groups_split_folds_and_early_stopping():
    groups = np.arange(len(PEOPLE)) % 10
    with config_context(enable_metadata_routing=True):
        asking = clone(REGRESSOR).set_fit_request(groups=True, sample_weight=True)
        asking.set_score_request(sample_weight=False)
        given = {"groups": groups, "sample_weight": np.ones(len(PEOPLE))}
        cv = GroupKFold(3)
        found = cross_val_score(asking, PEOPLE, INCOME, cv=cv, params=given)
    for (trains, tests), score in zip(cv.split(PEOPLE, groups=groups), found, strict=True):
        weight = np.ones(len(trains))
        fitted = clone(REGRESSOR).fit(PEOPLE.iloc[trains], INCOME[trains], weight, groups[trains])
        assert fitted.score(PEOPLE.iloc[tests], INCOME[tests]) == pytest.approx(score)


def test_a_clone_fits_to_the_same_bits_and_a_refit_leaves_nothing_behind():
    fitted = clone(CLASSIFIER).fit(PEOPLE, RICH)
    known = fitted.predict_proba(PEOPLE)
    assert (clone(fitted).fit(PEOPLE, RICH).predict_proba(PEOPLE) == known).all()
    of_one_thread = clone(CLASSIFIER).set_params(n_threads=1).fit(PEOPLE, RICH)
    assert (of_one_thread.predict_proba(PEOPLE) == known).all()
    refitted = fitted.fit(PEOPLE[["age"]].to_numpy(), np.arange(len(PEOPLE)) % 3)
    assert refitted.classes_.tolist() == [0, 1, 2] and refitted.n_features_in_ == 1
    assert not hasattr(refitted, "feature_names_in_")
    assert refitted.feature_importances_.shape == (1,)


@pytest.mark.parametrize("estimator, y", [(CLASSIFIER, RICH), (REGRESSOR, INCOME)])
@pytest.mark.parametrize(
    "X, options",
    [
        (PEOPLE, {"epochs": 0}),
        (PEOPLE[["age"]], {"group": "none"}),
        (np.ones((len(PEOPLE), 2)), {}),
        (PEOPLE[["age"]].to_numpy(), {"learning_rate": 1e38, "optimizer": "sgd"}),
    ],
)
def test_a_fit_that_fails_leaves_what_was_fitted_or_nothing(estimator, y, X, options):
    other = np.arange(len(PEOPLE)) % 3
    new = clone(estimator).set_params(**options)
    names = set(vars(new))
    with pytest.raises((ValueError, DivergenceError)):
        new.fit(X, other)
    assert set(vars(new)) == names
    for ask in (new.predict, lambda _: new.feature_importances_):
        with pytest.raises(NotFittedError):
            ask(PEOPLE)
    fitted = clone(estimator).fit(PEOPLE, y)
    known, falls = fitted.predict(PEOPLE), fitted.feature_importances_
    with pytest.raises((ValueError, DivergenceError)):
        fitted.set_params(**options).fit(X, other)
    assert (fitted.predict(PEOPLE) == known).all()
    assert fitted.feature_importances_ is falls
    assert fitted.feature_names_in_.tolist() == list(PEOPLE.columns)


@pytest.mark.parametrize("options", [{}, {"ensemble": 3, "ensemble_by": "folds"}])
def test_pickles_and_joblib_keep_the_bits(options, tmp_path):
    for estimator, y in [(CLASSIFIER, RICH), (REGRESSOR, INCOME)]:
        fitted = clone(estimator).set_params(**options).fit(PEOPLE, y)
        joblib.dump(fitted, tmp_path / "model.joblib")
        for other in (pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "model.joblib")):
            assert (other.predict(PEOPLE) == fitted.predict(PEOPLE)).all()
            assert other.get_params() == fitted.get_params()
            assert other.model_.fingerprint == fitted.model_.fingerprint


def test_a_default_fit_writes_no_file(tmp_path, monkeypatch):
    for name in ("TMPDIR", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    clone(REGRESSOR).fit(PEOPLE, INCOME).predict(PEOPLE)
    assert list(tmp_path.iterdir()) == []


def test_pipelines_hand_on_arrays_and_frames():
    numbers = PEOPLE[["age"]].assign(other=np.arange(len(PEOPLE)) % 5)
    piped = make_pipeline(StandardScaler(), REGRESSOR).fit(numbers, INCOME)
    assert piped.score(numbers, INCOME) > 0.2
    columns = make_column_transformer((StandardScaler(), ["age"]), remainder="passthrough")
    for kind in ("pandas", "polars", "default"):
        piped = make_pipeline(columns.set_output(transform=kind), REGRESSOR)
        frame = PEOPLE.astype({"floor": int, "size": str}) if kind == "polars" else PEOPLE
        assert piped.fit(frame, INCOME).score(frame, INCOME) > 0.7


def test_they_are_members_of_ensembles():
    stack = StackingClassifier([("net", CLASSIFIER)], LogisticRegression(), cv=3)
    assert stack.fit(PEOPLE, RICH).score(PEOPLE, RICH) > 0.8
    calibrated = CalibratedClassifierCV(CLASSIFIER, ensemble=False, cv=3).fit(PEOPLE, RICH)
    assert calibrated.score(PEOPLE, RICH) > 0.8
    log = TransformedTargetRegressor(REGRESSOR, func=np.log, inverse_func=np.exp)
    assert log.fit(PEOPLE, INCOME).score(PEOPLE, INCOME) > 0.7
    numbers = PEOPLE[["age"]].to_numpy()
    bags = BaggingRegressor(REGRESSOR, 2, random_state=0).fit(numbers, INCOME)
    assert bags.score(numbers, INCOME) > 0.2
    held = cross_val_predict(CLASSIFIER, PEOPLE, RICH, cv=3, method="predict_proba")
    assert held.shape == (len(PEOPLE), 2)


def test_threads_may_fit_at_the_same_time():
    known = clone(REGRESSOR).fit(PEOPLE, INCOME).predict(PEOPLE)
    found = []

    def fit():
        found.append(clone(REGRESSOR).fit(PEOPLE, INCOME).predict(PEOPLE))

    threads = [threading.Thread(target=fit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all((each == known).all() for each in found)


@pytest.mark.usefixtures("ctrl_c_in_training")
def test_ctrl_c_ends_a_fit_with_a_warning_and_what_was_learned():
    endless = clone(REGRESSOR).set_params(epochs=10**6, patience=0)
    rows = pd.concat([PEOPLE] * 20, ignore_index=True)
    with pytest.warns(UserWarning, match="Training interrupted by user") as told:
        fitted = endless.fit(rows, np.tile(INCOME, 20))
    assert told[0].filename == __file__
    assert fitted.score(PEOPLE, INCOME) > 0.7
