"""Frames of pandas: whatever a column holds is used, or named with the reason."""

import datetime as dt
import decimal
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pytest
from pandas.api.extensions import ExtensionArray, ExtensionDtype

from fastbp import DataError, train
from fastbp.tables.read.frames import of_pandas
from fastbp.tables.read.table import open_table
from foreign_frames import Placed, Places, Streamed

ROWS = 300
X = np.random.default_rng(0).normal(50, 20, ROWS)
FEW = {"preset": "fast", "epochs": 2, "hidden": 4}


def frame_of(**columns):
    return pd.DataFrame({"x": X, **columns, "y": 3 * X})


def kind_of(values):
    """Return the kind of a column of pandas, None if it is left out."""
    model = train(frame_of(o=values), "y", **FEW)
    return next((column.kind for column in model.schema.columns if column.name == "o"), None)


def cycle(*values):
    return [values[place % len(values)] for place in range(ROWS)]


class Point(ExtensionDtype):
    name, type, na_value = "point", UUID, None

    @classmethod
    def construct_array_type(cls):
        return Points


class Points(ExtensionArray):
    """Values of a library that pyarrow does not know, such as the shapes of geopandas."""

    dtype = Point()

    def __init__(self, values):
        self._values = np.empty(len(values), object)
        self._values[:] = values

    @classmethod
    def _from_sequence(cls, scalars, *, dtype=None, copy=False):
        return cls(list(scalars))

    def __getitem__(self, item):
        found = self._values[item]
        return Points(list(found)) if isinstance(found, np.ndarray) else found

    def __len__(self):
        return len(self._values)

    def isna(self):
        return np.array([value is None for value in self._values])

    def copy(self):
        return Points(list(self._values))


USED = {
    "intervals": (pd.cut(X, 5), "category"),
    "quantiles": (pd.qcut(X, 4), "category"),
    "intervals that are no categories": (pd.arrays.IntervalArray(list(pd.cut(X, 5))), "category"),
    "categories of text": (pd.Categorical(cycle("a", "b", None)), "category"),
    "categories of numbers": (pd.Categorical(cycle(3, 1, 2)), "number"),
    "categories of numbers, some missing": (pd.Categorical(cycle(3.5, None, 2.0)), "number"),
    "categories of dates": (
        pd.Categorical(pd.to_datetime(cycle("2020-01-05", "2021-03-01"))),
        "date",
    ),
    "sparse": (pd.arrays.SparseArray((X > 50) * 1.0), "number"),
    "sparse booleans": (pd.arrays.SparseArray(X > 50), "boolean"),
    "several types": (cycle("a", 3), "category"),
    "several types and none": (cycle("a", 3, None, 2.0), "category"),
    "integers and floats": (pd.Series(cycle(1, 2.5, None), dtype=object), "number"),
    "decimals": (cycle(decimal.Decimal("1.5"), decimal.Decimal("2.25")), "number"),
    "dates": (cycle(dt.date(2020, 1, 5), dt.date(2021, 1, 5)), "date"),
    "periods": (pd.PeriodIndex(cycle("2020-01", "2020-02", "2021-07"), freq="M"), "date"),
    "text of dates": (cycle("31/12/2020", "1/2/2020"), "date"),
    "nullable integers": (pd.array(cycle(1, None, 5), dtype="Int64"), "number"),
    "nullable booleans": (pd.array(cycle(True, None, False), dtype="boolean"), "boolean"),
    "nullable text": (pd.array(cycle("a", None, "b"), dtype="string"), "category"),
    "durations": (pd.to_timedelta(cycle("1h", "3h", None)), "number"),
    "wide floats": (X.astype(np.longdouble), "number"),
    "wide floats, sparse": (pd.arrays.SparseArray(X.astype(np.longdouble)), "number"),
    "wide floats, objects": (pd.Series(list(X.astype(np.longdouble)), dtype=object), "number"),
    "bytes in the other order": (X.astype(X.dtype.newbyteorder()), "number"),
    "integers in the other order": (X.astype(np.dtype("i4").newbyteorder()), "number"),
    "raw bytes": (pd.Series(cycle(np.void(b"a"), np.void(b"b"))), "category"),
    "a type of its own": (Points(cycle(UUID(int=1), None, UUID(int=2))), "category"),
    "zoned": (pd.to_datetime(cycle("2020-01-05", "2021-01-05")).tz_localize("Asia/Tokyo"), "date"),
}


@pytest.mark.parametrize("values, kind", USED.values(), ids=USED)
def test_a_column_is_used_whatever_its_type(values, kind, caplog):
    assert kind_of(values) == kind
    assert "left out" not in caplog.text


def test_complex_numbers_are_left_out_and_named(caplog):
    with pytest.warns(UserWarning, match="column 'o' is left out: it holds complex numbers"):
        assert kind_of(X + 1j) is None
    assert "column 'o' is left out: it holds complex numbers" in caplog.text


def test_types_of_pyarrow_that_nothing_reads_are_named():
    arrow = pytest.importorskip("pyarrow")
    runs = arrow.RunEndEncodedArray.from_arrays([1, 3], ["a", "b"])
    column = pd.arrays.ArrowExtensionArray(arrow.chunked_array([runs]))
    table = arrow.table({"a": [1.0, 2, 3], "o": runs})
    for frame in (pd.DataFrame({"o": column}), table, table.to_batches()[0]):
        with pytest.raises(DataError, match=r"the table: column 'o' holds run_end_encoded<.*: con"):
            open_table(frame)


def test_what_no_column_holds_is_left_out_and_named(caplog):
    assert kind_of([[1, 2]] * ROWS) is None
    assert "column 'o' is left out: holds List(Int64)" in caplog.text


def test_the_values_are_those_of_pandas():
    values = pd.Series(cycle("a", 3, None, 2.0, 2.5), dtype=object)
    assert of_pandas(pd.DataFrame({"o": values}))["o"][:5].to_list() == ["a", "3", None, "2", "2.5"]
    wide = of_pandas(pd.DataFrame({"o": X.astype(np.longdouble), "p": X.astype(">f8")}))
    assert (wide.to_numpy() == X[:, None]).all()
    band = pd.cut(X, [0, 50, 100])
    found = of_pandas(pd.DataFrame({"o": band}))["o"].to_list()
    expected = ["(0, 50]" if x <= 50 else "(50, 100]" for x in X]
    assert found == [e if 0 < x <= 100 else None for e, x in zip(expected, X, strict=True)]


@pytest.mark.parametrize(
    "index, what",
    [
        (pd.Index(range(ROWS), name="day"), "'day'"),
        (pd.Index([f"r{n}" for n in range(ROWS)]), "without a name"),
        (pd.MultiIndex.from_arrays([range(ROWS), range(ROWS)], names=["a", "b"]), "'a', 'b'"),
    ],
    ids=["named", "text", "levels"],
)
def test_an_index_that_tells_something_is_named(index, what, caplog):
    train(frame_of().set_axis(index), "y", **FEW)
    assert f"its index, {what}, is left out: reset_index()" in caplog.text


@pytest.mark.parametrize("index", [None, pd.Index([f"r{n}" for n in range(ROWS)], name="id")])
def test_predictions_of_a_frame_of_pandas_are_one_with_its_index(index):
    frame = frame_of()
    model = train(frame, "y", **FEW)
    frame = frame if index is None else frame.set_axis(index)
    found = model.predict(frame)
    assert isinstance(found, pd.DataFrame)
    pd.testing.assert_index_equal(found.index, frame.index)
    expected = model.predict(pl.from_pandas(frame_of()))
    assert isinstance(expected, pl.DataFrame)
    np.testing.assert_array_equal(found["prediction"], expected["prediction"].to_numpy())
    assert "row" not in found


@pytest.mark.parametrize("subclass", [Places, lambda frame: Placed(frame, place="Oslo")])
def test_a_subclass_of_pandas_frames_is_one_of_pandas(subclass):
    frame = frame_of(o=pd.Categorical(cycle("a", "b"))).set_axis(range(5, ROWS + 5))
    model = train(subclass(frame), "y", epochs=2, hidden=4, seed=0)
    known = train(frame, "y", epochs=2, hidden=4, seed=0)
    assert model.fingerprint == known.fingerprint
    pd.testing.assert_frame_equal(model.out_of_fold, known.out_of_fold)
    found = model.predict(subclass(frame))
    assert type(found) is pd.DataFrame
    pd.testing.assert_frame_equal(found, known.predict(frame))


STREAMS = {
    "table": lambda frame: frame.to_arrow(),
    "batch": lambda frame: frame.to_arrow().to_batches()[0],
    "reader": lambda frame: frame.to_arrow().to_reader(),
    "other": Streamed,
    "narwhals": lambda frame: pytest.importorskip("narwhals").from_native(frame),
    "lazy": lambda frame: pytest.importorskip("narwhals").from_native(frame.lazy()),
    "pandas": lambda frame: pytest.importorskip("narwhals").from_native(frame.to_pandas()),
}


@pytest.mark.parametrize("convert", STREAMS.values(), ids=STREAMS)
def test_a_frame_of_any_library_is_one_of_polars(convert):
    pytest.importorskip("pyarrow")
    frame = pl.from_pandas(frame_of(o=cycle("a", "b", None)))
    known = train(frame, "y", seed=0, **FEW)
    model = train(convert(frame), "y", seed=0, **FEW)
    assert model.fingerprint == known.fingerprint
    assert model.predict(convert(frame)).equals(known.predict(frame))
    assert model.evaluate(convert(frame)) == known.evaluate(frame)


def test_a_frame_that_cannot_be_read_is_named():
    class Distributed:
        columns = ("x", "y")

    with pytest.raises(TypeError, match=r"data is a \w+\.Distributed: expected a path, a frame"):
        open_table(Distributed())
    arrow = pytest.importorskip("pyarrow")
    spans = arrow.table({"o": arrow.nulls(3, arrow.month_day_nano_interval())})
    with pytest.raises(
        DataError, match="column 'o' holds month_day_nano_interval, which cannot be"
    ):
        open_table(spans)


def test_a_name_that_is_there_twice_is_said():
    frame = pd.DataFrame(np.ones((3, 2)), columns=["a", "a"])
    with pytest.raises(DataError, match="two columns have the same name, 'a': rename one"):
        open_table(frame)
