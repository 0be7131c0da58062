"""What the solver "lm" of the regressor refuses: options and weights that it does not serve."""

import re
import warnings

import numpy as np
import pytest

from fastbp import Adam, MLPRegressor

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(80, 3)), RNG.normal(size=80)
OPTIONS = {"hidden_layer_sizes": (5,), "activation": "tanh", "max_iter": 3, "random_state": 0}


@pytest.fixture(autouse=True)
def few_iterations():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("least", [-0.1, -1e-30, -1e9])
def test_weights_below_zero_are_named(least, dtype):
    weights = np.ones(80)
    weights[3] = least
    model = MLPRegressor(solver="lm", dtype=dtype, **OPTIONS)
    expected = re.escape(f"sample_weight: one is {least:g}, but solver='lm'")
    with pytest.raises(ValueError, match=expected):
        model.fit(X, Y, sample_weight=weights)
    weights[3] = 0
    assert np.isfinite(model.fit(X, Y, sample_weight=weights).predict(X)).all()
    other = MLPRegressor(solver="lbfgs", **OPTIONS)
    weights[3] = least
    if least > -1:  # of which there is a minimum, or nearly
        assert np.isfinite(other.fit(X, Y, sample_weight=weights).predict(X)).all()


def test_early_stopping_is_refused_where_no_rows_would_be_held_back():
    model = MLPRegressor(solver="lm", early_stopping=True, **OPTIONS)
    with pytest.raises(ValueError, match="early_stopping=True: only solvers 'sgd' and 'adam' have"):
        model.fit(X, Y)
    for others in ({"solver": "lbfgs"}, {"solver": "lm", "optimizer": Adam(0.01)}):
        MLPRegressor(early_stopping=True, **others, **OPTIONS).fit(X, Y)
