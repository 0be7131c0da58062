"""Durations: typed, as Python and pandas write them, or in seconds."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fastbp import train
from fastbp.tables.columns.number_text import CLOCK, NumberText

HOURS = np.random.default_rng(0).integers(0, 600, 200) / 60
FAST = {"preset": "fast", "epochs": 20, "seed": 0}
FORMS = {
    "typed": [dt.timedelta(hours=hours) for hours in HOURS],
    "pandas": [str(pd.Timedelta(hours=hours)) for hours in HOURS],
    "python": [str(dt.timedelta(hours=hours)) for hours in HOURS],
    "h:min": [f"{int(hours)}:{round(hours % 1 * 60):02}" for hours in HOURS],
}


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("0 days 03:31:36", 12696),
        ("1 days 00:00:00.500000", 86400.5),
        ("1 day, 2:03:04", 93784),
        ("-1 days +23:59:59", -1),
        ("-1 day, 23:59:58", -2),
        ("12 days 0:30", 12 * 86400 + 1800),
        ("5 days", None),
        ("5 days 3", None),
        ("5 days ago", None),
    ],
)
def test_days_before_a_time_are_counted(text, seconds):
    values = NumberText(unit=CLOCK).parsed(pl.Series([text]))
    assert values.to_list() == [seconds]
    if seconds is not None and text.count(":") == 2:
        assert pd.Timedelta(text.replace(" day,", " days")).total_seconds() == seconds


@pytest.mark.parametrize("trained", FORMS)
def test_forms_of_one_duration_are_read_alike(trained):
    frames = {form: pl.DataFrame({"wait": values}) for form, values in FORMS.items()}
    model = train(frames[trained].with_columns(y=HOURS), "y", **FAST)
    predicted = [model.predict(frame)["prediction"].to_numpy() for frame in frames.values()]
    assert np.abs(predicted[0] - HOURS).mean() < 2
    for other in predicted[1:]:
        np.testing.assert_allclose(other, predicted[0], rtol=1e-5)
    seconds = model.predict({"wait": 3600 * HOURS})["prediction"].to_numpy()
    np.testing.assert_allclose(seconds, predicted[0], rtol=1e-5)


def test_a_column_without_values_is_missing():
    model = train(
        pl.DataFrame({"wait": [*FORMS["typed"][:-9], *[None] * 9], "y": HOURS}), "y", **FAST
    )
    empty = model.predict(pl.DataFrame({"wait": [None, None]}))["prediction"]
    typed = model.predict(pl.DataFrame({"wait": pl.Series([None, None], dtype=pl.Duration)}))
    assert empty.to_list() == typed["prediction"].to_list()


def test_two_units_of_letters_are_no_mistake_of_numbers(caplog):
    rows = [f"{hours:.1f}{'NE'[n % 2]}" for n, hours in enumerate(HOURS)]
    train(pl.DataFrame({"place": rows, "x": HOURS, "y": HOURS}), "y", **FAST)
    assert "0 of 200 values" not in caplog.text
