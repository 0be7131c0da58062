"""Files of Parquet and Arrow are read in pieces where memory is short: the same rows."""

import datetime
import decimal

import numpy as np
import polars as pl
import pytest

pytest.importorskip("pyarrow", reason="needs fastbp[parquet]")

from fastbp.errors import DataError
from fastbp.tables.read import pieces
from fastbp.tables.read.table import open_table

ROWS = 3000
DRAW = np.random.default_rng(0)
NAMES = ["a", "a.b", "c d", "ä"]
WORDS = DRAW.choice(["red", "green", "blue"], ROWS)
START = datetime.datetime(2026, 1, 1)
FRAME = pl.DataFrame(
    {
        **dict(zip(NAMES, DRAW.normal(size=(4, ROWS)), strict=True)),
        "text": [None if n % 7 == 0 else f"word {n}" for n in range(ROWS)],
        "category": pl.Series(WORDS, dtype=pl.Categorical),
        "enum": pl.Series(WORDS, dtype=pl.Enum(["red", "green", "blue"])),
        "small": pl.Series(np.arange(ROWS) % 100, dtype=pl.UInt8),
        "flag": np.arange(ROWS) % 3 == 0,
        "time": [START + datetime.timedelta(minutes=n) for n in range(ROWS)],
        "zone": pl.Series([START] * ROWS).dt.replace_time_zone("Europe/Berlin"),
        "date": [START.date()] * ROWS,
        "price": [decimal.Decimal(n) / 4 for n in range(ROWS)],
        "list": [[n, n + 1] for n in range(ROWS)],
        "nothing": pl.Series([None] * ROWS, dtype=pl.Null),
    }
)
WRITERS = {
    "one.parquet": lambda path, f: f.write_parquet(path),
    "many.parquet": lambda path, f: f.write_parquet(path, row_group_size=700, compression="gzip"),
    "one.arrow": lambda path, f: f.write_ipc(path),
    "many.arrow": lambda path, f: f.write_ipc(path, record_batch_size=700, compression="zstd"),
}


@pytest.fixture
def short(monkeypatch):
    """Let memory be short, and return the numbers of rows in what pyarrow reads."""
    read = []

    def counted(batches):
        def wrapped(*given):
            for batch in batches(*given):
                read.append(batch.num_rows)
                yield batch

        return wrapped

    monkeypatch.setattr(pieces, "free_memory", lambda: 2**24)
    for kind in (pieces.ParquetGroups, pieces.ArrowGroups):
        monkeypatch.setattr(kind, "batches", counted(kind.batches))
    return read


def frames_of(path, columns=None, rows=None):
    return list(open_table(path).frames(columns, rows))


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("columns", [None, ["enum", "a"], ["a.b"], ["zone", "c d", "text"]])
def test_pieces_hold_the_rows_and_types_of_the_whole(tmp_path, monkeypatch, name, columns, short):
    WRITERS[name](tmp_path / name, FRAME)
    found = frames_of(tmp_path / name, columns, 500)
    assert sum(short) == ROWS and (max(short) <= 700) == (name != "one.arrow")
    monkeypatch.setattr(pieces, "free_memory", lambda: 2**40)
    whole = frames_of(tmp_path / name, columns, 500)
    assert sum(short) == ROWS  # polars read it
    assert [frame.height for frame in found] == [500] * 6 == [frame.height for frame in whole]
    for one, other in zip(found, whole, strict=True):
        assert one.equals(other) and one.schema == other.schema


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_without_rows_has_none(tmp_path, name, short):
    WRITERS[name](tmp_path / name, FRAME[:0])
    (frame,) = frames_of(tmp_path / name)
    assert frame.height == 0 and frame.columns == FRAME.columns


@pytest.mark.parametrize("name", WRITERS)
def test_a_damaged_piece_is_named(tmp_path, name, short):
    path = tmp_path / name
    WRITERS[name](path, FRAME)
    table, content = open_table(path), bytearray(path.read_bytes())
    middle = len(content) // 2
    content[4:middle] = b"\xff" * (middle - 4)
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}.*(damaged|cannot be read)"):
        list(table.frames())


def test_pieces_are_chosen_by_the_groups_and_what_is_free(tmp_path, monkeypatch, short):
    path = tmp_path / "many.parquet"
    WRITERS[path.name](path, FRAME)
    for free, by_pieces in ((2**30 - 1, True), (2**30 + 1, False), (None, False)):
        monkeypatch.setattr(pieces, "free_memory", lambda free=free: free)
        short.clear()
        frames_of(path)
        assert bool(short) == by_pieces, free
    # of a large file pyarrow tells how much polars would keep
    monkeypatch.setattr(pieces, "_GROWTH", 2**40)
    thirty = [(2**30, ROWS)] * 30
    monkeypatch.setattr(pieces.ParquetGroups, "_bytes_and_rows", lambda self: thirty)
    for free, by_pieces in ((2**34, True), (2**36, False)):
        monkeypatch.setattr(pieces, "free_memory", lambda free=free: free)
        short.clear()
        frames_of(path)
        assert bool(short) == by_pieces, free


@pytest.mark.parametrize("packing", ["uncompressed", "lz4", "zstd"])
def test_a_record_batch_takes_memory_where_it_is_packed(tmp_path, packing):
    path = tmp_path / "t.arrow"
    FRAME[["text", "a"]].write_ipc(path, record_batch_size=1000, compression=packing)
    takes = 0 if packing == "uncompressed" else path.stat().st_size // 3
    assert pieces.ArrowGroups(path).least == takes


def test_without_pyarrow_a_file_is_refused_that_may_not_fit(tmp_path, monkeypatch):
    path = tmp_path / "many.parquet"
    WRITERS[path.name](path, FRAME)
    table = open_table(path)
    with_it = table.bytes_to_read
    monkeypatch.setattr(pieces, "find_spec", lambda name: None)
    assert table.bytes_to_read - with_it == path.stat().st_size
    assert sum(frame.height for frame in table.frames()) == ROWS
