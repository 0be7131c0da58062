"""Ensembles beside their members fitted alone, and beside scikit-learn's voting and bagging."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier, VotingClassifier, VotingRegressor
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import RepeatedKFold, StratifiedKFold, cross_val_predict

from ensemble_data import AMOUNTS, DIABETES, LABELS, LINE, NAMES, NET, X
from fastbp import Adam, Ensemble, MLPEnsembleClassifier, MLPEnsembleRegressor, Network, to_numpy

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
MARKS = (X[:, [20, 28, 36]] > 0.5).astype(int)
WEIGHT = np.random.default_rng(0).uniform(0.2, 3, 300)
EARLY = {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 30}


def alone(member, *data, **options):
    """Return an estimator like a member, fitted without any other."""
    return clone(member).set_params(n_threads=1).fit(*data, **options)


def assert_same_bits(one, other):
    for ours, theirs in zip(one.coefs_, other.coefs_, strict=True):
        assert (ours == theirs).all()
    assert one.n_iter_ == other.n_iter_


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("options", [{}, EARLY, {"dropout": 0.2, "optimizer": Adam(1e-2)}])
def test_members_by_seeds_are_the_estimators_fitted_alone(options, weight):
    net = clone(NET).set_params(**options)
    ensemble = MLPEnsembleClassifier(net, 4, random_state=7, n_threads=2)
    ensemble.fit(X, NAMES, sample_weight=weight)
    assert len({member.random_state for member in ensemble.estimators_}) == 4
    for member in ensemble.estimators_:
        twin = clone(net).set_params(random_state=member.random_state)
        assert_same_bits(member, twin.fit(X, NAMES, sample_weight=weight))
    probabilities = [member.predict_proba(X) for member in ensemble.estimators_]
    mean = np.mean(probabilities, axis=0)
    np.testing.assert_allclose(ensemble.predict_proba(X), mean, atol=1e-15)
    np.testing.assert_allclose(ensemble.predict_log_proba(X), np.log(mean), rtol=1e-12)
    np.testing.assert_allclose(ensemble.predict_std(X), np.std(probabilities, axis=0), atol=1e-15)
    assert (ensemble.predict(X) == ensemble.classes_[mean.argmax(axis=1)]).all()
    assert ensemble.score(X, NAMES) == accuracy_score(NAMES, ensemble.predict(X))
    assert not hasattr(ensemble, "oob_score_") and not hasattr(ensemble, "estimators_samples_")


def test_it_is_a_soft_vote():
    ensemble = MLPEnsembleClassifier(NET, 3, random_state=0).fit(X, NAMES)
    members = [(f"m{n}", member) for n, member in enumerate(ensemble.estimators_)]
    voting = VotingClassifier(members, voting="soft").fit(X, NAMES)
    np.testing.assert_allclose(ensemble.predict_proba(X), voting.predict_proba(X), atol=1e-12)
    assert (ensemble.predict(X) == voting.predict(X)).all()


@pytest.mark.parametrize("y", [AMOUNTS, np.stack([AMOUNTS, DIABETES[:, 2]], axis=1)])
def test_a_regressor_is_a_vote_with_a_spread(y):
    ensemble = MLPEnsembleRegressor(LINE, 4, random_state=0).fit(DIABETES, y)
    each = [alone(member, DIABETES, y).predict(DIABETES) for member in ensemble.estimators_]
    mean, std = ensemble.predict(DIABETES, return_std=True)
    np.testing.assert_allclose(mean, np.mean(each, axis=0), atol=1e-13)
    np.testing.assert_allclose(std, np.std(each, axis=0), atol=1e-13)
    assert (ensemble.predict(DIABETES) == mean).all()
    assert (ensemble.predict_std(DIABETES) == std).all() and (std > 0).all()
    assert mean.shape == y.shape and ensemble.n_outputs_ == (1 if y.ndim == 1 else 2)
    assert ensemble.score(DIABETES, y) == pytest.approx(r2_score(y, mean))
    if y.ndim == 1:
        voting = VotingRegressor([(f"m{n}", m) for n, m in enumerate(ensemble.estimators_)])
        theirs = voting.fit(DIABETES, y).predict(DIABETES)
        np.testing.assert_allclose(mean, theirs, atol=1e-12)


@pytest.mark.parametrize("weight", [None, np.where(np.arange(300) % 5 == 0, 0, WEIGHT)])
@pytest.mark.parametrize("options", [{}, EARLY])
def test_a_bag_is_rows_with_the_weights_of_their_numbers(options, weight):
    ensemble = MLPEnsembleClassifier(
        clone(NET).set_params(**options), 3, members="bags", random_state=1, n_threads=2
    ).fit(X, LABELS, sample_weight=weight)
    present = np.arange(300) if weight is None else np.flatnonzero(weight)
    own = np.ones(300) if weight is None else weight
    for member, drawn in zip(ensemble.estimators_, ensemble.estimators_samples_, strict=True):
        assert len(drawn) == len(present) and np.isin(drawn, present).all()
        assert 0.55 < len(set(drawn)) / len(present) < 0.72  # 1 - 1/e of all
        rows, times = np.unique(drawn, return_counts=True)
        twin = alone(member, X[rows], LABELS[rows], sample_weight=times * own[rows])
        assert_same_bits(member, twin)
    first, second = ensemble.estimators_samples_[:2]
    assert (first != second).any()


def unseen(ensemble, X, outputs):
    """Return the mean outputs of each row by the members without it, row by row."""
    found = []
    for row in range(len(X)):
        members = [
            member
            for member, seen in zip(ensemble.estimators_, ensemble.estimators_samples_, strict=True)
            if row not in seen
        ]
        each = [outputs(member, X[row : row + 1])[0] for member in members]
        found.append(np.mean(each, axis=0) if each else np.nan * outputs(ensemble, X[:1])[0])
    return np.array(found)


@pytest.mark.parametrize("members", ["bags", "folds"])
@pytest.mark.parametrize("weight", [None, WEIGHT[:200]])
@pytest.mark.parametrize("y", [AMOUNTS, np.stack([AMOUNTS, DIABETES[:, 2]], axis=1)])
def test_a_regressor_predicts_each_row_by_the_members_without_it(members, weight, y):
    ensemble = MLPEnsembleRegressor(LINE, 3, members=members, random_state=0)
    ensemble.fit(DIABETES, y, sample_weight=weight)
    expected = unseen(ensemble, DIABETES, lambda member, X: member.predict(X))
    np.testing.assert_allclose(ensemble.oob_prediction_, expected, rtol=1e-10)
    known = np.isfinite(expected).reshape(200, -1).all(axis=1)
    assert known.all() == (members == "folds")
    weight = np.ones(200) if weight is None else weight
    score = r2_score(y[known], expected[known], sample_weight=weight[known])
    assert ensemble.oob_score_ == pytest.approx(score)


@pytest.mark.parametrize("y", [NAMES, LABELS > 4, MARKS])
def test_a_classifier_predicts_each_row_by_the_members_without_it(y):
    ensemble = MLPEnsembleClassifier(NET, 3, members="bags", random_state=0).fit(X, y)
    expected = unseen(ensemble, X, lambda member, X: member.predict_proba(X))
    np.testing.assert_allclose(ensemble.oob_decision_function_, expected, rtol=1e-10)
    known = np.isfinite(expected).all(axis=1)
    if y.ndim == 2:
        labels = expected[known] > 0.5
    else:
        labels = ensemble.classes_[expected[known].argmax(axis=1)]
    assert 0.5 < known.mean() < 1
    assert ensemble.oob_score_ == accuracy_score(y[known], labels)


class Bagging(BaggingClassifier):
    """scikit-learn's, with bags that are given."""

    estimators_samples_ = None


def test_its_out_of_bag_score_is_that_of_scikit_learns_bagging():
    ensemble = MLPEnsembleClassifier(NET, 20, members="bags", random_state=0).fit(X, LABELS)
    theirs = Bagging(NET, 20)
    theirs.n_classes_, theirs.estimators_ = 10, ensemble.estimators_
    theirs.estimators_samples_ = ensemble.estimators_samples_
    theirs.estimators_features_ = [np.arange(64)] * 20
    theirs._set_oob_score(X, LABELS)
    expected = theirs.oob_decision_function_
    np.testing.assert_allclose(ensemble.oob_decision_function_, expected, atol=1e-12)
    assert ensemble.oob_score_ == theirs.oob_score_


@pytest.mark.parametrize("cv", [None, 4, StratifiedKFold(3, shuffle=True, random_state=0)])
def test_folds_predict_as_scikit_learns_cross_validation_does(cv):
    ensemble = MLPEnsembleClassifier(NET, 6, members="folds", cv=cv, random_state=0, n_threads=2)
    ensemble.fit(X, NAMES)
    splits = StratifiedKFold(6 if cv is None else cv) if not hasattr(cv, "split") else cv
    folds = list(splits.split(X, NAMES))
    assert len(ensemble.estimators_) == len(folds)
    for member, (trains, tests) in zip(ensemble.estimators_, folds, strict=True):
        twin = alone(member, X[trains], NAMES[trains])
        assert_same_bits(member, twin)
        found = ensemble.oob_decision_function_[tests]
        np.testing.assert_allclose(found, twin.predict_proba(X[tests]), atol=1e-15)
    labels = ensemble.classes_[ensemble.oob_decision_function_.argmax(axis=1)]
    assert ensemble.oob_score_ == accuracy_score(NAMES, labels)


def test_a_row_of_several_test_folds_has_the_mean_of_their_members():
    cv = RepeatedKFold(n_splits=2, n_repeats=2, random_state=0)
    ensemble = MLPEnsembleRegressor(LINE, members="folds", cv=cv, random_state=0)
    ensemble.fit(DIABETES, AMOUNTS)
    assert len(ensemble.estimators_) == 4
    expected = unseen(ensemble, DIABETES, lambda member, X: member.predict(X))
    np.testing.assert_allclose(ensemble.oob_prediction_, expected, rtol=1e-10)


def test_rows_that_all_have_seen_have_no_prediction_and_it_is_said(caplog):
    folds = [(np.arange(10, 300), np.arange(10)), (np.r_[0:10, 20:300], np.arange(10, 20))]
    with caplog.at_level("INFO", "fastbp"):
        ensemble = MLPEnsembleClassifier(NET, members="folds", cv=folds).fit(X, LABELS)
    assert "280 of 300 rows have none" in caplog.text
    known = np.isfinite(ensemble.oob_decision_function_).all(axis=1)
    assert known.tolist() == [True] * 20 + [False] * 280
    assert np.isnan(ensemble.oob_decision_function_[20:]).all()


def test_a_single_bag_of_a_single_row_has_no_score():
    ensemble = MLPEnsembleRegressor(LINE, 1, members="bags").fit(DIABETES[:1], AMOUNTS[:1])
    assert np.isnan(ensemble.oob_prediction_).tolist() == [True] and np.isnan(ensemble.oob_score_)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_the_same_folds_as_cross_val_predict():
    net = clone(LINE).set_params(solver="lbfgs", max_iter=5)
    ensemble = MLPEnsembleRegressor(net, 4, members="folds").fit(DIABETES, AMOUNTS)
    for number, member in enumerate(ensemble.estimators_):
        net.set_params(random_state=member.random_state)
        theirs = cross_val_predict(net, DIABETES, AMOUNTS, cv=4)
        rows = np.arange(50 * number, 50 * (number + 1))
        np.testing.assert_allclose(ensemble.oob_prediction_[rows], theirs[rows], atol=1e-12)


@pytest.mark.parametrize("members", ["seeds", "bags", "folds"])
def test_the_number_of_threads_changes_no_bit(members):
    ensembles = [
        MLPEnsembleClassifier(NET, 3, members=members, random_state=5, n_threads=threads)
        for threads in (1, 2, 3)
    ]
    given = [each.fit(X, LABELS).predict_proba(X) for each in ensembles]
    assert (given[0] == given[1]).all() and (given[0] == given[2]).all()


def test_few_members_are_the_first_of_many():
    few, many = (
        MLPEnsembleClassifier(NET, count, members="bags", random_state=3).fit(X, LABELS)
        for count in (2, 4)
    )
    for one, other in zip(few.estimators_, many.estimators_[:2], strict=True):
        assert_same_bits(one, other)
    for one, other in zip(few.estimators_samples_, many.estimators_samples_[:2], strict=True):
        assert (one == other).all()


def test_random_states_are_drawn_as_scikit_learn_draws_them():
    ensemble = MLPEnsembleRegressor(LINE, 3, random_state=np.random.RandomState(4))
    first = [m.random_state for m in ensemble.fit(DIABETES, AMOUNTS).estimators_]
    again = [m.random_state for m in ensemble.fit(DIABETES, AMOUNTS).estimators_]
    generator = np.random.RandomState(4)
    most = np.iinfo(np.int32).max
    assert first == generator.randint(most, size=3).tolist()
    assert again == generator.randint(most, size=3).tolist()


@pytest.mark.parametrize("members", ["seeds", "bags", "folds"])
def test_sparse_rows_and_frames_are_as_arrays(members):
    ensemble = MLPEnsembleClassifier(NET, 3, members=members, random_state=0)
    dense = clone(ensemble).fit(X, LABELS).predict_proba(X)
    for kind in (sparse.csr_matrix, sparse.csc_array):
        found = clone(ensemble).fit(kind(X), LABELS)
        np.testing.assert_allclose(found.predict_proba(kind(X)), dense, atol=1e-6)
    frame = pd.DataFrame(X, columns=[f"pixel {n}" for n in range(64)])
    named = clone(ensemble).fit(frame, LABELS)
    assert (named.predict_proba(frame) == dense).all()
    assert list(named.feature_names_in_) == list(frame.columns) and named.n_features_in_ == 64
    with pytest.raises(ValueError, match="feature names should match"):
        named.predict(frame.rename(columns={"pixel 3": "dot"}))
    with pytest.raises(ValueError, match="Feature names seen at fit time, yet now missing"):
        named.predict(frame.iloc[:, 1:])


def test_float32_stays_so():
    narrow = X.astype("float32")
    ensemble = MLPEnsembleClassifier(NET, 2, random_state=0).fit(narrow, LABELS)
    assert ensemble.estimators_[0].coefs_[0].dtype == np.float32
    assert ensemble.predict_proba(narrow).dtype == ensemble.predict_std(narrow).dtype == np.float32
    own = clone(NET).set_params(dtype="float32")
    asked = MLPEnsembleClassifier(own, 2, random_state=0).fit(X, LABELS)
    assert_same_bits(asked.estimators_[1], alone(asked.estimators_[1], X, LABELS))


def test_several_labels_are_those_more_likely_than_not():
    ensemble = MLPEnsembleClassifier(NET, 3, members="folds", random_state=0).fit(X, MARKS)
    mean = np.mean([m.predict_proba(X) for m in ensemble.estimators_], axis=0)
    assert (ensemble.predict(X) == (mean > 0.5)).all() and ensemble.n_outputs_ == 3
    rows = clone(ensemble).fit(X, sparse.csr_matrix(MARKS))
    assert (rows.predict(X).toarray() == ensemble.predict(X)).all()
    assert rows.oob_score_ == ensemble.oob_score_


@pytest.mark.parametrize("y", [["one"] * 300, np.where(LABELS > 4, "high", "low")])
def test_one_class_and_two_are_as_those_of_the_classifier(y):
    ensemble = MLPEnsembleClassifier(NET, 1, random_state=0).fit(X, y)
    net = alone(ensemble.estimators_[0], X, y)
    assert (ensemble.classes_ == net.classes_).all() and ensemble.n_outputs_ == net.n_outputs_ == 1
    assert (ensemble.predict(X) == net.predict(X)).all()
    assert (ensemble.predict_proba(X) == net.predict_proba(X)).all()
    assert (ensemble.predict_std(X) == 0).all()


@pytest.mark.parametrize("missing", [1, 2])
def test_a_member_without_a_class_gives_it_no_probability(missing):
    y = np.array(["a", "b", "c"][: missing + 1])[np.r_[np.arange(150) % missing, [missing] * 150]]
    folds = [(np.arange(150), np.arange(150, 300)), (np.arange(300), np.arange(150))]
    ensemble = MLPEnsembleClassifier(NET, members="folds", cv=folds, random_state=0).fit(X, y)
    fewer, all_of_them = ensemble.estimators_
    assert len(fewer.classes_) == missing and len(all_of_them.classes_) == missing + 1
    known = fewer.predict_proba(X) if missing > 1 else np.ones((300, 1))
    mean = (np.hstack([known, np.zeros((300, 1))]) + all_of_them.predict_proba(X)) / 2
    np.testing.assert_allclose(ensemble.predict_proba(X), mean, atol=1e-12)
    np.testing.assert_allclose(mean.sum(axis=1), 1)
    logarithms = ensemble.predict_log_proba(X)
    assert np.isfinite(logarithms).all()
    assert (ensemble.oob_decision_function_[150:, missing] == 0).all()


@pytest.mark.parametrize("members", [1, 3])
def test_the_networks_of_the_members_are_saved_and_exported_as_one(members, tmp_path):
    ensemble = MLPEnsembleClassifier(NET, members, random_state=0).fit(X, LABELS)
    network = ensemble.network_
    expected = ensemble.predict_proba(X)
    np.testing.assert_allclose(network.forward(X), expected, rtol=1e-12)
    network.save(tmp_path / "net.safetensors")
    kind = Network if members == 1 else Ensemble
    loaded = kind.load(tmp_path / "net.safetensors")
    assert (loaded.forward(X) == network.forward(X)).all()
    module = {}
    exec(to_numpy(network), module)
    np.testing.assert_allclose(module["predict"](X), expected, rtol=1e-9)


def test_a_bag_without_a_class_has_no_place_in_the_ensemble_of_networks():
    y = np.r_[np.zeros(30, int), np.ones(30, int), 2]  # of which most bags lack the last
    net = clone(NET).set_params(batch_size="auto")
    ensemble = MLPEnsembleClassifier(net, 6, members="bags", random_state=0).fit(X[:61], y)
    assert len({len(member.classes_) for member in ensemble.estimators_}) == 2
    with pytest.raises(ValueError, match="outputs"):
        _ = ensemble.network_
