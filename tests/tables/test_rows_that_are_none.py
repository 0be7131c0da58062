"""Rows that are no rows: below a header, above one in a workbook, and totals at the end."""

import random

import numpy as np
import polars as pl
import pytest
import xlsxwriter

import fastbp
from fastbp.errors import DataError
from fastbp.tables.columns.number_text import NumberText
from fastbp.tables.options import TrainOptions
from fastbp.tables.read.table import open_table
from table_files import rows_of

DRAW = random.Random(0)
ROWS = [
    (DRAW.choice(["Good", "Bad"]), f"{DRAW.random():.3f}", DRAW.choice(["M", "F"]))
    for _ in range(60)
]
ASKED = ("How do you feel?", "How often, in all?", "Gender")
NAMED = tuple(f'{{"ImportId":"QID{n}","timeZone":"UTC"}}' for n in range(3))
OPTIONS = {"hidden": (), "epochs": 2, "ensemble": 1, "seed": 1}


def written(path, *rows):
    pl.DataFrame(rows, schema=["Q1", "Q2", "Q3"], orient="row").write_csv(path)
    return path


@pytest.mark.parametrize("above", [(ASKED, NAMED), (NAMED,), (ASKED, ASKED, NAMED)], ids=len)
def test_rows_that_describe_the_columns_of_a_survey_are_left_out(tmp_path, caplog, above):
    path = written(tmp_path / "survey.csv", *above, *ROWS)
    table = open_table(path)
    assert rows_of(table) == ROWS
    assert f"{len(above)} row{'s' * (len(above) > 1)} below the header left out" in caplog.text
    model = fastbp.train(path, "Q1", **OPTIONS)
    plain = written(tmp_path / "plain.csv", *ROWS)
    assert model.predict(path).equals(model.predict(plain))
    assert [(each.name, each.kind) for each in model.schema.columns] == [
        ("Q2", "number"),
        ("Q3", "category"),
    ]
    written(tmp_path / "other.csv", *above, *ROWS[:7])
    assert open_table([path, tmp_path / "other.csv"]).count() == 67


@pytest.mark.parametrize(
    ("first", "is_said"),
    [
        (("Response", "Open-Ended Response", "Response"), True),
        (("Response", "", "Open-Ended Response"), True),
        (("Good", "Open-Ended Response", "x"), False),  # the first is there again
        (("Response", "", ""), False),
        (("Response", "0.5", "Other"), False),
        (("NA", "null", "nan"), False),
        (("NA", "null", "rare"), False),
    ],
)
def test_a_second_header_is_warned_of(tmp_path, caplog, first, is_said):
    table = open_table(written(tmp_path / "rows.csv", first, *ROWS))
    assert table.count() == 61
    assert ("row 1 may be a second header" in caplog.text) is is_said
    assert ("skip_rows=1 takes it as the header" in caplog.text) is is_said


def test_text_of_its_own_in_each_row_is_no_second_header(tmp_path, caplog):
    rows = [(f"comment {n}", f"{n / 7:.3f}", f"name {n}") for n in range(60)]
    open_table(written(tmp_path / "rows.csv", *rows))
    assert "second header" not in caplog.text


def test_a_second_header_is_said_of_its_own_file_and_of_whole_lines(tmp_path, caplog):
    first = written(tmp_path / "a.csv", ("Response", "Response", "Other"), *ROWS)
    open_table([first, written(tmp_path / "b.csv", *ROWS)])
    assert caplog.text.count("may be a second header") == 1 and "b.csv" not in caplog.text
    caplog.clear()
    text = first.read_text().replace("Q1", '"Q1\nlong"', 1)
    (tmp_path / "long.csv").write_text(text)
    open_table(tmp_path / "long.csv")
    assert "leave it out" in caplog.text and "skip_rows" not in caplog.text


# ------------------------------------------------------------------ workbooks


def book(path, *rows):
    with xlsxwriter.Workbook(path) as workbook:
        sheet = workbook.add_worksheet("S")
        for place, row in enumerate(rows):
            for n, cell in enumerate(row):
                if cell is not None:
                    sheet.write(place, n, cell)
    return path


NAMES = ("q1", "q2", "reg", "target")
DATA = [(n / 8, n % 5 + 0.5, DRAW.choice("NS"), DRAW.choice("ab")) for n in range(40)]
ABOVE = {
    "groups": [("Sales", None, "Info", None)],
    "a title": [("My report",)],
    "a title and a blank row": [("My report",), ()],
    "blank rows and a title": [(), ("My report",), (), ()],
    "groups below a title": [("My report",), ("Sales", None, "Info", None)],
}


@pytest.mark.parametrize("above", ABOVE)
def test_the_header_of_a_sheet_is_found_below_titles(tmp_path, caplog, above):
    path = book(tmp_path / "rows.xlsx", *ABOVE[above], NAMES, *DATA[:20], (), *DATA[20:])
    for table in (open_table(path), open_table(path, how=TrainOptions(target="target"))):
        assert table.columns == list(NAMES)
        assert rows_of(table) == DATA
    assert "before the table left out" in caplog.text


def sheets(path, **content):
    with xlsxwriter.Workbook(path) as workbook:
        for name, rows in content.items():
            sheet = workbook.add_worksheet(name)
            for place, row in enumerate(rows):
                sheet.write_row(place, 0, row)
    return path


@pytest.mark.parametrize(
    "first",
    [
        [("Column", "Description"), ("reg", "a place"), ("target", "what to learn"), ("q1", "5")],
        [("Notes",), ("target",), ("q1",), ("reg",)],
    ],
    ids=["codebook", "notes"],
)
def test_a_sheet_that_speaks_of_the_columns_is_not_taken_for_the_table(tmp_path, caplog, first):
    path = sheets(tmp_path / "rows.xlsx", Codebook=first, Data=[NAMES, *DATA])
    table = open_table(path, how=TrainOptions(target="target"))
    assert rows_of(table) == DATA and "left out" not in caplog.text
    below = sheets(tmp_path / "below.xlsx", Cover=[("My report",)], Data=[("T",), NAMES, *DATA])
    assert rows_of(open_table(below, how=TrainOptions(target="target"))) == DATA


def test_a_cell_like_a_name_is_no_header(tmp_path):
    rows = [(n, "target" if n == 1 else "other", n / 8) for n in range(9)]
    path = book(tmp_path / "rows.xlsx", ("a", "kind", "y"), *rows)
    with pytest.raises(DataError, match="has no column 'target'"):
        fastbp.train(path, "target", **OPTIONS)


def test_years_may_be_names_below_a_title(tmp_path):
    names = ("name", 2020, 2021, "target")
    path = book(tmp_path / "rows.xlsx", ("Report",), names, *DATA)
    for how in (None, TrainOptions(target="target")):
        table = open_table(path, how=how) if how else open_table(path)
        assert table.columns == ["name", "2020", "2021", "target"] and rows_of(table) == DATA


def test_groups_with_names_of_their_own_are_left_out_where_options_name_columns(tmp_path):
    path = book(tmp_path / "rows.xlsx", ("Sales", "x", "Info", "y"), NAMES, *DATA)
    assert rows_of(open_table(path, how=TrainOptions(target="target"))) == DATA
    model = fastbp.train(path, "target", **OPTIONS)
    frame = pl.DataFrame(DATA, schema=NAMES, orient="row")
    assert model.predict(path).equals(model.predict(frame))


def test_a_column_of_a_sheet_without_a_name_is_called_by_its_place(tmp_path, caplog):
    path = book(tmp_path / "rows.xlsx", ("q1", None, "reg", "target"), *DATA)
    assert open_table(path).columns == ["q1", "column_2", "reg", "target"]
    assert "columns without a name are called 'column_2'" in caplog.text
    path = book(tmp_path / "twice.xlsx", ("q1", None, "column_2", "target"), *DATA)
    assert open_table(path).columns == ["q1", "column_2_", "column_2", "target"]
    numbered = [(n, *row) for n, row in enumerate(DATA)]
    path = book(tmp_path / "numbered.xlsx", (None, *NAMES), *numbered)
    assert open_table(path).row_numbers == ("column_1",)
    words = [(a, b, "v") for a, b in zip("abcd" * 20, "efgh" * 20, strict=True)]
    table = open_table(book(tmp_path / "words.xlsx", ("reg", None, "target"), *words))
    assert table.columns == ["reg", "column_2", "target"] and rows_of(table) == words


# ------------------------------------------------------------------ totals, and no money


@pytest.mark.parametrize(
    ("last", "word"),
    [
        (("Total", "75.2", ""), "Total"),
        (("", "Grand Total:", "3"), "Grand Total:"),
        (("SUMME", "3", "4"), "SUMME"),
        (("Total", "", ""), ""),
        (("Totally", "3", "4"), ""),
        (("1.5", "Total", "4"), ""),
    ],
)
def test_a_last_row_of_totals_is_warned_of(tmp_path, caplog, last, word):
    text = open_table(written(tmp_path / "rows.csv", *ROWS, last))
    said = [f"rows.csv: the last row begins with '{word}': leave it out"] if word else []
    assert text.count() == 61
    assert [line for line in said if line not in caplog.text] == []
    assert ("the last row begins" in caplog.text) is bool(word)
    caplog.clear()
    cells = [float(cell) if cell.replace(".", "").isdigit() else cell or None for cell in last]
    open_table(book(tmp_path / "rows.xlsx", ("a", "b", "c"), *ROWS, cells))
    assert ("the last row begins" in caplog.text) is bool(word)


@pytest.mark.parametrize("mark", [".", ","])
def test_the_dash_of_accountants_is_no_money(mark):
    found = {
        **dict.fromkeys(["$ -", "$-", "USD --", "US$ -", "- \u20ac", "-- EUR", "Rs. -"], 0.0),
        "$(5)": -5.0,
        "$5-": -5.0,
        "- $5": -5.0,
        **dict.fromkeys(["-", "--", "kg -", "- kg", "$", "- -"]),
    }
    values, units = NumberText(mark).parts(pl.Series([*found]))
    assert values.to_list() == [*found.values()]
    assert all((unit == "") is (value is None) for unit, value in zip(units, values, strict=True))
    for alone in ("$ -", "$-", " $ -   ", "$ \u2013", "\u2212 \u20ac", "$\u00a0-"):
        assert NumberText(mark).parts(pl.Series([alone]))[0].to_list() == [0.0]


def test_a_column_of_money_with_dashes_is_one_of_numbers():
    cost = [" $ -   " if n % 3 else f" $({n}.50) " for n in range(60)]
    model = fastbp.train({"cost": cost, "y": np.arange(60.0)}, "y", **OPTIONS)
    (column,) = model.schema.columns
    assert column.kind == "number" and column.text.unit == "$"
    zero, plain = ({"cost": [each]} for each in ("$ -", "0"))
    assert model.predict(zero).equals(model.predict(plain))


def test_credit_and_debit_are_refused_as_other_units_are():
    y = np.arange(60.0)
    mixed = [f"{n}.50 {'CR' if n % 3 else 'DR'}" for n in range(60)]
    with pytest.raises(DataError, match=r"column 'v' mixes units: '\d+\.50 .R' in row"):
        fastbp.train({"v": mixed, "y": y}, "y", **OPTIONS)
    one = fastbp.train({"v": [f"{n}.5 CR" for n in range(60)], "y": y}, "y", **OPTIONS)
    assert one.schema.columns[0].kind == "number"
