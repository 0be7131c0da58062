"""Weights of classes: weights of samples count as repeated rows, and a batch may lack a class."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import load_iris
from sklearn.utils import compute_class_weight, compute_sample_weight

from fastbp import MLPClassifier

X, Y = load_iris(return_X_y=True)
rng = np.random.default_rng(3)
REPEATS = rng.integers(0, 4, 150) * np.where(Y == 2, 3, 1)
SEVERAL = np.c_[Y == 0, Y > 0, X[:, 0] > 6].astype(int)
LABELS = {"numbers": Y, "two": Y == 1, "text": np.array(["c", "a", "b"])[Y], "several": SEVERAL}
# so few iterations that roundings have not grown
FEW = {"hidden_layer_sizes": (5,), "solver": "lbfgs", "max_iter": 8, "random_state": 0}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def probabilities(class_weight, y, weight=None, rows=None, **options):
    rows = np.arange(150) if rows is None else rows
    clf = MLPClassifier(class_weight=class_weight, **{**FEW, **options})
    return clf.fit(X[rows], y[rows], sample_weight=weight).predict_proba(X)


@pytest.mark.parametrize("name", LABELS)
def test_balanced_weights_count_sample_weights_as_repeated_rows(name):
    y = LABELS[name]
    weighted = probabilities("balanced", y, REPEATS.astype(float))
    repeated = probabilities("balanced", y, rows=np.repeat(np.arange(150), REPEATS))
    np.testing.assert_allclose(weighted, repeated, rtol=1e-9, atol=1e-12)
    unweighted = compute_sample_weight("balanced", y)  # what it did
    wrong = probabilities(None, y, REPEATS * unweighted)
    assert abs(weighted - wrong).max() > 1e-3


def test_balanced_weights_are_scikit_learns():
    sums = np.bincount(Y, REPEATS)
    of_classes = REPEATS.sum() / (3 * sums)
    plain = compute_class_weight("balanced", classes=np.arange(3), y=Y.repeat(REPEATS))
    np.testing.assert_allclose(of_classes, plain, rtol=1e-12)
    expected = probabilities(None, Y, REPEATS * of_classes[Y])
    found = probabilities("balanced", Y, REPEATS)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_a_scale_of_the_weights_and_a_class_of_no_weight_change_nothing():
    base = probabilities("balanced", Y, REPEATS, alpha=0.0)
    scaled = probabilities("balanced", Y, REPEATS / 1000, alpha=0.0)
    np.testing.assert_allclose(base, scaled, rtol=1e-7, atol=1e-10)
    none = np.where(Y == 2, 0.0, REPEATS)
    found = probabilities("balanced", Y, none)
    by_hand = compute_sample_weight("balanced", Y[Y < 2].repeat(REPEATS[Y < 2]))
    of_classes = [by_hand[Y[Y < 2].repeat(REPEATS[Y < 2]) == k][0] for k in range(2)]
    expected = probabilities(None, Y, none * np.array([*of_classes, 1.0])[Y])
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("form", [list, csr_array])
def test_balanced_weights_of_several_outputs_are_multiplied(form):
    y = SEVERAL if form is list else csr_array(SEVERAL)
    expected = probabilities(None, SEVERAL, compute_sample_weight("balanced", SEVERAL))
    np.testing.assert_allclose(probabilities("balanced", y), expected, rtol=1e-10)


# ---------------------------------------------------------------- batches that lack a class


def steps(parts, weigh=None, class_weight=None, y=Y, classes=(0, 1, 2)):
    clf = MLPClassifier((5,), class_weight=class_weight, random_state=0)
    for part in parts:
        weight = None if weigh is None else np.array([weigh[label] for label in y[part]])
        clf.partial_fit(X[part], y[part], sample_weight=weight, classes=classes)
    return clf.predict_proba(X)


@pytest.mark.parametrize(
    "given",
    [
        {1: 10.0},
        {2: 10},
        {0: 1.0, 1: 10.0},
        {0: 2.0, 1: 3.0, 2: np.float32(4)},
        {1: 0.0},
        {0: 1, 1: 1, 2: 7},
    ],
)
def test_a_batch_may_lack_a_class_that_has_a_weight(given):
    parts = [slice(0, 40), slice(100, 150), slice(0, 150)]  # only 0, only 2, all
    weigh = {0: 1.0, 1: 1.0, 2: 1.0, **given}
    found = steps(parts, class_weight=given)
    assert np.array_equal(found, steps(parts, weigh))
    assert not np.allclose(found, steps(parts))


def test_names_of_classes_and_truth_values_have_weights_too():
    names = LABELS["text"]
    found = steps([slice(0, 60)], class_weight={"b": 9}, y=names, classes=["a", "b", "c"])
    plain = steps([slice(0, 60)], y=names, classes=["a", "b", "c"])
    assert np.array_equal(found, plain), "there is no b in these rows"
    truth = Y == 1
    found = steps([slice(30, 90)], class_weight={True: 9}, y=truth, classes=[False, True])
    weigh = {False: 1.0, True: 9.0}
    expected = steps([slice(30, 90)], weigh, y=truth, classes=[False, True])
    assert np.array_equal(found, expected)


def test_a_batch_may_lack_a_value_of_an_output():
    given = [{1: 5}, {0: 2, 1: 1}, {0: 1, 1: 3}]
    clf, expected = (
        MLPClassifier((5,), class_weight=weight, random_state=0) for weight in (given, None)
    )
    clf.partial_fit(X, SEVERAL, classes=[0, 1, 2])
    expected.partial_fit(X, SEVERAL, compute_sample_weight(given, SEVERAL), classes=[0, 1, 2])
    rows = slice(60, 150)  # the first output is 0 in all, and the second 1
    weight = np.where(SEVERAL[rows, 2], 3.0, 1.0)
    clf.partial_fit(X[rows], SEVERAL[rows])
    expected.partial_fit(X[rows], SEVERAL[rows], weight)
    assert np.array_equal(clf.predict_proba(X), expected.predict_proba(X))


# ---------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("balance", "'class_weight' parameter .* 'dict', .* {'balanced'}.* Got 'balance'"),
        ("Balanced", "Got 'Balanced'"),
        (3.0, "'class_weight' parameter .* Got 3.0"),
        ({0: "heavy"}, r"class_weight\[0\]='heavy': expected a number"),
        ({0: -1.0}, r"class_weight\[0\]=-1.0: expected a number at least 0"),
        ({1: np.nan}, r"class_weight\[1\]=nan: expected a number"),
        ({7: 2.0}, "are not in class_weight"),
        ([{0: 1.0}], r"class_weight=\[{0: 1.0}\]: expected a dict of weights by class"),
    ],
)
def test_a_wrong_weight_names_the_parameter_and_what_is_right(wrong, words):
    with pytest.raises((ValueError, TypeError), match=words):
        MLPClassifier(class_weight=wrong).fit(X, Y)


def test_several_outputs_have_a_dict_each():
    with pytest.raises(ValueError, match="should be a list of dicts"):
        MLPClassifier(class_weight={0: 1}).fit(X, SEVERAL)
    with pytest.raises(ValueError, match=r"Got 1 element\(s\) while having 3"):
        MLPClassifier(class_weight=[{0: 1}]).fit(X, SEVERAL)
