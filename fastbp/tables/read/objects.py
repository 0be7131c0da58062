"""JSON as people write it: an array of objects, NaN for a number, other encodings."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from ...errors import DataError
from ..wording import shown
from .notes import step
from .scratch import Scratch

_BLOCK = 1 << 20
# a string, which is left alone, or a word that Python and JavaScript write for a number
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\b(?:NaN|Infinity)\b')
_WORDS = ("NaN", "Infinity")
_BETWEEN = re.compile(r"[\s,]*")


def holds_words(path: Path) -> bool:
    """Return whether a file holds NaN or Infinity, in a number or in text."""
    with open(path, "rb") as file:
        return any(word.encode() in line for line in file for word in _WORDS)


def as_lines(name: str, path: Path) -> Scratch:
    """Return the objects of a JSON array, or of lines, as lines that polars reads: NaN is null.

    DataError if it holds something else, or infinity, with the row.
    """
    scratch = Scratch()
    step("rewriting", name)
    with open(path, encoding="utf-8-sig") as file:
        try:
            _write(scratch, name, file)
        except UnicodeDecodeError as error:
            raise DataError(f"{name} is not UTF-8: it is damaged ({error.reason})") from error
    return scratch.written()


def _write(scratch, name, file):
    start = file.read(1)
    while start.isspace():
        start = file.read(1)
    rows = _of_array(name, file) if start == "[" else _of_lines(start, file)
    for place, row in enumerate(rows, 1):
        if any(word in row for word in _WORDS):
            row = _TOKEN.sub(lambda match: _plain(match[0], name, place), row)  # noqa: B023
        scratch.file.write(row.encode())
        scratch.file.write(b"\n")


def _plain(token, name, row):
    if token.startswith('"'):
        return token
    if token.endswith("NaN"):
        return "null"
    raise DataError(f"{name}: row {row:,} holds {token}: expected a finite number, or null")


def _of_lines(start, file):
    for line in file:
        text = (start + line).strip()
        start = ""
        if text:
            yield text


def _of_array(name, file) -> Iterator[str]:
    """Yield the elements of an array whose bracket has been read, each on one line."""
    decoder = json.JSONDecoder()
    text, place, row = "", 0, 1
    while True:
        place = _BETWEEN.match(text, place).end()  # type: ignore[union-attr]
        if text[place : place + 1] == "]":
            return
        try:
            value, end = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            more = file.read(max(_BLOCK, len(text) - place))
            if not more:
                raise DataError(f"{name}: row {row:,} is no JSON: {error.msg}") from error
            text, place = text[place:] + more, 0
            continue
        if not isinstance(value, dict):
            raise DataError(
                f"{name}: row {row:,} is {shown(text[place:end])}: expected an array of objects, "
                "one for each row"
            )
        # line ends are between values alone: JSON has none in text
        yield re.sub(r"[\r\n]+", " ", text[place:end])
        place = end
        row += 1
