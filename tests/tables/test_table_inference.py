"""What columns hold is found from all rows, and what they are scaled by from training rows."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.preprocessing import StandardScaler

from bent_scaler import BentScaler
from fastbp.errors import DataError
from fastbp.tables.columns import category
from fastbp.tables.columns.inference import infer
from fastbp.tables.columns.kinds import Category
from fastbp.tables.columns.schema import Dropped, Schema
from fastbp.tables.read.table import MISSING_WORDS, open_table
from table_columns import GENERATOR, LABELS, NUMBERS, ROWS, cycle, frame_of, schema_of


def column_of(values, name="c", words=MISSING_WORDS, **options):
    """Return the fitted column of some values, or the reason why there is none."""
    schema = schema_of(frame_of(**{name: values}), words=words, **options)
    found = [column for column in (*schema.columns, *schema.dropped) if column.name == name]
    assert len(found) == 1
    return found[0].reason if isinstance(found[0], Dropped) else found[0]


KINDS = {
    "text of integers": (cycle("1", "2", "-3"), "number"),
    "text of floats": (cycle("1.5", " 2e-3 ", ".5", "+7", "NA"), "number"),
    "zeros and ones": (cycle("0", "1"), "number"),
    "true and false": (cycle("True", "FALSE", "", "true"), "boolean"),
    "yes and no": (cycle("yes", "No"), "boolean"),
    "t and f": (cycle("t", "F"), "boolean"),
    "days": (cycle("2020-02-29", "2021/12/31", "?"), "date"),
    "times": (
        cycle("2020-02-29 10:30", "2020-02-29T10:30:05.25Z", "1969-01-01T00:00+02:00"),
        "date",
    ),
    "words": (cycle("red", "green", "blue"), "category"),
    "no such days": (cycle("2020-02-30", "2021-13-01"), "category"),
    "short days": (cycle("20-1-2", "1-2-3"), "category"),
    "numbers with a comma": (cycle("1,5", "2,5"), "number"),
    "mixed": (cycle("1", "a", "2020-01-01", "true"), "category"),
    "integers": (cycle(1, 2, 5), "number"),
    "unsigned": (pl.Series(cycle(1, 2, 5), dtype=pl.UInt64), "number"),
    "floats": (cycle(0.5, float("nan"), 5.0), "number"),
    "decimals": (pl.Series(cycle("1.25", "3.50")).cast(pl.Decimal(8, 2)), "number"),
    "booleans": (cycle(True, None, False), "boolean"),
    "date": (cycle(dt.date(2020, 1, 1), dt.date(2021, 1, 1)), "date"),
    "datetime": (cycle(dt.datetime(2020, 1, 1, 5), dt.datetime(2021, 1, 1)), "date"),
    "duration": (cycle(dt.timedelta(days=1), dt.timedelta(seconds=1)), "number"),
    "time of day": (cycle(dt.time(1, 2, 3), dt.time(4)), "number"),
    "categorical": (pl.Series(cycle("u", "v")).cast(pl.Categorical), "category"),
    "enumeration": (pl.Series(cycle("u", "v")).cast(pl.Enum(["u", "v"])), "category"),
    "enumerated numbers": (pl.Series(cycle("1", "2")).cast(pl.Enum(["1", "2"])), "number"),
}


@pytest.mark.parametrize("values, kind", KINDS.values(), ids=KINDS)
def test_the_kind_of_a_column_is_what_its_values_are(values, kind):
    assert column_of(values).kind == kind


DROPPED = {
    "one value": (cycle("5"), "constant"),
    "one number, written otherwise": (cycle("5", "5.0"), "constant"),
    "one boolean": (cycle(True), "constant"),
    "one word": (cycle("red", " red"), "constant"),
    "nothing": (cycle("", "NA", "?", None), "all missing"),
    "null": (pl.Series([None] * ROWS), "all missing"),
    "NaN": (cycle(float("nan")), "all missing"),
    "lists": ([[1, 2]] * ROWS, "holds List(Int64)"),
    "structs": ([{"a": 1}] * ROWS, "holds Struct({'a': Int64})"),
    "bytes": ([b"x"] * ROWS, "holds Binary"),
    "consecutive": (range(7, 7 + ROWS), "an id: consecutive, 7 to 66"),
    "consecutive text": ([str(n) for n in range(ROWS)], "an id: consecutive, 0 to 59"),
}


@pytest.mark.parametrize("values, reason", DROPPED.values(), ids=DROPPED)
def test_columns_that_tell_nothing_are_dropped_with_the_reason(values, reason):
    assert column_of(values) == reason


def test_a_constant_with_missing_values_is_an_input():
    for values in (cycle(5.0, None), cycle("red", ""), cycle(True, None)):
        assert column_of(values).missing
    assert column_of(cycle(5.0, None)).scale == 1


SHUFFLED = GENERATOR.permutation(ROWS) * 7


@pytest.mark.parametrize(
    "name", ["id", "ID", "user_id", "PassengerId", "row index", "uuid", "id_2"]
)
def test_integers_that_are_all_distinct_are_ids_by_name(name):
    schema = schema_of(frame_of(**{name: SHUFFLED}))
    assert schema.dropped == (Dropped(name, "an id: 60 distinct values in 60 rows"),)
    assert schema.ids == (name,)


@pytest.mark.parametrize("name", ["paid", "width", "amount", "monkey", "ideal"])
def test_integers_that_are_all_distinct_are_numbers_by_other_names(name):
    assert column_of(SHUFFLED, name).kind == "number"


def test_an_id_that_is_there_twice_is_a_number():
    values = SHUFFLED.copy()
    values[3] = values[4]
    assert column_of(values, "id").kind == "number"


def test_a_float_is_no_id():
    assert column_of(NUMBERS + 1, "id").kind == "number"


def test_text_ids_are_kept_and_free_text_is_not():
    rows = 200
    table = {
        "x": np.arange(rows) % 7,
        "key": [f"u{n:04}" for n in range(rows)],
        "review": [f"it was {n} times too long" for n in range(rows)],
        "y": np.arange(rows) % 2,
    }
    schema = schema_of(pl.DataFrame(table))
    assert schema.dropped == (
        Dropped("key", "an id: 200 distinct values in 200 rows"),
        Dropped("review", "free text: 200 distinct values in 200 rows"),
    )
    assert schema.ids == ("key",)
    schema = schema_of(pl.DataFrame(table), categorical=["review"])
    assert [column.name for column in schema.columns] == ["x", "review"]
    assert schema.columns[1].other


def test_more_text_than_can_be_counted_is_dropped(monkeypatch):
    monkeypatch.setattr(category, "MOST_COUNTED", 100)
    rows = 1000
    frame = pl.DataFrame(
        {"x": np.arange(rows) % 9, "t": [f"t{n % 300}" for n in range(rows)], "y": LABELS[:1]}
        | {"y": np.arange(rows) % 2}
    )
    (dropped,) = schema_of(frame).dropped
    assert dropped == Dropped("t", "free text: more than 300 distinct values in 1,000 rows")
    with pytest.raises(DataError, match="'t' has more than 100 distinct values"):
        schema_of(frame, categorical=["t"])


def test_frequent_categories_are_kept_and_ties_go_by_name():
    values = [f"c{n:02}" for n in range(70) for _ in range(2)] + ["c69", "c68"]
    frame = pl.DataFrame({"c": values, "y": np.arange(len(values)) % 2})
    (column,) = schema_of(frame).columns
    expected = [f"c{n:02}" for n in range(62)] + ["c68", "c69"]
    rest = 12 / 142  # six categories of two rows
    assert column == Category("c", False, tuple(expected), True, distinct=70, rest=rest)


def test_categories_are_the_text_of_values_where_asked():
    assert column_of(cycle(1, 2, None), categorical=["c"]).categories == ("1", "2")
    assert column_of(cycle(1.0, 2.5), categorical=["c"]).categories == ("1", "2.5")
    assert column_of(cycle("01", "1"), categorical=["c"]).categories == ("01", "1")
    assert column_of(cycle(True, False), categorical=["c"]).categories == ("false", "true")


@pytest.mark.parametrize("seed", range(3))
def test_statistics_are_those_of_scikit_learn_on_training_rows(tmp_path, seed):
    generator = np.random.default_rng(seed)
    rows = 1000
    number = np.where(generator.random(rows) < 0.1, np.nan, generator.normal(7, 1e3, rows))
    day = pd.Timestamp("2015-03-04") + pd.to_timedelta(generator.integers(0, 3e8, rows), "s")
    table = pd.DataFrame({"number": number, "day": day, "c": generator.choice(list("abc"), rows)})
    table["y"] = generator.normal(-4, 0.1, rows)
    table.loc[generator.random(rows) < 0.05, "y"] = np.nan
    path = tmp_path / "a.csv"
    table.to_csv(path, index=False)
    is_training = generator.random(rows) < 0.7
    schema = infer(open_table(path), "y", is_training=is_training)
    used = table[is_training & table["y"].notna()]
    epoch = pd.Timestamp("1970-01-01")
    inputs = np.column_stack([used["number"], (used["day"] - epoch).dt.total_seconds()])
    fitted = [[part.center, part.scale, part.bound] for part in schema.columns[:2]]
    np.testing.assert_allclose(fitted, BentScaler().fit(inputs).parts_, rtol=1e-9)
    standard = StandardScaler().fit(used[["y"]].to_numpy())
    np.testing.assert_allclose(schema.target.mean, standard.mean_[0], rtol=1e-12)
    np.testing.assert_allclose(schema.target.scale, standard.scale_[0], rtol=1e-9)
    assert [column.missing for column in schema.columns] == [True, False, False]
    assert schema.columns[1].clock
    assert schema.columns[2].categories == ("a", "b", "c")


def test_statistics_do_not_depend_on_the_batch_where_values_begin():
    late = [None] * 70_000 + [1.0, 3.0] * 10
    frame = pl.DataFrame({"late": late, "y": np.arange(len(late)) % 2})
    (column,) = schema_of(frame).columns
    assert (column.center, column.scale, column.missing) == (2.0, 1.0, True)


def test_what_only_other_rows_hold_is_not_learned():
    is_training = np.arange(ROWS) < 30
    c = ["a", "b"] * 15 + ["new"] * 30
    z = cycle(1.0, 2.0)[:30] + [None] * 30
    schema = schema_of(frame_of(c=c, z=z, k=[3] * 30 + [4] * 30), is_training=is_training)
    x, category, number = schema.columns
    assert category.categories == ("a", "b")
    assert not number.missing
    assert schema.dropped == (Dropped("k", "constant"),)
    np.testing.assert_allclose(x.center, NUMBERS[:30].mean())
    assert sum(schema.target.counts) == 30


def test_a_mask_of_other_length_is_refused():
    for rows in (ROWS - 1, ROWS + 1):
        with pytest.raises(ValueError, match=f"is_training has {rows} rows"):
            schema_of(frame_of(), is_training=np.ones(rows, bool))


def test_csv_and_parquet_give_the_same_schema(tmp_path):
    frame = frame_of(c=cycle("a", None), b=cycle(True, False, None), d=cycle(dt.date(2020, 1, 5)))
    frame = frame.with_columns(d=pl.col("d").dt.offset_by(pl.Series(cycle("1d", "9d"))))
    frame.write_csv(tmp_path / "a.csv")
    frame.write_parquet(tmp_path / "a.parquet")
    one, other = (infer(open_table(tmp_path / f"a.{s}"), "y") for s in ("csv", "parquet"))
    assert one == other
    assert Schema.from_data(one.to_data()) == one


def nearly(values, *others):
    """Return 97 or more values of a kind and a few others, at rows 5, 6, ..."""
    many = [values[place % len(values)] for place in range(97)]
    return pl.DataFrame(
        {"p": many[:4] + list(others) + many[4:], "y": (["a", "b"] * 60)[: 97 + len(others)]}
    )


def test_a_few_values_that_are_no_numbers_are_said():
    with pytest.raises(DataError) as caught:
        schema_of(nearly(["1", "2.5", "7", "8"], "abc", "abc", "d e"))
    assert str(caught.value) == (
        "the table: column 'p': 3 of 100 values are not numbers, such as 'abc' in row 5: fix "
        "them, name them with missing='abc', or say categorical='p'"
    )
    words = (*MISSING_WORDS, "abc", "d e")
    frame = nearly(["1", "2.5", "7", "8"], "abc", "abc", "d e")
    assert schema_of(frame, words=words).columns[0].kind == "number"
    assert schema_of(frame, categorical=["p"]).columns[0].kind == "category"


def test_a_few_values_that_are_no_dates_are_said():
    with pytest.raises(DataError, match=r"1 of 98 values are not dates, such as 'soon' in row 5"):
        schema_of(nearly(["2020-01-01", "2020-01-03"], "soon"))


def test_a_number_among_dates_is_said():
    with pytest.raises(DataError, match=r"1 of 98 values are not dates, such as '7' in row 5"):
        schema_of(nearly(["2020-01-01", "2020-01-03"], "7"))


def test_values_that_are_missing_words_are_missing_in_numbers_too():
    words = (*MISSING_WORDS, "-999", "1900-01-01")
    for values in (cycle("-999", "1", "2"), cycle(-999, 1, 2), cycle("-999.0", "1", "2")):
        column = column_of(values, words=words)
        assert (column.missing, column.center) == (True, 1.5)
    assert column_of(cycle("1900-01-01", "2020-01-01"), words=words).missing
    assert column_of(cycle(-999, 1), words=words, categorical=["c"]).categories == ("1",)


@pytest.mark.parametrize(
    "values", [cycle("1", "inf"), cycle(1.0, float("-inf")), cycle("1", "1e999")]
)
def test_infinity_is_said_with_its_row(values):
    with pytest.raises(DataError, match=r"'c' holds -?inf in row 2: expected finite"):
        column_of(values)


def test_numbers_whose_squares_overflow_are_said():
    for most in (1e200, 1e308):
        with pytest.raises(DataError, match="'c' holds numbers too large to square"):
            column_of(cycle(most, -most))


def test_nul_is_no_part_of_a_category():
    with pytest.raises(DataError, match="'c' holds NUL"):
        column_of(cycle("a\0", "b"))


HOSTILE = [
    'a "quoted" name',
    "line\nend",
    "naïve 名前 🙂",
    "x" * 3000,
    "{braces} %s \\",
    " spaces ",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_names(tmp_path, name):
    path = tmp_path / "a.csv"
    frame_of(**{name: cycle("a", 'b "\n,', "ä" * 500)}).write_csv(path)
    schema = infer(open_table(path), "y")
    assert schema.columns[1].name == name.strip()
    assert schema.columns[1].categories == ("a", 'b "\n,', "ä" * 500)
    frame_of(**{name: [*cycle("1")[1:], "inf"]}).write_csv(path)
    with pytest.raises(DataError) as caught:
        infer(open_table(path), "y")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400 + len(str(path))


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"target": "price"}, "no column 'price'; did you mean 'prices'"),
        ({"ids": ["prises"]}, "no column 'prises'; did you mean 'prices'"),
        ({"drop": ["Q"]}, r"no column 'Q'\. Columns: 'x', 'prices', 'y'"),
        ({"categorical": ["X"]}, "no column 'X'"),
        ({"ids": ["x"], "drop": ["x"]}, "column 'x' is named as an id and as to drop"),
        ({"drop": ["y"]}, "column 'y' is named as the target and as to drop"),
        ({"drop": ["x", "prices"]}, "no column left to learn from: 'x': asked; 'prices': asked"),
    ],
)
def test_roles_of_columns_are_checked(options, expected):
    with pytest.raises(DataError, match=expected):
        schema_of(frame_of(prices=cycle(1, 2)), **options)


def test_ids_and_dropped_columns_are_no_inputs():
    frame = frame_of(key=SHUFFLED, z=cycle(1, 2), serial=range(ROWS))
    schema = schema_of(frame, ids=["key"], drop=["z"])
    assert [column.name for column in schema.columns] == ["x"]
    assert schema.ids == ("key", "serial")
    assert schema.dropped[0] == Dropped("z", "asked")
    assert schema.missing_words == MISSING_WORDS


def test_a_table_of_the_target_alone_is_refused():
    with pytest.raises(DataError, match="no column left to learn from"):
        schema_of(pl.DataFrame({"y": LABELS}))
