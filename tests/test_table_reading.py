"""Tables are read in order, in batches, in bounded memory; what is damaged is named in one line."""

import csv
import gzip
import io
import os
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbp.errors import DataError
from fastbp.tables.reading import MISSING_WORDS, open_table

FRAME = pl.DataFrame(
    {"a": [1, 2, 3, None, 5], "b": [0.5, None, 2.5, -1.0, 4.0], "c": ["x", "y", None, "ä", "z"]}
)
WRITERS = {
    ".parquet": pl.DataFrame.write_parquet,
    ".arrow": pl.DataFrame.write_ipc,
    ".feather": pl.DataFrame.write_ipc,
    ".ipc": pl.DataFrame.write_ipc,
    ".ndjson": pl.DataFrame.write_ndjson,
    ".jsonl": pl.DataFrame.write_ndjson,
    ".csv": pl.DataFrame.write_csv,
    ".tsv": lambda frame, file: frame.write_csv(file, separator="\t"),
}


def rows_of(table, **options):
    """Return all rows of a table as tuples; the number of rows must be what it says."""
    frames = list(table.batches(**options))
    rows = [row for frame in frames for row in frame.rows()]
    assert table.count() == len(rows)
    return rows


def content_of(frame, suffix):
    file = io.BytesIO()
    WRITERS[suffix](frame, file)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def fails(path):
    """Return the one line of the error of reading a file; it names the file."""
    with pytest.raises(DataError) as caught:
        rows_of(open_table(path))
    message = str(caught.value)
    assert message.isprintable()
    assert str(path) in message
    assert len(message) < 500 + len(str(path))
    return message


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_the_rows_in_order(tmp_path, suffix):
    path = tmp_path / f"table{suffix}"
    path.write_bytes(content_of(FRAME, suffix))
    table = open_table(path)
    assert table.columns == FRAME.columns
    assert table.files == (path,)
    text = suffix in (".csv", ".tsv")
    expected = FRAME.cast(pl.String) if text else FRAME
    assert rows_of(table) == expected.rows()
    assert rows_of(table, columns=["c", "a"]) == expected.select("c", "a").rows()


def test_packed_csv_and_upper_case_suffixes_are_read(tmp_path):
    path = tmp_path / "table.CSV.GZ"
    path.write_bytes(gzip.compress(content_of(FRAME, ".csv")))
    assert rows_of(open_table(str(path))) == FRAME.cast(pl.String).rows()


@pytest.mark.parametrize(
    "data",
    [
        FRAME,
        FRAME.lazy(),
        FRAME.to_arrow(),
        FRAME.to_dict(as_series=False) | {"a": np.array([1, 2, 3, 4, 5])},
    ],
    ids=["polars", "lazy", "pyarrow", "dict"],
)
def test_frames_are_tables(data):
    if isinstance(data, dict):
        data = {"a": np.arange(5), "c": np.array(list("xyzuv"))}
        expected = list(zip(range(5), "xyzuv", strict=True))
    else:
        expected = FRAME.rows()
    table = open_table(data)
    assert table.files == ()
    assert rows_of(table, rows=2) == expected


def test_pandas_frames_are_tables():
    frame = pd.DataFrame({"a": [1, 2], "b": [None, "x"], 3: [np.nan, 0.5]})
    table = open_table(frame)
    assert table.columns == ["a", "b", "3"]
    assert rows_of(table) == [(1, None, None), (2, "x", 0.5)]


def test_arrays_of_an_archive_are_columns(tmp_path):
    path = tmp_path / "arrays.npz"
    X = np.arange(6, dtype=">f4").reshape(3, 2)
    days = np.array(["2020-01-01", "NaT", "2021-01-01"], "M8[D]")
    path.write_bytes(npz(X=X, word=np.array(["u", "v", ""]), day=days, y=np.arange(3)))
    table = open_table(path)
    assert table.columns == ["X0", "X1", "word", "day", "y"]
    rows = rows_of(table, rows=2)
    assert [row[:2] for row in rows] == [(0, 1), (2, 3), (4, 5)]
    assert [row[2] for row in rows] == ["u", "v", ""]
    assert [row[3] for row in rows] == days.tolist()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("rows", [1, 3, 7, 1000])
def test_batches_have_the_rows_that_are_asked_for(tmp_path, suffix, rows):
    frame = pl.DataFrame({"n": range(50)})
    for part, size in enumerate((20, 1, 29)):
        start = (0, 20, 21)[part]
        content = content_of(frame.slice(start, size), suffix)
        (tmp_path / f"{part}{suffix}").write_bytes(content)
    frames = list(open_table(tmp_path).batches(rows=rows))
    assert [len(batch) for batch in frames[:-1]] == [rows] * (len(frames) - 1)
    assert 0 < len(frames[-1]) <= rows
    assert [int(n) for batch in frames for n in batch["n"]] == list(range(50))


def test_a_folder_and_a_glob_are_the_files_by_name(tmp_path):
    for name, value in (("b.csv", 2), ("a.csv", 1), ("c.csv", 3), (".hidden.csv", 9)):
        (tmp_path / name).write_text(f"x\n{value}\n")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / "README.txt").write_text("no table")
    assert rows_of(open_table(tmp_path)) == [("1",), ("2",), ("3",)]
    assert rows_of(open_table(str(tmp_path / "[ac].csv"))) == [("1",), ("3",)]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path):
    for suffix in (".csv", ".parquet", ".arrow", ".ndjson"):
        for name, value in (("a[1]", 1), ("a1", 2)):
            frame = pl.DataFrame({"x": [value]})
            (tmp_path / (name + suffix)).write_bytes(content_of(frame, suffix))
        ((value,),) = rows_of(open_table(tmp_path / f"a[1]{suffix}"))
        assert int(value) == 1


def test_files_may_have_columns_in_another_order_and_wider_numbers(tmp_path):
    pl.DataFrame({"a": [1], "b": ["x"]}).write_parquet(tmp_path / "1.parquet")
    pl.DataFrame({"b": ["y"], "a": [0.5]}).write_parquet(tmp_path / "2.parquet")
    table = open_table(tmp_path)
    assert table.dtypes == {"a": pl.Float64, "b": pl.String}
    assert rows_of(table) == [(1.0, "x"), (0.5, "y")]


def test_files_of_other_columns_are_named(tmp_path):
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.csv").write_text("a,c\n1,2\n")
    with pytest.raises(DataError, match=r"2\.csv has no column 'b', which .*1\.csv has"):
        open_table(tmp_path)


def test_files_of_other_types_are_named(tmp_path):
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "1.parquet")
    pl.DataFrame({"a": [[1]]}).write_parquet(tmp_path / "2.parquet")
    with pytest.raises(DataError, match=r"column 'a' holds List\(Int64\) in .*2\.parquet but"):
        open_table(tmp_path)


def test_mixed_formats_are_refused(tmp_path):
    (tmp_path / "1.csv").write_text("a\n1\n")
    (tmp_path / "2.tsv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"mixes formats, 1\.csv and 2\.tsv"):
        open_table(tmp_path)


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(DataError, match=r"no\.csv does not exist"):
        open_table(tmp_path / "no.csv")
    with pytest.raises(DataError, match="holds no table: expected files named"):
        open_table(tmp_path)
    with pytest.raises(DataError, match="holds no table"):
        open_table(str(tmp_path / "*.csv"))
    (tmp_path / "a.xlsx").write_text("")
    with pytest.raises(DataError, match="no suffix of a known format"):
        open_table(tmp_path / "a.xlsx")
    with pytest.raises(DataError, match="printable"):
        open_table(f"{tmp_path}/a\nb.csv")
    with pytest.raises(DataError, match="cannot be opened"):
        open_table(tmp_path / ("n" * 5000 + ".csv"))
    with pytest.raises(TypeError, match="expected a path, a frame"):
        open_table(3)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads it all")
def test_a_file_that_may_not_be_read_is_said(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    path.chmod(0)
    assert "cannot be opened" in fails(path)


def test_a_column_that_is_not_there_gets_a_hint(tmp_path):
    table = open_table({"price": np.ones(2), "area": np.ones(2)})
    with pytest.raises(DataError, match="no column 'prise'; did you mean 'price'"):
        next(table.batches(["prise"]))


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
    "semicolons": (b"a;b\n1;2\n", ["a;b"], [("1;2",)]),
    "a sign of comments": (b"a,b\n#1,2\n", ["a", "b"], [("#1", "2")]),
}


@pytest.mark.parametrize("content, columns, rows", CSV.values(), ids=CSV)
def test_csv_is_read_as_it_is_written(tmp_path, content, columns, rows):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    table = open_table(path)
    assert table.columns == columns
    assert rows_of(table) == rows


FIELDS = st.text(st.sampled_from('ab1 ,"\n\r\tä'), max_size=6).filter(lambda text: "\r" not in text)


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
    "a quote in a field": (b'a,b\n1,2"\n3,4\n', "quote is opened in row 1"),
    "text after a quote": (b'a,b\n1,"2"x\n', "cannot be read"),
    "Latin 1": (b"a,b\n1,2\n3,caf\xe9\n", "not UTF-8 near row 2"),
    "Latin 1 in the header": (b"a,caf\xe9\n1,2\n", "not UTF-8 near its header"),
    "a cut character": (b"a,b\n1,2\n3,\xc3", "not UTF-8 near row 2"),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), "not UTF-8 near its header"),
    "UTF-16 without a mark": ("a,b\n1,2\n".encode("utf-16-le"), "NUL bytes in its header"),
    "NUL": (b"a,b\n1,2\n3,\0\0\n", "NUL bytes near row 2"),
    "nothing": (b"", "is empty"),
    "a line end": (b"\n", "has no header"),
    "a header": (b"a,b\n", "has no rows"),
    "a header without a line end": (b"a,b", "has no rows"),
    "blank lines": (b"a,b\n\n\n", "has no rows"),
    "a name twice": (b"a,b,a\n1,2,3\n", "two columns named 'a'"),
    "no name": (b"a,,b\n1,2,3\n", "column 2 of 3 has no name"),
    "CR": (b"a,b\r1,2\r3,4\r", "lines that end in CR alone"),
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


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".ndjson", ".npz", ".csv.gz"])
@pytest.mark.parametrize("damage", ["cut at the end", "half", "empty", "another format"])
def test_damaged_files_are_said_in_one_line(tmp_path, suffix, damage):
    frame = pl.DataFrame({"a": range(3000), "b": ["some text"] * 3000})
    if suffix == ".npz":
        content = npz(a=np.arange(3000))
    elif suffix == ".csv.gz":
        content = gzip.compress(content_of(frame, ".csv"))
    else:
        content = content_of(frame, suffix)
    content = {
        "cut at the end": content[:-5],
        "half": content[: len(content) // 2 + 7],
        "empty": b"",
        "another format": b"a,b\n1,2\n",
    }[damage]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    fails(path)


def test_a_damaged_page_in_the_middle_is_no_end_of_the_table(tmp_path):
    frame = pl.DataFrame({"a": np.random.default_rng(0).normal(size=300_000)})
    content = bytearray(content_of(frame, ".parquet"))
    middle = len(content) // 2
    content[middle : middle + 200_000] = bytes(200_000)
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    assert "cannot be read" in fails(path)


def test_text_in_another_format_is_no_csv(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(content_of(FRAME, ".parquet"))
    fails(path)


@pytest.mark.parametrize(
    "arrays, expected",
    [
        ({"a": np.ones(3), "b": np.ones(4)}, "'a' has 3 rows but 'b' has 4"),
        ({"a": np.ones((3, 1, 1))}, r"'a' has shape (3, 1, 1)"),
        ({"a": np.ones(())}, "'a' has shape ()"),
        ({"a": np.ones(3, complex)}, "complex128"),
        ({"a": np.array([1, "x", None], object)}, "cannot be read as arrays"),
        ({"X": np.ones((2, 2)), "X1": np.ones(2)}, "two columns named 'X1'"),
        ({}, "has no columns"),
        ({"a": np.ones(0)}, "has no rows"),
    ],
)
def test_other_arrays_are_refused(tmp_path, arrays, expected):
    path = tmp_path / "a.npz"
    path.write_bytes(npz(**arrays))
    assert expected in fails(path)


@pytest.mark.parametrize(
    "content",
    [b'{"a": 1}\n{"a": \n', b'[{"a": 1}]', b"3\n", b'{"a": "caf\xe9"}\n', b'{"a": 1}\n\0\n'],
)
def test_damaged_json_is_said_in_one_line(tmp_path, content):
    path = tmp_path / "a.ndjson"
    path.write_bytes(content)
    fails(path)


def test_keys_and_types_of_json_come_from_all_rows(tmp_path):
    path = tmp_path / "a.ndjson"
    path.write_text('{"a": 1}\n' * 500 + '{"a": 2.5, "z": "late"}\n')
    table = open_table(path)
    assert table.dtypes == {"a": pl.Float64, "z": pl.String}
    assert rows_of(table)[-1] == (2.5, "late")


def test_a_frame_that_cannot_be_one_is_refused():
    with pytest.raises(DataError, match="the table cannot be read"):
        open_table(pd.DataFrame({"a": [1, "x"]}))
    with pytest.raises(DataError, match="the table"):
        open_table(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(DataError, match="the table"):
        open_table(pa.table([[1], [2]], names=["a", "a"]))


def test_a_table_opened_is_a_table_and_words_are_kept():
    table = open_table(FRAME, ("", "gone"))
    assert open_table(table) is table
    assert table.missing_words == ("", "gone")
    assert open_table(FRAME).missing_words == MISSING_WORDS


def test_a_file_that_changes_while_it_is_read_is_no_shorter_table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "1,2\n" * 5)
    table = open_table(path)
    assert table.count() == 5
    path.write_text("a,b\n" + "1,2\n" * 3)
    with pytest.raises(DataError, match="3 of 5 rows can be read"):
        list(table.batches())


MEASURE = """
import numpy as np
import polars as pl
from pathlib import Path
from fastbp.tables.reading import open_table

def held():
    text = Path("/proc/self/status").read_text()
    return int(text.split("RssAnon:")[1].split()[0]) / 1024

def growth(path):
    table = open_table(path)
    start, most, rows = held(), 0, 0
    assert table.count() == {rows}
    for frame in table.batches():
        rows += len(frame)
        most = max(most, held() - start)
    assert rows == {rows}
    stopped = table.batches()
    next(stopped)
    stopped.close()
    return most

print(growth({path!r}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured on Linux")
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_memory_does_not_grow_with_the_table(tmp_path, run_python, suffix):
    rows = 3_000_000
    generator = np.random.default_rng(0)
    path = tmp_path / f"large{suffix}"
    frame = pl.DataFrame({f"x{place}": generator.normal(size=rows) for place in range(12)})
    WRITERS[suffix](frame, path)
    # as text, 12 numbers of some 19 characters, or 8 bytes each
    whole = rows * 12 * (19 + 16 if suffix == ".csv" else 8) / 2**20
    grown = float(run_python(MEASURE.format(rows=rows, suffix=suffix, path=str(path))))
    assert grown < whole * 0.75
