"""Text is read in the encoding that it is in, which is said where it is a guess."""

import gzip

import pytest

from fastbp.errors import DataError
from fastbp.tables.options import ReadOptions
from fastbp.tables.read.table import open_table
from table_files import rows_of

WESTERN = ["Tromsø", "Málaga", "Zürich", "Orléans", "São Paulo", "Åre", "Coruña", "Besançon"]


def table(places, count=160, plain=0.0):
    """Return the lines of a table of places, of which a share is plain English."""
    lines = ["y,x,place"]
    for n in range(count):
        place = "London" if n % 100 < 100 * plain else places[n % len(places)]
        lines.append(f"{n % 7}.5,{n % 13},{place}")
    return "\n".join([*lines, ""])


def places_of(path, **how):
    return [row[2] for row in rows_of(open_table(path, how=ReadOptions(**how)))]


MARKED = ["utf-8-sig", "utf-16", "utf-32"]
WIDE = ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]


@pytest.mark.parametrize("encoding", ["utf-8", *MARKED, *WIDE, "latin-1", "cp1252"])
@pytest.mark.parametrize("plain", [0.0, 0.5, 0.98])
def test_western_text_is_read_in_any_encoding(tmp_path, caplog, encoding, plain):
    text = table(WESTERN, plain=plain)
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode(encoding))
    expected = [line.split(",")[2] for line in text.splitlines()[1:]]
    assert places_of(path) == expected
    assert ("`encoding` settles it" in caplog.text) is (encoding in ("latin-1", "cp1252"))
    path.write_bytes(gzip.compress(text.encode(encoding)))
    assert places_of(path) == expected


OTHERS = {
    "cp1250": ["Łódź", "Kraków", "Gdańsk", "Wrocław", "Plzeň", "České Budějovice"],
    "cp1251": ["Москва", "Казань", "Самара", "Санкт-Петербург", "Пермь"],
    "koi8_r": ["Москва", "Казань", "Самара", "Санкт-Петербург", "Пермь"],
    "cp1253": ["Αθήνα", "Πάτρα", "Θεσσαλονίκη", "Λάρισα"],
    "cp932": ["大阪さくら", "東京タワー", "名古屋", "すすきの", "ラーメン"],
    "gb18030": ["北京", "上海", "广州", "深圳"],
    "cp949": ["서울", "부산", "대구", "인천"],
}


@pytest.mark.parametrize("encoding", OTHERS)
def test_other_scripts_are_told_apart(tmp_path, encoding):
    path = tmp_path / "rows.csv"
    path.write_bytes(table(OTHERS[encoding]).encode(encoding))
    assert set(places_of(path)) == set(OTHERS[encoding])


def test_quotes_and_dashes_of_windows_are_western(tmp_path):
    path = tmp_path / "rows.csv"
    words = ["\u201ccafé\u201d", "don\u2019t", "5 € \u2013 6 €", "naïve\u2026"]
    path.write_bytes(table(words).encode("cp1252"))
    assert set(places_of(path)) == set(words)


def test_an_encoding_may_be_given(tmp_path, caplog):
    path = tmp_path / "rows.csv"
    path.write_bytes(table(["Łódź"]).encode("iso8859_2"))
    assert set(places_of(path, encoding="iso8859_2")) == {"Łódź"}
    assert not caplog.text
    with pytest.raises(DataError, match=r"is not ascii near line 2: .* `encoding`"):
        places_of(path, encoding="ascii")


DAMAGED = {
    "a cut character": "y,x\n1,ä\n2,ö\n".encode() + b"3,\xc3",
    "one bad byte among many good": "y,x\n1,ä\n2,ö\n3,ü\n".encode() + b"4,\xe9x\n",
    "a surrogate": b"y,x\n1,\xed\xa0\x80\n",
    "an overlong form": b"y,x\n1,\xc0\xaf\n",
    "a UTF-16 that is cut": "y,x\n1,2\n".encode("utf-16")[:-1],
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damaged_text_is_not_taken_for_another_encoding(tmp_path, content):
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"is not (UTF-8|utf-16) near (row|line) \d"):
        rows_of(open_table(path))
