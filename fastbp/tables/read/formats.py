"""The format of a file, by its content: a suffix may be wrong, or none."""

import re
import zipfile
from collections.abc import Callable
from glob import escape
from pathlib import Path
from typing import NamedTuple

import polars as pl

from ...errors import DataError
from ..options import ReadOptions
from ..wording import listed
from .cells import total_in
from .encodings import decoded, encoding_of
from .foreign import foreign
from .naming import Like
from .notes import step, warn, warn_of_total
from .objects import as_lines, holds_words
from .pieces import ArrowGroups, GroupReader, ParquetGroups
from .plain import in_utf8
from .readers import FrameReader, Reader, ScanReader, arrays_of, reported
from .scratch import Scratch, packing_of, unpacked
from .sheets import sheet_of
from .text import TextReader

_HEAD = 1 << 12
PARQUET, _ARROW, _ARRAYS, _SHEETS, _JSON, ROWS = (
    *("Parquet", "Arrow IPC", "arrays of NumPy", "a workbook", "JSON", "rows of text"),
)
# the suffixes of each format; files of others in a folder are no tables
SUFFIXES = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".psv"), ROWS),
    **dict.fromkeys((".parquet", ".pq"), PARQUET),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), _ARROW),
    **dict.fromkeys((".ndjson", ".jsonl", ".json"), _JSON),
    **dict.fromkeys((".xlsx", ".xlsm", ".xls", ".ods"), _SHEETS),
    ".npz": _ARRAYS,
}
# what scans a file of a format in an object store
SCANS: dict[str, Callable[..., pl.LazyFrame]] = {
    PARQUET: pl.scan_parquet,
    _ARROW: pl.scan_ipc,
    _JSON: pl.scan_ndjson,
}
_PACKED = (".gz", ".zst", ".bz2", ".xz", ".zip")
_STARTS = {b"PAR1\x15": PARQUET, b"ARROW1": _ARROW, b"\xd0\xcf\x11\xe0": _SHEETS}
_OBJECTS = re.compile(r'\s*(?:\[\s*(?:\{|\]\s*$)|\{\s*(?:"|\}))')
_SEPARATED = re.compile(r"[^\n]*[,;\t|]")


class Part(NamedTuple):
    """A file of a table: its name for messages, where it lies, and what its folders say of it.

    `kept` are scratch files that must be there as long as it is read. A file in an object store
    has a `scan` instead of a path.
    """

    name: str
    path: Path = Path()
    keys: dict[str, str | None] = {}  # noqa: RUF012 - nobody changes it
    kept: tuple[Scratch, ...] = ()
    scan: pl.LazyFrame | None = None


class Opened(NamedTuple):
    """A file that is read: by `reader`, as long as the scratch files in `kept` are there.

    `hint` says where a column may be that it lacks.
    """

    format: str
    reader: Reader
    keys: dict[str, str | None]
    kept: tuple[Scratch, ...]
    hint: str = ""


def suffixes_of(path: object) -> tuple[str, str]:
    """Return the end of a file's name that may say its format, and that of its packing."""
    name = Path(str(path)).name.lower()
    packing = next((suffix for suffix in _PACKED if name.endswith(suffix)), "")
    return Path(name.removesuffix(packing)).suffix, packing


def suffix_of(path: object) -> str | None:
    """Return the end of a file's name if it is that of a table, or None."""
    suffix, packing = suffixes_of(path)
    return suffix + packing if suffix in SUFFIXES else None


def open_part(
    part: Part, how: ReadOptions, like: Like | None, before: Reader | None = None
) -> Opened:
    """Open a file, whatever it is packed in; DataError if it holds no table.

    `before` reads another file of the same table.
    """
    name, path = part.name, part.path
    suffix, _ = suffixes_of(name)
    expected = SUFFIXES.get(suffix)
    if part.scan is not None:
        return Opened(expected or ROWS, ScanReader(name, part.scan), {}, ())
    kept = [*part.kept]
    reader: Reader
    hint = ""
    with reported(name):
        while packing := _packing(name, path, expected):
            kept.append(unpacked(name, path, packing))
            path = kept[-1].path
        found = _format(name, path, expected)
        if found == ROWS:
            text = before if isinstance(before, TextReader) else None
            reader = TextReader(name, path, how, like, suffix, text)
            hint = reader.hint
        elif found == _SHEETS:
            sheet = sheet_of(name, path, like.names if like else how.named_columns)
            reader = FrameReader(name, sheet.frame, sheet.unnamed)
            last = [
                str(cell) for row in sheet.frame.tail(1).rows() for cell in row if cell is not None
            ]
            if like is None and (total := total_in(last)):
                warn_of_total(name, total)
            hint = f"; other sheets: {listed(sheet.others)}" if sheet.others else ""
        else:
            reader = _READERS[found](name, path, kept)
    if expected and found != expected:
        warn(name, f"read as {found}, which it holds, whatever its name says")
    return Opened(found, reader, part.keys, tuple(kept), hint)


def _head(path):
    with open(path, "rb") as file:
        return file.read(_HEAD)


def _packing(name, path, expected):
    """Return how a file is packed, or None; archives of arrays and workbooks are no packing."""
    packing = packing_of(_head(path))
    if packing != "zip":
        return packing
    if not zipfile.is_zipfile(path):
        raise DataError(f"{name} is a zip archive whose end is missing")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    is_format = expected in (_ARRAYS, _SHEETS) or _format_of_archive(names)
    return None if is_format else packing


def _format_of_archive(names):
    if names and all(name.endswith(".npy") for name in names):
        return _ARRAYS
    return _SHEETS if {"[Content_Types].xml", "content.xml"} & {*names} else None


def _format(name, path, expected):
    """Return the format of a file by its content; DataError if it is of none."""
    head = _head(path)
    if not head:
        raise DataError(f"{name} is empty: expected a header and rows")
    if what := foreign(head):
        raise DataError(f"{name} is {what}")
    if packing_of(head) == "zip":
        with zipfile.ZipFile(path) as archive:
            return _format_of_archive(archive.namelist()) or expected
    found = next((found for start, found in _STARTS.items() if head.startswith(start)), None)
    if found:
        return found
    encoding = encoding_of(head)
    text = (decoded(head, encoding, len(head) < _HEAD) or "").removeprefix("\ufeff")
    if not text or "\0" in text:  # no text: the format that it claims says what is wrong
        return expected or ROWS
    if _OBJECTS.match(text) or (expected == _JSON and not _SEPARATED.match(text)):
        return _JSON
    return _JSON if expected == _JSON and text.lstrip()[:1] in ("[", "{") else ROWS


def _parquet(name, path, kept):
    scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
    return GroupReader(name, path, scan, ParquetGroups)


def _arrow(name, path, kept):
    scan = pl.scan_ipc(path, glob=False, hive_partitioning=False)
    return GroupReader(name, path, scan, ArrowGroups)


def _json(name, path, kept):
    """Return the reader of JSON; what polars does not read goes through a scratch file."""
    head = _head(path)
    encoding = encoding_of(head)
    if encoding != "utf-8":
        kept.append(in_utf8(name, path, encoding))
        path = kept[-1].path
    if not _head(path).lstrip().startswith(b"["):
        try:
            return _json_lines(name, path)
        except DataError:
            if not holds_words(path):
                raise
    kept.append(as_lines(name, path))
    return _json_lines(name, kept[-1].path)


def _json_lines(name, path):
    # all rows say what the types are: a key may first be seen, or be no integer, in the last
    step("looking at the types of", name)
    return ScanReader(name, pl.scan_ndjson(escape(str(path)), infer_schema_length=None))


# what reads the other formats
_READERS: dict[str, Callable[[str, Path, list[Scratch]], Reader]] = {
    PARQUET: _parquet,
    _ARROW: _arrow,
    _JSON: _json,
    _ARRAYS: lambda name, path, kept: arrays_of(name, path),
}
