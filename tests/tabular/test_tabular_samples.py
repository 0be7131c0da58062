"""Samples of any form are learned as `fastbp.train` learns them; others are refused."""

import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array

from fastbp import DataError, TabularClassifier, TabularRegressor, train
from foreign_frames import Placed, Places, Streamed
from tabular_data import INCOME, PEOPLE, RICH, ROWS

RNG = np.random.default_rng(1)
X = RNG.normal(size=(90, 3))
Y = X[:, 0] - X[:, 1]
QUICK = {"epochs": 4, "hidden": (8,), "random_state": 0}


def regressor(**options):
    return TabularRegressor(**{**QUICK, **options})


def kinds(estimator):
    return {c.name: c.kind for c in estimator.model_.schema.columns}


# ------------------------------------------------------------------ frames


def test_a_frame_is_learned_to_the_bit_as_train_learns_it():
    table = pl.from_pandas(PEOPLE.assign(floor=PEOPLE["floor"].astype(int)))
    options = {"epochs": 4, "hidden": (8,), "seed": 0, "categorical": ["size", "floor"]}
    known = train(table.with_columns(rich=pl.Series(RICH)), "rich", **options).predict(table)
    found = TabularClassifier(**QUICK).fit(PEOPLE, RICH)
    both = known.select("probability of no", "probability of yes").to_numpy()
    assert (found.predict_proba(PEOPLE) == both).all()
    assert found.predict(PEOPLE).tolist() == known["prediction"].to_list()

    known = train(table.with_columns(y=INCOME), "y", **options).predict(table)
    found = regressor().fit(PEOPLE, INCOME)
    assert (found.predict(PEOPLE) == known["prediction"].to_numpy()).all()


def test_columns_have_the_kinds_of_their_types():
    fitted = regressor().fit(PEOPLE, INCOME)
    assert kinds(fitted) == {
        "age": "number",
        "city": "category",
        "size": "category",
        "floor": "category",
        "born": "date",
        "smokes": "boolean",
    }
    chosen = regressor(numeric=["floor"], categorical=["smokes"]).fit(PEOPLE, INCOME)
    assert kinds(chosen)["floor"] == "number" and kinds(chosen)["smokes"] == "category"


def in_polars(frame):
    columns = frame.assign(floor=frame["floor"].astype(int).astype(str))
    return pl.from_pandas(columns).with_columns(
        pl.col("floor").cast(pl.Categorical), pl.col("size").cast(pl.Enum(["L", "M", "S"]))
    )


@pytest.mark.parametrize(
    "convert",
    [
        in_polars,
        lambda frame: in_polars(frame).lazy(),
        lambda frame: in_polars(frame).to_arrow(),
        lambda frame: in_polars(frame).to_arrow().combine_chunks().to_batches()[0],
        lambda frame: in_polars(frame).to_arrow().to_reader(),
        lambda frame: pytest.importorskip("pyarrow").Table.from_pandas(frame),
        lambda frame: pytest.importorskip("pyarrow").RecordBatch.from_pandas(frame),
        lambda frame: pytest.importorskip("narwhals").from_native(frame),
        lambda frame: pytest.importorskip("narwhals").from_native(in_polars(frame)),
        lambda frame: pytest.importorskip("narwhals").from_native(in_polars(frame).lazy()),
        lambda frame: Streamed(in_polars(frame)),
        lambda frame: Places(frame),
        lambda frame: Placed(frame, place="Oslo"),
        lambda frame: frame.set_axis(pd.Index([f"row {i}" for i in range(ROWS)], name="key")),
        lambda frame: frame.convert_dtypes().assign(floor=frame["floor"]),
    ],
)
def test_frames_of_all_libraries_are_the_same(convert):
    known = regressor().fit(PEOPLE, INCOME).predict(PEOPLE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an index that is no column is not worth a warning
        fitted = regressor().fit(convert(PEOPLE), INCOME)
        assert fitted.feature_names_in_.tolist() == list(PEOPLE.columns)
        assert (fitted.predict(convert(PEOPLE)) == known).all()


def test_a_frame_that_cannot_be_read_is_refused_and_not_taken_for_an_array():
    class Distributed:
        columns = ("a", "b", "c")

        def __array__(self, dtype=None, copy=None):
            return X

    with pytest.raises(TypeError, match=r"X is a \w+\.Distributed: expected a frame of pandas"):
        regressor().fit(Distributed(), Y)
    with pytest.raises(TypeError, match=r"X is a \w+\.Distributed: expected a frame of pandas"):
        regressor().fit(X, Y).predict(Distributed())


def test_an_id_of_a_frame_is_left_out_with_a_warning():
    frame = pd.DataFrame({"customer": np.arange(90) + 5, "x": X[:, 0]})
    with pytest.warns(UserWarning, match="'customer' is left out: an id"):
        fitted = regressor().fit(frame, Y)
    assert kinds(fitted) == {"x": "number"}
    # it is part of X all the same
    assert fitted.n_features_in_ == 2 and fitted.feature_importances_[0] == 0
    shifted = fitted.predict(frame.assign(customer=-frame["customer"]))
    assert (shifted == fitted.predict(frame)).all()
    kept = regressor(numeric=["customer"]).fit(frame, Y)
    assert list(kinds(kept)) == ["customer", "x"]


def test_the_names_of_targets_and_weights_are_free():
    names = ["y", "y_", "sample_weight", "groups"]
    frame = pd.DataFrame(np.column_stack([X, X[:, 0]]), columns=names)
    fitted = regressor().fit(frame, Y, np.ones(90), np.arange(90) % 9)
    schema = fitted.model_.schema
    assert [c.name for c in schema.columns] == names
    assert [schema.target.name, schema.weight.name, *schema.ids] == [
        "y__",
        "sample_weight_",
        "groups_",
    ]
    assert fitted.model_.schema.target.name not in frame
    named = regressor().fit(frame, pd.Series(Y, name="income"))
    assert named.model_.schema.target.name == "income"


@pytest.mark.parametrize(
    "frame, error, words",
    [
        (pd.DataFrame(X, columns=["a", "b", "a"]), DataError, "X: two columns have the same name"),
        (pd.DataFrame(X, columns=["a", "b", 1]), TypeError, "all input features have string names"),
        (pd.DataFrame(X)[:0], ValueError, "Found array with 0 sample(s) (shape=(0, 3))"),
        (pd.DataFrame(index=range(9)), ValueError, "Found array with 0 feature(s) (shape=(9, 0))"),
        (pl.DataFrame({"a": []}), ValueError, "Found array with 0 sample(s)"),
        (pd.DataFrame({"a": [np.inf] * 90}), DataError, "column 'a' holds inf in row 1"),
        (pd.DataFrame({"a": [[1]] * 90}), DataError, "no column left to learn from: 'a': holds"),
        (pd.DataFrame({"a": [np.nan] * 90}), DataError, "no column left to learn from: 'a': all m"),
        (pd.DataFrame(X)[:1], ValueError, "Found array with 1 sample(s) while a minimum of 2"),
    ],
)
def test_frames_that_cannot_be_learned_are_refused(frame, error, words):
    with pytest.raises(error, match=re.escape(words)):
        regressor().fit(frame, Y[: len(frame)])


def test_columns_of_a_frame_must_be_those_of_the_fit():
    fitted = regressor().fit(PEOPLE, INCOME)
    for other, words in [
        (PEOPLE[[*PEOPLE.columns[::-1]]], "in the same order as they were in fit"),
        (PEOPLE.drop(columns="age"), "seen at fit time, yet now missing:\n- age"),
        (PEOPLE.assign(more=1), "unseen at fit time:\n- more"),
    ]:
        with pytest.raises(ValueError, match=words):
            fitted.predict(other)
    with pytest.raises(ValueError, match="age' is 'old' in row 2: expected a finite number"):
        fitted.predict(PEOPLE.assign(age=["1", "old"] * (ROWS // 2)))
    # names that are no text are none: columns go by their places
    numbered = regressor().fit(pd.DataFrame(X, columns=[7, 8, 9]), Y)
    assert not hasattr(numbered, "feature_names_in_") and list(kinds(numbered)) == ["7", "8", "9"]
    known = numbered.predict(X)
    assert (numbered.predict(pd.DataFrame(X, columns=[9, 8, 7])) == known).all()
    with pytest.raises(ValueError, match="X has 2 features, but TabularRegressor is expecting 3"):
        numbered.predict(X[:, :2])


def test_an_array_for_a_frame_is_taken_by_places_with_a_warning():
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    fitted = regressor().fit(frame, Y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        assert (fitted.predict(X) == fitted.predict(frame)).all()


def test_single_rows_are_predicted_as_among_others():
    fitted = TabularClassifier(**QUICK).fit(PEOPLE, RICH)
    known = fitted.predict_proba(PEOPLE)
    for row in range(0, ROWS, 30):
        np.testing.assert_allclose(fitted.predict_proba(PEOPLE[row : row + 1])[0], known[row], 1e-5)
    assert fitted.predict(PEOPLE[:1]).shape == (1,)


# ------------------------------------------------------------------ arrays


def test_columns_that_tell_nothing_are_left_out_with_one_warning():
    array = np.column_stack([np.ones((90, 7)), X])
    with pytest.warns(UserWarning) as told:
        fitted = regressor().fit(array, Y)
    (message,) = [str(each.message) for each in told]
    names = "'x0', 'x1', 'x2', 'x3', 'x4' and 2 more"
    assert message == f"the table: columns {names} are left out: constant"
    assert (fitted.feature_importances_[:7] == 0).all() and fitted.feature_importances_[7] > 0


def test_all_columns_of_numbers_in_an_array_are_inputs():
    rows = np.arange(90.0)
    array = np.column_stack([rows, rows % 2, 2000 + rows % 20])
    for X_ in (array, array.astype(int), array.astype(np.float32), array.astype(object)):
        fitted = regressor().fit(X_, rows)
        assert kinds(fitted) == {"x0": "number", "x1": "number", "x2": "number"}
    assert (fitted.predict(array.tolist()) == fitted.predict(array)).all()
    chosen = regressor(categorical=["x1"], ids=["x2"]).fit(array, rows)
    assert kinds(chosen) == {"x0": "number", "x1": "category"}
    assert kinds(regressor().fit(array % 2 == 0, rows))["x1"] == "boolean"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, ">f8"])
def test_missing_numbers_in_arrays_are_missing_values(dtype):
    with_gaps = np.where(RNG.random(X.shape) < 0.2, np.nan, X).astype(dtype)
    fitted = regressor().fit(with_gaps, Y)
    assert all(column.missing for column in fitted.model_.schema.columns)
    columns = {f"x{i}": with_gaps[:, i].astype(float) for i in range(3)}
    known = train({**columns, "y": Y}, "y", epochs=4, hidden=(8,), seed=0).predict(columns)
    assert (fitted.predict(with_gaps) == known["prediction"].to_numpy()).all()


def test_an_array_of_objects_has_the_kinds_of_its_columns():
    cells = PEOPLE[["age", "city", "smokes"]].astype(object).to_numpy()
    cells[3] = [None, pd.NA, float("nan")]
    fitted = regressor().fit(cells, INCOME)
    assert kinds(fitted) == {"x0": "number", "x1": "category", "x2": "boolean"}
    assert fitted.predict(cells[3:4]) == fitted.predict(np.full((1, 3), None, object))
    of_text = regressor().fit(PEOPLE[["city", "size"]].astype(str).to_numpy("U"), INCOME)
    assert kinds(of_text) == {"x0": "category", "x1": "category"}


@pytest.mark.parametrize(
    "array, error, words",
    [
        (csr_array(X), TypeError, "Sparse data was passed for X, but dense data is required"),
        (np.where(X > 1, np.inf, X), ValueError, "Input X contains infinity"),
        (X[:, 0], ValueError, "Expected 2D array, got 1D array"),
        (X[:0], ValueError, "0 sample(s)"),
        (X[:, :0], ValueError, "0 feature(s)"),
        (X + 1j, ValueError, "Complex data not supported"),
        (X[None], ValueError, "Found array with dim 3"),
        (np.ones((90, 2)), DataError, "no column left to learn from: 'x0': constant"),
    ],
)
def test_arrays_that_cannot_be_learned_are_refused(array, error, words):
    with pytest.raises(error, match=re.escape(words)):
        regressor().fit(array, Y)


def test_what_cannot_be_predicted_is_refused():
    fitted = regressor().fit(X, Y)
    with pytest.raises(TypeError, match="Sparse data was passed for X"):
        fitted.predict(csr_array(X))
    with pytest.raises(ValueError, match="Input X contains infinity"):
        fitted.predict(np.full((2, 3), np.inf))
