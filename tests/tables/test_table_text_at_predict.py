"""A model reads text that its training did not tell of; what stays open is refused."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from command_line import fastbp
from fastbp import DataError, TableModel, train

ROWS = 240
RNG = np.random.default_rng(0)
DAYS = [dt.date(2020, 1, 1) + dt.timedelta(int(n)) for n in RNG.integers(0, 700, ROWS)]
TABLE = pl.DataFrame(
    {
        "x": RNG.uniform(1, 9, ROWS).round(3),
        "day": DAYS,
        "at": [dt.time(int(n) // 60, int(n) % 60) for n in RNG.integers(0, 1439, ROWS)],
        "y": RNG.normal(size=ROWS),
    }
)


def text_of(day="%Y-%m-%d", mark="."):
    """Return the table as text, dates and numbers written in some way."""
    return TABLE.with_columns(
        pl.col("x").cast(pl.String).str.replace(".", mark, literal=True),
        pl.col("day").dt.strftime(day),
        pl.col("at").dt.strftime("%H:%M"),
    )


@pytest.fixture(scope="module", params=["typed", "plain text"])
def model(request):
    return train(TABLE if request.param == "typed" else text_of(), "y", epochs=3, hidden=8)


@pytest.fixture(scope="module")
def right(model):
    return model.predict(TABLE)["prediction"].to_numpy()


def predicted(model, frame, **options):
    return model.predict(frame, **options)["prediction"].to_numpy()


def test_a_clean_twin_is_the_same(model, right):
    np.testing.assert_array_equal(predicted(model, text_of()), right)


@pytest.mark.parametrize("day", ["%d/%m/%Y", "%m/%d/%Y"])
def test_dates_that_may_be_two_days_are_refused_and_the_option_settles_them(model, right, day):
    with pytest.raises(DataError, match="expected a date; `date_format` says what comes first"):
        model.predict(text_of(day))
    for option in (day, f"day={day}"):
        np.testing.assert_array_equal(predicted(model, text_of(day), date_format=[option]), right)


def test_dates_that_are_one_day_are_read(model):
    sure = TABLE.filter(pl.col("day").dt.day() > 12)
    expected = model.predict(sure)
    for day in ("%d/%m/%Y", "%m/%d/%Y"):
        written = text_of(day).filter(TABLE["day"].dt.day() > 12)
        assert model.predict(written).equals(expected)


def test_marks_that_may_be_two_are_refused_and_the_option_settles_them(model, right):
    with pytest.raises(DataError, match="a finite number; `decimal` says what its mark stands for"):
        model.predict(text_of(mark=","))
    np.testing.assert_array_equal(predicted(model, text_of(mark=","), decimal=","), right)


def test_numbers_that_are_one_whatever_the_mark_are_read(model):
    frame = text_of()[:3]
    expected = model.predict(frame.with_columns(x=pl.Series([1.5, 12345.5, 2.0])))
    written = frame.with_columns(x=pl.Series(["1,5", "12.345,5", "2,00"]))
    np.testing.assert_array_equal(written.pipe(model.predict)["prediction"], expected["prediction"])


def test_the_command_names_the_option_as_it_is_typed(tmp_path):
    train(TABLE, "y", epochs=1, hidden=4).save(tmp_path / "m")
    text_of("%m/%d/%Y").write_csv(tmp_path / "new.csv")
    done = fastbp("predict", tmp_path / "m", tmp_path / "new.csv")
    assert done.code == 3
    assert "--date-format says what comes first" in done.err
    options = ["--date-format", "%m/%d/%Y"]
    done = fastbp("predict", tmp_path / "m", tmp_path / "new.csv", *options)
    expected = TableModel.load(tmp_path / "m").predict(TABLE)
    assert [float(line.split(",")[1]) for line in done.out.splitlines()[1:]] == pytest.approx(
        expected["prediction"].to_list()
    )


@pytest.mark.parametrize("unit, bare", [(" %", "0.5"), ("%", "12")])
def test_a_number_without_the_unit_that_changes_it_is_refused(unit, bare):
    frame = pl.DataFrame({"x": [f"{n % 50}{unit}" for n in range(ROWS)], "y": TABLE["y"]})
    model = train(frame, "y", epochs=1, hidden=4)
    with pytest.raises(DataError, match=rf"'{bare}' in row 2: expected a finite number in %"):
        model.predict(pl.DataFrame({"x": [f"5{unit}", bare]}))
    assert len(model.predict(pl.DataFrame({"x": [5.0, 12.0]}))) == 2


def test_a_decimal_comma_before_an_exponent_is_one():
    x = TABLE["x"].to_numpy()
    frame = pl.DataFrame({"x": [f"{n:.3E}".replace(".", ",") for n in x], "y": TABLE["y"]})
    model = train(frame, "y", epochs=1, hidden=4)
    assert model.schema.columns[0].text.decimal == ","
    np.testing.assert_array_equal(predicted(model, frame), predicted(model, TABLE))


def test_a_date_format_leaves_ids_what_they_are():
    frame = text_of("%d/%m/%Y").with_columns(row=pl.arange(1, ROWS + 1, eager=True).cast(pl.String))
    model = train(frame, "y", epochs=1, hidden=4, date_format=["%d/%m/%Y"])
    assert model.schema.ids == ("row",)
    assert "date" in [column.kind for column in model.schema.columns]


@pytest.mark.parametrize("form", ["{},0", "{},50", "$ {}"])
def test_a_target_written_as_an_amount_is_a_regression(form):
    frame = TABLE.with_columns(y=pl.Series([form.format(n % 3) for n in range(ROWS)]))
    assert train(frame, "y", epochs=1, hidden=4).schema.target.task == "regression"
