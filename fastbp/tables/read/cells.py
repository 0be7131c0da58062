"""What a field of text looks like, and whether the first row of some names the columns."""

import re
from collections.abc import Sequence

from ..wording import MISSING_WORDS

# rough forms, for a first look: the columns find out what their values are
_NUMBER = (
    r"[^\w\s.,;|]?\s?\(?[-+\u2212]?[^\w\s.,;|]?"  # a currency, a sign
    r"(?:\d[\d.,'\u2019\u00a0\u202f ]*|[.,]\d+)"
    r"(?:[eE][-+]?\d+)?\)?(?:\s?[%\u2030\u00b0]|\s?[^\w\s.,;|:]{1,3})?"
)
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DAY = (
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}"
    rf"|\d{{1,2}}[- ]{_MONTH}[- ,]+\d{{2,4}}|{_MONTH} \d{{1,2}},? \d{{4}}"
)
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[ap]m)?(?: ?(?:z|utc|gmt)| ?[-+]\d{2}:?\d{2})?"
_TYPED = re.compile(
    rf"{_NUMBER}|(?:{_DAY})(?:[ T]+(?:{_CLOCK}|\d{{4,6}}))?|\d{{8}}T\d{{4,6}}|{_CLOCK}",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[\w .'()/-]+")
_WHOLE = re.compile(r"\d+")
_LEAST_YEAR, _MOST_YEAR = 1800, 2199
# how the last row begins that adds up the others
_TOTALS = frozenset(
    (
        *("total", "totals", "grand total", "subtotal", "sub total", "sum", "summe", "gesamt"),
        *("gesamtsumme", "insgesamt", "somme", "total general", "total g\u00e9n\u00e9ral"),
        *("totale", "totaal", "suma", "soma", "razem", "celkem", "\u5408\u8a08", "\u603b\u8ba1"),
        *("\u0438\u0442\u043e\u0433\u043e", "\u0432\u0441\u0435\u0433\u043e"),
    )
)
# if this share of a column looks like numbers or dates, it is one
_MOSTLY = 0.9


def is_typed(field: str) -> bool:
    """Return whether a field looks like a number, a date or a time."""
    return bool(_TYPED.fullmatch(field.strip()))


def total_in(fields: Sequence[str]) -> str:
    """Return the word by which a row says that it adds up others, "" if it does not.

    It stands before all else in the row, and beside numbers.
    """
    first, *others = [field.strip() for field in fields if field.strip()] or [""]
    adds_up = first.rstrip(":").casefold() in _TOTALS and any(map(is_typed, others))
    return first if adds_up else ""


def is_missing(field: str) -> bool:
    """Return whether a field is empty, or a word for a missing value."""
    return field.strip() in MISSING_WORDS


def clean_share(rows: Sequence[Sequence[str]]) -> float:
    """Return the share of fields that look like numbers, dates or times, are missing, or words.

    Those of a wrong separator hold others.
    """
    fields = [field for row in rows for field in row]
    clean = sum(bool(_WORDS.fullmatch(f)) or is_typed(f) or is_missing(f) for f in fields)
    return clean / max(1, len(fields))


def naming(rows: Sequence[Sequence[str]]) -> int:
    """Return whether the first of some rows names columns: 1 if it does, -1 if not, 0 if unknown.

    It does where its text stands over numbers or dates. It does not where it holds numbers over
    numbers, or text that is a value further down; except numbers that count up, such as years.
    """
    first, rest = rows[0], rows[1:]
    present = [field.strip() for field in first if not is_missing(field)]
    if not rest:
        return -1 if any(map(is_typed, present)) else 0
    if _count_up(first, rest):
        return 1
    names = values = repeated = 0
    for place, field in enumerate(first):
        below = [row[place] for row in rest if place < len(row) and not is_missing(row[place])]
        if is_missing(field) or not below:
            continue
        mostly_typed = sum(map(is_typed, below)) >= _MOSTLY * len(below)
        if is_typed(field):
            values += mostly_typed
        elif mostly_typed:
            names += 1
        else:
            repeated += field in below
    if names:
        return 1 if names > values or (names == values and not repeated) else -1
    return -1 if values or repeated else 0


def _count_up(first, rest):
    """Return whether numbers in a first row are names: years, or the places 0, 1, 2, ..."""
    names = [field.strip() for field in first if not is_missing(field)]
    numbers = [name for name in names if is_typed(name)]
    if len(numbers) < 2 or not all(map(_WHOLE.fullmatch, numbers)):
        return False
    places = list(map(int, numbers))
    if places != list(range(places[0], places[0] + len(places))):
        return False
    if places[0] >= _LEAST_YEAR and places[-1] <= _MOST_YEAR:
        return True
    below = [
        field.strip()
        for row in rest
        for name, field in zip(first, row, strict=False)
        if name.strip() and is_typed(field)
    ]
    if any(map(_WHOLE.fullmatch, below)):
        return places[0] == 0 and len(places) > 2 and numbers == names
    return places[0] in (0, 1) and numbers == names
