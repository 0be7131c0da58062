"""One table written in many ways; each must be read as its clean Parquet twin is.

`styles` draws a way of writing. A new freedom is a field of `Style`, a strategy in `styles`, and
what it changes in `Style.text` (one value) or in `written` (the file).
"""

import bz2
import csv
import gzip
import io
import lzma
import zipfile
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from hypothesis import strategies as st

from fastbp.tables.read.scratch import zstd

TARGET = "y"


def _zip(content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("rows", content)
    return file.getvalue()


PACKERS = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd.compress,
    ".zip": _zip,
}
ENCODINGS = (
    "utf-8",
    "utf-8-sig",
    "latin-1",
    "cp1252",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
)
QUOTING = {"minimal": csv.QUOTE_MINIMAL, "all": csv.QUOTE_ALL, "text": csv.QUOTE_NONNUMERIC}
PREAMBLES = {
    "": [],
    "a comment": ["# exported 2024-01-01"],
    "comments": ["# made by hand", "#", "# in two parts, as said; see below"],
    "a title": ["Sales report", ""],
    "Excel": ["sep={separator}"],
    "a blank line": [""],
}


@dataclass(frozen=True)
class Style:
    """A way of writing a table as text."""

    separator: str = ","
    quoting: str = "minimal"
    encoding: str = "utf-8"
    line_end: str = "\n"
    packing: str = ""
    preamble: str = ""
    suffix: str = ".csv"
    blanks_around_names: bool = False
    blank_before_fields: bool = False
    ends_in_separator: bool = False
    last_line_ends: bool = True
    header: bool = True
    decimal: str = "."
    thousands: str = ""
    unit: str = "{}"
    dates: str = "%Y-%m-%d"
    missing: str = ""

    def text(self, value):
        """Return a value as its field."""
        if value is None:
            return self.missing
        if isinstance(value, date):
            return value.strftime(self.dates)
        return self._number(value) if isinstance(value, float) else str(value)

    def _number(self, value):
        whole, _, rest = f"{abs(value):,}".partition(".")
        digits = whole.replace(",", self.thousands) + self.decimal + rest
        return self.unit.format("-" * (value < 0) + digits)


def styles(**values):
    """Return the strategy of all ways of writing that belong together; `values` has more fields."""
    return st.builds(
        Style,
        separator=st.sampled_from([",", ";", "\t", "|", " ", ":", "^"]),
        quoting=st.sampled_from(sorted(QUOTING)),
        encoding=st.sampled_from(ENCODINGS),
        line_end=st.sampled_from(["\n", "\r\n", "\r"]),
        packing=st.sampled_from(sorted(PACKERS)),
        preamble=st.sampled_from(sorted(PREAMBLES)),
        suffix=st.sampled_from([".csv", ".tsv", ".txt", ".data", ""]),
        blanks_around_names=st.booleans(),
        blank_before_fields=st.booleans(),
        ends_in_separator=st.booleans(),
        last_line_ends=st.booleans(),
        header=st.booleans(),
        **values,
    ).filter(_belongs_together)


def styles_of_values():
    """Return the strategy of all ways of writing values, in all files."""
    return styles(
        decimal=st.sampled_from([".", ","]),
        thousands=st.sampled_from(["", ",", ".", " ", "'", "\u2019", "\u00a0", "\u202f"]),
        unit=st.sampled_from(["{}", "{} kg", "{}%", "${}", "{} \u20ac", "EUR {}"]),
        dates=st.sampled_from(
            ["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%b %d, %Y", "%d-%b-%y", "%Y%m%dT0000"]
        ),
        missing=st.sampled_from(["", ".", "\\N", "n.a.", "#DIV/0!", "(null)", "nil", "--", "*"]),
    )


def _belongs_together(style):
    """Return whether nobody could take one way of writing for another."""
    is_blank = style.separator in (" ", "\t")
    blanks = style.blank_before_fields or style.blanks_around_names
    if style.thousands == style.decimal:
        return False
    texts = [style.unit, style.thousands, style.dates, style.decimal]
    try:
        "".join(texts).encode(style.encoding)
    except UnicodeEncodeError:
        return False
    # Excel's line has no blank or tab in files that people have
    return not (is_blank and blanks) and not (style.separator == " " and style.ends_in_separator)


def a_table(seed, rows=60):
    """Return a table of numbers, categories, text with separators and quotes, dates, gaps, y."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 3000, rows).round(2)
    gap = rng.random(rows) < 0.1
    city = rng.choice(["Oslo", "Tromsø", "Málaga", "Köln", "Sao Paulo, SP", 'the "Hague"'], rows)
    days = np.datetime64("2020-01-01") + rng.integers(0, 900, rows)
    return pl.DataFrame(
        {
            TARGET: (2 * x + 10 * (city == "Oslo") + rng.normal(0, 1, rows)).round(3),
            "x": x,
            "gap": pl.Series(np.where(gap, np.nan, rng.normal(size=rows).round(3))).fill_nan(None),
            "count": rng.integers(0, 40, rows),
            "city": city,
            "joined": days,
        }
    )


def written(frame, style):
    """Return a frame as the bytes of a file in a style."""
    file = io.StringIO()
    writer = csv.writer(
        file,
        delimiter=style.separator,
        quoting=QUOTING[style.quoting],
        lineterminator=style.line_end,
    )
    names = [f" {name} " if style.blanks_around_names else name for name in frame.columns]
    rows = [
        *[names] * style.header,
        *([style.text(value) for value in row] for row in frame.rows()),
    ]
    for row in rows:
        writer.writerow([*row, ""] if style.ends_in_separator else row)
    text = file.getvalue()
    if style.blank_before_fields:
        text = _with_blanks(text, style)
    lines = [line.format(separator=style.separator) for line in PREAMBLES[style.preamble]]
    text = "".join(line + style.line_end for line in lines) + text
    if not style.last_line_ends:
        text = text.removesuffix(style.line_end)
    return PACKERS[style.packing](text.encode(style.encoding))


def _with_blanks(text, style):
    """Return rows with a blank behind each separator that is outside of quotes."""
    pieces = text.split('"')
    pieces[::2] = [p.replace(style.separator, style.separator + " ") for p in pieces[::2]]
    return '"'.join(pieces)


def saved(folder, frame, style):
    """Write a frame to a file in a style; return its path."""
    path = folder / f"rows{style.suffix}{style.packing}"
    path.write_bytes(written(frame, style))
    return path
