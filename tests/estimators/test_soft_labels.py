"""Soft labels: rows of probabilities, and smoothed labels, beside scikit-learn's training."""

import copy

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier as Theirs

from fastbp import Adam, MLPClassifier, MLPEnsembleClassifier, MLPSearchCV

RNG = np.random.default_rng(3)
X = RNG.normal(size=(60, 4))
TARGETS = {
    "binary": np.array(["no", "yes"])[np.arange(60) % 2],
    "multiclass": np.arange(60) % 3,
    "multilabel": RNG.integers(0, 2, (60, 3)),
}
SOFT = {2: RNG.dirichlet(np.ones(2), 60), 3: RNG.dirichlet(np.ones(3), 60)}
FEW = {"hidden_layer_sizes": (7,), "max_iter": 12, "random_state": 0}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Smoothing(Theirs):
    """scikit-learn's classifier, trained on targets that are smoothed by the formula."""

    def _validate_input(self, X, y, incremental, reset):
        X, y = super()._validate_input(X, y, incremental, reset)
        classes = y.shape[1] if self._label_binarizer.y_type_ == "multiclass" else 2
        return X, (1 - 0.3) * y + 0.3 / classes


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("kind", TARGETS)
def test_smoothed_labels_train_as_scikit_learn_does_on_smoothed_targets(kind, solver):
    theirs = Smoothing(solver=solver, **FEW).fit(X, TARGETS[kind])
    ours = MLPClassifier(solver=solver, label_smoothing=0.3, **FEW).fit(X, TARGETS[kind])
    plain = MLPClassifier(solver=solver, **FEW).fit(X, TARGETS[kind])
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-9)
    assert ours.loss_ != pytest.approx(plain.loss_, rel=1e-3)
    assert ours.classes_.tolist() == plain.classes_.tolist()


def test_partial_fit_smooths_too():
    y = TARGETS["multiclass"]
    theirs, ours = Smoothing(**FEW), MLPClassifier(label_smoothing=0.3, **FEW)
    for rows in (slice(0, 20), slice(20, 60), slice(10, 11)):
        for each in (theirs, ours):
            each.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-9)


def test_validation_does_not_smooth():
    y = TARGETS["multiclass"]
    given = MLPClassifier(label_smoothing=0.9, **FEW).fit(X, y, eval_set=(X, y))
    expected = log_loss(y, given.predict_proba(X))
    assert given.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-9)
    for targets in TARGETS.values():
        clf = MLPClassifier(label_smoothing=0.9, early_stopping=True, **FEW).fit(X, targets)
        rows = clf._run.split[1]
        score = accuracy_score(targets[rows], clf.predict(X[rows]))
        assert clf.best_validation_score_ == pytest.approx(score)


@pytest.mark.parametrize("wrong", [-0.1, 1.0, np.nan, "0.1"])
def test_a_wrong_share_is_refused_in_the_words_of_scikit_learn(wrong):
    words = r"The 'label_smoothing' parameter of MLPClassifier must be .*\[0.0, 1.0\)"
    with pytest.raises(ValueError, match=words):
        MLPClassifier(label_smoothing=wrong).fit(X, TARGETS["binary"])


# ---------------------------------------------------------------- rows of probabilities


@pytest.mark.parametrize("weight", [None, RNG.uniform(0.1, 2, 60)], ids=["plain", "weighted"])
@pytest.mark.parametrize("classes", SOFT)
def test_a_row_of_probabilities_is_a_row_of_each_class_of_that_weight(classes, weight):
    rows = SOFT[classes]
    options = {**FEW, "solver": "lbfgs", "alpha": 0.0}
    soft = MLPClassifier(soft_labels=True, **options).fit(X, rows, weight)
    each = rows if weight is None else rows * weight[:, None]
    every_class = np.repeat(X, classes, axis=0), np.tile(np.arange(classes), 60)
    hard = MLPClassifier(**options).fit(*every_class, each.ravel())
    np.testing.assert_allclose(soft.predict_proba(X), hard.predict_proba(X), rtol=1e-6)
    assert soft.loss_ == pytest.approx(hard.loss_, rel=1e-9)
    assert soft.classes_.tolist() == list(range(classes))
    assert soft.out_activation_ == hard.out_activation_
    assert soft.predict(X).tolist() == soft.predict_proba(X).argmax(axis=1).tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_has_the_bits_of_the_networks_own(dtype):
    x = X.astype(dtype)
    y = np.array([[0.5, 0.25, 0.25], [0, 1, 0], [0.125, 0.125, 0.75]])[np.arange(60) % 3]
    options = {"alpha": 0, "optimizer": Adam(1e-2), "shuffle": False, "soft_labels": True}
    clf = MLPClassifier((7,), random_state=0, **options).partial_fit(x, y)
    network = copy.deepcopy(clf.network_)
    clf.partial_fit(x, y)
    network.step(x, y.astype(dtype))
    assert network.parameters.tobytes() == clf.network_.parameters.tobytes()
    clf.set_params(label_smoothing=0.75).partial_fit(x, y)
    network.step(x, (0.25 * y + 0.25).astype(dtype))
    assert network.parameters.tobytes() == clf.network_.parameters.tobytes()


def test_rows_of_zeros_and_ones_are_labels_of_columns_unless_they_are_said_to_be_soft():
    hot = np.eye(3)[TARGETS["multiclass"]]
    columns = MLPClassifier(**FEW).fit(X, hot)
    assert columns.out_activation_ == "logistic" and columns.predict(X).shape == (60, 3)
    soft = MLPClassifier(soft_labels=True, **FEW).fit(X, hot)
    hard = MLPClassifier(**FEW).fit(X, TARGETS["multiclass"])
    np.testing.assert_allclose(soft.predict_proba(X), hard.predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize("scoring", [None, "accuracy", "roc_auc_ovr"])
def test_validation_takes_rows_or_labels(scoring):
    options = {**FEW, "soft_labels": True, "early_stopping": True, "scoring": scoring}
    labels = SOFT[3].argmax(axis=1)
    held, by_labels = (
        MLPClassifier(**options).fit(X, SOFT[3], eval_set=(X, y)) for y in (SOFT[3], labels)
    )
    assert held.validation_scores_ == by_labels.validation_scores_
    split = MLPClassifier(**options).fit(X, SOFT[3])
    assert len(split.validation_scores_) == split.n_iter_
    if scoring != "roc_auc_ovr":
        rows = split._run.split[1]
        expected = accuracy_score(labels[rows], split.predict(X[rows]))
        assert split.best_validation_score_ == pytest.approx(expected)
    last = MLPClassifier(soft_labels=True, **FEW).fit(X, SOFT[3], eval_set=(X, SOFT[3]))
    expected = -np.mean(np.sum(SOFT[3] * last.predict_log_proba(X), axis=1))
    assert last.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-9)


def test_the_score_is_that_of_the_most_likely_class_and_takes_labels_too():
    clf = MLPClassifier(soft_labels=True, **FEW).fit(X, SOFT[2])
    weight = RNG.uniform(size=60)
    labels = SOFT[2].argmax(axis=1)
    expected = accuracy_score(labels, clf.predict(X), sample_weight=weight)
    assert clf.score(X, SOFT[2], weight) == clf.score(X, labels, weight) == expected


def test_a_callable_scores_the_rows_as_they_are():
    def cross_entropy(clf, X, y):
        return float(np.mean(np.sum(y * clf.predict_log_proba(X), axis=1)))

    options = {**FEW, "soft_labels": True, "early_stopping": True, "scoring": cross_entropy}
    clf = MLPClassifier(**options).fit(X, SOFT[3])
    rows = clf._run.split[1]
    assert clf.best_validation_score_ == cross_entropy(clf, X[rows], SOFT[3][rows])


def test_partial_fit_takes_names_of_the_columns():
    clf = MLPClassifier(soft_labels=True, **FEW)
    clf.partial_fit(X, SOFT[3], classes=["c", "a", "b"])
    assert clf.classes_.tolist() == ["a", "b", "c"]
    expected = np.array(["a", "b", "c"])[SOFT[3].argmax(axis=1)]
    assert clf.score(X, SOFT[3]) == accuracy_score(expected, clf.predict(X))
    with pytest.raises(ValueError, match=r"y has 2 columns .* classes \['a' 'b' 'c'\]"):
        clf.partial_fit(X, SOFT[2])
    for mistaken in ([0, 1], [0, 1, 2, 3]):
        with pytest.raises(ValueError, match="y has 3 columns of probabilities"):
            MLPClassifier(soft_labels=True).partial_fit(X, SOFT[3], classes=mistaken)
    multilabel = MLPClassifier(**FEW).fit(X, TARGETS["multilabel"])
    with pytest.raises(ValueError, match="has the multilabel-indicator classes"):
        multilabel.set_params(soft_labels=True).partial_fit(X, SOFT[3])


def changed(row, values):
    rows = SOFT[3].copy()
    rows[row] = values
    return rows


@pytest.mark.parametrize(
    "y, words",
    [
        (TARGETS["multiclass"], r"soft_labels=True, but y has shape \(60,\): expected rows"),
        (SOFT[3][:, :1], r"soft_labels=True, but y has shape \(60, 1\)"),
        (changed(7, [0.5, 0.5, 0.01]), r"^y\[7\] adds up to 1.01"),
        (changed(8, [0, 0, 0]), r"^y\[8\] adds up to 0"),
        (changed(9, [1.5, -0.5, 0]), r"^y\[9\] holds -0.5"),
        (changed(4, [0, np.nan, 1]), r"^y\[4, 1\] is nan"),
        (changed(4, [0, 1, np.inf]), r"^y\[4, 2\] is inf"),
        (SOFT[3][:9], "inconsistent numbers of samples"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_rows_that_are_no_probabilities_are_named(method, y, words):
    with pytest.raises(ValueError, match=words):
        getattr(MLPClassifier(soft_labels=True), method)(X, y)


def test_rounding_is_no_error_and_is_taken_out():
    off = SOFT[3] * np.linspace(0.9995, 1.0005, 60)[:, None]
    one, other = (MLPClassifier(soft_labels=True, **FEW).fit(X, y) for y in (SOFT[3], off))
    np.testing.assert_allclose(one.coefs_[0], other.coefs_[0], rtol=1e-9)


def test_weights_every_class_are_refused():
    for weight in ("balanced", {0: 2.0}):
        with pytest.raises(ValueError, match=r"class_weight=.* give sample_weight"):
            MLPClassifier(soft_labels=True, class_weight=weight).fit(X, SOFT[3])


def test_warm_start_goes_on_with_the_same_columns():
    options = {**FEW, "soft_labels": True, "warm_start": "exact"}
    two = MLPClassifier(**options).fit(X, SOFT[3]).fit(X, SOFT[3])
    one = MLPClassifier(**{**options, "max_iter": 24}).fit(X, SOFT[3])
    assert two.network_.parameters.tobytes() == one.network_.parameters.tobytes()
    with pytest.raises(ValueError, match="y has 2 columns of probabilities"):
        two.fit(X, SOFT[2])


# ---------------------------------------------------------------- searches and ensembles


@pytest.mark.parametrize("scoring", [None, "neg_log_loss"])
def test_a_search_reads_the_targets_of_each_candidate(scoring):
    grid = {"label_smoothing": [0.0, 0.8]}
    arguments = (MLPClassifier(**FEW, learning_rate_init=0.05), grid)
    searches = [kind(*arguments, cv=2, scoring=scoring) for kind in (GridSearchCV, MLPSearchCV)]
    theirs, ours = (
        search.fit(X, TARGETS["multiclass"]).cv_results_["mean_test_score"] for search in searches
    )
    assert ours.tolist() == theirs.tolist()
    if scoring is not None:
        assert ours[0] != ours[1]


def test_a_search_takes_soft_labels():
    arguments = MLPClassifier(soft_labels=True, **FEW), {"alpha": [1e-4, 10.0]}
    theirs, ours = (
        kind(*arguments, cv=3).fit(X, SOFT[3]).cv_results_ for kind in (GridSearchCV, MLPSearchCV)
    )
    for fold in range(3):
        name = f"split{fold}_test_score"
        assert ours[name].tolist() == theirs[name].tolist()


@pytest.mark.parametrize("members", ["seeds", "bags", "folds"])
@pytest.mark.parametrize("classes", SOFT)
def test_ensembles_take_soft_labels(classes, members):
    rows, net = SOFT[classes], MLPClassifier(soft_labels=True, label_smoothing=0.1, **FEW)
    ensemble = MLPEnsembleClassifier(net, 3, members=members, random_state=0).fit(X, rows)
    assert ensemble.classes_.tolist() == list(range(classes))
    mean = np.mean([each.predict_proba(X) for each in ensemble.estimators_], axis=0)
    np.testing.assert_allclose(ensemble.predict_proba(X), mean, rtol=1e-12)
    expected = accuracy_score(rows.argmax(axis=1), mean.argmax(axis=1))
    assert ensemble.score(X, rows) == ensemble.score(X, rows.argmax(axis=1)) == expected
    if members == "folds":
        found = ensemble.oob_decision_function_.argmax(axis=1)
        assert ensemble.oob_score_ == accuracy_score(rows.argmax(axis=1), found)
    with pytest.raises(ValueError, match=rf"^y\[0\] adds up to {classes}"):
        ensemble.fit(X, np.ones_like(rows))


def test_rows_are_held_back_whatever_their_likeliest_class():
    rows = np.column_stack([np.full(len(X), 0.8), np.full(len(X), 0.2)])
    rows[0] = 0.1, 0.9  # one alone, by which nothing can be stratified
    options = {**FEW, "early_stopping": True}
    clf = MLPClassifier(soft_labels=True, **options).fit(X, rows)
    assert len(clf.validation_scores_) == clf.n_iter_
