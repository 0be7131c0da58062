"""A regressor learns durations as seconds, as `train` does, and refuses dates."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fastbp import TabularRegressor, train

X = np.random.default_rng(5).normal(size=(150, 2))
HOURS = pd.Series(pd.to_timedelta(np.round(43_200 + 3600 * X[:, 0]), unit="s")).astype("m8[us]")
DAYS = (pd.Timestamp("2020-01-01") + HOURS).astype("M8[us]")
QUICK = {"epochs": 2, "preset": "fast"}


def regressor():
    return TabularRegressor(random_state=0, **QUICK)


FORMS = {
    "series": HOURS,
    "index": pd.Index(HOURS),
    "nanoseconds": HOURS.astype("m8[ns]"),
    "milliseconds": HOURS.astype("m8[ms]"),
    "arrow": HOURS.astype("duration[us][pyarrow]"),
    "array": HOURS.to_numpy(),
    "objects": HOURS.astype(object),
    "of Python": np.array([each.to_pytimedelta() for each in HOURS], object),
    "of NumPy": np.array([*HOURS.to_numpy(), None], object)[:-1],
    "list": HOURS.to_list(),
    "several types": [HOURS[0].to_numpy(), HOURS[1].to_pytimedelta(), *HOURS[2:]],
    "times of day": [(dt.datetime(2020, 1, 1) + each).time() for each in HOURS],
    "polars": pl.Series(HOURS),
    "times of polars": pl.Series([(dt.datetime(2020, 1, 1) + each).time() for each in HOURS]),
    "column": HOURS.to_frame(),
    "column of polars": pl.DataFrame({"y": HOURS}),
    "matrix": HOURS.to_numpy()[:, None],
}


@pytest.mark.parametrize("form", FORMS)
def test_durations_of_any_form_are_learned_as_seconds(form):
    seconds = HOURS.dt.total_seconds().to_numpy()
    known = regressor().fit(X, seconds)
    fitted = regressor().fit(X, FORMS[form])
    assert (fitted.predict(X).ravel() == known.predict(X)).all()
    assert fitted.score(X, FORMS[form]) == known.score(X, seconds)
    table = {"x0": X[:, 0], "x1": X[:, 1]}
    of_train = train({**table, "y": HOURS.to_numpy()}, "y", seed=0, **QUICK).predict(table)
    np.testing.assert_array_equal(of_train["prediction"].to_numpy(), known.predict(X))


def test_columns_of_durations_and_of_numbers_are_learned_together():
    seconds = np.column_stack([HOURS.dt.total_seconds(), X[:, 1]])
    known = regressor().fit(X, seconds)
    both = pd.DataFrame({"wait": HOURS, "x": X[:, 1]})
    for y in (both, pl.from_pandas(both)):
        fitted = regressor().fit(X, y)
        assert (fitted.predict(X) == known.predict(X)).all()
        assert fitted.score(X, y) == pytest.approx(known.score(X, seconds))
    missing = HOURS.where(X[:, 0] > 0)
    for y in (missing, missing.astype(object), pl.Series(missing)):
        with pytest.raises(ValueError, match="Input y contains NaN"):
            regressor().fit(X, y)


@pytest.mark.parametrize("unit", ["W", "D", "h", "m", "s", "ms", "us", "ns"])
def test_every_unit_of_numpy_is_read(unit):
    days = 7 * np.arange(len(X))
    known = regressor().fit(X, 86400.0 * days)
    fitted = regressor().fit(X, days.astype("m8[D]").astype(f"m8[{unit}]"))
    np.testing.assert_array_equal(fitted.predict(X), known.predict(X))


DATES = {
    "series": DAYS,
    "zoned": DAYS.dt.tz_localize("Europe/Oslo"),
    "arrow": DAYS.astype("timestamp[us][pyarrow]"),
    "array": DAYS.to_numpy(),
    "days": DAYS.to_numpy().astype("M8[D]"),
    "objects": DAYS.astype(object),
    "of Python": list(DAYS.dt.date),
    "of NumPy": np.array([*DAYS.to_numpy(), None], object)[:-1],
    "some missing": DAYS.dt.date.where(X[:, 0] > 0, None),
    "periods": DAYS.dt.to_period("h"),
    "polars": pl.Series(DAYS),
    "days of polars": pl.Series(DAYS).dt.date(),
    "column": DAYS.to_frame("due"),
    "column of polars": pl.DataFrame({"due": DAYS}),
}


@pytest.mark.parametrize("form", DATES)
def test_dates_of_any_form_are_refused(form):
    what = "column 'due' of y" if "column" in form else "y"
    with pytest.raises(ValueError, match=f"^{what} holds dates: expected numbers or durations"):
        regressor().fit(X, DATES[form])
