"""Validation data of the caller's own, in pipelines too, and the weights that scorers get."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    log_loss,
    make_scorer,
    r2_score,
    roc_auc_score,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import compute_sample_weight

from fastbp import MLPClassifier, MLPRegressor

DATA, LABELS = load_breast_cancer(return_X_y=True)
X, X_VAL, Y, Y_VAL = DATA[::2], DATA[1::2], LABELS[::2], LABELS[1::2]
SCALER = StandardScaler().fit(X)
Z, Z_VAL = SCALER.transform(X), SCALER.transform(X_VAL)
WEIGHTS = np.where(Y_VAL == 0, 20.0, 1.0)
FEW = {"hidden_layer_sizes": (8,), "max_iter": 12, "random_state": 0}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("weight", [None, WEIGHTS], ids=["plain", "weighted"])
def test_the_loss_of_validation_data_is_that_of_scikit_learn(solver, weight):
    clf = MLPClassifier(solver=solver, **FEW)
    clf.fit(Z, Y, X_val=Z_VAL, y_val=Y_VAL, sample_weight_val=weight)
    expected = log_loss(Y_VAL, clf.predict_proba(Z_VAL), sample_weight=weight)
    assert len(clf.validation_loss_curve_) == clf.n_iter_
    assert clf.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-8)
    if weight is None:
        pair = MLPClassifier(solver=solver, **FEW).fit(Z, Y, eval_set=(Z_VAL, Y_VAL))
        assert pair.validation_loss_curve_ == clf.validation_loss_curve_


@pytest.mark.parametrize("weight", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("scoring", [None, "accuracy", "roc_auc"])
def test_early_stopping_scores_validation_data_with_their_weights(scoring, weight):
    clf = MLPClassifier(early_stopping=True, scoring=scoring, **FEW)
    clf.fit(Z, Y, X_val=Z_VAL, y_val=Y_VAL, sample_weight_val=weight)
    assert clf.t_ == len(Z) * clf.n_iter_, "no rows are held back"
    if scoring == "roc_auc":
        score = roc_auc_score(Y_VAL, clf.predict_proba(Z_VAL)[:, 1], sample_weight=weight)
    else:
        score = accuracy_score(Y_VAL, clf.predict(Z_VAL), sample_weight=weight)
    assert clf.best_validation_score_ == pytest.approx(score, rel=1e-12)


def test_a_regressor_has_them_too():
    X, y = load_diabetes(return_X_y=True)
    X, y, weight = X * 20, y / 77, np.linspace(0.1, 3, 142)
    held = slice(300, None)
    reg = MLPRegressor(early_stopping=True, **FEW)
    reg.fit(X[:300], y[:300], X_val=X[held], y_val=y[held], sample_weight_val=weight)
    expected = r2_score(y[held], reg.predict(X[held]), sample_weight=weight)
    assert reg.best_validation_score_ == pytest.approx(expected, rel=1e-9)
    last = MLPRegressor(**FEW)
    last.fit(X[:300], y[:300], X_val=X[held], y_val=y[held], sample_weight_val=weight)
    error = np.average((last.predict(X[held]) - y[held]) ** 2, weights=weight) / 2
    assert last.validation_loss_curve_[-1] == pytest.approx(error, rel=1e-12)


@pytest.mark.parametrize("frames", [False, True])
def test_a_pipeline_transforms_validation_data_as_the_data(frames):
    x, x_val = X, X_VAL
    if frames:
        pd = pytest.importorskip("pandas")
        names = [f"x{n}" for n in range(X.shape[1])]
        x, x_val = pd.DataFrame(X, columns=names), pd.DataFrame(X_VAL, columns=names)
    by_hand = MLPClassifier(**FEW)
    by_hand.fit(Z, Y, X_val=Z_VAL, y_val=Y_VAL, sample_weight_val=WEIGHTS)
    with config_context(enable_metadata_routing=True):
        boosting = HistGradientBoostingClassifier(max_iter=2, early_stopping=True)
        for last in (MLPClassifier(**FEW), boosting):  # as scikit-learn's own
            last.set_fit_request(X_val=True, y_val=True, sample_weight_val=True)
            steps = [("scale", StandardScaler()), ("last", last)]
            pipeline = Pipeline(steps, transform_input=["X_val"])
            pipeline.fit(x, Y, X_val=x_val, y_val=Y_VAL, sample_weight_val=WEIGHTS)
            if last is not boosting:
                curve = pipeline[-1].validation_loss_curve_
    np.testing.assert_allclose(curve, by_hand.validation_loss_curve_, rtol=1e-12)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"X_val": Z_VAL}, "X_val is provided, but y_val was not"),
        ({"y_val": Y_VAL}, "y_val is provided, but X_val was not"),
        ({"sample_weight_val": WEIGHTS}, "sample_weight_val is provided, but X_val was not"),
        (
            {"eval_set": (Z_VAL, Y_VAL), "X_val": Z_VAL, "y_val": Y_VAL},
            "eval_set and X_val were both provided",
        ),
        ({"X_val": Z_VAL[:, :3], "y_val": Y_VAL}, "X has 3 features"),
        ({"X_val": Z_VAL, "y_val": Y_VAL + 5}, "classes not in"),
        ({"X_val": Z_VAL, "y_val": Y_VAL[:9]}, "inconsistent numbers of samples"),
        ({"X_val": Z_VAL, "y_val": Y_VAL, "sample_weight_val": WEIGHTS[:9]}, "sample_weight"),
        ({"X_val": Z_VAL, "y_val": Y_VAL, "sample_weight_val": 0 * WEIGHTS}, "non-zero|zero"),
    ],
)
def test_validation_data_that_are_wrong_are_named(given, words):
    with pytest.raises(ValueError, match=words):
        MLPClassifier(**FEW).fit(Z, Y, **given)


def test_an_eval_set_may_have_weights_and_be_a_list_of_one():
    by_name = MLPClassifier(early_stopping=True, **FEW)
    by_name.fit(Z, Y, X_val=Z_VAL, y_val=Y_VAL, sample_weight_val=WEIGHTS)
    triple = (Z_VAL, Y_VAL, WEIGHTS)
    for given in (triple, [triple], list(triple)):
        clf = MLPClassifier(early_stopping=True, **FEW).fit(Z, Y, eval_set=given)
        assert clf.validation_scores_ == by_name.validation_scores_
        assert clf.validation_loss_curve_ == by_name.validation_loss_curve_
    plain = MLPClassifier(early_stopping=True, **FEW).fit(Z, Y, eval_set=[(Z_VAL, Y_VAL)])
    assert plain.validation_loss_curve_ != by_name.validation_loss_curve_
    bare = MLPClassifier(early_stopping=True, **FEW).fit(Z, Y, eval_set=(Z_VAL, Y_VAL, None))
    assert plain.validation_loss_curve_ == bare.validation_loss_curve_
    for wrong in ([triple, triple], (*triple, 1), [], Z_VAL):
        with pytest.raises((ValueError, TypeError), match=r"^eval_set=.*\(X, y, sample_weight\)"):
            MLPClassifier(**FEW).fit(Z, Y, eval_set=wrong)


@pytest.mark.parametrize("part", [0, 1], ids=["trained", "held back"])
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_part_without_weight_is_refused(kind, part):
    options = {**FEW, "early_stopping": True}
    weight = np.ones(len(Z))
    weight[kind(**options).fit(Z, Y)._run.split[part]] = 0
    words = f"rows {('left to train on', 'held back to score')[part]} all have sample weight 0"
    with pytest.raises(ValueError, match=words):
        kind(**options).fit(Z, Y, weight)
    kind(**options).fit(Z, Y, weight, X_val=Z_VAL, y_val=Y_VAL)


def test_weights_of_classes_are_none_of_validation_data():
    weighted = {**FEW, "early_stopping": True, "class_weight": {0: 50.0, 1: 1.0}}
    clf = MLPClassifier(**weighted).fit(Z, Y, X_val=Z_VAL, y_val=Y_VAL)
    assert clf.best_validation_score_ == accuracy_score(Y_VAL, clf.predict(Z_VAL))
    last = MLPClassifier(**{**weighted, "early_stopping": False})
    last.fit(Z, Y, X_val=Z_VAL, y_val=Y_VAL)
    expected = log_loss(Y_VAL, last.predict_proba(Z_VAL))
    assert last.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-8)


# ---------------------------------------------------------------- scorers

FIT_WEIGHTS = np.where(Y == 0, 30.0, 1.0)


def wants_weights(estimator, X, y, sample_weight=None):
    assert sample_weight is not None
    return accuracy_score(y, estimator.predict(X), sample_weight=sample_weight)


def without(y, prediction):
    return accuracy_score(y, prediction)


def held_back(clf):
    _, rows = clf._run.split
    return rows


@pytest.mark.parametrize(
    ("scoring", "metric", "is_weighted"),
    [
        (None, accuracy_score, True),
        ("accuracy", accuracy_score, True),
        ("balanced_accuracy", balanced_accuracy_score, True),
        (make_scorer(accuracy_score), accuracy_score, True),
        (wants_weights, accuracy_score, True),
        (lambda clf, X, y: accuracy_score(y, clf.predict(X)), accuracy_score, False),
        (make_scorer(without), accuracy_score, False),
    ],
    ids=["None", "name", "other name", "scorer", "callable", "no weights", "scorer of none"],
)
def test_a_scorer_that_takes_weights_gets_those_of_the_rows_held_back(scoring, metric, is_weighted):
    # so few epochs that the net is not right everywhere
    options = {**FEW, "max_iter": 2, "early_stopping": True, "scoring": scoring}
    clf = MLPClassifier(**options).fit(Z, Y, sample_weight=FIT_WEIGHTS)
    rows = held_back(clf)
    pair = Y[rows], clf.predict(Z[rows])
    weighted, plain = metric(*pair, sample_weight=FIT_WEIGHTS[rows]), metric(*pair)
    assert clf.best_validation_score_ == pytest.approx(weighted if is_weighted else plain)
    if metric is accuracy_score:
        assert weighted != pytest.approx(plain, rel=1e-3)


def test_weights_of_classes_count_in_the_score_whatever_scores():
    found = []
    for scoring in (None, "accuracy"):
        options = {**FEW, "max_iter": 3, "early_stopping": True, "class_weight": {0: 50.0}}
        clf = MLPClassifier(scoring=scoring, **options).fit(Z, Y)
        found.append(clf.validation_scores_)
    assert found[0] == found[1]
    rows = held_back(clf)
    weight = compute_sample_weight({0: 50.0, 1: 1.0}, Y[rows])
    score = accuracy_score(Y[rows], clf.predict(Z[rows]), sample_weight=weight)
    assert max(found[0]) == pytest.approx(score)
