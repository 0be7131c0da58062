"""What is told of a sample names its row of X, also where those of weight 0 are left out."""

import logging

import numpy as np
import pandas as pd
import pytest

from fastbp import DataError, TabularClassifier, TabularRegressor

ROWS = 3000
X = np.random.default_rng(4).normal(size=ROWS)
# the first 100, and every seventh
WEIGHT = np.where((np.arange(ROWS) < 100) | (np.arange(ROWS) % 7 == 3), 0.0, 2.0)
PLACE = 2051
QUICK = {"epochs": 1, "preset": "fast", "random_state": 0}


def with_value(value):
    """Return a frame whose column x holds a value in row 2,052."""
    return pd.DataFrame({"z": X, "x": [value if p == PLACE else x for p, x in enumerate(X)]})


@pytest.mark.parametrize("weight", [None, WEIGHT, np.ones(ROWS)])
@pytest.mark.parametrize("value", [np.inf, "old", "it's", "'", 'a " in row 7', "in row 7"])
def test_an_error_names_the_row_of_a_wrong_value(value, weight):
    with pytest.raises(DataError) as caught:
        TabularRegressor(**QUICK).fit(with_value(value), X, weight)
    assert f"{value!r} in row 2,052: " in str(caught.value)


def test_an_error_names_the_rows_of_targets_and_of_two_values():
    y = np.where(np.arange(ROWS) == PLACE, -1.0, 1 + X**2)
    with pytest.raises(DataError, match=r"the target 'y' is -1\.0 in row 2,052: expected a finite"):
        TabularRegressor(**QUICK, loss="poisson").fit(X[:, None], y, WEIGHT)
    sizes = np.array([f"{10 + abs(x):.1f} kg" for x in X], object)
    sizes[[PLACE, 200]] = ["7 lb", "8.5 kg"]
    weight = np.where(np.arange(ROWS) < 200, 0, WEIGHT)
    with pytest.raises(DataError, match=r"'8.5 kg' in row 201 and '7 lb' in row 2,052"):
        TabularRegressor(**QUICK).fit(pd.DataFrame({"x": sizes}), X, weight)
    labels = np.where(X > 0, "a", None)
    first = 1 + np.flatnonzero((WEIGHT > 0) & (X <= 0))[0]
    with pytest.raises(ValueError, match=f"y has no label in row {first}:"):
        TabularClassifier(**QUICK).fit(X[:, None], labels, WEIGHT)


def test_the_log_names_the_rows_of_numbers_that_are_far_out(caplog):
    for y, name in ((X, "column 'x'"), (with_value(1e9)["x"], "the target 'x'")):
        frame = with_value(1e9) if y is X else pd.DataFrame({"z": X})
        with caplog.at_level(logging.WARNING, "fastbp"):
            TabularRegressor(**QUICK).fit(frame, y, WEIGHT)
        assert f"{name} is 1e+09 in row 2,052, more than" in caplog.text
        assert logging.getLogger("fastbp").filters == []
        caplog.clear()
