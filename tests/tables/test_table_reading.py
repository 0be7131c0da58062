"""Tables are read in order, in batches, in bounded memory; what is damaged is named in one line."""

import gzip
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fastbp.errors import DataError
from fastbp.tables.read.table import MISSING_WORDS, open_table
from table_files import FRAME, WRITERS, content_of, fails, npz, rows_of


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


def test_pandas_frames_need_no_pyarrow(monkeypatch):
    frame = pd.DataFrame(
        {
            "a": [1, 2],
            "b": [None, "x"],
            "c": pd.array([1, None], "Int64"),
            "d": [True, None],
            "e": pd.Categorical(["u", None]),
            "f": pd.to_datetime(["2020-01-01", None]),
        }
    )
    expected = rows_of(open_table(frame))

    def absent(frame):
        raise ImportError("pyarrow is required")

    monkeypatch.setattr(pl, "from_pandas", absent)
    assert rows_of(open_table(frame)) == expected
    with pytest.raises(DataError, match="two columns have the same name"):
        open_table(pd.concat([frame, frame["a"]], axis=1))


def test_an_array_of_one_column_has_its_own_name(tmp_path):
    table = open_table({"X": np.ones((3, 2)), "y": np.arange(3.0)[:, None]})
    assert table.columns == ["X0", "X1", "y"]
    assert rows_of(table) == [(1, 1, 0), (1, 1, 1), (1, 1, 2)]


@pytest.mark.parametrize(("columns", "width", "most"), [(2, 0, 65_536), (2, 200_000, 256)])
def test_batches_have_the_fewer_rows_the_wider_they_are(columns, width, most):
    rows = 70_000
    table = open_table({f"c{n}": np.arange(rows) for n in range(columns)})
    heights = [len(frame) for frame in table.frames(width=width)]
    assert max(heights) == most and sum(heights) == rows


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
    frames = list(open_table(tmp_path).frames(rows=rows))
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


def test_several_paths_are_one_table(tmp_path):
    pl.DataFrame({"x": [4]}).write_parquet(tmp_path / "d.parquet")
    for name, value in (("b.csv", 2), ("a.csv", 1), ("rows/c.csv", 3), ("d.tsv", 4)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"x\n{value}\n")
    paths = [tmp_path / "b.csv", str(tmp_path / "a*.csv"), tmp_path / "rows"]
    table = open_table(paths)
    assert rows_of(table) == [("2",), ("1",), ("3",)]
    assert table.name == f"{paths[0]} and 2 more"
    assert rows_of(open_table((paths[0], tmp_path / "d.tsv"))) == [("2",), ("4",)]
    with pytest.raises(
        DataError, match=r"b\.csv and 1 more mixes formats: .*rows of text, .*d\.par"
    ):
        open_table((paths[0], tmp_path / "d.parquet"))
    with pytest.raises(DataError, match=r"absent\.csv does not exist"):
        open_table([*paths, tmp_path / "absent.csv"])
    for data in ([], [1], [tmp_path / "a.csv", None]):
        with pytest.raises(TypeError, match="expected a path"):
            open_table(data)


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
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "2.parquet")
    with pytest.raises(DataError, match=r"mixes formats: .*1\.csv holds rows of text, .*Parquet"):
        open_table(tmp_path)


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(DataError, match=r"no\.csv does not exist"):
        open_table(tmp_path / "no.csv")
    with pytest.raises(DataError, match="holds no table: expected files named"):
        open_table(tmp_path)
    with pytest.raises(DataError, match="holds no table"):
        open_table(str(tmp_path / "*.csv"))
    (tmp_path / "a.xlsx").write_text("")
    with pytest.raises(DataError, match=r"a\.xlsx is empty"):
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
        next(table.frames(["prise"]))


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
        "another format": b"%PDF-1.7 1,2\n",
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


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".arrow", ".ndjson", ".npz", ".gz", ""])
@pytest.mark.parametrize("of", [".csv", ".parquet", ".arrow", ".ndjson", ".tsv"])
def test_a_wrong_suffix_is_found_by_the_content(tmp_path, suffix, of):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content_of(FRAME, of))
    expected = FRAME.cast(pl.String) if of in (".csv", ".tsv") else FRAME
    assert rows_of(open_table(path)) == expected.rows()
    path.write_bytes(gzip.compress(content_of(FRAME, of)))
    assert rows_of(open_table(path)) == expected.rows()


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
    ],
)
def test_other_arrays_are_refused(tmp_path, arrays, expected):
    path = tmp_path / "a.npz"
    path.write_bytes(npz(**arrays))
    assert expected in fails(path)


@pytest.mark.parametrize(
    "old, new",
    [
        (b"{'descr'", b"((descr("),
        (b"'descr'", b'"""escr'),
        (b"(3,)", b"(9,)"),
        (b"<f8", b"<q9"),
        (b"(3,), }", b"(3,) (((\n"),
    ],
)
def test_arrays_with_a_damaged_header_are_said_in_one_line(tmp_path, old, new):
    file = io.BytesIO()
    np.save(file, np.ones(3))
    content = file.getvalue().replace(old, new)
    assert content != file.getvalue()
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", content)
    fails(path)


@pytest.mark.parametrize(
    "content",
    [
        *(b'{"a": 1}\n{"a": \n', b"3\n", b'{"a": 1}\n\0\n', b'[{"a": 1}, 3]', b'[{"a": 1}, {"b"'),
        *(b'[{"a": 1}', b"[1, 2]", b'{"a": Infinity}\n', b'[{"a": -Infinity}]'),
    ],
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
    with pytest.raises(DataError, match="the table"):
        open_table(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(DataError, match="the table"):
        open_table(pa.table([[1], [2]], names=["a", "a"]))


def test_a_table_opened_is_a_table_and_words_are_kept():
    table = open_table(FRAME, ("", "gone"))
    assert open_table(table) is table
    assert table.missing_words == ("", "gone")
    assert open_table(FRAME).missing_words == MISSING_WORDS


MEASURE = """
import numpy as np
import polars as pl
from pathlib import Path
from fastbp.tables.read.table import open_table

def held():
    text = Path("/proc/self/status").read_text()
    return int(text.split("RssAnon:")[1].split()[0]) / 1024

def growth(path):
    table = open_table(path)
    start, most, rows = held(), 0, 0
    assert table.count() == {rows}
    for frame in table.frames():
        rows += len(frame)
        most = max(most, held() - start)
    assert rows == {rows}
    stopped = table.frames()
    next(stopped)
    stopped.close()
    return most

print(growth({path!r}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is measured on Linux")
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_memory_does_not_grow_with_the_table(tmp_path, run_python, suffix):
    rows = 1_500_000 if suffix == ".csv" else 3_000_000
    generator = np.random.default_rng(0)
    path = tmp_path / f"large{suffix}"
    frame = pl.DataFrame({f"x{place}": generator.normal(size=rows) for place in range(12)})
    WRITERS[suffix](frame, path)
    # as text, 12 numbers of some 19 characters, or 8 bytes each
    whole = rows * 12 * (19 + 16 if suffix == ".csv" else 8) / 2**20
    script = MEASURE.format(rows=rows, path=str(path))
    # polars reads ahead by the number of its threads
    assert float(run_python(script, POLARS_MAX_THREADS=2)) < whole * 0.75
