"""The target says the task and the classes; what poses no task is refused with the reason."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import r2_score

from fastbp import train
from fastbp.errors import DataError
from table_columns import NUMBERS, ROWS, cycle, schema_of


@pytest.mark.parametrize(
    "values, expected",
    [
        (cycle("b", "a", " a"), ("classification", "text", ("a", "b"))),
        (cycle("no", "yes"), ("classification", "text", ("no", "yes"))),
        (cycle("True", "FALSE", ""), ("classification", "boolean", ("false", "true"))),
        (cycle(True, False), ("classification", "boolean", ("false", "true"))),
        (cycle(10, 9, -1), ("classification", "integer", ("-1", "9", "10"))),
        (cycle("1.0", "1", "0"), ("classification", "integer", ("0", "1"))),
        (cycle(1.0, 0.0, None), ("classification", "integer", ("0", "1"))),
        (cycle(*range(20)), ("classification", "integer", tuple(map(str, range(20))))),
        (cycle(*range(21)), ("regression", "number", ())),
        (cycle(0.5, 1.5), ("regression", "number", ())),
        (cycle(dt.timedelta(1.5), dt.timedelta(seconds=0.5)), ("regression", "number", ())),
    ],
)
def test_the_target_says_the_task(values, expected):
    target = schema_of(pl.DataFrame({"x": NUMBERS, "y": values}, strict=False)).target
    assert (target.task, target.kind, target.classes) == expected


def test_the_task_can_be_said():
    frame = pl.DataFrame({"x": NUMBERS, "n": cycle(*range(30)), "f": cycle(0.5, 1, 2)})
    target = schema_of(frame.drop("f"), "n", task="classification").target
    assert (target.kind, len(target.classes)) == ("integer", 30)
    target = schema_of(frame.drop("n"), "f", task="classification").target
    assert (target.kind, target.classes) == ("text", ("0.5", "1", "2"))
    target = schema_of(pl.DataFrame({"x": NUMBERS, "y": cycle(0, 1)}), task="regression").target
    assert (target.task, target.mean, target.scale) == ("regression", 0.5, 0.5)


@pytest.mark.parametrize("unit", [1e-200, 1e-160, 5e-324])
@pytest.mark.parametrize("offset", [0, 3])
def test_numbers_whose_squares_vanish_are_refused(unit, offset):
    frame = pl.DataFrame({"x": NUMBERS, "y": unit * (np.arange(ROWS) + offset)})
    with pytest.raises(DataError, match="'y' holds numbers too small to square"):
        schema_of(frame)
    target = schema_of(frame.with_columns(y=1e-140 * (np.arange(ROWS) + offset))).target
    assert target.scale == pytest.approx(1e-140 * np.arange(ROWS).std(), rel=1e-12)


def test_classes_are_counted_in_training_rows_and_known_from_all():
    frame = pl.DataFrame({"x": NUMBERS, "y": ["a", "b"] * 29 + ["b", "rare"]})
    target = schema_of(frame, is_training=np.arange(ROWS) < ROWS - 1).target
    assert (target.classes, target.counts) == (("a", "b", "rare"), (29, 30, 0))


@pytest.mark.parametrize(
    "values, options, expected",
    [
        (cycle("a"), {}, "one class only, 'a'"),
        (cycle("true"), {}, "one class only, 'true'"),
        (cycle(3), {}, "one class only, '3'"),
        (cycle("", None), {}, "missing in all rows"),
        ([f"u{n}" for n in range(ROWS)], {}, "60 distinct values in 60 rows: it looks like an id"),
        (cycle("a", "b"), {"task": "regression"}, "'a', and regression needs numbers"),
        (cycle(True, False), {"task": "regression"}, "regression needs numbers"),
        (cycle(1.5, float("inf")), {}, "'y' holds inf in row 2"),
        (["1.5"] * 58 + ["x", "2"], {}, "1 of 60 values are not numbers, such as 'x' in row 59"),
        (cycle(dt.date(2020, 1, 1), dt.date(2020, 1, 2)), {}, "holds dates"),
        (cycle([1], [2]), {}, r"holds List\(Int64\)"),
        (["a"] * 59 + ["b"], {"is_training": np.arange(ROWS) < 59}, "fewer than two classes"),
        ([1.5] + [None] * 59, {"is_training": np.arange(ROWS) > 0}, None),
    ],
)
def test_targets_that_pose_no_task_are_refused(values, options, expected):
    frame = pl.DataFrame({"x": NUMBERS, "y": pl.Series(values)})
    with pytest.raises(DataError, match=expected) as caught:
        schema_of(frame, **options)
    assert str(caught.value).isprintable()


def test_too_many_classes_are_refused():
    rows = 2002
    frame = pl.DataFrame({"x": np.arange(rows) % 7, "y": np.arange(rows) % 1001})
    with pytest.raises(DataError, match="more than 1,000 classes"):
        schema_of(frame, task="classification")


@pytest.mark.parametrize("row", [0, 1, 2, 3, 100])
def test_an_outlying_target_is_named_and_can_be_clipped_wherever_it_is(caplog, row):
    x = np.random.default_rng(0).normal(50, 20, 400)
    y = 3 * x
    y[row] = 1e30
    options = {"epochs": 40, "hidden": (8,), "learning_rate": 0.01}
    model = train({"x": x, "y": y}, "y", clip_target=3, **options)
    assert f"the target 'y' is 1e+30 in row {row + 1}, more than 1,000 " in caplog.text
    assert "it is clipped to" in caplog.text
    assert "--clip-target" not in caplog.text
    predicted = model.predict({"x": x})["prediction"].to_numpy()
    others = np.arange(400) != row
    assert r2_score(y[others], predicted[others]) > 0.9
