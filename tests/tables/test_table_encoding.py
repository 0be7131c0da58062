"""Features are those of scikit-learn's transformers; bad values are named with their row."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder

from bent_scaler import BentScaler
from fastbp.errors import DataError
from fastbp.tables.columns.encoding import Encoder
from fastbp.tables.columns.inference import infer
from fastbp.tables.columns.kinds import Boolean, Category, Date, Number
from fastbp.tables.columns.schema import Schema, Target
from fastbp.tables.read.table import open_table

TARGET = Target("y", "regression", "number", mean=2.0, scale=4.0)
WORDS = ("NA", "?")


def encode(column, values, dtype=np.float64, **options):
    """Return the features of one column of values."""
    return encoder_of(column, dtype).encode(pl.DataFrame({column.name: values}), **options)


def encoder_of(column, dtype=np.float64):
    return Encoder(Schema((column,), TARGET, missing_words=WORDS), "a.csv", dtype)


def table_of(rows, seed):
    """Return a pandas frame with each kind of column, with missing values."""
    generator = np.random.default_rng(seed)

    def with_missing(values, share=0.15):
        return pd.Series(values).where(generator.random(rows) > share)

    return pd.DataFrame(
        {
            "number": with_missing(generator.lognormal(3, 2, rows)),
            "integer": generator.integers(-5, 900, rows),
            "flag": with_missing(generator.random(rows) < 0.3),
            "colour": with_missing(generator.choice(["red", "green", "blue ", " Ä,\n'\""], rows)),
            "size": generator.choice(["S", "M", "L"], rows),
            "y": generator.normal(size=rows),
        }
    )


def expected_features(train, other):
    """Return what a pipeline of scikit-learn, fitted to `train`, makes of `other`."""
    numbers = make_pipeline(BentScaler(), SimpleImputer(strategy="constant", fill_value=0.0))
    flags = SimpleImputer(strategy="constant", fill_value=0.5)

    def indicated(values):
        return make_union(values, MissingIndicator(features="all"))

    colours = OneHotEncoder(
        categories=[sorted(train["colour"].dropna().unique())],
        handle_unknown="ignore",
        sparse_output=False,
    )
    sizes = OneHotEncoder(sparse_output=False)
    transformer = make_column_transformer(
        (indicated(numbers), ["number"]),
        (numbers, ["integer"]),
        (indicated(flags), ["flag"]),
        (indicated_text(colours), ["colour"]),
        (sizes, ["size"]),
    )

    def plain(frame):
        stripped = frame["colour"].str.strip()
        filled = stripped.where(stripped.notna(), np.nan).astype(object)
        return frame.assign(flag=frame["flag"].astype(float), colour=filled)

    train = plain(train)
    colours.categories = [sorted(train["colour"].dropna().unique())]
    return transformer.fit(train).transform(plain(other))


def indicated_text(values):
    return make_union(values, MissingIndicator(features="all", missing_values=np.nan))


@pytest.mark.parametrize("source", ["csv", "parquet", "pandas"])
@pytest.mark.parametrize("seed", range(3))
def test_features_are_those_of_scikit_learn(tmp_path, source, seed):
    table = table_of(800, seed)
    path = tmp_path / f"a.{source}"
    if source == "pandas":
        opened = open_table(table)
    elif source == "csv":
        table.to_csv(path, index=False)
        opened = open_table(path)
    else:
        pl.from_pandas(table).write_parquet(path)
        opened = open_table(path)
    is_training = np.arange(800) % 3 > 0
    schema = infer(opened, "y", is_training=is_training)
    encoder = Encoder(schema, opened.name, np.float64)
    batches = list(opened.frames(encoder.columns, rows=300))
    features = np.concatenate([encoder.encode(batch) for batch in batches])
    expected = expected_features(table[is_training], table)
    assert features.shape == (800, schema.n_features) == expected.shape
    np.testing.assert_allclose(features, expected, rtol=1e-9, atol=1e-12)
    single = Encoder(schema, opened.name).encode(batches[0])
    assert single.dtype == np.float32
    assert single.flags.c_contiguous
    np.testing.assert_array_equal(single, features[:300].astype(np.float32))


def test_the_order_of_columns_and_other_columns_do_not_matter():
    schema = Schema((Number("a", False), Number("b", False)), TARGET)
    frame = pl.DataFrame({"z": ["?"], "b": [2], "a": [1]})
    np.testing.assert_array_equal(Encoder(schema).encode(frame), [[1, 2]])


def test_numbers_are_clipped_and_missing_is_the_mean():
    column = Number("a", True, center=1.0, scale=1e-3)
    values = ["1", "1e300", "-1e300", "NA", None, " 1.001 "]
    expected = [[0, 0], [1e6, 0], [-1e6, 0], [0, 1], [0, 1], [1, 0]]
    np.testing.assert_allclose(encode(column, values), expected, rtol=1e-9)


def test_no_number_leaves_the_bounds_of_a_robust_column():
    column = Number("a", True, center=1.0, scale=2.0, bound=3.0)
    values = [1.0, 3.0, -3.0, 1e6, 1e308, -1e308, None]
    x = np.array([0.0, 1.0, -2.0, 499999.5, 1e6, -1e6])
    expected = [*(x / np.sqrt(1 + (x / 3) ** 2)), 0.0]
    features = encode(column, values)
    np.testing.assert_allclose(features[:, 0], expected, rtol=1e-12)
    assert np.abs(features[:, 0]).max() < 3
    np.testing.assert_array_equal(features[:, 1], [0] * 6 + [1])


def test_a_scale_next_to_nothing_gives_finite_features():
    column = Number("a", False, center=-1e308, scale=5e-324)
    np.testing.assert_array_equal(encode(column, [1e308, -1e308, None]), [[1e6], [0], [0]])


NUMBERS = {
    "integers": [3, None],
    "text": ["3", ""],
    "floats": [3.0, float("nan")],
    "seconds": [dt.timedelta(seconds=3), None],
    "a time of day": [dt.time(0, 0, 3), None],
}


@pytest.mark.parametrize("values", NUMBERS.values(), ids=NUMBERS)
def test_a_number_may_be_of_any_type(values):
    column = Number("a", True, center=1.0, scale=2.0)
    np.testing.assert_array_equal(encode(column, values), [[1, 0], [0, 1]])


BOOLEANS = {
    "booleans": [True, False, None],
    "text": [" Yes", "FALSE", "?"],
    "letters": ["t", "F", ""],
    "integers": [1, 0, None],
    "floats": [1.0, -0.0, float("nan")],
}


@pytest.mark.parametrize("values", BOOLEANS.values(), ids=BOOLEANS)
def test_a_boolean_may_be_of_any_type(values):
    np.testing.assert_array_equal(encode(Boolean("a", True), values), [[1, 0], [0, 0], [0.5, 1]])
    np.testing.assert_array_equal(encode(Boolean("a", False), values), [[1], [0], [0.5]])


def test_categories_that_are_rare_unknown_or_missing():
    values = ["a", " b ", "new", "NA", None, "A"]
    kept = [[1, 0], [0, 1], [0, 0], [0, 0], [0, 0], [0, 0]]
    other = np.array([0, 0, 1, 0, 0, 1])[:, None]
    missing = np.array([0, 0, 0, 1, 1, 0])[:, None]
    for has_other in (False, True):
        for has_missing in (False, True):
            column = Category("a", has_missing, categories=("a", "b"), other=has_other)
            parts = [np.array(kept)] + [other] * has_other + [missing] * has_missing
            np.testing.assert_array_equal(encode(column, values), np.hstack(parts))


def test_unknown_categories_are_counted_over_batches():
    encoder = encoder_of(Category("a", False, categories=("a", "b")))
    assert encoder.unknown == {}
    encoder.encode(pl.DataFrame({"a": ["a", "NA", "b"]}))
    assert encoder.unknown == {}
    encoder.encode(pl.DataFrame({"a": ["new", "a"]}))
    encoder.encode(pl.DataFrame({"a": ["new", "newer"]}))
    assert encoder.unknown == {"a": 3}


CATEGORIES = {
    "integers": ([1, 2, None], ("1", "2")),
    "whole floats": ([1.0, 2.0, float("nan")], ("1", "2")),
    "booleans": ([True, False, None], ("true", "false")),
    "categoricals": (pl.Series(["u", "v", None], dtype=pl.Categorical), ("u", "v")),
    "days": ([dt.date(2020, 1, 1), dt.date(2021, 1, 1), None], ("2020-01-01", "2021-01-01")),
    "hostile text": (['x"\n', "🙂" * 900, " "], ('x"\n', "🙂" * 900)),
}


@pytest.mark.parametrize("values, names", CATEGORIES.values(), ids=CATEGORIES)
def test_a_category_may_be_of_any_type(values, names):
    column = Category("a", True, categories=tuple(sorted(names)))
    order = [sorted(names).index(name) for name in names]
    expected = np.eye(3)[[*order, 2]]
    np.testing.assert_array_equal(encode(column, values), expected)


STAMPS = [
    ("2020-02-29", "2020-02-29T00:00:00+00:00"),
    ("2021/12/31", "2021-12-31T00:00:00+00:00"),
    ("1969-07-20T20:17", "1969-07-20T20:17:00+00:00"),
    ("2020-06-01 12:30:15", "2020-06-01T12:30:15+00:00"),
    ("2020-06-01T12:30:15.250Z", "2020-06-01T12:30:15.250000+00:00"),
    ("2020-06-01 00:30:00.000001+02:00", "2020-06-01T00:30:00.000001+02:00"),
    ("2020-06-01T23:59 -0930", "2020-06-01T23:59:00-09:30"),
    ("9999-12-31", "9999-12-31T00:00:00+00:00"),
]
PERIODS = {"year": 365.2425 * 86400, "week": 7 * 86400, "day": 86400}


def expected_date(column, seconds):
    """Return the features of times in seconds, from the definition."""
    features = [(seconds - column.center) / column.scale]
    for period in PERIODS if column.clock else ("year", "week"):
        angle = 2 * np.pi * seconds / PERIODS[period]
        features += [np.sin(angle), np.cos(angle)]
    return np.column_stack(features)


@pytest.mark.parametrize("clock", [False, True])
def test_dates_are_seconds_and_phases(clock):
    column = Date("a", False, center=1.5e9, scale=1e8, clock=clock)
    seconds = [dt.datetime.fromisoformat(iso).timestamp() for _, iso in STAMPS]
    expected = expected_date(column, np.array(seconds))
    found = encode(column, [text for text, _ in STAMPS])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    single = [encode(column, [text])[0] for text, _ in STAMPS]
    np.testing.assert_array_equal(single, found)


@pytest.mark.parametrize(
    "values",
    [
        pl.Series(["2020-06-01", None]),
        pl.Series([dt.date(2020, 6, 1), None]),
        *(pl.Series([dt.datetime(2020, 6, 1), None], dtype=pl.Datetime(u)) for u in ("ms", "ns")),
        pl.Series([dt.datetime(2020, 6, 1), None]).dt.replace_time_zone("UTC"),
        pl.Series([dt.datetime(2020, 6, 1, 2), None]).dt.replace_time_zone("Europe/Berlin"),
    ],
    ids=lambda values: str(values.dtype),
)
def test_a_date_may_be_of_any_type(values):
    column = Date("a", True, center=1e9, scale=1e8, clock=True)
    seconds = dt.datetime(2020, 6, 1, tzinfo=dt.timezone.utc).timestamp()
    features = encode(column, values)
    np.testing.assert_allclose(features[0, :-1], expected_date(column, np.array([seconds]))[0])
    assert features[0, -1] == 0
    np.testing.assert_array_equal(features[1], [0] * 7 + [1])


NUMBER, BOOLEAN = Number("a", False), Boolean("a", False)
DATE = Date("a", False)
BAD = {
    "text": (NUMBER, ["1", "", "x y"], "column 'a' is 'x y' in row 13: expected a finite number"),
    "infinity": (NUMBER, [1.0, float("inf")], "column 'a' is inf in row 12"),
    "text of infinity": (NUMBER, ["1", "1e999"], "column 'a' is '1e999' in row 12"),
    "a date": (NUMBER, [dt.date(2020, 1, 1)], "column 'a' holds Date: expected numbers"),
    "a list": (NUMBER, [[1]], r"column 'a' holds List\(Int64\): expected numbers"),
    "two": (BOOLEAN, [1, 0, 2], "column 'a' is 2 in row 13: expected a boolean"),
    "maybe": (BOOLEAN, ["yes", "maybe"], "column 'a' is 'maybe' in row 12: expected a boolean"),
    "a day that is none": (DATE, ["2020-02-30"], "'2020-02-30' in row 11: expected a date"),
    "an hour that is none": (DATE, ["2020-02-20T24:00"], "'2020-02-20T24:00' in row 11"),
    "a number": (DATE, [3], "column 'a' holds Int64: expected dates"),
    "bytes": (Category("a", True), [b"x"], "column 'a' holds Binary: expected text"),
    "a huge value": (NUMBER, ["9" * 50 + "x" * 10_000_000], r"column 'a' is '9{50}x+\.\.\.' in"),
    "a hostile value": (NUMBER, ['"\n\t\x1b[31m'], r"""column 'a' is '"\\n\\t\\x1b\[31m' in"""),
}


@pytest.mark.parametrize("column, values, expected", BAD.values(), ids=BAD)
def test_values_of_another_kind_are_named_with_their_row(column, values, expected):
    with pytest.raises(DataError, match=f"^a.csv: .*{expected}") as caught:
        encode(column, values, first_row=10)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_columns_that_are_missing_are_all_named():
    columns = tuple(Number(name, False) for name in "abc")
    encoder = Encoder(Schema(columns, TARGET), "b.csv")
    with pytest.raises(DataError, match=r"b\.csv: columns are missing: 'a', 'c';"):
        encoder.encode(pl.DataFrame({"b": [1]}))
    with pytest.raises(DataError, match=r"b\.csv: column is missing: 'y';"):
        encoder.encode_target(pl.DataFrame({"b": [1]}))


def target_of(values, target, **options):
    schema = Schema((NUMBER,), target, missing_words=WORDS)
    return Encoder(schema, "a.csv").encode_target(pl.DataFrame({"y": values}), **options)


CLASSES = {
    "text": (Target("y", "classification", "text", ("b", "c"), (1, 1)), [" c", "b", "?"]),
    "integers": (Target("y", "classification", "integer", ("-1", "10"), (1, 1)), [10, -1, None]),
    "whole text": (
        Target("y", "classification", "integer", ("-1", "10"), (1, 1)),
        ["1e1", "-1.0", ""],
    ),
    "booleans": (
        Target("y", "classification", "boolean", ("false", "true"), (1, 1)),
        [True, False, None],
    ),
    "text of booleans": (
        Target("y", "classification", "boolean", ("false", "true"), (1, 1)),
        ["TRUE", "false", "NA"],
    ),
}


@pytest.mark.parametrize("target, values", CLASSES.values(), ids=CLASSES)
def test_classes_are_labels_and_missing_ones_are_marked(target, values):
    labels, kept = target_of(values, target)
    assert labels.dtype == np.int64
    assert kept.tolist() == [True, True, False]
    assert labels[kept].tolist() == [1, 0]


def test_a_regression_target_is_standardised():
    values, kept = target_of(["10", "NA", "-2"], TARGET)
    assert values.dtype == np.float64
    assert kept.tolist() == [True, False, True]
    np.testing.assert_array_equal(values[kept], [2, -1])


@pytest.mark.parametrize(
    "target, values, expected",
    [
        (CLASSES["text"][0], ["b", "d"], "'y' is 'd' in row 12: expected one of the classes 'b'"),
        (CLASSES["integers"][0], [10, 3], "'y' is 3 in row 12: expected one of the classes '-1'"),
        (CLASSES["integers"][0], [10, 11], "'y' is 11 in row 12"),
        (CLASSES["integers"][0], ["10", "x"], "'y' is 'x' in row 12"),
        (CLASSES["booleans"][0], ["true", "maybe"], "'y' is 'maybe' in row 12"),
        (TARGET, ["1", "x"], "'y' is 'x' in row 12: expected a finite number"),
        (TARGET, [1.0, float("-inf")], "'y' is -inf in row 12"),
        (TARGET, [dt.date(2020, 1, 1)], "'y' holds Date: expected numbers"),
    ],
)
def test_targets_of_no_known_class_are_named_with_their_row(target, values, expected):
    with pytest.raises(DataError, match=f"^a.csv: .*{expected}"):
        target_of(values, target, first_row=10)


def test_a_schema_that_was_saved_encodes_the_same():
    frame = pl.from_pandas(table_of(300, 7))
    schema = infer(open_table(frame), "y")
    again = Schema.from_data(schema.to_data())
    np.testing.assert_array_equal(Encoder(schema).encode(frame), Encoder(again).encode(frame))
