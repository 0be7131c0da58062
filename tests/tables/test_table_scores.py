"""Scores of a table's model: those of scikit-learn, with ties and classes that are absent."""

import math

import numpy as np
import polars as pl
import pytest
from sklearn import metrics

from fastbp import DataError, train
from fastbp.tables.columns.schema import Target
from fastbp.tables.result.scores import ClassScores, NumberScores
from table_makers import TARGETS, classes_and_probabilities, people

every_target = pytest.mark.parametrize("target", TARGETS)


@pytest.fixture(scope="module")
def models():
    """Return a model of all rows for each kind of target."""
    return {
        target: train(people(target=target), "y", epochs=25, valid_share=0) for target in TARGETS
    }


def class_scores(y, prediction, probabilities, classes):
    """Return the scores of classes as scikit-learn gives them."""
    scores = {
        "rows": len(y),
        "accuracy": metrics.accuracy_score(y, prediction),
        # balanced_accuracy_score is this, with a warning of classes that are absent
        "balanced_accuracy": metrics.recall_score(
            y, prediction, labels=np.unique(y), average="macro"
        ),
        "macro_f1": metrics.f1_score(y, prediction, average="macro"),
        "log_loss": metrics.log_loss(y, probabilities, labels=classes),
    }
    if len(classes) == 2:
        scores["roc_auc"] = metrics.roc_auc_score(y == classes[1], probabilities[:, 1])
    return scores


def number_scores(y, prediction):
    return {
        "rows": len(y),
        "r2": metrics.r2_score(y, prediction),
        "rmse": metrics.root_mean_squared_error(y, prediction),
        "mae": metrics.mean_absolute_error(y, prediction),
    }


@every_target
@pytest.mark.parametrize("rows", [90, 70_001])
def test_scores_are_scikit_learns(models, target, rows):
    new = people(rows, seed=7, target=target)
    prediction, probabilities = classes_and_probabilities(models[target].predict(new))
    y, prediction = new["y"].to_numpy(), prediction.to_numpy()
    if target == "number":
        expected = number_scores(y, prediction)
    else:
        probabilities = probabilities.astype(float)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        expected = class_scores(y, prediction, probabilities, np.unique(y))
    found = models[target].evaluate(new)
    assert list(found) == list(expected)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("there", [(0, 1, 2, 3), (1, 3), (2,)])
@pytest.mark.parametrize("said", [(0, 1, 2, 3), (0, 1)])
def test_classes_that_are_absent_count_as_in_scikit_learn(dtype, there, said):
    rng = np.random.default_rng(len(there))
    target = Target("y", "classification", "text", tuple("abcd"), (1, 1, 1, 1))
    outputs = rng.uniform(0.05, 0.2, (500, 4)).astype(dtype)
    outputs[:, list(said)] *= 3
    outputs /= outputs.sum(axis=1, keepdims=True)
    y = rng.choice(there, 500)
    scores = ClassScores(target)
    for part in (slice(0, 200), slice(200, 201), slice(201, 500)):
        scores.add(outputs[part], y[part])
    p = outputs.astype(float)
    p /= p.sum(axis=1, keepdims=True)
    expected = class_scores(y, outputs.argmax(axis=1), p, [0, 1, 2, 3])
    assert scores.metrics() == pytest.approx(expected, rel=1e-6)
    labels = metrics.confusion_matrix(y, outputs.argmax(axis=1), labels=range(4))
    assert scores.details()["confusion"] == labels.tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("levels", [2, 5, 10**9])
def test_the_area_under_the_curve_shares_ties(dtype, levels):
    rng = np.random.default_rng(levels)
    positive = (rng.integers(0, levels, 400) / levels * 0.8 + 0.1).astype(dtype)
    y = (rng.random(400) < positive).astype(int)
    scores = ClassScores(Target("y", "classification", "text", ("a", "b"), (1, 1)))
    for part in np.array_split(np.arange(400), 3):
        scores.add(np.stack([1 - positive, positive], axis=1)[part], y[part])
    expected = metrics.roc_auc_score(y, positive)
    assert scores.metrics()["roc_auc"] == pytest.approx(expected, rel=1e-12)


def test_the_area_of_one_class_alone_is_not_defined():
    scores = ClassScores(Target("y", "classification", "text", ("a", "b"), (1, 1)))
    scores.add(np.array([[0.2, 0.8], [0.4, 0.6]]), np.array([1, 1]))
    assert math.isnan(scores.metrics()["roc_auc"])


def test_a_probability_of_0_has_a_finite_loss():
    scores = ClassScores(Target("y", "classification", "text", ("a", "b"), (1, 1)))
    scores.add(np.array([[1, 0]], np.float32), np.array([1]))
    assert 80 < scores.metrics()["log_loss"] < 100


@pytest.mark.parametrize("centre", [0, 1e3])
def test_scores_of_numbers_are_scikit_learns_far_from_the_mean(centre):
    rng = np.random.default_rng(0)
    y = centre + rng.normal(0, 1e-3, 300)
    outputs = y + rng.normal(0, 5e-4, 300)
    scores = NumberScores(Target("y", "regression", "number", mean=-7.0, scale=50.0))
    for part in np.array_split(np.arange(300), 4):
        scores.add(outputs[part, None], y[part])
    expected = number_scores(50 * y - 7, 50 * outputs - 7)
    assert scores.metrics() == pytest.approx(expected, rel=1e-6)


def test_the_r2_of_a_target_that_does_not_vary_is_0():
    scores = NumberScores(Target("y", "regression", "number"))
    for _ in range(3):
        scores.add(np.linspace(0, 1, 7)[:, None], np.full(7, 0.1))
    assert scores.metrics()["r2"] == 0


def test_rows_without_a_target_do_not_count(models):
    new = people(90, seed=7)
    gaps = new.with_columns(y=pl.when(pl.int_range(90) % 3 == 0).then(None).otherwise("y"))
    kept = new.filter(pl.int_range(90) % 3 != 0)
    assert models["class"].evaluate(gaps) == models["class"].evaluate(kept)
    with pytest.raises(DataError, match="no row with a value of 'y'"):
        models["class"].evaluate(new.with_columns(y=pl.lit(None, pl.String)))
