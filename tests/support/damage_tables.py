"""Damaged tables: what is in each, what must be said of it, and which commands can use it."""

import gzip
import io
import json
import pickle
import struct
import zipfile
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from damage import CSV, FORMATS, GOOD, ROWS, as_arrow, as_csv, as_npz, as_parquet

TRAIN, PREDICT, EVALUATE = "train", "predict", "evaluate"
ALL = (TRAIN, PREDICT, EVALUATE)


@dataclass(frozen=True)
class Case:
    """A damaged table.

    Attributes
    ----------
    name : str
        What is wrong.
    file : str
        The name of the file.
    content : bytes
        What is in it.
    words : tuple of str
        What each command must say that cannot use it, beside the file's name.
    usable : tuple of str
        The commands that can.
    """

    name: str
    file: str
    content: bytes = field(repr=False)
    words: tuple = ()
    usable: tuple = ()


HEADER, *LINES = CSV.decode().splitlines(keepends=True)
# line 12 is row 12; the file's 13th line
_WITHIN = 11


def lines_with(line, at=_WITHIN):
    """Return the good CSV with another line in place of one."""
    return (HEADER + "".join([*LINES[:at], line, *LINES[at + 1 :]])).encode()


def with_value(column, value, rows=(_WITHIN,)):
    """Return the good CSV with another value, as text, in some rows of a column."""
    return as_csv(with_values(column, value, rows))


def with_values(column, value, rows=range(ROWS)):
    """Return the good table, as text, with another value in some rows of a column."""
    values = GOOD[column].cast(pl.String).to_list()
    for row in rows:
        values[row] = value
    return GOOD.with_columns(pl.Series(column, values, dtype=pl.String))


def _structure():
    """Yield what is wrong with the lines and fields of a CSV."""
    yield "empty", b"", ("empty",), ()
    yield "one line end", b"\n", ("header",), ()
    yield "blank lines", b"\n\n\n\n", ("header",), ()
    yield "spaces", b"   \n  \n", ("header",), ()
    yield "a header only", HEADER.encode(), ("no row",), (PREDICT,)
    yield "a header without its line end", HEADER.strip().encode(), ("no row",), (PREDICT,)
    yield "a header and blank lines", HEADER.encode() + b"\n\n\n", ("no row",), (PREDICT,)
    yield "no header", "".join(LINES).encode(), ("column",), ()
    yield "a name that is empty", CSV.replace(b"city", b"", 1), ("city",), (TRAIN,)
    yield "two names alike", CSV.replace(b"city", b"age", 1), ("two columns", "age"), ()
    yield "the target twice", CSV.replace(b"city", b"y", 1), ("two columns", "'y'"), ()
    yield "all names alike", b"y,y,y,y,y,y\n" + "".join(LINES).encode(), ("two columns",), ()
    yield "a short row", lines_with("p011,33\n"), ("row 12", "2 fields", "6"), ()
    yield "a long row", lines_with("p011,33,Oslo,no,2020-01-01,rich,1\n"), ("row 12", "7"), ()
    yield "a row of one field", lines_with("oops\n"), ("row 12", "1 field"), ()
    yield "the last row is cut", CSV[:-9], ("row 90", "5 fields"), ()
    yield "the last value is cut", CSV[:-3], ("'ri'",), (PREDICT, TRAIN)
    yield "no last line end", CSV[:-1], (), ALL
    yield "blank lines in between", CSV.replace(b"\n", b"\n\n"), (), ALL
    yield "CR LF", CSV.replace(b"\n", b"\r\n"), (), ALL
    yield "CR alone", CSV.replace(b"\n", b"\r"), (), ALL
    yield "colons", CSV.replace(b",", b":"), (), ALL
    yield "spaces", CSV.replace(b",", b" "), ("row",), ("maybe",)
    yield "two tables in one file", CSV + CSV, ("'age'|'y'", "row 91"), ()
    yield "a comment in front", b"# made by hand\n" + CSV, (), ALL


def _quotes():
    """Yield what quotes can do to a CSV."""
    line = LINES[_WITHIN]
    opened = line.replace(",", ',"', 1)
    yield "a quote that is not closed", lines_with(opened), ("row 12", "quote"), ()
    yield "a quote at the very end", CSV[:-1] + b'"\n', ("class", "row"), ("train", "predict")
    yield "a quote in the header", CSV.replace(b"age", b'"age', 1), ("quote",), ()
    yield "a stray quote in a field", lines_with(line.replace("p011", 'p0"11')), (), ALL
    yield "two stray quotes", lines_with(line.replace("p011", 'p"01"1')), (), ALL
    yield "text behind a quoted field", lines_with(line.replace("p011", '"p0"11')), (), ("maybe",)
    yield "doubled quotes", lines_with(line.replace("p011", '"p0""11"')), (), ALL
    yield "a line end within quotes", lines_with(line.replace("p011", '"p0\n11"')), (), ALL
    yield "a separator within quotes", lines_with(line.replace("p011", '"p0,11"')), (), ALL
    yield "all is quoted", as_csv(GOOD, quote_style="always"), (), ALL
    yield "single quotes", CSV.replace(b"Oslo", b"'Oslo'"), (), ALL
    yield "curly quotes", CSV.replace(b"Oslo", "“Oslo”".encode()), (), ALL
    yield "nothing but quotes", b'"' * 4001, ("quote",), ()
    yield "pairs of quotes", b'""' * 2000, ("header|no rows|column",), ()


def _encodings():
    """Yield encodings, and bytes that are none."""
    latin = CSV.replace(b"Oslo", "Tromsø".encode("latin-1"))
    yield "UTF-16", CSV.decode().encode("utf-16"), (), ALL
    yield "UTF-16 without its mark", CSV.decode().encode("utf-16-le"), (), ALL
    yield "UTF-32", CSV.decode().encode("utf-32"), (), ALL
    yield "Latin-1", latin, (), ALL
    yield "Latin-1 in the header", CSV.replace(b"city", b"st\xe4dt", 1), ("city",), (TRAIN,)
    yield "Windows-1252", CSV.replace(b"Oslo", b"\x93Oslo\x94"), (), ALL
    yield "Shift JIS", CSV.replace(b"Oslo", "大阪".encode("shift_jis")), (), ALL
    yield "a mark of UTF-8", CSV.decode().encode("utf-8-sig"), (), ALL
    yield "two marks of UTF-8", b"\xef\xbb\xbf" + CSV.decode().encode("utf-8-sig"), (), ("maybe",)
    yield "a character that is cut", CSV[:-2] + b"\xe2\x82", ("utf-8", "row 90"), ()
    yield "a surrogate", CSV.replace(b"Oslo", b"\xed\xa0\x80", 1), ("utf-8",), ()
    yield "an overlong form", CSV.replace(b"Oslo", b"\xc0\xaf", 1), ("utf-8",), ()
    yield "NUL in a field", lines_with("p011,33,Os\0lo,no,2020-01-01,rich\n"), ("nul", "row 12"), ()
    yield "NUL in the header", CSV.replace(b"city", b"ci\0ty", 1), ("nul", "header"), ()
    yield "NUL bytes at the end", CSV + b"\0" * 100, ("nul",), ()
    yield "all NUL", b"\0" * 5000, ("nul",), ()
    yield "random bytes", np.random.default_rng(5).bytes(5000), (), ()
    yield "control characters", CSV.replace(b"Oslo", b"\x01\x1b[31m"), (), ALL
    yield "the mark of a reversed line", CSV.replace(b"Oslo", "\u202eolsO".encode()), (), ALL
    yield "emoji", CSV.replace(b"Oslo", "\U0001f3d4\ufe0f".encode()), (), ALL


def _values():
    """Yield values that a column should not have."""
    for word in ("inf", "-inf", "Infinity", "1e400", "-1e999"):
        yield f"{word} in a number", with_value("age", word), ("age", f"inf|{word}", "row 12"), ()
    for word in ("NaN", "nan", "NA", "null", "", "?", "  "):
        yield f"{word!r} in a number", with_value("age", word), (), ALL
    for word in ("forty", "4O", "0x1F", "1_000", "--5", "1e", "٣٤"):
        yield f"{word!r} in a number", with_value("age", word), ("age", word, "row 12"), ()
    yield "'1,5' in a number", with_value("age", "1,5"), (), ALL
    # which says in a training how its numbers are written
    yield "'12 years' in a number", with_value("age", "12 years"), ("age", "row 12"), (TRAIN,)
    yield "1e300 in a number", with_value("age", "1e300"), (), ALL
    yield "1e-300 in a number", with_value("age", "1e-300"), (), ALL
    yield "a long integer", with_value("age", "9" * 300), (), ALL
    for word in ("2020-13-01", "2020-02-30", "yesterday", "2020-01-01T25:00"):
        yield f"{word!r} in a date", with_value("joined", word), ("joined", word, "row 12"), ()
    words = ("joined", "01/02/2020", "row 12", "--date-format")
    yield "'01/02/2020' in a date", with_value("joined", "01/02/2020"), words, (TRAIN,)
    for word in ("maybe", "2", "yes!"):
        words = ("member", word, "row 12")
        yield f"{word!r} in a boolean", with_value("member", word), words, (TRAIN,)
    yield "a class that is new", with_value("y", "middling"), ("'y'", "middling"), (TRAIN, PREDICT)
    yield "a class missing", with_value("y", ""), (), ALL
    yield "no class", as_csv(with_values("y", "")), ("missing in all|no row", "'y'"), (PREDICT,)
    yield "one class", as_csv(with_values("y", "poor")), ("one class", "poor"), (PREDICT, EVALUATE)
    yield (
        "a class a row",
        as_csv(GOOD.with_columns(y=GOOD["id"])),
        ("'y'", "p000|an id"),
        (PREDICT,),
    )
    yield (
        "numbers for classes",
        as_csv(GOOD.with_columns(y=pl.Series(range(ROWS)) / 7)),
        ("'y'", "'poor', 'rich'"),
        (TRAIN, PREDICT),
    )
    yield "NaN for all numbers", as_csv(with_values("age", "NaN")), (), ALL
    yield "inf for all numbers", as_csv(with_values("age", "inf")), ("age", "inf"), ()
    yield "text for all numbers", as_csv(with_values("age", "old")), ("age", "old"), (TRAIN,)
    yield "numbers for all dates", as_csv(with_values("joined", "7")), ("joined", "'7'"), (TRAIN,)
    yield "new cities", CSV.replace(b"Oslo", b"Lima"), (), ALL
    constant = GOOD.select(pl.col("id", "y"), *[pl.lit("x").alias(c) for c in GOOD.columns[1:5]])
    yield "nothing but constants", as_csv(constant), ("column", "constant|'x'"), ()
    ids = GOOD.select(id="id", age="id", city="id", member="id", joined="id", y="y")
    yield "nothing but ids", as_csv(ids), ("an id|'p000'",), ()
    blank = GOOD.select(pl.all().cast(pl.String).replace_strict({}, default=""))
    yield "nothing but missing values", as_csv(blank), ("missing|no row",), (PREDICT,)
    yield "one row", as_csv(GOOD[:1]), (), (PREDICT, EVALUATE)
    yield "two rows", as_csv(GOOD[:2]), (), ALL
    yield "the target alone", as_csv(GOOD.select("y")), ("column",), ()
    yield "no target", as_csv(GOOD.drop("y")), ("'y'",), (PREDICT,)
    yield "no numbers", as_csv(GOOD.drop("age")), ("age",), (TRAIN,)
    yield "two columns less", as_csv(GOOD.drop("age", "city")), ("age", "city"), (TRAIN,)
    yield "none of the columns", b"a,b\n1,2\n3,4\n", ("'y'|'city'",), ()
    yield "no id", as_csv(GOOD.drop("id")), (), ALL
    yield "another order", as_csv(GOOD[:, ::-1]), (), ALL
    yield (
        "names in capitals",
        CSV.replace(HEADER.encode(), HEADER.upper().encode()),
        ("'y'|'age'",),
        (),
    )
    yield (
        "spaces in the names",
        CSV.replace(HEADER.encode(), HEADER.replace(",", " ,").encode()),
        ("id ",),
        ("maybe",),
    )


def _sizes():
    """Yield what is far too long, or too wide."""
    long = "x" * 10_000_000
    yield "10 MB in a number", with_value("age", long), ("age", "row 12"), ()
    yield "10 MB in a class", with_value("y", long), ("'y'", "xxx"), (PREDICT,)
    yield "10 MB in a category", with_value("city", long), (), ALL
    yield "10 MB of digits", with_value("age", "7" * 10_000_000), ("age",), ()
    yield "10 MB within quotes", with_value("id", f"{long}\n{long}"), (), ALL
    yield "10 MB in one name", CSV.replace(b"city", long.encode(), 1), ("header", "characters"), ()
    yield "20 MB of header", CSV.replace(b"city", 2 * long.encode(), 1), ("header", "bytes"), ()
    yield "20 MB without a line end", 2 * long.encode(), ("header", "bytes"), ()
    opened = CSV.replace(b"city", b'"city', 1)
    yield "a quote in a header of 20 MB", opened * 6000, ("quote",), ()
    yield "2 MB of quotes", b'"' * 2_000_001, ("quote",), ()
    names = ",".join(f"c{i}" for i in range(100_000))
    yield "100,000 columns", f"{names}\n{names}\n".encode(), ("columns",), ()
    yield "a million separators", b"," * 1_000_000 + b"\n", ("header",), ()
    wide = GOOD.with_columns(**{f"k{i}": pl.lit(str(i)) for i in range(800)})
    yield "800 more columns that are constant", as_csv(wide), (), ALL


def csv_cases():
    """Return damaged CSV files, by family."""
    families = {
        "structure": _structure,
        "quotes": _quotes,
        "encodings": _encodings,
        "values": _values,
        "sizes": _sizes,
    }
    return {
        family: [Case(name, "bad.csv", *rest) for name, *rest in made()]
        for family, made in families.items()
    }


def _foreign():
    """Yield files of another format than their name says."""
    junk = {
        "text": b"hello, world\n" * 100,
        "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8,
        "a pickle": pickle.dumps({"y": list(range(100))}),
        "nothing": b"",
        "zeros": b"\0" * 4096,
        "a script": b"#!/bin/sh\nexit 1\n",
    }
    for suffix in ("parquet", "arrow", "ndjson", "npz", "csv.gz"):
        for what, content in junk.items():
            yield Case(f"{what} for {suffix}", f"bad.{suffix}", content)
    for suffix, content in FORMATS.items():
        for other in FORMATS:
            if other != suffix:
                yield Case(f"{suffix} for {other}", f"bad.{other}", content, (), ALL)
    yield Case("gzip for csv", "bad.csv", gzip.compress(CSV), (), ALL)
    yield Case("csv for csv.gz", "bad.csv.gz", CSV, (), ALL)


def _truncated():
    """Yield the first part of a good file, of many lengths."""
    packed = {**FORMATS, "csv.gz": gzip.compress(CSV)}
    for suffix, content in packed.items():
        for share in (0.002, 0.02, 0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 0.97, 0.999):
            name = f"{share:.1%} of {suffix}"
            # a cut between rows leaves a table; nobody can know that there were more
            usable = ("maybe",) if suffix in ("csv", "ndjson") else ()
            yield Case(name, f"bad.{suffix}", content[: int(share * len(content))], (), usable)


def _ndjson():
    """Yield what is wrong with lines of JSON."""
    lines = FORMATS["ndjson"].decode().splitlines()

    def with_line(line):
        return "\n".join([*lines[:11], line, *lines[12:], ""]).encode()

    yield "a line that is cut", with_line(lines[11][:30]), (), ()
    yield "a line of text", with_line("hello"), (), ()
    yield "an array", with_line("[1, 2]"), (), ()
    yield "one JSON array", json.dumps([json.loads(line) for line in lines]).encode(), (), ALL
    yield "NaN in JSON", with_line(lines[11].replace('"age":', '"age":NaN,"x":')), (), ("maybe",)
    yield "text for a number", with_line(lines[11].replace('"age":', '"age":"old","x":')), (), ()
    yield (
        "an object for text",
        with_line(lines[11].replace('"city":', '"city":{"a":1},"x":')),
        ("maybe",),
        ("maybe",),
    )
    yield "a key twice", with_line(lines[11].replace('"age":', '"age":1,"age":')), (), ("maybe",)
    yield "a deep array", with_line('{"age":' + "[" * 50_000 + "]" * 50_000 + "}"), (), ()
    yield "invalid UTF-8 in JSON", FORMATS["ndjson"].replace(b"Oslo", b"\xff\xfe"), (), ALL
    yield "NUL in JSON", FORMATS["ndjson"].replace(b"Oslo", b"Os\0lo", 1), (), ()
    yield "UTF-16 JSON", FORMATS["ndjson"].decode().encode("utf-16"), (), ALL
    yield "empty objects", b"{}\n" * 50, (), ()
    yield "null lines", b"null\n" * 50, (), ()
    yield "numbers", b"1\n2\n3\n", (), ()
    yield (
        "a number of 10,000 digits",
        with_line(lines[11].replace('"age":', f'"age":{"9" * 10_000},"x":')),
        (),
        ("maybe",),
    )


def _npz():
    """Yield archives of what are no columns."""
    n = {"y": np.arange(30) % 2, "age": np.linspace(0, 1, 30)}

    def member(name, content, **options):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content, **options)
        return file.getvalue()

    def npy(header, data=b""):
        text = header.encode()
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data

    shape = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s,), }\n"
    yield "objects", as_npz(**n, city=np.array([{}] * 30, object)), ("object",)
    yield "lengths that differ", as_npz(**n, city=np.arange(29)), ("29", "30")
    yield "a cube", as_npz(**n, city=np.zeros((30, 2, 2))), ("city", "(30, 2, 2)")
    yield "a number", as_npz(**n, city=np.float64(1)), ("city", "()")
    yield "complex numbers", as_npz(**n, city=np.zeros(30, complex)), ("city", "complex")
    yield "records", as_npz(**n, city=np.zeros(30, "i4,f8")), ("city",)
    yield "bytes", as_npz(**n, city=np.array([b"a"] * 30)), ("city",)
    yield "no arrays", as_npz(), ()
    yield "arrays of no rows", as_npz(y=np.zeros(0), age=np.zeros(0)), ("no rows|missing",)
    yield "a pickle within", member("y.npy", pickle.dumps([1, 2])), ()
    yield "text within", member("notes.txt", b"hello"), ("notes.txt",)
    yield "a bomb of zeros", member("y.npy", npy(shape % (2 * 10**8), b"\0" * 10**6)), ()
    yield "a shape beyond memory", member("y.npy", npy(shape % 10**15)), ()
    yield "a shape beyond 64 bits", member("y.npy", npy(shape % 10**30)), ()
    yield "a negative shape", member("y.npy", npy(shape % -5)), ()
    yield "a header that is code", member("y.npy", npy("__import__('os').abort()\n")), ()
    yield "a header that is deep", member("y.npy", npy("(" * 5000 + ")" * 5000 + "\n")), ()
    yield "a path outside", member("../../y.npy", npy(shape % 1, b"\0" * 8)), ()
    yield "a name twice", as_npz(X=np.zeros((30, 2)), X0=np.zeros(30), y=n["y"]), ("two columns",)


def _typed():
    """Yield Parquet and Arrow files of types that no column should have."""
    types = {
        "lists": pl.Series([[1, 2]] * ROWS),
        "structs": pl.Series([{"a": 1}] * ROWS),
        "binary": pl.Series([b"\xff"] * ROWS),
        "text": pl.Series(["old"] * ROWS),
        "dates": pl.Series(["2020-01-01"] * ROWS).str.to_date(),
        "infinity": pl.Series([np.inf] * ROWS),
    }
    for suffix, write in (("parquet", as_parquet), ("arrow", as_arrow)):
        for what, values in types.items():
            frame = GOOD.with_columns(age=values)
            # lists, structs and binary are dropped; infinity is no number
            usable = () if what == "infinity" else (TRAIN,)
            yield f"{what} in {suffix}", f"bad.{suffix}", write(frame), ("age",), usable
            bad = what in ("lists", "structs", "binary", "dates")
            target = write(GOOD.with_columns(y=values))
            words = ("'y'",) if bad else ()
            yield f"{what} as the target in {suffix}", f"bad.{suffix}", target, words, (PREDICT,)
        yield f"no rows in {suffix}", f"bad.{suffix}", write(GOOD[:0]), ("no row",), (PREDICT,)
        yield f"no columns in {suffix}", f"bad.{suffix}", write(pl.DataFrame()), ("columns",), ()
        blank = GOOD.select(pl.all().replace_strict({}, default=None))
        yield f"nulls in {suffix}", f"bad.{suffix}", write(blank), ("missing|no row",), (PREDICT,)


def binary_cases():
    """Return damaged files of the other formats, by family."""
    return {
        "foreign": list(_foreign()),
        "truncated": list(_truncated()),
        "ndjson": [Case(name, "bad.ndjson", *rest) for name, *rest in _ndjson()],
        "npz": [Case(name, "bad.npz", *rest) for name, *rest in _npz()],
        "typed": [Case(*rest) for rest in _typed()],
    }
