"""Columns that lie elsewhere: in another sheet, or below a title."""

import pandas as pd
import polars as pl
import pytest
import xlsxwriter

import fastbp
from fastbp.errors import DataError
from fastbp.tables.options import ReadOptions, TrainOptions
from fastbp.tables.read.table import open_table
from table_files import rows_of

ROWS = pl.DataFrame(
    {"x": [n * 7 % 13 for n in range(40)], "t": [n / 4 for n in range(40)], "c": ["u", "v"] * 20}
)
OPTIONS = {"hidden": (), "epochs": 2, "ensemble": 1, "seed": 1}


def book(path, **sheets):
    with xlsxwriter.Workbook(path) as workbook:
        for name, frame in sheets.items():
            frame.write_excel(workbook, worksheet=name)
    return path


@pytest.fixture
def workbook(tmp_path):
    info = pl.DataFrame({"made": ["by hand"], "c": ["w"]})
    return book(tmp_path / "rows.xlsx", Info=info, Data=ROWS, More=ROWS.head(2))


def test_the_sheet_that_has_the_target_is_read_and_said(workbook, caplog):
    table = open_table(workbook, how=TrainOptions(target="t"))
    assert rows_of(table) == ROWS.rows()
    assert "the sheet 'Data' is read, and not 'Info', 'More'" in caplog.text
    for option in ({"drop": "x"}, {"weight": "x"}, {"ids": ("t", "x")}):
        assert open_table(workbook, how=TrainOptions(target="c", **option)).columns == ROWS.columns
    # the first has the target too
    assert open_table(workbook, how=TrainOptions(target="c")).columns == ["made", "c"]


def test_a_model_reads_the_sheet_of_its_columns(workbook):
    model = fastbp.train(workbook, "t", **OPTIONS)
    found = model.predict(workbook)["prediction"]
    assert found.to_list() == model.predict(ROWS)["prediction"].to_list()
    without = book(workbook.parent / "new.xlsx", Info=pl.DataFrame({"a": [1]}), N=ROWS.drop("t"))
    assert model.predict(without)["prediction"].to_list() == found.to_list()


def test_a_column_of_no_sheet_names_the_others(workbook):
    with pytest.raises(DataError, match=r"has no column 'z'.*; other sheets: 'Data', 'More'"):
        fastbp.train(workbook, "z", **OPTIONS)
    alone = book(workbook.parent / "alone.xlsx", Data=ROWS)
    with pytest.raises(DataError, match="has no column 'z'") as caught:
        fastbp.train(alone, "z", **OPTIONS)
    assert "other sheets" not in str(caught.value)


TITLES = ["My table 2020,,", "Report,of,2024", "Report,,\nof all,regions,", '"a, b",,', "1,2,3"]


@pytest.mark.parametrize("title", TITLES)
def test_a_title_of_as_many_fields_is_left_out_where_options_name_columns(tmp_path, caplog, title):
    path = tmp_path / "rows.csv"
    path.write_text(f"{title}\n{ROWS.write_csv()}")
    table = open_table(path, how=TrainOptions(target="t"))
    count = title.count("\n") + 1
    frame = pd.read_csv(path, skiprows=count, dtype=str)
    assert table.columns == list(frame.columns)
    assert rows_of(table) == list(frame.itertuples(index=False, name=None))
    assert f"{count} line{'s' * (count > 1)} before the table left out" in caplog.text


def test_a_column_below_a_title_names_the_option(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(f"My table 2020,,\n{ROWS.write_csv()}")
    with pytest.raises(DataError, match=r"has no column 'z'.*`skip_rows` says how many"):
        fastbp.train(path, "z", **OPTIONS)
    with pytest.raises(DataError, match="has no column 'z'") as caught:
        open_table(path, how=ReadOptions(skip_rows=1)).require(["z"])
    assert "skip_rows" not in str(caught.value)
    model = fastbp.train(path, "t", **OPTIONS)
    assert model.predict(path).equals(model.predict(path, skip_rows=1))


def test_a_value_like_a_name_begins_no_table(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x,c\n" + "1.5,t\n2.5,u\n" * 9)
    assert open_table(path, how=TrainOptions(target="t")).count() == 18
    path.write_text("x,c\n" + "s,t\nr,u\n" * 9)
    assert open_table(path, how=TrainOptions(target="t")).count() == 18
