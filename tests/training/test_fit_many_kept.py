"""Checkpoints of many trainings are those of the same settings and data, however these print."""

import numpy as np
import pytest

from fastbp import Adam, Exponential, ModelFileError, WarmUp, fit_many

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 8))
Y = X[:, :2]
NET = {"sizes": [8, 5, 2], "loss": "squared_error"}


def long(last):
    """Return validation data too long to be printed whole."""
    held = np.ones((3_000, 8))
    held[1_500, 3] = last
    return held, held[:, :2]


@pytest.mark.parametrize(
    "made",
    [
        lambda n: {"validation_data": long(n)},
        lambda n: {"optimizer": Adam(schedule=WarmUp(1, after=Exponential(0.9 + n * 1e-12)))},
        lambda n: {"loss": "quantile", "loss_parameter": np.array([0.1, 0.9 - n * 1e-10])},
        lambda n: {"rows": np.r_[np.arange(40), n]},
        lambda n: {"early_stopping": 1 + n, "validation_data": long(0)},
    ],
    ids=["validation", "schedule", "levels", "rows", "stopping"],
)
def test_settings_that_print_alike_are_told_apart(made, tmp_path):
    kept = {"epochs": 2, "seeds": [1], "checkpoints": tmp_path}
    first = fit_many([NET | made(0)], X, Y, **kept).wait()
    again = fit_many([NET | made(0)], X, Y, **kept).wait()
    assert first[0].history["seconds"] == again[0].history["seconds"]  # it was read
    with pytest.raises(ModelFileError, match="other jobs"):
        fit_many([NET | made(1)], X, Y, **kept)
