"""Numbers and dates as people write them have the values that a person reads."""

import logging
from datetime import datetime, timezone

import numpy as np
import polars as pl
import pytest

from command_line import fastbp
from fastbp import TableModel, train
from fastbp.errors import DataError
from table_columns import cycle, frame_of, schema_of

NUMBERS = {
    "decimal commas": (["0,5", "-1,25", "2", "1,5e3"], [0.5, -1.25, 2, 1500]),
    "commas between thousands": (["1,234.50", "2,500,000", "99.5"], [1234.5, 2.5e6, 99.5]),
    "dots between thousands": (["1.234,50", "2.500.000", "99,5"], [1234.5, 2.5e6, 99.5]),
    "blanks": (["1 234", "2 500 000,5", "99"], [1234, 2500000.5, 99]),
    "narrow blanks": (["1\u202f234,5", "2\u00a0500", "99"], [1234.5, 2500, 99]),
    "apostrophes": (["1'234.5", "2\u2019500", "99"], [1234.5, 2500, 99]),
    "lakhs": (["12,34,567.5", "1,23,456", "99"], [1234567.5, 123456, 99]),
    "percent": (["12 %", "7.5%", "100%"], [12, 7.5, 100]),
    "dollars": (["$53", "-$1,234.50", "$-5", "$(7.00)", "($8)"], [53, -1234.5, -5, -7, -8]),
    "euros": (["1.234,50 \u20ac", "\u20ac 7,00", "-12,50 \u20ac"], [1234.5, 7, -12.5]),
    "codes of money": (["EUR 12.50", "EUR -5", "1,000.00 EUR"], [12.5, -5, 1000]),
    "no cents": (["5,-", "6,--", "7,50"], [5, 6, 7.5]),
    "measures": (["5 kg", "7.5kg", "3 KGS", "4"], [5, 7.5, 3, 4]),
    "brackets": (["(5.00)", "7.00", "(1,250)"], [-5, 7, -1250]),
    "signs": (["\u22125", "\u20137.5", "+3", "2-"], [-5, -7.5, 3, -2]),
    "times": (["14:35", "02:10:30.5", "0:00"], [52500, 7830.5, 0]),
    "halves of the day": (["2:30 PM", "12:00 a.m.", "12 pm"], [52200, 0, 43200]),
    "words for missing": (["5", ".", "n.a.", "#DIV/0!", "7"], [5, np.nan, np.nan, np.nan, 7]),
}


def values_of(schema, frame):
    """Return the values that the column v of a frame has, NaN where missing."""
    (column,) = [column for column in schema.columns if column.name == "v"]
    return column.kind, column.read(frame["v"], schema.missing_words, column.written)[0]


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_have_the_values_that_a_person_reads(name):
    texts, expected = NUMBERS[name]
    frame = frame_of(v=cycle(*texts))
    kind, values = values_of(schema_of(frame), frame)
    assert kind == "number"
    np.testing.assert_array_equal(values[: len(texts)], expected)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_text_trains_to_the_bits_of_its_parquet_twin(tmp_path, name):
    texts, expected = NUMBERS[name]
    target = {"x": np.arange(60) % 7, "y": np.tile(["no", "yes"], 30)}
    pl.DataFrame({"v": cycle(*texts), **target}).write_csv(tmp_path / "t.csv", separator=";")
    numbers = pl.DataFrame({"v": cycle(*map(float, expected)), **target}).fill_nan(None)
    numbers.write_parquet(tmp_path / "t.parquet")
    files = [tmp_path / "t.csv", tmp_path / "t.parquet"]
    models = [train(file, "y", hidden=(4,), epochs=2) for file in files]
    bits = {model.network.parameters.tobytes() for model in models}
    assert len(bits) == 1
    models[0].save(tmp_path / "m.safetensors")
    loaded = TableModel.load(tmp_path / "m.safetensors")
    first, second = (loaded.predict(file) for file in files)
    assert first.equals(second)


DATES = {
    "%d/%m/%Y": "2020-12-31 2021-02-01",
    "%m/%d/%y": "2020-12-31 2021-02-01",
    "%d.%m.%Y": "2020-12-31 2021-02-01",
    "%d.%m.%y": "2020-12-31 2021-02-01",
    "%y/%m/%d": "2020-12-31 2021-02-01 2020-04-19",
    "%Y/%m/%d": "2020-12-31 2021-02-01",
    "%b %d, %Y": "2020-01-05 2021-12-31",
    "%d-%b-%y": "2020-01-05 1999-12-31",
    "%A, %d %B %Y": "2020-01-05 2021-12-31",
    "%Y%m%dT%H%M": "2020-01-05T12:30 2021-12-31T23:59",
    "%Y%m%d %H%M%S": "2020-01-05T12:30:05 2021-12-31T23:59:00",
    "%m/%d/%Y %I:%M %p": "2020-01-05T14:30 2021-12-31T00:15",
    "%d/%m/%Y %H:%M:%S": "2020-12-31T14:30:10 2021-02-01T00:00:00",
    "%Y-%m-%d %H:%M:%S UTC": "2020-01-05T14:30:10 2021-12-31T00:00:00",
    "%d/%b/%Y:%H:%M:%S +0000": "2020-01-05T14:30:10 2021-12-31T00:00:00",
    "%a %b %d %H:%M:%S %Y": "2020-01-05T14:30:10 2021-12-31T00:00:00",
    "%a, %d %b %Y %H:%M:%S +0000": "2020-01-05T14:30:10 2021-12-31T00:00:00",
    "%m/%Y": "2020-01-01 2021-12-01",
    "%B %Y": "2020-01-01 2021-12-01",
}


@pytest.mark.parametrize("form", DATES)
def test_dates_have_the_values_that_strptime_reads(form):
    dates = [datetime.fromisoformat(text) for text in DATES[form].split()]
    texts = [date.strftime(form) for date in dates]
    frame = frame_of(v=cycle(*texts))
    kind, values = values_of(schema_of(frame), frame)
    expected = [
        datetime.strptime(text, form).replace(tzinfo=timezone.utc).timestamp() for text in texts
    ]
    assert kind == "date"
    assert values[: len(texts)].tolist() == expected


@pytest.mark.parametrize(
    "texts",
    [
        ["A1", "B2"],
        ["12A", "14A"],
        ["12", "13B"],
        ["3D", "2D"],
        ["S", "XL"],
        ["1.2.3", "1.10.0"],
        ["3:1", "101:99"],
        ["+1 555 123 4567", "+1 555 765 4321"],
        ["10-20", "20-30"],
        ["E11.9", "J45.0"],
        ["10.0.0.1", "192.168.1.1"],
        ["01234", "90210"],
        ["1st", "4th"],
        ["5/12", "6/11"],
        ["2010/11", "2012/13"],
        ["10x20", "30x40"],
        ["\uff11", "\u0661"],
        ["3 of 5 items", "5 of 5 items"],
    ],
)
def test_names_with_digits_stay_categories(texts):
    column = schema_of(frame_of(v=cycle(*texts))).columns[1]
    assert (column.kind, column.categories) == ("category", tuple(sorted(texts)))


def last_of_many(value, others):
    """Return a frame of three frames of rows, of which the last holds `value`."""
    rows = 140_000
    values = pl.Series(others * (rows // len(others)))
    values[-1] = value
    return pl.DataFrame({"v": values, "y": ["no", "yes"] * (rows // 2)})


@pytest.mark.parametrize(
    "value, others, expected",
    [
        ("1,5", ["1", "2"], [1, 1.5]),
        ("1.234,5", ["1.234", "2.345"], [1234, 1234.5]),
        ("0.5", ["1.234", "2.345"], [1.234, 0.5]),
        ("31/12/2020", ["01/02/2020", "03/04/2020"], [1580515200, 1609372800]),
        ("12/31/2020", ["01/02/2020", "03/04/2020"], [1577923200, 1609372800]),
        ("31/12/2020", ["", ""], [np.nan, 1609372800]),
    ],
)
def test_one_row_far_down_says_how_all_are_written(value, others, expected):
    frame = last_of_many(value, others)
    values = values_of(schema_of(frame), frame)[1]
    np.testing.assert_array_equal(values[[0, -1]], expected)


@pytest.mark.parametrize(
    "texts, options, values, phrase",
    [
        (["1,234", "2,345"], {}, [1234, 2345], "'1,234' in row 1 may stand before decimals"),
        (["1.234", "2.345"], {}, [1.234, 2.345], None),  # as most numbers of a file are written
        (["$1,234", "$999"], {}, [1234, 999], "'$1,234' in row 1 may stand before decimals"),
        (["1,234", "2,345"], {"decimal": ","}, [1.234, 2.345], None),
        (["1.234", "2.345"], {"decimal": ","}, [1234, 2345], None),
        (["1,234.5", "2,345"], {}, [1234.5, 2345], None),
        (["01/02/1970", "02/01/1970"], {}, [31 * 86400, 86400], "with the day first"),
        (["01/02/1970"] * 2, {"date_format": ["%m/%d/%Y"]}, [86400] * 2, None),
        (["01/02/1970 0:01"] * 2, {"date_format": ["%m/%d/%Y"]}, [86460] * 2, None),
        (["01/02/1970", ""], {"date_format": ["v=%m/%d/%Y"]}, [86400, np.nan], None),
    ],
)
def test_what_no_value_proves_is_said_until_an_option_settles_it(
    caplog, texts, options, values, phrase
):
    frame = frame_of(v=[*cycle(*texts)[:-1], None])
    with caplog.at_level(logging.WARNING, "fastbp"):
        found = values_of(schema_of(frame, **options), frame)[1]
    np.testing.assert_array_equal(found[:2], values)
    said = " ".join(record.getMessage() for record in caplog.records)
    assert said == "" if phrase is None else phrase in said


def test_other_columns_say_how_one_is_written(caplog):
    frame = frame_of(v=cycle("1.234", "2.345"), w=cycle("1,5", "2.000,5"))
    with caplog.at_level(logging.WARNING, "fastbp"):
        values = values_of(schema_of(frame), frame)[1]
    assert values[:2].tolist() == [1234, 2345]
    assert "read with ',' before decimals, as in other columns" in caplog.text


@pytest.mark.parametrize(
    "texts, message",
    [
        (["5 kg", "3 kg", "750 g"], "'5 kg' in row 1 and '750 g' in row 3"),
        (["$5", "7", "\u20ac7"], "'$5' in row 1 and '\u20ac7' in row 3"),
        (["0.7", "5%"], "'0.7' in row 1 and '5%' in row 2"),
        (["5K", "7.5M"], "'5K' in row 1 and '7.5M' in row 2"),
        (["14:35", "7"], "'14:35' in row 1 and '7' in row 2"),
    ],
)
def test_mixed_units_are_refused_by_row(texts, message):
    for frame, name in ((frame_of(v=cycle(*texts)), "y"), (frame_of(v=cycle(*texts)), "v")):
        with pytest.raises(DataError, match="mixes units: ") as caught:
            schema_of(frame, name)
        assert message in str(caught.value)


def test_another_unit_than_that_of_the_training_is_refused_by_row():
    model = train(frame_of(v=cycle("5 kg", "7 kg")), "y", epochs=1, hidden=())
    frame = pl.DataFrame({"x": [0.5, 0.5], "v": ["6 kg", "6 g"]})
    with pytest.raises(DataError, match="'v' is '6 g' in row 2: expected a finite number in kg"):
        model.predict(frame)


def test_a_format_that_dates_do_not_have_is_refused_by_row():
    frame = frame_of(v=cycle("20200105", "2019-12-31"))
    with pytest.raises(DataError, match="30 of 60 values are not dates of the form %Y%m%d, such"):
        schema_of(frame, date_format=["v=%Y%m%d"])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_command_reads_them_too(tmp_path, kind):
    frame = pl.DataFrame(
        {
            "price": cycle("$1,234.50", "$99", "($7.25)"),
            "born": cycle("31/12/2020", "01/02/2021", "n.a."),
            "y": cycle("0,5", "1,25", "2,5"),
        }
    )
    path = tmp_path / f"t.{kind}"
    frame.write_csv(path, separator=";") if kind == "csv" else frame.write_parquet(path)
    model = tmp_path / "m.safetensors"
    options = ("--target", "y", "--epochs", 2, "--hidden", 4)
    assert fastbp("train", path, *options, "-o", model).code == 0
    schema = TableModel.load(model).schema
    assert [column.kind for column in schema.columns] == ["number", "date"]
    assert (schema.columns[0].text.unit, schema.target.task) == ("$", "regression")
    assert 0.5 < schema.target.mean < 2.5
    assert fastbp("predict", model, path, "-o", tmp_path / "scored.csv").code == 0
    assert pl.read_csv(tmp_path / "scored.csv")["prediction"].is_finite().all()


@pytest.mark.parametrize(
    "values, phrase",
    [
        (["31/01/2020", "14/02/2020", "31/02/2020"], "20 of 60 values are not dates as the others"),
        (["1.5", "2.5", "<0.1"], "20 of 60 values are not numbers as the others"),
        (["red", "blue", "7"], None),
    ],
)
def test_text_that_is_mostly_of_another_kind_is_said(caplog, values, phrase):
    frame = frame_of(v=cycle(*values))
    with caplog.at_level(logging.WARNING, "fastbp"):
        schema = schema_of(frame)
    assert next(column.kind for column in schema.columns if column.name == "v") == "category"
    said = " ".join(record.getMessage() for record in caplog.records)
    assert said == "" if phrase is None else phrase in said
