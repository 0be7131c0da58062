"""`MLPClassifier(missing_targets=True)`: labels that are NaN count for nothing."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import GridSearchCV, KFold

from fastbp import MLPClassifier, MLPSearchCV

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
MARKS = np.column_stack([X[:, 0] > X[:, 1], X[:, 2] > 0.3, X[:, 3] ** 2 > 1]).astype(float)
GAPS = RNG.random(MARKS.shape) < 0.3
GAPS[::9] = True
NANS = np.where(GAPS, np.nan, MARKS)
WEIGHT = RNG.random(120)
pytestmark = pytest.mark.filterwarnings("ignore:.*converge", "ignore:.*maximum iterations")


def classifier(**options):
    return MLPClassifier(
        **{"hidden_layer_sizes": 8, "random_state": 0, "missing_targets": True, **options}
    )


def score_by_hand(net, weight=None):
    right = ((net.predict(X) == MARKS) | GAPS).all(axis=1)
    counts = (~GAPS).sum(axis=1) * (1 if weight is None else weight)
    return np.average(right, weights=counts)


def test_the_loss_is_the_mean_over_the_labels_that_are_there():
    net = classifier(max_iter=1, alpha=0, learning_rate_init=1e-12, batch_size=120).fit(X, NANS)
    p = net.predict_proba(X)
    losses = -np.where(MARKS == 1, np.log(p), np.log(1 - p))
    # summed over the columns, as the loss of a classifier is, and each label counts the same
    assert net.loss_ == pytest.approx(losses[~GAPS].mean() * 3, rel=1e-8)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_row_without_labels_is_one_of_no_weight(method):
    whole = np.where(GAPS[:, :1], np.nan, MARKS)
    missing, weighted = classifier(max_iter=3), classifier(max_iter=3, missing_targets=False)
    more = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    for _ in range(2):
        getattr(missing, method)(X, whole, **more)
        getattr(weighted, method)(X, MARKS, (~GAPS[:, 0]).astype(float), **more)
    for one, other in zip(missing.coefs_, weighted.coefs_, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_scores_leave_them_out(solver):
    net = classifier(solver=solver, max_iter=20).fit(X, NANS)
    for weight in (None, WEIGHT):
        assert net.score(X, NANS, weight) == pytest.approx(score_by_hand(net, weight), rel=1e-12)
    known = classifier(missing_targets=False, max_iter=20).fit(X, MARKS)
    assert clone(known).set_params(missing_targets=True).fit(X, MARKS).score(X, MARKS) == (
        known.score(X, MARKS)
    )


def test_early_stopping_searches_and_smoothing_take_them():
    net = classifier(early_stopping=True, max_iter=8).fit(X, NANS, X_val=X, y_val=NANS)
    assert net.best_validation_score_ == pytest.approx(score_by_hand(net), rel=1e-12)
    net = classifier(early_stopping=True, max_iter=4).fit(X, NANS)  # of rows that it holds back
    assert np.isfinite(net.validation_scores_).all()
    folds = [(np.arange(60), np.arange(60, 120)), (np.arange(60, 120), np.arange(60))]
    grid, net = {"alpha": [1e-4, 10.0]}, classifier(max_iter=5, label_smoothing=0.1)
    theirs, ours = (s(net, grid, cv=folds).fit(X, NANS) for s in (GridSearchCV, MLPSearchCV))
    for key in ("split0_test_score", "split1_test_score"):
        assert np.isfinite(theirs.cv_results_[key]).all()
        np.testing.assert_allclose(ours.cv_results_[key], theirs.cv_results_[key], rtol=1e-12)


def test_a_search_splits_them_as_others():
    grid, net = {"alpha": [1e-4, 10.0]}, classifier(max_iter=5)
    ours = MLPSearchCV(net, grid, cv=2).fit(X, NANS)
    theirs = GridSearchCV(net, grid, cv=KFold(2)).fit(X, NANS)
    for key in ("split0_test_score", "split1_test_score"):
        np.testing.assert_allclose(ours.cv_results_[key], theirs.cv_results_[key], rtol=1e-12)


def test_one_column_has_no_missing_labels():
    with pytest.raises(ValueError, match=r"Input y contains NaN\.$"):
        classifier(missing_targets=False).fit(X, NANS[:, :1])
    with pytest.raises(ValueError, match=r"Input y contains NaN\.$"):
        classifier().fit(X, NANS[:, :1])
    words = np.where(MARKS[:, :1] > 0, "a", "b")
    with pytest.warns(DataConversionWarning):
        assert classifier(max_iter=2).fit(X, words).score(X, words) > 0
    polars = pytest.importorskip("polars")
    with pytest.raises(ValueError, match="With missing_targets=True it counts for nothing"):
        classifier(missing_targets=False).fit(X, polars.DataFrame(NANS))


def test_frames_and_objects_may_hold_them():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(NANS, columns=["a", "b", "c"])
    objects = np.where(GAPS, None, MARKS)
    nets = [classifier(max_iter=2).fit(X, y) for y in (NANS, frame.convert_dtypes(), objects)]
    for net in nets[1:]:
        assert np.array_equal(net.coefs_[0], nets[0].coefs_[0])
    sparse = classifier(max_iter=2).fit(X, csr_array(MARKS.astype(int)))
    assert sparse.predict(X).shape == MARKS.shape


@pytest.mark.parametrize(
    ("options", "y", "words"),
    [
        ({"missing_targets": False}, NANS, r"NaN\.\nWith missing_targets=True it counts for"),
        ({}, NANS[:, 0], r"Input y contains NaN\."),
        ({}, np.where(GAPS, np.inf, MARKS), "Input y contains infinity"),
        ({}, np.full_like(MARKS, np.nan), "y: all targets are NaN"),
        ({"soft_labels": True}, NANS, "with soft_labels=True no target may be missing"),
        ({"class_weight": [{0: 1, 1: 2}] * 3}, NANS, "class_weight=.*: with missing targets"),
        ({"early_stopping": True, "scoring": "accuracy"}, NANS, "scoring='accuracy' does not"),
        ({"missing_targets": "yes"}, NANS, "'missing_targets' parameter"),
        ({}, np.where(GAPS, np.nan, MARKS + 0.5), "Multioutput target data is not"),
        ({}, np.where(GAPS, "", "a"), "y has dtype .*: expected numbers"),
    ],
)
def test_what_cannot_be_missing_is_named(options, y, words):
    with pytest.raises(ValueError, match=words):
        classifier(**options).fit(X, y)
