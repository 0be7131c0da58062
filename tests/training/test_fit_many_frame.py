"""The frame of many results, of polars or of pandas."""

import numpy as np
import pandas as pd

from fastbp import fit_many

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 8))
Y = X[:, :1]
NET = {"sizes": [8, 5, 1], "loss": "squared_error"}


def test_a_frame_has_numbers_for_numbers_and_no_data(monkeypatch):
    job = {**NET, "seed": np.int64(3), "validation_data": (X[:9], Y[:9]), "rows": np.arange(50)}
    results = fit_many([job], X, Y, epochs=1)
    frame = results.to_frame()
    assert frame["seed"].to_list() == [3]
    assert not {"validation_data", "rows"} & set(frame.columns)
    monkeypatch.setattr("fastbp.many.fitting.find_spec", lambda name: None)
    other = results.to_frame()  # without polars
    assert isinstance(other, pd.DataFrame) and list(other.columns) == frame.columns
