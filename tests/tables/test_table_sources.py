"""Tables lie in folders of keys, archives, workbooks, JSON, standard input, and on servers."""

import bz2
import functools
import gzip
import http.server
import io
import json
import lzma
import os
import sys
import threading
import zipfile

import polars as pl
import pytest
import xlsxwriter

from fastbp.errors import DataError
from fastbp.tables.read.scratch import zstd
from fastbp.tables.read.table import open_table
from object_store import served
from table_files import FRAME, content_of, fails, rows_of

TEXT = FRAME.cast(pl.String).rows()

# ------------------------------------------------------------------------------ folders


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".ndjson"])
def test_the_keys_of_folders_are_columns(tmp_path, suffix):
    for region, year, value in (
        ("north", "2020", 1),
        ("north", "2021", 2),
        ("so%20uth", "2020", 3),
    ):
        folder = tmp_path / "rows" / f"region={region}" / f"year={year}"
        folder.mkdir(parents=True)
        frame = pl.DataFrame({"x": [value]})
        (folder / f"part-0{suffix}").write_bytes(content_of(frame, suffix))
    (tmp_path / "rows/_SUCCESS").write_text("")
    (tmp_path / "rows/region=__HIVE_DEFAULT_PARTITION__/year=2020").mkdir(parents=True)
    unknown = tmp_path / f"rows/region=__HIVE_DEFAULT_PARTITION__/year=2020/part-0{suffix}"
    unknown.write_bytes(content_of(pl.DataFrame({"x": [4]}), suffix))
    table = open_table(tmp_path / "rows")
    assert set(table.columns) == {"x", "region", "year"}
    rows = {(int(x), r, y) for x, r, y in rows_of(table, columns=["x", "region", "year"])}
    north = {(1, "north", "2020"), (2, "north", "2021")}
    assert rows == {*north, (3, "so uth", "2020"), (4, None, "2020")}
    assert sorted(rows_of(table, columns=["year"])) == [("2020",)] * 3 + [("2021",)]
    assert len(rows_of(open_table(tmp_path / "rows/region=north"))) == 2
    for some in ("rows/region=north/*/*" + suffix, "rows/*/year=2021", "rows/*/year=2021/*"):
        assert "year" in open_table(tmp_path / some).columns
    (part,) = rows_of(open_table(tmp_path / f"rows/region=north/year=2021/part-0{suffix}"))
    assert set(map(str, part)) == {"2", "north", "2021"}


def test_a_key_that_the_file_holds_is_the_files(tmp_path):
    (tmp_path / "k=1").mkdir()
    (tmp_path / "k=1/a.csv").write_text("k,x\n7,2\n")
    assert rows_of(open_table(tmp_path)) == [("7", "2")]


def test_files_of_other_names_are_read_where_there_are_no_better(tmp_path):
    for name in ("b.data", "a.txt", "c"):
        (tmp_path / name).write_text(f"x,y\n{name},1\n")
    assert rows_of(open_table(tmp_path)) == [("a.txt", "1"), ("b.data", "1"), ("c", "1")]
    (tmp_path / "d.csv").write_text("x,y\n2,3\n")
    assert rows_of(open_table(tmp_path)) == [("2", "3")]


# ------------------------------------------------------------------------------ packed files


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


PACKED = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
    "zip": lambda content: zipped(rows=content),
}


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".arrow", ".ndjson"])
def test_packed_tables_are_read(tmp_path, packing, suffix):
    content = PACKED[packing](content_of(FRAME, suffix))
    expected = TEXT if suffix in (".csv", ".tsv") else FRAME.rows()
    for name in (f"rows{suffix}.{packing}", f"rows.{packing}", f"rows{suffix}", "rows"):
        path = tmp_path / name
        path.write_bytes(content)
        assert rows_of(open_table(path)) == expected
    cut = tmp_path / f"cut{suffix}.{packing}"
    cut.write_bytes(content[: len(content) * 2 // 3])
    fails(cut)


def test_several_packings_around_a_table_are_unpacked(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(gzip.compress(zipped(rows=bz2.compress(content_of(FRAME, ".csv")))))
    assert rows_of(open_table(path)) == TEXT


CSV = content_of(FRAME, ".csv")
ENCRYPTED = bytearray(zipped(rows=CSV))
for _mark, _place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
    ENCRYPTED[bytes(ENCRYPTED).index(_mark) + _place] |= 1
ARCHIVES = {
    "two tables": (zipped(a=CSV, b=CSV), "a zip archive of 2 files: 'a', 'b': expected one table"),
    "nothing": (zipped(), "a zip archive of 0 files"),
    "a folder": (zipped(**{"a/": b""}), "a zip archive of 0 files"),
    "encrypted": (bytes(ENCRYPTED), "'rows' is encrypted"),
    "half": (zipped(a=CSV)[:-30], "whose end is missing"),
    "no table": (zipped(a=b"%PDF-1.7"), "is a PDF: expected a table"),
}


@pytest.mark.parametrize("content, words", ARCHIVES.values(), ids=ARCHIVES)
def test_archives_that_are_no_one_table_are_refused(tmp_path, content, words):
    path = tmp_path / "rows.zip"
    path.write_bytes(content)
    assert words in fails(path)


def test_files_that_macos_adds_do_not_count(tmp_path):
    path = tmp_path / "rows.zip"
    path.write_bytes(zipped(**{"rows": CSV, "__MACOSX/._rows": b"x"}))
    assert rows_of(open_table(path)) == TEXT


def test_scratch_files_are_removed(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    path = tmp_path / "rows.csv"
    path.write_bytes(gzip.compress("a;b\r1;é\r2;è\r".encode("latin-1")))
    table = open_table(path)
    assert rows_of(table) == [("1", "é"), ("2", "è")]
    held = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    del table
    assert not list(scratch.iterdir())
    assert held is None or len(os.listdir("/proc/self/fd")) < held


# ------------------------------------------------------------------------------ other formats

FOREIGN = {
    "a PDF": b"%PDF-1.7\n1,2\n",
    "a page of HTML": b"<!DOCTYPE html>\n<p>1,2\n",
    "a database of SQLite": b"SQLite format 3\0" + bytes(100),
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "a single array": b"\x93NUMPY\x01\0",
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(100),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_files_of_foreign_formats_are_named(tmp_path, what):
    path = tmp_path / "rows.csv"
    path.write_bytes(FOREIGN[what])
    assert f"is {what}" in fails(path)


def test_a_workbook_is_read_and_its_other_sheets_are_named(tmp_path, caplog):
    path = tmp_path / "rows.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("cover")
        FRAME.write_excel(book, worksheet="rows")
        pl.DataFrame({"z": [1]}).write_excel(book, worksheet="more")
    table = open_table(path)
    assert table.columns == FRAME.columns
    assert rows_of(table) == FRAME.rows()
    assert "the sheet 'rows' is read, and not 'cover', 'more'" in caplog.text
    path.rename(tmp_path / "rows.csv")
    assert rows_of(open_table(tmp_path / "rows.csv")) == FRAME.rows()


def test_a_workbook_needs_an_extra_and_says_which(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    path = tmp_path / "rows.xlsx"
    path.write_bytes(zipped(**{"[Content_Types].xml": "", "xl": ""}))
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'fastbp\[excel\]'"):
        open_table(path)
    monkeypatch.undo()
    assert "cannot be read as a workbook" in fails(path)


# ------------------------------------------------------------------------------ JSON

OBJECTS = [
    {"y": 1.5, "x": 2, "c": "a, [b] {c}"},
    {"y": 2.5, "x": 3, "c": 'NaN "q" \\ \n'},
    {"y": float("nan"), "x": 4, "c": "Infinity"},
    {"y": 0.5, "x": None, "c": "ä"},
]
WRITTEN = {
    "an array": json.dumps(OBJECTS),
    "an array over lines": json.dumps(OBJECTS, indent=2),
    "an array of lines": "[\n" + ",\n".join(map(json.dumps, OBJECTS)) + "\n]\n",
    "lines": "\n".join(map(json.dumps, OBJECTS)),
    "lines with blank ones": "\n\n".join(map(json.dumps, OBJECTS)) + "\n\n",
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("name", ["rows.json", "rows.ndjson", "rows.csv", "rows"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_is_read_as_people_write_it(tmp_path, text, name, encoding):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    expected = [(None if r["y"] != r["y"] else r["y"], r["x"], r["c"]) for r in OBJECTS]
    assert rows_of(open_table(path)) == expected


def test_text_of_an_array_keeps_its_line_separators(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('[{"c": "a\u2028b"},\n {"c": "d\u0085e", "n":\n NaN}]', encoding="utf-8")
    assert [row[0] for row in rows_of(open_table(path))] == ["a\u2028b", "d\u0085e"]


@pytest.mark.parametrize("name", ["PK", "PK_ID", "PAR1", "PAR1_x"])
def test_a_first_column_named_like_a_format_is_a_column(tmp_path, name):
    path = tmp_path / "rows.csv"
    path.write_text(f"{name},y\n1,2.5\n2,3.5\n", encoding="utf-8")
    assert open_table(path).columns == [name, "y"]


def test_a_long_array_is_read_in_parts(tmp_path):
    path = tmp_path / "rows.json"
    rows = [{"n": n, "text": "x" * (n % 700)} for n in range(9000)]
    path.write_text(json.dumps(rows))
    assert path.stat().st_size > 3 << 20
    assert rows_of(open_table(path)) == [(row["n"], row["text"]) for row in rows]


BAD_JSON = {
    "infinity": ('[{"a": 1}, {"a": Infinity}]', "row 2 holds Infinity"),
    "minus infinity": ('{"a": 1}\n{"a": -Infinity}\n', "row 2 holds -Infinity"),
    "a number in an array": ('[{"a": 1}, 3]', "row 2 is '3': expected an array of objects"),
    "an array that is cut": ('[{"a": 1}, {"a"', "row 2 is no JSON"),
    "an array without its end": ('[{"a": 1}', "row 2 is no JSON"),
}


@pytest.mark.parametrize("text, words", BAD_JSON.values(), ids=BAD_JSON)
def test_what_is_wrong_in_json_is_said_with_its_row(tmp_path, text, words):
    path = tmp_path / "rows.json"
    path.write_text(text)
    assert words in fails(path)


# ------------------------------------------------------------------------------ other places


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """Serve a folder; return its address."""
    handler = functools.partial(_Handler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.parquet", "rows"])
def test_tables_on_the_web_are_read(tmp_path, server, name):
    kind = ".parquet" if name.endswith("parquet") else ".csv"
    content = content_of(FRAME, kind)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    table = open_table(f"{server}/{name}?token=secret")
    assert rows_of(table) == (FRAME.rows() if kind == ".parquet" else TEXT)
    assert table.name == f"{server}/{name}" and table.files == ()
    with pytest.raises(DataError, match=r"/no\.csv cannot be fetched: 404 ") as caught:
        open_table(f"{server}/no.csv?token=secret")
    assert "secret" not in str(caught.value)


def test_tables_in_object_stores_are_read(monkeypatch):
    text = "# made by hand\na;b\n1;x\n2;\n"
    objects = {
        "/bucket/rows.parquet": content_of(FRAME, ".parquet"),
        "/bucket/rows.arrow": content_of(FRAME, ".arrow"),
        "/bucket/rows.ndjson": content_of(FRAME, ".ndjson"),
        "/bucket/rows.csv": text.encode(),
        "/bucket/rows.csv.gz": gzip.compress(text.encode()),
        "/bucket/cut.parquet": content_of(FRAME, ".parquet")[:-9],
    }
    with served(objects, monkeypatch):
        for name in ("rows.parquet", "rows.arrow", "rows.ndjson"):
            assert rows_of(open_table(f"s3://bucket/{name}")) == FRAME.rows()
        for name in ("rows.csv", "rows.csv.gz"):
            table = open_table(f"s3://bucket/{name}")
            assert table.columns == ["a", "b"] and rows_of(table) == [("1", "x"), ("2", None)]
        for name in ("no.parquet", "no.csv", "cut.parquet"):
            with pytest.raises(DataError, match=rf"s3://bucket/{name} cannot be read") as caught:
                open_table(f"s3://bucket/{name}")
            assert str(caught.value).isprintable()


def test_a_file_address_is_a_path(tmp_path):
    (tmp_path / "my rows.csv").write_text("a,b\n1,2\n")
    assert rows_of(open_table(f"file://{tmp_path}/my%20rows.csv")) == [("1", "2")]


@pytest.mark.parametrize(
    "address, words",
    [
        ("http://127.0.0.1:9/rows.csv", "cannot be fetched"),
        ("ftp://127.0.0.1/rows.csv", "expected a path, or an address that begins with http://"),
        ("az://rows/a.parquet", "credentials"),
        ("az://rows/a.csv", "credentials"),
        ("http://[/rows.csv", "an address is not written as one"),
    ],
)
def test_addresses_that_cannot_be_read_are_refused_in_one_line(address, words):
    with pytest.raises(DataError) as caught:
        open_table(address)
    assert words in str(caught.value) and str(caught.value).isprintable()


def test_standard_input_is_a_table(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(CSV))))
    table = open_table("-")
    assert table.name == "standard input" and table.files == ()
    assert rows_of(table) == TEXT
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    with pytest.raises(DataError, match="standard input is empty"):
        open_table(["-"])
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match="standard input is closed"):
        open_table("-")


def test_many_packed_files_do_not_run_out_of_descriptors(tmp_path, run_python):
    for n in range(300):
        (tmp_path / f"{n:03d}.csv.gz").write_bytes(gzip.compress(f"x;y\n{n};1\n".encode()))
    script = f"""
    import os, resource, tempfile
    from fastbp.tables.read.table import open_table
    resource.setrlimit(resource.RLIMIT_NOFILE, (280, 280))
    os.mkdir("scratch")
    tempfile.tempdir = os.path.abspath("scratch")
    table = open_table({str(tmp_path)!r})
    assert table.count() == 300
    assert [int(n) for frame in table.frames() for n in frame["x"]] == list(range(300))
    assert os.listdir("scratch")
    del table
    assert not os.listdir("scratch")
    """
    run_python(script)
