"""Text is read in pieces: the rows are those of the file, wherever one piece ends."""

import csv
import io
import random

import pytest

from fastbp.tables.read import delimited
from fastbp.tables.read.table import open_table

FIELDS = ["a", "1.5", "", "two words", "with, comma", 'with ""quote""', "two\nlines", "\n", "é"]


@pytest.fixture(params=[1, 7, 50])
def in_pieces(monkeypatch, request):
    """Cut files at every row, or at every few."""
    monkeypatch.setattr(delimited, "_BLOCK", request.param)
    monkeypatch.setattr(delimited, "_PIECE", request.param)
    monkeypatch.setattr(delimited, "_PIECE_OF_COLUMN", 1)


def _written(seed, columns, end, blanks):
    """Return a file of random rows as text, and its rows."""
    draw = random.Random(seed)
    lines, rows = [",".join(f"c{n}" for n in range(columns))], []
    for _ in range(60):
        if blanks and draw.random() < 0.3:
            lines.append("")
            if columns == 1:  # where a row is empty
                rows.append((None,))
            continue
        row = [draw.choice(FIELDS).replace('""', '"') for _ in range(columns)]
        file = io.StringIO()
        csv.writer(file, lineterminator="", quoting=csv.QUOTE_ALL).writerow(row)
        lines.append(file.getvalue())
        rows.append(tuple(row))
    return end.join(lines) + end, rows


@pytest.mark.usefixtures("in_pieces")
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("blanks", [False, True])
@pytest.mark.parametrize("columns", [1, 3])
def test_the_rows_are_those_of_the_file(tmp_path, columns, blanks, end):
    for seed in range(5):
        text, rows = _written(seed, columns, end, blanks)
        path = tmp_path / f"{seed}.csv"
        path.write_bytes(text.encode())
        table = open_table(path)
        frames = list(table.frames(rows=7))
        assert [frame.height for frame in frames[:-1]] == [7] * (len(frames) - 1)
        assert [row for frame in frames for row in frame.rows()] == rows
        assert table.count() == len(rows)
        last = table.columns[-1]
        assert [row for frame in table.frames([last]) for row in frame.rows()] == [
            row[-1:] for row in rows
        ]


@pytest.mark.usefixtures("in_pieces")
def test_a_file_that_grew_or_shrank_meanwhile_is_told(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,2\n" * 50)
    table = open_table(path)
    assert table.count() == 50
    path.write_text("a,b\n" + "1,2\n" * 30)
    with pytest.raises(ValueError, match="30 of 50 rows can be read: the file changed meanwhile"):
        list(table.frames())


def test_a_frame_has_fewer_rows_where_little_memory_is_free(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,2\n" * 100_000)
    heights = []
    for free in (None, 2**30, 2**28):
        monkeypatch.setattr("fastbp.tables.read.table.free_memory", lambda free=free: free)
        heights.append([frame.height for frame in open_table(path).frames(width=400)])
    assert heights[0] == heights[1] == [20971] * 4 + [100_000 - 4 * 20971]
    assert heights[2] == [5242] * 19 + [100_000 - 19 * 5242]


def test_rows_of_long_text_make_frames_of_fewer(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a\n" + ("x" * 2**16 + "\n") * 2100)
    # 2**23 cells of 16 bytes
    assert [frame.height for frame in open_table(path).frames()] == [2048, 52]
