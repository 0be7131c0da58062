"""CSV is read as it is written; rows of other shapes are named, not mended in silence."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbp.errors import DataError
from fastbp.tables.read.table import open_table
from table_files import fails, rows_of

CSV = {
    "a byte order mark": (b"\xef\xbb\xbfa,b\n1,2\n", ["a", "b"], [("1", "2")]),
    "a mark and quotes": (b'\xef\xbb\xbf"a","b"\n1,2\n', ["a", "b"], [("1", "2")]),
    "CR LF": (b"a,b\r\n1,2\r\n3,\r\n", ["a", "b"], [("1", "2"), ("3", None)]),
    "no last line end": (b"a,b\n1,2\n3,4", ["a", "b"], [("1", "2"), ("3", "4")]),
    "no last field": (b"a,b\n1,2\n3,", ["a", "b"], [("1", "2"), ("3", None)]),
    "blank lines": (b"a,b\n\n1,2\n\n\n3,4\n\n", ["a", "b"], [("1", "2"), ("3", "4")]),
    "blank CR LF": (b"a,b\r\n1,2\r\n\r\n3,4\r\n\r\n", ["a", "b"], [("1", "2"), ("3", "4")]),
    "blanks of one column": (b"a\n1\n\n2\n", ["a"], [("1",), (None,), ("2",)]),
    "a quoted separator": (b'a,b\n"1,5",2\n', ["a", "b"], [("1,5", "2")]),
    "a quoted line end": (b'a,b\n"1\n\n5",2\n3,4\n', ["a", "b"], [("1\n\n5", "2"), ("3", "4")]),
    "doubled quotes": (b'a,b\n"x""y",2\n', ["a", "b"], [('x"y', "2")]),
    "a hostile header": (b'"a,\n1","b""\xc3\xa4"\n1,2\n', ["a,\n1", 'b"ä'], [("1", "2")]),
    "semicolons": (b"a;b\n1,5;2\n", ["a", "b"], [("1,5", "2")]),
    "semicolons in quotes": (b'"a;c";b\n1;2\n', ["a;c", "b"], [("1", "2")]),
    "tabs": (b"a\tb\n1;5\t2\n", ["a", "b"], [("1;5", "2")]),
    "bars": (b"a|b\n1|2\n", ["a", "b"], [("1", "2")]),
    "a comma beside semicolons": (b"a;b,c\n1;2,3\n", ["a;b", "c"], [("1;2", "3")]),
    "semicolons in quotes alone": (b'"a;b"\n1\n', ["a;b"], [("1",)]),
    "a sign of comments": (b"a,b\n#1,2\n", ["a", "b"], [("#1", "2")]),
    "Latin 1": (b"a,b\n1,2\n3,caf\xe9\n", ["a", "b"], [("1", "2"), ("3", "caf\xe9")]),
    "Latin 1 in the header": (b"a,caf\xe9\n1,2\n", ["a", "caf\xe9"], [("1", "2")]),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), ["a", "b"], [("1", "2")]),
    "UTF-16 without a mark": ("a,b\n1,2\n".encode("utf-16-le"), ["a", "b"], [("1", "2")]),
    "a header": (b"a,b\n", ["a", "b"], []),
    "a header without a line end": (b"a,b", ["a", "b"], []),
    "a header and blank lines": (b"a,b\n\n\n", ["a", "b"], []),
    "no name": (b"a,,b\n1,2,3\n", ["a", "column_2", "b"], [("1", "2", "3")]),
    "CR": (b"a,b\r1,2\r3,4\r", ["a", "b"], [("1", "2"), ("3", "4")]),
}


@pytest.mark.parametrize("content, columns, rows", CSV.values(), ids=CSV)
def test_csv_is_read_as_it_is_written(tmp_path, content, columns, rows):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    table = open_table(path)
    assert table.columns == columns
    assert rows_of(table) == rows


FIELDS = st.text(st.sampled_from('ab1 ,"\n\r\tä'), max_size=6)


@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(FIELDS, min_size=width, max_size=width), min_size=1, max_size=8
        )
    ),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 9),
)
def test_what_the_csv_module_writes_is_read(tmp_path_factory, rows, line_end, batch):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator=line_end, quoting=csv.QUOTE_ALL)
        writer.writerow([f"column {place}" for place in range(len(rows[0]))])
        writer.writerows(rows)
    assert rows_of(open_table(path), rows=batch) == [tuple(row) for row in rows]


BAD_CSV = {
    "a long row": (b"a,b\n1,2\n3,4,5\n6,7\n", "row 2 has 3 fields but the header names 2"),
    "a long and a short row": (b"a,b\n1,2,3\n4\n", "row 1 has 3 fields"),
    "a short row": (b"a,b,c\n1,2,3\n\n3,4\n", "row 2 has 2 fields but the header names 3"),
    "a short last row": (b"a,b,c\n1,2,3\n3,4", "row 2 has 2 fields"),
    "separators at the end": (b"a,b\n1,2,\n", "row 1 has 3 fields"),
    "an open quote": (b'a,b\n1,2\n3,"4\n5,6\n', "quote is opened in row 2 and never closed"),
    "text after a quote": (b'a,b\n1,"2"x\n', "cannot be read"),
    "a cut character": (b"a,b\n1,2\n3,\xc3", "not UTF-8 near row 2"),
    "NUL": (b"a,b\n1,2\n3,\0\0\n", "NUL bytes near row 2"),
    "nothing": (b"", "is empty"),
    "a line end": (b"\n", "has no header"),
    "a name twice": (b"a,b,a\n1,2,3\n", "two columns named 'a'"),
    "a huge name": (b"a," + b"x" * 200_000 + b"\n1,2\n", "header cannot be read"),
    "a huge header": (b"a" * (1 << 24) + b"\n1\n", "header"),
}


@pytest.mark.parametrize("content, expected", BAD_CSV.values(), ids=BAD_CSV)
def test_damaged_csv_is_said_in_one_line(tmp_path, content, expected):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    assert expected in fails(path)


@pytest.mark.parametrize("size", [(1 << 17) - 9, (1 << 17) - 8, (1 << 17) - 7, 3 << 17])
def test_rows_are_counted_across_the_blocks_of_a_scan(tmp_path, size):
    # a quoted field that ends, and then a blank line, around the border of two blocks
    path = tmp_path / "a.csv"
    field = "x" * size
    path.write_text(f'a,b\n"{field}",1\r\n\r\n2,3\r\n', newline="")
    assert rows_of(open_table(path)) == [(field, "1"), ("2", "3")]
    path.write_text(f'a,b\n"{field}",1\r\n\r\n2,3,4\r\n', newline="")
    assert "row 2 has 3 fields" in fails(path)


def test_a_field_of_ten_megabytes_is_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('a,b\n1,"' + "x" * 10_000_000 + '"\n3,4\n')
    rows = rows_of(open_table(path))
    assert [len(row[1]) for row in rows] == [10_000_000, 1]


def test_a_file_that_changes_while_it_is_read_is_no_shorter_table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "1,2\n" * 5)
    table = open_table(path)
    assert table.count() == 5
    path.write_text("a,b\n" + "1,2\n" * 3)
    with pytest.raises(DataError, match="3 of 5 rows can be read"):
        list(table.frames())
