"""A job of `fit_many` may have weights of its own, which multiply those of all in training."""

import numpy as np
import pytest

from fastbp import MLPRegressor, ModelFileError, Network, fit_many

rng = np.random.default_rng(0)
X = rng.normal(size=(600, 8))
Y = X[:, :1] * X[:, 1:2]
OWN = np.arange(600) % 4 + 1.0
NET = {"sizes": [8, 4, 1], "loss": "squared_error", "seed": 0}
SOME = np.arange(0, 600, 3)


@pytest.mark.parametrize("weight", [None, np.linspace(0.5, 2, 600)])
@pytest.mark.parametrize("rows", [None, SOME])
def test_they_multiply_those_of_all(weight, rows):
    given = {**NET, "sample_weight": OWN, "rows": rows}
    first, plain = fit_many([given, NET], X, Y, sample_weight=weight, epochs=2).wait()
    which = np.arange(600) if rows is None else rows
    weights = OWN[which] * (1 if weight is None else weight[which])
    twin = Network([8, 4, 1], loss="squared_error", seed=0)
    twin.fit(X[which], Y[which], sample_weight=weights, epochs=2)
    assert (first.network.parameters == twin.parameters).all()
    assert (first.network.parameters != plain.network.parameters).any()


def test_they_do_not_score():
    given = MLPRegressor(solver="lbfgs", tol=1, random_state=0)
    first, _ = fit_many([{"estimator": given, "sample_weight": OWN}], X, Y[:, 0], folds=2).wait()
    twin = MLPRegressor(solver="lbfgs", tol=1, random_state=0, n_threads=1)
    twin.fit(X[300:], Y[300:, 0], sample_weight=OWN[300:])
    assert (first.estimator.coefs_[0] == twin.coefs_[0]).all()
    assert first.scores == {"score": twin.score(X[:300], Y[:300, 0])}


@pytest.mark.parametrize("own", [np.ones(599), np.ones((600, 1)), 1.0])
def test_those_that_do_not_fit_are_refused(own):
    with pytest.raises(ValueError, match=r"jobs\[1\]: sample_weight has shape"):
        fit_many([NET, {**NET, "sample_weight": own}], X, Y)


def test_checkpoints_are_of_jobs_of_these_weights(tmp_path):
    fit_many([{**NET, "sample_weight": OWN}], X, Y, epochs=1, checkpoints=tmp_path).wait()
    again = fit_many([{**NET, "sample_weight": OWN}], X, Y, epochs=1, checkpoints=tmp_path)
    assert again.wait()[0].error is None
    with pytest.raises(ModelFileError, match="other jobs"):
        fit_many([{**NET, "sample_weight": 2 * OWN}], X, Y, epochs=1, checkpoints=tmp_path)
