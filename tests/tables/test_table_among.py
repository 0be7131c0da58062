"""Some rows of a table are read without those far away: the rows of the whole, at their place."""

import gzip

import numpy as np
import polars as pl
import pytest

from fastbp.errors import DataError
from fastbp.tables.read import delimited, pieces
from fastbp.tables.read import table as reading
from fastbp.tables.read.table import open_table

ROWS = 400
NEAR = 20  # rows of a gap that is read over
FRAME = pl.DataFrame(
    {
        "n": np.arange(ROWS),
        "x": np.random.default_rng(0).normal(size=ROWS).round(3),
        "text": [None if n % 7 == 0 else f"word {n},\n{'é' * (n % 5)}" for n in range(ROWS)],
    }
)


def with_blanks(path):
    """Write rows of text, with an empty line before every fifth."""
    lines = FRAME.write_csv().split("\n")
    fifth = tuple(f"{n}," for n in range(4, ROWS, 5))
    path.write_text("\n".join(f"\n{line}" if line.startswith(fifth) else line for line in lines))


def parts(folder):
    """Write files of 0, 1, 150, 0 and 249 rows, in folders that name a column."""
    ends = [0, 0, 1, 151, 151, ROWS]
    for n in range(5):
        (folder / f"part={n}").mkdir(parents=True)
        FRAME[ends[n] : ends[n + 1]].write_parquet(folder / f"part={n}" / "rows.parquet")


MAKERS = {
    "plain.csv": FRAME.write_csv,
    "blanks.csv": with_blanks,
    "packed.csv.gz": lambda path: path.write_bytes(gzip.compress(FRAME.write_csv().encode())),
    "lines.ndjson": FRAME.write_ndjson,
    "one.parquet": FRAME.write_parquet,
    "many.parquet": lambda path: FRAME.write_parquet(path, row_group_size=70),
    "many.arrow": lambda path: FRAME.write_ipc(path, record_batch_size=70, compression="zstd"),
    "folder": parts,
}
AMONG = {
    "none": [],
    "first": [0],
    "last": [ROWS - 1],
    "two far apart": [5, 390],
    "two with a gap that is read": [5, 6 + NEAR - 1],
    "across files and groups": range(140, 160),
    "at the edges of groups": [69, 139, 140, 349],
    "many": sorted(np.random.default_rng(1).choice(ROWS, 30, replace=False).tolist()),
    "all": range(ROWS),
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Let frames have 20 rows, pieces of text a few, and memory be ample."""
    monkeypatch.setattr(reading, "_MOST_ROWS", NEAR)
    for name, value in (("_BLOCK", 50), ("_PIECE", 50), ("_PIECE_OF_COLUMN", 1)):
        monkeypatch.setattr(delimited, name, value)


@pytest.fixture(scope="module", params=[*MAKERS, "frame"])
def data(request, tmp_path_factory):
    if request.param == "frame":
        return FRAME
    path = tmp_path_factory.mktemp("among") / request.param
    MAKERS[request.param](path)
    return path


def expected_rows(places):
    """Return the rows from each place up to the next, where that is near."""
    rows = set(places)
    for place, following in zip(places, list(places)[1:], strict=False):
        if following - place <= NEAR:
            rows.update(range(place, following))
    return sorted(rows)


@pytest.mark.parametrize("is_short", [False, True])
@pytest.mark.parametrize("name", AMONG)
def test_the_rows_are_those_of_the_whole_at_their_place(data, name, is_short, monkeypatch):
    if is_short:
        pytest.importorskip("pyarrow", reason="needs fastbp[parquet]")
        monkeypatch.setattr(pieces, "free_memory", lambda: 2**24)
    table = open_table(data)
    among = np.zeros(ROWS, bool)
    among[list(AMONG[name])] = True
    found = list(table.frames_among(among, ["text", "n"]))
    assert all(0 < frame.height <= NEAR for _, frame in found)
    rows = [
        (first + n, text, int(number))  # of CSV it is text
        for first, frame in found
        for n, (text, number) in enumerate(frame.rows())
    ]
    assert rows == [(n, FRAME["text"][n], n) for n in expected_rows(AMONG[name])]


def test_rows_far_away_are_not_read(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs fastbp[parquet]")
    paths = [tmp_path / "a.parquet", tmp_path / "b.csv"]
    FRAME.select("n").write_parquet(paths[0], row_group_size=100)
    FRAME.select("n").write_csv(paths[1])
    tables = [open_table(path) for path in paths]
    group = parquet.ParquetFile(paths[0]).metadata.row_group(2).column(0)
    begins = group.dictionary_page_offset or group.data_page_offset
    # of each file is lost what lies before
    for path, begin in zip(paths, (begins, paths[1].stat().st_size - 200), strict=True):
        assert all(table.count() == ROWS for table in tables)
        content = path.read_bytes()
        path.write_bytes(content[:4] + bytes(begin - 4) + content[begin:])
    for free in (2**24, 2**40):
        monkeypatch.setattr(pieces, "free_memory", lambda free=free: free)
        for table in tables:
            among = np.arange(ROWS) == 390
            ((first, frame),) = table.frames_among(among, ["n"])
            assert (first, [*map(int, frame["n"])]) == (390, [390])
            with pytest.raises(DataError, match=table.name):
                list(table.frames_among(np.ones(ROWS, bool), ["n"]))


def test_a_file_that_shrank_meanwhile_is_told(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,2\n" * 300)
    table = open_table(path)
    among = np.arange(table.count()) >= 290
    path.write_text("a,b\n" + "1,2\n" * 200)
    with pytest.raises(DataError, match=r"rows can be read: the file changed meanwhile"):
        list(table.frames_among(among, ["a"]))


def test_a_column_that_is_absent_is_named():
    with pytest.raises(DataError, match="no column 'z'"):
        list(open_table(FRAME).frames_among(np.ones(ROWS, bool), ["z"]))
