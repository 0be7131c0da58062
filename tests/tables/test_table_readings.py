"""What was told of a table is saved with its model, and the tables that it predicts are alike."""

import inspect
import json

import numpy as np
import polars as pl
import pytest

from fastbp import TableModel, train
from fastbp.errors import DataError, ModelFileError
from fastbp.model_file import load, save
from fastbp.tables.read.naming import Reading

FEW = {"preset": "fast", "epochs": 2, "hidden": 4}
ROWS = 80
RNG = np.random.default_rng(3)
X = RNG.normal(size=ROWS).round(3)
FRAME = pl.DataFrame(
    {"y": (3 * X).round(2), "x": X, "k": RNG.integers(0, 9, ROWS), "c": ["east", "west"] * 40}
)


def written(path, frame, header=True, **options):
    frame.write_csv(path, include_header=header, **options)
    return path


def reloaded(model, folder):
    model.save(folder / "model.safetensors")
    return TableModel.load(folder / "model.safetensors")


@pytest.fixture
def headless(tmp_path):
    """Return a model of a file without a header; its columns are those of `FRAME`, by place."""
    path = written(tmp_path / "rows.csv", FRAME, header=False)
    return reloaded(train(path, "column_1", **FEW), tmp_path)


PLACES = ("column_1", "column_2", "column_3", "column_4")


def test_that_there_was_no_header_is_saved_with_the_model(headless):
    assert headless.reading == Reading(header=False, columns=PLACES)


@pytest.mark.parametrize("count", [1, 2, 3, ROWS])
def test_a_model_without_a_header_reads_any_number_of_rows_without_one(tmp_path, headless, count):
    named = FRAME.rename(dict(zip(FRAME.columns, PLACES, strict=True)))[:count]
    expected = headless.predict(named)
    for frame in (FRAME[:count], FRAME[:count].drop("y")):  # the target may not be known yet
        assert headless.predict(written(tmp_path / "new.csv", frame, header=False)).equals(expected)
    assert headless.predict(written(tmp_path / "named.csv", named)).equals(expected)
    # the model knows how many columns there are, whatever is between them
    for separator in "\t;: ^":
        path = written(tmp_path / "new", FRAME[:count], header=False, separator=separator)
        assert headless.predict(path).equals(expected)


def test_rows_of_another_width_are_refused(tmp_path, headless):
    path = written(tmp_path / "new.csv", FRAME.drop("k", "c"), header=False)
    with pytest.raises(DataError, match=r"new\.csv has no header and 2 columns, but .* has 4"):
        headless.predict(path)


def test_a_model_with_a_header_reads_one_row_of_numbers_as_rows(tmp_path):
    model = reloaded(train(written(tmp_path / "rows.csv", FRAME), "y", **FEW), tmp_path)
    assert model.reading == Reading(header=True, columns=("y", "x", "k", "c"))
    expected = model.predict(FRAME[:1])
    for separator in ",\t;: ^":
        path = written(tmp_path / "one.csv", FRAME[:1], separator=separator)
        assert model.predict(path).equals(expected)
    # an option settles it, and columns are those of the training, in order
    bare = written(tmp_path / "bare.csv", FRAME[:1].drop("y"), header=False)
    assert model.predict(bare, header=False).equals(expected)
    with pytest.raises(DataError, match="columns are missing: 'x', 'k', 'c'"):
        model.predict(bare)


def test_options_of_reading_reach_prediction_and_scores(tmp_path):
    model = train(FRAME, "y", **FEW)
    path = tmp_path / "rows.csv"
    path.write_text("skip, this\n" + FRAME.write_csv(separator="^"))
    options = {"separator": "^", "skip_rows": 1}
    assert model.predict(path, **options).equals(model.predict(FRAME))
    assert model.evaluate(path, **options) == model.evaluate(FRAME)
    with pytest.raises(ValueError, match="separator='ab'"):
        model.predict(path, separator="ab")


INDICES = {
    "pandas": ("", range(ROWS)),
    "pandas, read again": ("Unnamed: 0", range(ROWS)),
    "shuffled": ("", RNG.permutation(ROWS)),
    "two parts": ("", [*range(50), *range(30)]),
    "names": ("", [f"row {n}" for n in range(ROWS)]),
    "tibbles": ("...1", range(1, ROWS + 1)),
}


@pytest.mark.parametrize("name, index", INDICES.values(), ids=INDICES)
def test_a_column_that_numbers_rows_is_an_id(tmp_path, caplog, name, index):
    frame = FRAME.clone().insert_column(0, pl.Series(name, list(index)))
    shown = name or "column_1"
    model = train(written(tmp_path / "rows.csv", frame), "y", **FEW)
    assert model.schema.ids == (shown,)
    assert [column.name for column in model.schema.columns] == ["x", "k", "c"]
    assert f"{shown!r}: without a name, and numbers of rows: ids" in caplog.text
    bits = train(FRAME, "y", **FEW).network.parameters.tobytes()
    assert model.network.parameters.tobytes() == bits
    predicted = model.predict(tmp_path / "rows.csv")
    assert predicted[shown].cast(pl.String).to_list() == list(map(str, index))
    # who asks for it gets it
    kept = train(tmp_path / "rows.csv", "y", categorical=[shown], **FEW)
    assert kept.schema.columns[0].name == shown


def test_the_index_of_pandas_in_parquet_is_an_id(tmp_path):
    frame = FRAME.with_columns(__index_level_0__=pl.Series(RNG.permutation(ROWS)))
    frame.write_parquet(tmp_path / "rows.parquet")
    model = train(tmp_path / "rows.parquet", "y", **FEW)
    assert model.schema.ids == ("__index_level_0__",)
    assert model.predict(tmp_path / "rows.parquet").columns == ["__index_level_0__", "prediction"]


VALUES = {
    "few texts": ["a", "b"] * 40,
    "fractions": list(X),
    "few numbers": [3, 5, 3, 7] * 20,
    "dates": [f"2020-01-{n % 28 + 1:02d}" for n in range(ROWS)],
}


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_a_column_without_a_name_that_tells_something_is_learned_from(tmp_path, values):
    frame = FRAME.clone().insert_column(0, pl.Series("", values))
    model = train(written(tmp_path / "rows.csv", frame), "y", **FEW)
    assert "column_1" in [column.name for column in model.schema.columns]


def test_an_empty_column_behind_the_last_separator_is_left_out_by_name(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(FRAME.write_csv().replace("\n", ",\n"))
    model = train(path, "y", **FEW)
    assert [(c.name, c.reason) for c in model.schema.dropped] == [("column_5", "all missing")]
    assert model.predict(path).equals(model.predict(FRAME))


@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow"])
def test_no_rows_give_no_predictions(tmp_path, suffix):
    numbers, classes = train(FRAME, "y", **FEW), train(FRAME, "c", **FEW)
    path = tmp_path / f"empty.{suffix}"
    write = {"csv": "write_csv", "parquet": "write_parquet", "arrow": "write_ipc"}[suffix]
    getattr(FRAME[:0], write)(path)
    for data in (path, FRAME[:0]):
        assert numbers.predict(data).schema == numbers.predict(FRAME).schema
        assert classes.predict(data).schema == classes.predict(FRAME).schema
        assert not len(classes.predict(data))
        with pytest.raises(DataError, match="has no row with a value of 'y'"):
            numbers.evaluate(data)
        with pytest.raises(DataError, match="has no rows"):
            train(data, "y", **FEW)
        with pytest.raises(DataError, match="has no rows"):
            train(FRAME, "y", valid=data, **FEW)


def test_a_model_file_without_a_reading_loads_and_predicts_the_same(tmp_path):
    path = tmp_path / "model.safetensors"
    model = train(FRAME.rename({"x": " x "}), "y", **FEW)
    model.save(path)
    content = load(path)
    del content.sections["reading"]
    save(path, content)
    old = TableModel.load(path)
    assert old.reading == Reading()
    # names with blanks are known as they were
    for name in ("rows.csv", "rows.tsv"):
        file = written(tmp_path / name, FRAME.rename({"x": " x "}))
        assert old.predict(file).equals(model.predict(FRAME.rename({"x": " x "})))
    content.sections["reading"] = json.loads('{"header": 3}')
    save(path, content)
    with pytest.raises(ModelFileError, match=r"`reading.header`"):
        TableModel.load(path)


@pytest.mark.parametrize("method", ["predict", "evaluate", "explain"])
def test_an_argument_that_a_method_has_not_is_named_with_those_it_has(tmp_path, method):
    path = tmp_path / "rows.csv"
    path.write_text("y,x\n" + "1.5,2\n2.5,4\n" * 20)
    model = train(path, "y", hidden=(), epochs=1, ensemble=1)
    with pytest.raises(TypeError) as caught:
        getattr(model, method)(path, foo=1)
    assert str(caught.value).startswith(f"{method} has no argument 'foo': it has data, ")
    names = inspect.signature(getattr(model, method)).parameters
    assert "separator" in names and all(name in str(caught.value) for name in names)
