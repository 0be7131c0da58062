"""Fields that hold what separates fields elsewhere: colours, lists, names of users."""

import pytest

from fastbp.tables.options import ReadOptions, TrainOptions
from fastbp.tables.read.table import open_table
from table_files import as_pandas, fails, rows_of


def written(path, header, rows, separator=","):
    """Write rows of text, no field of which needs quotes."""
    lines = [separator.join(map(str, row)) for row in [header, *rows]]
    path.write_text("\n".join(lines) + "\n")
    return path


FIELDS = {
    "colours": lambda n: f"#{n * 7919:06x}",
    "users": lambda n: f"@user{n}",
    "tickers": lambda n: f"^T{n}",
    "addresses": lambda n: f"a{n}@b.c",
    "pairs": lambda n: f"k={n}",
    "ratios": lambda n: f"{n}:{n + 1}",
    "lists with ;": lambda n: "Action;Drama;War",
    "lists with |": lambda n: "Action|Drama|War",
    "lists with ; of several lengths": lambda n: ";".join("abcde"[: 1 + n % 4]),
    "lists with ~": lambda n: "a~b~c",
    "lists of numbers": lambda n: f"{n};{n + 1};{n + 2}",
    "words": lambda n: "red and blue",
    "routes": lambda n: "a/b/c",
    "stars": lambda n: "*" * (n % 3) + "x",
    "calls": lambda n: "R&D!",
}
PLACES = {"last": lambda n, field: (f"{n}.25", field), "first": lambda n, field: (field, f"{n}.25")}


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("suffix, separator", [(".csv", ","), (".tsv", "\t"), (".txt", ",")])
def test_what_fields_hold_is_no_separator(tmp_path, field, place, suffix, separator):
    rows = [place(n, field(n)) for n in range(30)]
    path = written(tmp_path / f"rows{suffix}", place("price", "tags"), rows, separator)
    table = open_table(path)
    columns, expected = as_pandas(path, separator)
    assert table.columns == columns
    assert rows_of(table) == expected == rows


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_a_separator_with_a_header_leaves_commas_in_fields(tmp_path, separator):
    rows = [(f"{n}.5", "a,b,c") for n in range(30)]
    path = written(tmp_path / "rows.csv", ("price", "tags"), rows, separator)
    table = open_table(path)
    assert (table.columns, rows_of(table)) == as_pandas(path, separator)


def test_fields_without_a_header_are_told_by_their_numbers(tmp_path):
    path = written(tmp_path / "a.csv", ("0.5", "a;b;c"), [(f"{n}.5", "d;e;f") for n in range(9)])
    assert len(open_table(path).columns) == 2
    path = written(tmp_path / "b.csv", ("0,5", "1,5", "x"), [("2,5", "3,5", "y")] * 9, ";")
    assert len(open_table(path).columns) == 3


def test_lines_before_a_table_with_colours_are_left_out(tmp_path):
    rows = [(f"{n}.5", f"#{n:06x}") for n in range(30)]
    path = written(tmp_path / "rows.csv", ("price", "color"), rows)
    path.write_text("Prices of 2024\n\n" + path.read_text())
    assert rows_of(open_table(path)) == rows


@pytest.mark.parametrize("separator, field", [(",", "a;b;c"), (";", "1,5"), ("\t", "a|b|c")])
def test_a_row_to_mend_leaves_the_separator_of_the_others(tmp_path, separator, field):
    rows = [(f"{n}", field) for n in range(30)]
    path = written(tmp_path / "rows.csv", ("x", "tags"), [*rows, ("0", field, "")], separator)
    assert "row 31 has 3 fields but the header names 2" in fails(path)


def test_a_column_that_an_option_names_proves_the_separator(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x;y,z;w\n" + "1;2,3;4\n" * 9)
    assert open_table(path).columns == ["x", "y,z", "w"]
    asked = TrainOptions(target="z;w")
    assert open_table(path, how=asked).columns == ["x;y", "z;w"]
    for option in ("drop", "categorical", "numeric", "ids"):
        asked = TrainOptions(target="t", **{option: ("z;w",)})
        assert open_table(path, how=asked).columns == ["x;y", "z;w"]
    for option in ("weight", "group", "time"):
        asked = TrainOptions(target="t", **{option: "z;w"})
        assert open_table(path, how=asked).columns == ["x;y", "z;w"]


def test_a_row_that_does_not_fit_a_told_separator_names_the_option(tmp_path):
    path = written(tmp_path / "rows.csv", ("a", "b"), [(1, 2), (3, 4), (5, 6, 7)])
    assert "row 3 has 3 fields" in fails(path)
    assert "`separator`, if not ','" in fails(path)
    with pytest.raises(ValueError, match="row 3 has 3 fields") as caught:
        open_table(path, how=ReadOptions(separator=",")).count()
    assert "`separator`" not in str(caught.value)


TITLED = {
    "a comma in the title": ("Report, 2020", "id;price", "{n};{n},5", ["id", "price"]),
    "tabs": ("Report, 2020", "id\tprice", "{n}\t{n},5", ["id", "price"]),
    "a blank in a name": ("Sales report", "day hour,v", "2020-01-02 12:00,{n}", ["day hour", "v"]),
    "full names": ("Staff list", "full name;age", "Ann Lee;{n}", ["full name", "age"]),
    "decimal commas": ("Sales report", "at;temp", "2020-01-02 12:00;{n},5", ["at", "temp"]),
    "colons": ("Export: 2020", "time: UTC,v", "12:01,{n}", ["time: UTC", "v"]),
    "the name of a column": (
        "price list",
        "item name,price",
        "nut {n},{n}",
        ["item name", "price"],
    ),
}


@pytest.mark.parametrize("title, header, row, columns", TITLED.values(), ids=TITLED)
@pytest.mark.filterwarnings("ignore:.*1 line before the table left out")
def test_a_title_has_no_say_in_the_separator(tmp_path, title, header, row, columns):
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([title, header, *(row.format(n=n) for n in range(20))]) + "\n")
    for how in (None, TrainOptions(target=columns[1])):
        table = open_table(path, how=how)
        assert table.columns == columns
        assert rows_of(table)[3][1] == row.format(n=3).split(header[len(columns[0])])[1]
