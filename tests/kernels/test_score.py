"""Accuracy and R2 beside scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

from fastbp.data.samples import Samples
from fastbp.training.metrics import metric_of

rng = np.random.default_rng(0)
OUTPUTS, TARGETS = rng.random((2, 500, 3))
LABELS = rng.integers(0, 3, size=500)
WEIGHT = rng.integers(0, 3, size=500) + rng.random(500)


def score(loss, outputs, y=None, labels=None, weight=None):
    samples = Samples(np.zeros((len(outputs), 1), outputs.dtype), y, labels, weight)
    return metric_of(loss).score(outputs, samples)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_scores_are_those_of_scikit_learn(dtype, weight):
    outputs, y = OUTPUTS.astype(dtype), TARGETS.astype(dtype)
    weight = None if weight is None else weight.astype(dtype)
    # which computes in the type of its input
    wide, given = outputs.astype(float), {"sample_weight": weight}
    exact = {"rel": 1e-12}
    classes, bits = outputs.argmax(axis=1), outputs > 0.5
    assert score("cross_entropy", outputs, labels=LABELS, weight=weight) == pytest.approx(
        accuracy_score(LABELS, classes, **given), **exact
    )
    assert score("cross_entropy", outputs, y, weight=weight) == pytest.approx(
        accuracy_score(y.argmax(axis=1), classes, **given), **exact
    )
    assert score("binary_cross_entropy", outputs, y, weight=weight) == pytest.approx(
        accuracy_score(y > 0.5, bits, **given), **exact
    )
    assert score("squared_error", outputs, y, weight=weight) == pytest.approx(
        r2_score(y.astype(float), wide, **given), **exact
    )


def test_outputs_that_do_not_vary():
    y = TARGETS.copy()
    y[:, 1] = 2
    others = np.delete(np.arange(3), 1)
    assert score("squared_error", OUTPUTS, y) == pytest.approx(
        r2_score(TARGETS[:, others], OUTPUTS[:, others]), rel=1e-12
    )
    constant = y[:, 1:2].copy()
    assert score("squared_error", constant, constant) == 1.0
    assert score("squared_error", constant + 1, constant) == 0.0


def test_the_first_of_equal_probabilities_is_the_class():
    outputs = np.full((2, 3), 0.25)
    outputs[1, 1:] = 0.5
    assert score("cross_entropy", outputs, labels=np.array([0, 1])) == 1.0
    assert score("cross_entropy", outputs, labels=np.array([0, 2])) == 0.5
