"""The score of several quantiles, against sums by hand."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score

from fastbp import TabularRegressor

RNG = np.random.default_rng(6)
X = RNG.normal(size=(300, 2))
Y = X[:, 0] + 0.3 * RNG.normal(size=300)
WEIGHT = RNG.uniform(0.5, 2, 300)


def regressor(**options):
    return TabularRegressor(**{"epochs": 20, "preset": "fast", "random_state": 0, **options})


def pinball(y, predicted, level):
    return np.where(y > predicted, level * (y - predicted), (1 - level) * (predicted - y)).mean()


def d2(y, predicted, level):
    constant = min(pinball(y, each, level) for each in y)  # some quantile is one of the values
    return 1 - pinball(y, predicted, level) / constant


@pytest.mark.parametrize("levels", [[0.1, 0.9], (0.9, 0.05, 0.5)])
def test_several_levels_are_scored_by_what_they_save_of_the_pinball_loss(levels):
    fitted = regressor(quantile=levels).fit(X, Y)
    known = np.mean(
        [d2(Y, each, q) for each, q in zip(fitted.predict(X).T, sorted(levels), strict=True)]
    )
    assert 0.2 < known < 1
    for y in (Y, Y.tolist(), Y[:, None], pd.Series(Y), pl.Series(Y), pl.DataFrame({"y": Y})):
        assert fitted.score(X, y) == pytest.approx(known)
    worse = regressor(quantile=levels, epochs=1).fit(X, Y)
    assert worse.score(X, Y) < known
    twice = np.arange(300).repeat(2)
    whole = np.full(300, 2.0)
    assert fitted.score(X, Y, whole) == pytest.approx(fitted.score(X[twice], Y[twice]))
    assert fitted.score(X, Y, WEIGHT) != fitted.score(X, Y)


def test_levels_of_several_targets_are_scored_by_their_own_columns():
    both = np.column_stack([Y, 100 - 5 * X[:, 1]])
    fitted = regressor(quantile=[0.2, 0.8]).fit(X, both)
    predicted = fitted.predict(X).T
    pairs = [(0, 0.2), (0, 0.8), (1, 0.2), (1, 0.8)]
    known = [d2(both[:, t], each, q) for each, (t, q) in zip(predicted, pairs, strict=True)]
    assert fitted.score(X, both) == pytest.approx(np.mean(known))


def test_one_level_or_none_is_scored_by_r2():
    for options in ({}, {"quantile": 0.5}, {"quantile": [0.5]}):
        fitted = regressor(**options).fit(X, Y)
        assert fitted.score(X, Y, WEIGHT) == r2_score(Y, fitted.predict(X), sample_weight=WEIGHT)


def test_searches_and_folds_score_several_levels():
    found = cross_val_score(regressor(quantile=[0.1, 0.9]), X, Y, cv=3)
    assert (found > 0.2).all()
    grid = {"quantile": [[0.1, 0.9]], "epochs": [1, 20]}
    assert GridSearchCV(regressor(), grid, cv=2).fit(X, Y).best_params_["epochs"] == 20
