"""Separators, headers and lines before a table are told from its first rows."""

import pytest

from fastbp.errors import DataError
from fastbp.tables.options import ReadOptions
from fastbp.tables.read.table import open_table
from table_files import fails, rows_of

BODY = [("1.5", "2", "east"), ("2.5", "3", "north"), ("3.5", "5", "east"), ("0.5", "1", "south")]
NAMES = ["y", "x", "c"]


def text(separator=",", names=NAMES, rows=BODY, before="", end="\n"):
    lines = [separator.join(row) for row in ([names] if names else []) + list(rows)]
    return before + "".join(line + end for line in lines)


def opened(folder, content, name="rows.csv", **how):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_table(path, how=ReadOptions(**how))


@pytest.mark.parametrize("separator", list(",;\t| :~^!&*\x01\x1f¦§"))
@pytest.mark.parametrize("header", [True, False])
def test_a_separator_is_told_from_the_rows(tmp_path, separator, header):
    table = opened(tmp_path, text(separator, NAMES if header else None))
    assert table.columns == (NAMES if header else ["column_1", "column_2", "column_3"])
    assert rows_of(table) == BODY
    assert table.reading.header is header


DECIMALS = {
    "semicolons": "a;b;c\n1,5;2,25;x\n2,5;3,75;y\n3,5;0,25;x\n",
    "no header": "1,5;2,25;x\n2,5;3,75;y\n3,5;0,25;x\n",
    "tabs": "a\tb\tc\n1,5\t2,25\tx\n2,5\t3,75\ty\n3,5\t0,25\tx\n",
    "bars, no header": "1,5|2,25|x\n2,5|3,75|y\n3,5|0,25|x\n",
    "a comma in a name": "size, m2;b;c\n1,5;2,25;x\n2,5;3,75;y\n3,5;0,25;x\n",
    "times": "1,5;12:30;x\n2,5;13:45;y\n3,5;09:05;x\n",
    "thousands": "1.234,50;2,25;x\n22.345,50;3,75;y\n1.003,50;0,25;x\n",
}


@pytest.mark.parametrize("content", DECIMALS.values(), ids=DECIMALS)
def test_decimal_commas_are_no_separators(tmp_path, content):
    table = opened(tmp_path, content)
    assert len(table.columns) == 3
    assert [row[2] for row in rows_of(table)] == ["x", "y", "x"]
    assert [row[0][-3:] for row in rows_of(table)] in (["1,5", "2,5", "3,5"], [",50"] * 3)


def test_a_separator_may_be_within_quotes(tmp_path):
    content = 'city;y\n"Paris, Texas";1\n"Oslo; Norway";2\n"a ""b"", c";3\n'
    rows = [("Paris, Texas", "1"), ("Oslo; Norway", "2"), ('a "b", c', "3")]
    assert rows_of(opened(tmp_path, content)) == rows


BEFORE = {
    "a comment": "# exported 2024-01-01\n",
    "comments with separators": "# a, b, c, d\n# e; f\n#\n",
    "per cent signs": "% made by MATLAB, 2 columns\n",
    "a title": "Sales report\n",
    "a title and a blank line": "Sales report of 2024, all regions\n\n",
    "several lines": "Sales report\nRegion: all, but one\n\n",
    "blank lines": "\n\n",
    "Excel": "sep=,\n",
    "Excel, quoted": '"sep=,"\n',
    "an apostrophe and a quote": "# 5\" pipes, it's said\n",
}


@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_before_the_table_are_left_out_and_said(tmp_path, caplog, before, end):
    table = opened(tmp_path, text(before=before).replace("\n", end))
    assert table.columns == NAMES
    assert rows_of(table) == BODY
    count = before.count("\n")
    assert f"{count} line{'s' * (count > 1)} before the table left out" in caplog.text


def test_excel_says_the_separator(tmp_path):
    # without its line the comma would be one
    content = "a,b;c,d\nu,v;w,z\nx,y;z,u\nk,l;m,n\n"
    assert opened(tmp_path, content).columns == ["a", "b;c", "d"]
    assert opened(tmp_path, f"sep=;\n{content}").columns == ["a,b", "c,d"]


COMMENTED = {
    "numpy.savetxt": "# y x c\n1.5 2 7\n2.5 3 8\n0.5 1 9\n",
    "a name with a sign": "y,x,c\n1.5,2,7\n2.5,3,8\n0.5,1,9\n",
    "a comment above": "# made by hand\n# y,x,c\n1.5,2,7\n2.5,3,8\n0.5,1,9\n",
}


@pytest.mark.parametrize("content", COMMENTED.values(), ids=COMMENTED)
def test_a_header_may_be_a_comment(tmp_path, content):
    table = opened(tmp_path, content)
    assert table.columns == NAMES
    assert rows_of(table) == [("1.5", "2", "7"), ("2.5", "3", "8"), ("0.5", "1", "9")]


def test_a_sign_of_a_comment_may_be_a_name(tmp_path):
    content = "#,name,y\n1,a,2\n2,b,3\n3,a,4\n"
    assert opened(tmp_path, content).columns == ["#", "name", "y"]
    assert opened(tmp_path, content.replace("#", "#id")).columns == ["#id", "name", "y"]


HEADERS = {
    "names": ("y,x\n1,2\n3,4\n", True),
    "names of one row": ("y,x\n1,2\n", True),
    "a name over text": ("city,rich\nOslo,no\nRome,yes\nOslo,yes\n", True),
    "a name with blanks": (" y , x\n1,2\n3,4\n", True),
    "years": ("country,2019,2020,2021\nPeru,1,2,3\nChad,4,5,6\n", True),
    "places": ("0,1,2\n0.5,1.5,2.5\n3.5,4.5,5.5\n", True),
    "an index and places": (",0,1\n0,0.5,1.5\n1,3.5,4.5\n", True),
    "numbers": ("5,1\n3,2\n4,7\n", False),
    "one row of numbers": ("5.5,1\n", False),
    "numbers and text": ("5,east\n3,north\n4,east\n", False),
    "text": ("Oslo,no\nRome,yes\nOslo,no\n", False),
    "dates": ("2020-01-01,x\n2020-01-05,z\n2020-02-01,y\n", False),
    "decimal commas": ('"5,5";x\n"3,5";y\n"4,5";z\n', False),
    "money": ("$5.50,x\n$3.50,y\n$4.50,z\n", False),
    "a missing value": (",x,3\n3,y,4\n4,z,1\n", False),
}


@pytest.mark.parametrize("content, header", HEADERS.values(), ids=HEADERS)
def test_a_header_is_told_from_the_types(tmp_path, caplog, content, header):
    table = opened(tmp_path, content)
    assert table.reading.header is header
    assert table.count() == content.count("\n") - header
    assert ("no header: columns" in caplog.text) is not header
    settled = opened(tmp_path, content, header=not header)
    assert settled.reading.header is not header
    assert settled.count() == content.count("\n") - (not header)


UNNAMED = {
    "a separator in the header": ("y,x,\n1,2,\n3,4,\n", ["y", "x", "column_3"], ("1", "2", None)),
    "separators in the rows": ("y,x\n1,2,\n3,4,\n", ["y", "x", "column_3"], ("1", "2", None)),
    "a separator in the header alone": ("y,x,\n1,2\n3,4\n", ["y", "x"], ("1", "2")),
    "several": (
        "y,x,,\n1,2,,\n3,4,,\n",
        ["y", "x", "column_3", "column_4"],
        ("1", "2", None, None),
    ),
    "an index": (",y,x\n0,1,2\n1,3,4\n", ["column_1", "y", "x"], ("0", "1", "2")),
    "row names of R": ('"y" "x"\n"a" 1 2\n"b" 3 4\n', ["column_1", "y", "x"], ("a", "1", "2")),
    "row names with commas": ("y,x\na,1,2\nb,3,4\n", ["column_1", "y", "x"], ("a", "1", "2")),
    "one between": ("y,,x\n1,2,3\n4,5,6\n", ["y", "column_2", "x"], ("1", "2", "3")),
    "blanks": ("  ,y\n0,1\n1,2\n", ["column_1", "y"], ("0", "1")),
}


@pytest.mark.parametrize("content, columns, first", UNNAMED.values(), ids=UNNAMED)
def test_columns_without_a_name_get_one_and_are_said(tmp_path, caplog, content, columns, first):
    table = opened(tmp_path, content)
    assert table.columns == columns
    assert rows_of(table)[0] == first
    assert all(name in caplog.text for name in columns if name.startswith("column_"))


LOOSE = {
    "CR": "y,x\r1,2\r3,4\r",
    "CR without the last": "y,x\r1,2\r3,4",
    "CR and blank lines": "y,x\r\r1,2\r\r3,4\r",
    "CR LF and LF": "y,x\r\n1,2\n3,4\r\n",
    "CR and LF": "y,x\n1,2\r3,4\n",
    "all ends": "y,x\r\n1,2\r3,4\n",
    "blanks before quotes": 'y, x\n1, "2"\n3, "4"\n',
    "blanks behind quotes": '"y" ,"x"\n"1" ,"2"\n"3" ,"4"\n',
    "runs of blanks": "  y   x\n  1   2\n  3   4\n",
    "blanks and tabs": "y  x\n1\t 2\n3 4 \n",
}


@pytest.mark.parametrize("content", LOOSE.values(), ids=LOOSE)
def test_loosely_written_rows_are_read(tmp_path, content):
    table = opened(tmp_path, content)
    assert table.columns == ["y", "x"]
    assert rows_of(table) == [("1", "2"), ("3", "4")]


def test_a_quoted_field_keeps_its_line_ends_and_separators(tmp_path):
    table = opened(tmp_path, 'y,x\r1,"a\rb, ""c"""\r2,"d\ne"\r')
    assert rows_of(table) == [("1", 'a\rb, "c"'), ("2", "d\ne")]


ROWS = 60_000  # more than a sample has
LATE = {
    "CR": (b"1,2\r3,4\n", [("1", "2"), ("3", "4")]),
    "a blank before a quote": (b'1, "2,3"\n', [("1", "2,3")]),
    "Latin-1": (b"1,caf\xe9\n2,na\xefve\n", [("1", "café"), ("2", "naïve")]),
}


@pytest.mark.parametrize("late, rows", LATE.values(), ids=LATE)
def test_what_comes_late_is_read_too(tmp_path, late, rows):
    table = opened(tmp_path, b"y,x\n" + b"7,8\n" * 2 * ROWS + late + b"7,8\n" * ROWS)
    assert table.count() == 3 * ROWS + len(rows)
    found = rows_of(table)
    assert found[2 * ROWS : -ROWS] == rows
    assert set(found[: 2 * ROWS]) == set(found[-ROWS:]) == {("7", "8")}


def test_options_settle_what_is_told_otherwise(tmp_path):
    content = "Title; of\na,b;c\n1,2;3\n4,5;6\n7,8;9\n"
    asked = {"separator": ";", "skip_rows": 1}
    table = opened(tmp_path, content, **asked)
    assert table.columns == ["a,b", "c"] and rows_of(table)[0] == ("1,2", "3")
    table = opened(tmp_path, content, separator=",", skip_rows=2, header=False)
    assert rows_of(table)[0] == ("1", "2;3")
    assert opened(tmp_path, text(" "), separator="space").columns == NAMES
    assert opened(tmp_path, text("\t"), separator=r"\t").columns == NAMES
    assert opened(tmp_path, "# y\n1\n2\n", skip_rows=0).columns == ["# y"]
    with pytest.raises(DataError, match="is not UTF-8"):
        rows_of(opened(tmp_path, b"a,b\n1,caf\xe9\n", encoding="utf-8"))


RAGGED = {
    "a header that is short": ("a,b\n1,2,3,4\n5,6,7,8\n9,1,2,3\n", "row 1 has 4 fields"),
    "a row that is long": (text() + "1,2,3,4\n", "row 5 has 4 fields but the header names 3"),
    "a row that is short": (text(";") + "1;2\n", "row 5 has 2 fields but the header names 3"),
    "a single name": ("x\n3,093\n3,388\n7,514\n", "row 1 has 2 fields but the header names 1"),
    "quotes that are no quotes": (
        "y,b,food\n3312.9,0.2,'fish, x'\n21.5,0.3,'ham, y'\n4.5,0.1,'egg, z'\n",
        "row 1 has 4 fields but the header names 3",
    ),
    "one after CR": (text(end="\r") + "1,2\r", "row 5 has 2 fields"),
    "a header that cannot be parsed": ('y,"x,c\n1,2,3\n4,5,6\n7,8,9\n', "a quote in it"),
    "an open quote after CR": (text(end="\r") + '1,"2,4\r', "line 6"),
}


@pytest.mark.parametrize("content, words", RAGGED.values(), ids=RAGGED)
def test_rows_of_other_shapes_are_named(tmp_path, content, words):
    path = tmp_path / "rows.csv"
    path.write_bytes(content.encode())
    assert words in fails(path)
