"""A header that begins with the sign of a comment: it is a part of its name without a proof."""

import numpy as np
import pandas as pd
import pytest

import fastbp
from fastbp.tables.options import TrainOptions
from fastbp.tables.read.table import open_table
from table_files import rows_of

ROWS = [(f"{n}.5", f"{n * n % 17}", f"{n % 4}") for n in range(40)]


def written(path, header, rows=ROWS, separator=",", before=""):
    width = len(header.split(separator))
    lines = [header, *(separator.join(row[:width]) for row in rows)]
    path.write_text(before + "\n".join(lines) + "\n")
    return path


NAMES = ["% change,price,t", "% change,change,t", "# of rooms,price", "# items,b,t", "#a,b,t"]
NAMES += ["# of rooms,% of GDP,t", "#,b,t", "%,b", "// a,b,t", "//a,b", "% of all,y", "# a b,c"]


@pytest.mark.parametrize("header", NAMES)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_name_may_begin_with_a_sign(tmp_path, caplog, header, end):
    path = written(tmp_path / "rows.csv", header)
    path.write_bytes(path.read_bytes().replace(b"\n", end.encode()))
    frame = pd.read_csv(path, dtype=str)
    table = open_table(path)
    assert table.columns == list(frame.columns)
    assert rows_of(table) == list(frame.itertuples(index=False, name=None))
    assert not caplog.text


@pytest.mark.parametrize("suffix, separator", [(".tsv", "\t"), (".csv", ";"), ("", "|")])
def test_other_separators_have_such_names_too(tmp_path, suffix, separator):
    path = written(tmp_path / f"rows{suffix}", separator.join(["% of GDP", "y"]), ROWS, separator)
    assert open_table(path).columns == ["% of GDP", "y"]


def test_a_name_with_a_sign_may_stand_over_other_signs_and_text(tmp_path):
    rows = [(f"{n}.5", f"#ff{n:04}", "red" if n % 2 else "blue") for n in range(30)]
    path = written(tmp_path / "rows.csv", "# of rooms,color,name", rows)
    assert open_table(path).columns == ["# of rooms", "color", "name"]
    assert rows_of(open_table(path)) == rows


PROVEN = {
    "comments above": ("rows.csv", "# made by hand\n# on Monday\n"),
    "a comment above": ("rows.csv", "# made by hand, with care\n"),
    "a file of notes": ("rows.txt", ""),
    "one of data": ("rows.dat", ""),
}


@pytest.mark.parametrize("name, before", PROVEN.values(), ids=PROVEN)
def test_a_sign_that_is_proven_is_left_out_and_said(tmp_path, caplog, name, before):
    path = written(tmp_path / name, "# a,b,t", before=before)
    table = open_table(path)
    assert table.columns == ["a", "b", "t"] and rows_of(table) == ROWS
    assert "the sign of a comment before the header left out; `skip_rows`" in caplog.text


def test_another_sign_above_proves_nothing(tmp_path):
    path = written(tmp_path / "rows.csv", "% a,b,t", before="# made by hand\n")
    assert open_table(path).columns == ["% a", "b", "t"]


@pytest.mark.parametrize("delimiter", [",", ";", " ", "\t"])
@pytest.mark.parametrize("suffix", [".csv", ".txt"])
def test_what_numpy_saves_has_no_sign(tmp_path, suffix, delimiter):
    path = tmp_path / f"rows{suffix}"
    values = np.random.default_rng(3).normal(size=(20, 3))
    np.savetxt(path, values, delimiter=delimiter, header=delimiter.join(["y", "x", "z"]))
    assert open_table(path).columns == ["y", "x", "z"]


def test_a_column_that_an_option_names_says_whether_the_sign_is_its_own(tmp_path):
    path = written(tmp_path / "rows.txt", "% change,b,t")
    for target, columns in (("% change", "% change"), ("change", "change"), ("b", "change")):
        table = open_table(path, how=TrainOptions(target=target))
        assert table.columns == [columns, "b", "t"]
    path = written(tmp_path / "rows.csv", "% change,b,t")
    assert open_table(path, how=TrainOptions(target="change")).columns == ["change", "b", "t"]
    path = written(tmp_path / "text.csv", "# of rooms,b", [("few", "x"), ("many", "y")] * 9)
    assert open_table(path, how=TrainOptions(target="b")).columns == ["# of rooms", "b"]


def test_a_model_of_such_a_name_predicts_frames_and_files(tmp_path):
    path = written(tmp_path / "rows.csv", "% change,price,t")
    options = {"hidden": (), "epochs": 2, "ensemble": 1, "seed": 1}
    model = fastbp.train(path, "t", **options)
    assert [column.name for column in model.schema.columns] == ["% change", "price"]
    of_frame = model.predict(pd.read_csv(path).drop(columns="t"))
    assert of_frame["prediction"].tolist() == model.predict(path)["prediction"].to_list()
    fastbp.train(path, "% change", **options)
