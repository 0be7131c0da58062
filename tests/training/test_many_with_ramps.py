"""Many trainings on rows with ramps: each has the bits that it has alone."""

import numpy as np
import pytest

from fastbp import Network, fit_many
from fastbp.kernels.support.ramp_rows import ramp_rows

rng = np.random.default_rng(0)
VALUES = np.column_stack([rng.normal(size=200), 9 * rng.random(200), 4 * rng.random(200)])
X = ramp_rows("X", VALUES.astype("f4"), np.array([0, 1, 10, 14]), 0.5)
Y = np.sin(VALUES.sum(axis=1, keepdims=True)).astype("f4")
GIVEN = {"epochs": 3, "batch_size": 16}


def networks(count):
    return [Network([14, 9, 1], seed=number) for number in range(count)]


def test_rows_of_jobs_and_their_validation():
    rows = [np.arange(0, 200, 2), rng.integers(0, 200, 200), np.arange(100)]
    tests = [np.arange(1, 200, 2), np.arange(50), np.arange(100, 200)]
    jobs = [
        {"network": net, "rows": own, "validation_data": (X[held], Y[held])}
        for net, own, held in zip(networks(3), rows, tests, strict=True)
    ]
    with fit_many(jobs, X, Y, n_threads=2, **GIVEN) as results:
        found = sorted(results.wait(), key=lambda result: result.job)
    for net, own, held, result in zip(networks(3), rows, tests, found, strict=True):
        history = net.fit(X[own], Y[own], validation_data=(X[held], Y[held]), **GIVEN)
        assert np.array_equal(net.parameters, result.network.parameters)
        assert history["val_loss"] == result.history["val_loss"]
        dense = Network([14, 9, 1], seed=net.seed)
        dense.fit(X.dense()[own], Y[own], **GIVEN)
        np.testing.assert_allclose(net.parameters, dense.parameters, rtol=1e-4, atol=1e-5)


def test_folds_and_checkpoints(tmp_path):
    parameters = {"sizes": [14, 9, 1], "seed": 0, "dtype": "float64"}
    given = {"folds": 3, "checkpoints": tmp_path, **GIVEN}
    scores = []
    for x in (X, X, X.dense()):
        if x is not X:
            given.pop("checkpoints")
        with fit_many([parameters], x, Y, **given) as results:
            found = sorted(results.wait(), key=lambda result: result.fold)
        scores.append([result.scores["loss"] for result in found])
    assert scores[0] == scores[1]
    assert scores[0] == pytest.approx(scores[2], rel=1e-5)
    with (
        pytest.raises(ValueError, match="checkpoints"),
        fit_many([parameters], X[np.arange(200)[::-1]], Y, folds=3, checkpoints=tmp_path),
    ):
        pass
