"""Quotes that are characters: inches, feet and words within a field that no quotes enclose."""

import csv
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbp.tables.options import ReadOptions
from fastbp.tables.read.table import open_table
from table_files import as_pandas, fails, rows_of

FIELDS = {
    "inches": lambda n: f'{n}" pipe',
    "inches at the end": lambda n: f'pipe {n}"',
    "feet and inches": lambda n: f"5'{n}\"",
    "two": lambda n: f'{n}" x {n + 1}"',
    "doubled": lambda n: f'{n}"" pipe',
    "a word": lambda n: f'the "best" {n}',
    "some": lambda n: f'{n}" pipe' if n % 7 == 3 else f"pipe {n}",
    "one": lambda n: '3" pipe' if n == 19 else f"pipe {n}",
    "beside a quoted field": lambda n: '"a, ""b"""' if n % 2 else f'{n}"',
    "beside a quoted line end": lambda n: '"a\nb"' if n % 2 else f'{n}"',
}
FORMS = {"last": "{0}.5,{1}", "first": "{1},{0}.5", "between": "{0}.5,{1},x"}


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_quote_within_a_field_is_a_character(tmp_path, field, form, end):
    rows = "".join(form.format(n, field(n)) + end for n in range(30))
    path = tmp_path / "rows.csv"
    path.write_text(",".join("abc"[: form.count(",") + 1]) + end + rows, newline="")
    table = open_table(path)
    assert (table.columns, rows_of(table)) == as_pandas(path)
    with open(path, newline="") as file:
        assert [tuple(row) for row in csv.reader(file)][1:] == rows_of(table)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_have_quotes_in_fields_too(tmp_path, separator):
    path = tmp_path / "rows.csv"
    path.write_text(f"a{separator}b\n" + "".join(f'{n}{separator}{n}"\n' for n in range(9)))
    table = open_table(path)
    assert (table.columns, rows_of(table)) == as_pandas(path, separator)


@pytest.mark.parametrize("header", ['size 5",t', '5" size,3" t', 't,"a, b",5"', 'the "best",t'])
def test_a_quote_may_be_in_a_name(tmp_path, header):
    path = tmp_path / "rows.csv"
    width = len(next(csv.reader([header])))
    path.write_text(f"{header}\n" + "".join(",".join([f"{n}.5"] * width) + "\n" for n in range(9)))
    table = open_table(path)
    assert (table.columns, rows_of(table)) == as_pandas(path)


@pytest.mark.parametrize("shift", range(-4, 5))
def test_a_quote_within_a_field_is_seen_at_the_border_of_blocks(tmp_path, shift):
    path = tmp_path / "rows.csv"
    filling = "1,2\n" * 70_000  # beyond the first rows that are looked at
    block = 3 << 17
    before = "a,b\n" + filling
    before += "1," + "x" * (block + 4 - len(before) - 3 + shift) + "\n"
    path.write_text(before + '3" pipe,4\n"a",5\n6,7" x\n' + "1,2\n" * 9)
    assert rows_of(open_table(path))[-12:-9] == [('3" pipe', "4"), ("a", "5"), ("6", '7" x')]
    path.write_text(before + '"3""","4"\n"a",5\n' + "1,2\n" * 9)
    assert rows_of(open_table(path))[-11:-9] == [('3"', "4"), ("a", "5")]
    path.write_text(before + '"3" x,4\n')
    assert "text stands behind the quote that closes a field" in fails(path)


# no quote at the start of a field, and none of what pandas reads in its own way
PLAIN = st.text("ab1 .\"'", min_size=1, max_size=6).filter(
    lambda field: field == field.strip() and field[0] != '"'
)


@given(st.lists(st.tuples(PLAIN, PLAIN), min_size=2, max_size=8))
def test_fields_with_quotes_anywhere_but_first_are_as_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    path.write_text("x y,z\n" + "".join(",".join(row) + "\n" for row in rows))
    table = open_table(path, how=ReadOptions(separator=",", header=True))
    # a blank behind a quote, and before a separator, is no part of a field
    assert rows_of(table) == [tuple(re.sub(r'" +$', '"', field) for field in row) for row in rows]


OPEN = {
    "never closed": ('a,b\n1,2\n3,"4\n5,6\n', "quote is opened in row 2 and never closed"),
    "never closed, and inches": ('a,b\n1",2\n3,"4\n5,6\n', "line 3 cannot be read: a quote is"),
    "text behind": ('a,b\n1,2\n1,"2"x\n', "line 3 cannot be read: text stands behind"),
    "text behind an empty field": ('a,b\n""x,1\n', "line 2 cannot be read: text stands behind"),
}


@pytest.mark.parametrize("content, words", OPEN.values(), ids=OPEN)
def test_quotes_to_mend_are_named_by_their_line(tmp_path, content, words):
    path = tmp_path / "rows.csv"
    path.write_text(content)
    assert words in fails(path)
    assert "CSV malformed" not in fails(path)
