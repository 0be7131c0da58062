"""The schema is data: JSON and back is the same, and what is nonsense is refused."""

import json

import pytest

from fastbp.tables.columns.kinds import Boolean, Category, Date, Number
from fastbp.tables.columns.schema import Dropped, Schema, Target

AGE = Number("age", missing=True, center=38.5, scale=13.25)
CITY = Category("city", missing=True, categories=("Köln", "Ulm"), other=True)
WHEN = Date("when", missing=False, center=1.6e9, scale=8e6, clock=True)
PAID = Boolean("paid", missing=False)
TARGET = Target("y", "classification", "integer", ("-1", "2", "10"), (5, 0, 7))
SCHEMA = Schema(
    (AGE, CITY, WHEN, PAID),
    TARGET,
    (Dropped("row", "an id: consecutive, 1 to 12"), Dropped('a "quoted"\nname', "asked")),
    ("row", "key"),
    ("", "NA"),
)


def test_json_and_back_is_the_same():
    assert Schema.from_data(json.loads(json.dumps(SCHEMA.to_data()))) == SCHEMA


def test_regression_targets_survive_json():
    schema = Schema((AGE,), Target("y", "regression", "number", mean=-0.1, scale=1e-9))
    assert Schema.from_data(json.loads(json.dumps(schema.to_data()))) == schema


def test_each_feature_has_a_name_in_order():
    names = SCHEMA.feature_names
    assert len(names) == SCHEMA.n_features == sum(column.width for column in SCHEMA.columns)
    assert names[:2] == ("age", "age is missing")
    assert names[2:6] == ("city=Köln", "city=Ulm", "city is another", "city is missing")
    assert names[6:9] == ("when", "when sin(year)", "when cos(year)")
    assert names[-1] == "paid"


def test_a_date_has_the_phase_of_the_day_only_where_clocks_vary():
    still = Date("when", missing=False)
    assert still.periods == ("year", "week")
    assert WHEN.periods == ("year", "week", "day")
    assert WHEN.width - still.width == 2


def test_it_cannot_be_changed():
    with pytest.raises(AttributeError, match="immutable"):
        SCHEMA.ids = ()


def _altered(path, value):
    """Return the data of SCHEMA with another value at a path of keys."""
    data = json.loads(json.dumps(SCHEMA.to_data()))
    *parents, last = path
    part = data
    for key in parents:
        part = part[key]
    part[last] = value
    return data


@pytest.mark.parametrize(
    "path, value",
    [
        (("columns",), []),
        (("columns",), "age"),
        (("columns", 0), "age"),
        (("columns", 0, "name"), 3),
        (("columns", 0, "name"), "city"),
        (("columns", 0, "name"), "y"),
        (("columns", 0, "name"), "key"),
        (("columns", 0, "kind"), "complex"),
        (("columns", 0, "kind"), ["number"]),
        (("columns", 0, "missing"), 1),
        (("columns", 0, "mean"), float("nan")),
        (("columns", 0, "mean"), "0"),
        (("columns", 0, "scale"), 0),
        (("columns", 0, "scale"), -1.0),
        (("columns", 0, "scale"), float("inf")),
        (("columns", 0, "scale"), 10**400),
        (("columns", 0, "categories"), ["a"]),
        (("columns", 0, "surprise"), 1),
        (("columns", 1, "categories"), ["Ulm", "Köln"]),
        (("columns", 1, "categories"), ["Ulm", "Ulm"]),
        (("columns", 1, "categories"), [1, 2]),
        (("columns", 1, "categories"), "Ulm"),
        (("target",), None),
        (("target", "task"), "clustering"),
        (("target", "task"), "regression"),
        (("target", "kind"), "number"),
        (("target", "kind"), "boolean"),
        (("target", "classes"), ["1"]),
        (("target", "classes"), ["-1", "10", "2"]),
        (("target", "classes"), ["-1", "2", "0x10"]),
        (("target", "classes"), ["-1", "2", "02"]),
        (("target", "counts"), [5, 7]),
        (("target", "counts"), [5, -1, 7]),
        (("target", "counts"), [5, 1.5, 7]),
        (("target", "scale"), 0.0),
        (("dropped",), {}),
        (("dropped", 0, "name"), "age"),
        (("dropped", 0, "reason"), None),
        (("ids",), "row"),
        (("ids",), ["row", "row"]),
        (("missing_words",), [None]),
        (("more",), []),
    ],
)
def test_nonsense_is_refused(path, value):
    with pytest.raises(ValueError, match="at `table"):
        Schema.from_data(_altered(path, value))


@pytest.mark.parametrize("key", SCHEMA.to_data())
def test_no_part_may_be_absent(key):
    data = SCHEMA.to_data()
    del data[key]
    with pytest.raises(ValueError, match="at `table"):
        Schema.from_data(data)


@pytest.mark.parametrize("data", [None, [], "x", 3, {}, [1, 2]])
def test_other_things_are_no_schema(data):
    with pytest.raises(ValueError, match="at `table"):
        Schema.from_data(data)
