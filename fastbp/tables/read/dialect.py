"""How a text file of rows is written: its separator, the lines before its table, its header.

All of it is told from the first rows, by how well they fit together (van den Burg, Nazabal and
Sutton, 2019, "Wrangling messy CSV files by detecting row and type patterns"): with the right
separator, rows have the same number of fields, and fields look like numbers and dates.
"""

import csv
import re
from collections import Counter
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from .cells import clean_share, is_missing, is_typed, naming

SEPARATORS = ",;\t|"
# what else may separate fields, where none of the first does: no letter, digit, sign or quote
RUNS = "  "  # two blanks stand for one or more
_OTHERS = (*" :~^!&*=@#\x01\x02\x1c\x1d\x1e\x1f\u00a6\u00a7", RUNS)
_RARE = 0.8  # what their fit is worth beside that of a usual one
OF_SUFFIX = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".psv": "|"}
_EXCEL = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
COMMENTS = ("#", "%", "//")
_NOTED = (".txt", ".dat", ".data", ".out", ".asc")  # suffixes of files whose headers are comments
_SAVED = re.compile(r" *[-+]?\d\.\d{18}e[-+]\d+")  # as numpy.savetxt writes numbers
_QUOTED = re.compile(r'"[^"]*"')
_ROWS = 1000  # that are looked at
_TITLES = 20  # of them, among which is the header
_HEAD = 4096  # characters in which an unusual separator must occur
# the share of the rows that must have the same number of fields
_LEAST_REGULAR = 0.5
_IDENTIFIER = re.compile(r'\{"ImportId":')
_FEWEST = 20  # rows in which a word is rare that is there once,
_REPEATED = 4  # and others are there so many times on average
_NEARLY = 0.9  # a row that does not fit is to be mended


class Dialect(Struct, frozen=True):
    """How a text file of rows is written.

    `separator` is one character, or two blanks for one or more. `skip` is the number of lines
    before the header, or before the rows if there is no `header`.
    Where rows have a field more than the header has names, `beyond` says which has no name: the
    "first", or the "last", as after a separator that ends each row. If it is "name", the header
    ends in a separator, and the rows do not; if "sign", it begins with that of a comment.
    `under` is the number of rows below the header that describe it, as survey tools write them;
    `doubt` says that the first row may be one of them.
    `loose` says that the file must be written anew for polars: lines end in CR, or fields are
    apart by several blanks, or have blanks around quotes, or quotes within.
    """

    separator: str = ","
    skip: int = 0
    header: bool = True
    beyond: Literal["", "first", "last", "name", "sign"] = ""
    loose: bool = False
    under: int = 0
    doubt: bool = False


class Known(NamedTuple):
    """What is known before a file is looked at: by its user, or by the model that reads it.

    `names` are the columns of the model, if there is one, and `widths` the numbers of fields
    that its rows may have, if it has no header. `asked` are the columns that the user names.
    """

    separator: str | None = None
    skip: int | None = None
    header: bool | None = None
    names: frozenset[str] = frozenset()
    widths: tuple[int, ...] = ()
    asked: frozenset[str] = frozenset()


class _Fit(NamedTuple):
    """How well a separator fits: the rows with it, from row `start` on, of `width` fields."""

    separator: str
    rows: list[list[str]]
    start: int  # the line
    width: int
    whole: bool  # whether all of these rows have that width
    regular: float  # the share of all rows that have it, and of fields that are as expected
    clean: float
    is_known: bool  # whether the first row has known names, or rows have the model's width


def sniff(text: str, whole: bool, known: Known, suffix: str = "") -> Dialect:
    """Return the `Dialect` of a file that begins with `text`; `whole` if that is all of it."""
    unquoted = _QUOTED.sub("", text)
    has_returns = bool(re.search(r"\r(?!\n|$)", unquoted))
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    skip, separator = known.skip or 0, known.separator
    if known.skip is None and (named := _EXCEL.fullmatch(lines[0])):
        skip, separator = 1, separator or named[1]
    comments = [] if known.skip is not None else _comments(lines[skip:])
    body = "\n".join(lines[skip + len(comments) :])
    fit = _best_fit(body, whole, separator, known, suffix)
    evidence = naming(fit.rows) if fit.rows else 0
    loose = has_returns or _is_loose(body, fit)
    above = _commented_header(comments, fit, evidence, known)
    if above is not None:
        beyond: Any = "sign" if _is_sign_apart(comments, above, fit, known, suffix) else ""
        return Dialect(fit.separator, skip + above, True, beyond, loose)
    header = known.header if known.header is not None else _has_header(fit, evidence, known)
    under = _under(fit.rows) if header else 0
    return Dialect(
        separator=fit.separator,
        skip=skip + len(comments) + fit.start,
        header=header,
        beyond=_beyond(fit, known) if header else "",
        loose=loose,
        under=under,
        doubt=header and not under and not known.names and _is_second(fit.rows),
    )


def _under(rows):
    """Return how many rows below the header describe it: up to that of Qualtrics' identifiers."""
    for place, row in enumerate(rows[1:4], 1):
        fields = [field.strip() for field in row if field.strip()]
        if fields and all(_IDENTIFIER.match(field) for field in fields):
            return place
    return 0


def _is_second(rows):
    """Return whether the first row below the header may be one more: its words are there once.

    Else each column has numbers and dates, or few distinct words.
    """
    if len(rows) < _FEWEST or any(len(row) != len(rows[0]) for row in rows):
        return False
    columns = [(first.strip(), Counter(rest)) for first, *rest in zip(*rows[1:], strict=True)]
    named = [(first, counts) for first, counts in columns if not is_missing(first)]
    return (
        len(named) > 1
        and not any(first in counts or is_typed(first) for first, counts in named)
        and all(_repeats(counts) for _, counts in named)
    )


def _repeats(counts):
    typed = sum(count for field, count in counts.items() if not field.strip() or is_typed(field))
    return typed >= _NEARLY * counts.total() or len(counts) <= counts.total() // _REPEATED


def _comments(lines):
    """Return the lines before a table that are comments or blank; none if there is no table."""
    for place, line in enumerate(lines):
        if line.strip() and not line.startswith(COMMENTS):
            return lines[:place]
    return []


def _commented_header(comments, fit, evidence, known):
    """Return the place of the comment that is the header of the rows below it, or None.

    Its sign may be apart from the first name, as numpy.savetxt writes it.
    """
    place = max((n for n, line in enumerate(comments) if line.strip()), default=None)
    if place is None or fit.start or fit.width < 2 or known.header is False:
        return None
    line = comments[place]
    is_apart = line[1:2].isspace()
    names = _split(line[1:].strip() if is_apart else line, fit.separator)
    if len(names) != fit.width:
        return None
    is_known = _is_named([line.partition(fit.separator)[0], *names], known)
    if not is_apart or (is_known and not _is_named(fit.rows[0], known)):
        return place
    reads_as_names = _are_words(names) or naming([names, *fit.rows]) > 0
    return place if evidence < 0 and reads_as_names else None


def _is_sign_apart(comments, place, fit, known, suffix):
    """Return whether the sign before a header is no part of its first name.

    That needs a proof: "% change" and "# of rooms" are names.
    """
    line = comments[place]
    if not line[1:2].isspace() or fit.separator in (" ", RUNS):
        return line[1:2].isspace()  # by blanks the sign is a field, without a column
    first, *others = (name.strip() for name in _split(line[1:], fit.separator))
    names = known.names or known.asked
    if f"{line[0]} {first}" in names or first in others:
        return False
    is_custom = suffix in _NOTED or all(map(_SAVED.fullmatch, fit.rows[0]))
    return is_custom or first in names or any(each.startswith(line[0]) for each in comments[:place])


def _split(line, separator):
    return next(csv.reader([line], delimiter=separator[0], skipinitialspace=True))


def _are_words(fields):
    """Return whether no field has blanks within, which names seldom have and sentences do."""
    return not any(" " in field.strip() for field in fields)


def _best_fit(text, whole, separator, known, suffix):
    """Return the `_Fit` of the separator that fits best, or of the one that is known."""
    if separator:
        asked = [separator, RUNS] if separator == " " else [separator]
        return max((_fit(text, whole, each, known) for each in asked), key=_rank)
    first = OF_SUFFIX.get(suffix, ",")
    usual = [_fit(text, whole, s, known) for s in [first, *SEPARATORS.replace(first, "", 1)]]
    others = {s: _fit(text, whole, s, known) for s in _OTHERS if s[0] in text[:_HEAD]}
    if RUNS in others and others[RUNS].whole and any("" in row for row in others[" "].rows):
        del others[" "]  # between two blanks it finds an empty field
    fitting = [fit for fit in usual if fit.width > 1 and fit.regular >= _LEAST_REGULAR]
    # what is rarely a separator needs a proof
    proven = [fit for fit in others.values() if fit.is_known or (fit.whole and len(fit.rows) > 2)]
    fitting += [fit for fit in proven if fit.width > 1]
    at_once = [fit for fit in others.values() if fit.start == 0]
    with_header = [fit for fit in [*usual, *at_once] if _fits(fit)]
    if with_header:
        own = min(with_header, key=lambda fit: (not fit.is_known, fit.start))
        fitting = [fit for fit in fitting if not _yields(fit, own, suffix)]
    in_header = [fit for fit in usual if fit.rows and len(fit.rows[0]) > 1]
    return max(fitting, key=_rank) if fitting else [*in_header, *usual][0]


def _fits(fit):
    """Return whether a separator gives nearly all rows as many fields as the header."""
    nearly = fit.whole or fit.regular >= _NEARLY
    return nearly and fit.width > 1 and all(len(row) == fit.width for row in fit.rows[:2])


def _yields(fit, own, suffix):
    """Return whether a separator is less likely than `own`, which fits header and rows.

    Fields may hold other separators: colours, lists of tags, names of users. Their columns have
    one name. But numbers with decimal commas may have as many commas in each row.
    """
    if fit is own or fit.start < own.start or fit.is_known > own.is_known:
        return False
    if fit.start > own.start and _rank(fit) > _rank(own) and naming(fit.rows) > 0:
        return False  # a title may have as many fields by another separator
    if fit.start > own.start or fit.is_known < own.is_known or not _fits(fit):
        return True
    is_odd = own.separator in SEPARATORS and fit.separator not in SEPARATORS
    return (is_odd and suffix in OF_SUFFIX) or _typed(fit) < _typed(own)


def _typed(fit):
    """Return how many fields look like numbers, dates or times."""
    return sum(is_typed(field) for row in fit.rows for field in row)


def _rank(fit):
    """Return what is compared between separators; the first of equal ones is chosen."""
    # two rows prove nothing: names and text may hold any separator
    clean = fit.clean if len(fit.rows) > 2 else 1.0
    worth = 1.0 if fit.separator in SEPARATORS else _RARE
    return fit.is_known, worth * fit.regular * clean * (1 - 1 / fit.width)


def _fit(text, whole, separator, known):
    rows, starts, broken = _parsed(text, whole, separator)
    widths = Counter(map(len, rows))
    width = widths.most_common(1)[0][0] if rows else 0
    first = _first_row(rows, starts, width, known, separator)
    kept = rows[first:]
    regular = sum(len(row) == width and n not in broken for n, row in enumerate(kept, first))
    # a header without a name for row names
    regular += bool(kept) and len(kept[0]) == width - 1 and (width > 2 or separator.isspace())
    is_named = bool(kept) and _is_named(kept[0], known)
    body = kept[1:] if len(kept) > 1 else kept
    return _Fit(
        separator,
        kept,
        starts[first] if rows else 0,
        width,
        regular == len(kept),
        regular / max(1, len(rows)),
        clean_share(body),
        is_named or (width in known.widths and width > 1),
    )


def _parsed(text, whole, separator):
    """Return the rows that are not blank, the line where each begins, and which are broken.

    A row that cannot be parsed is parted at each separator. There are `_ROWS` at most.
    """
    if separator == RUNS:
        text = re.sub(r"[ \t]+$", "", text.replace("\t", " "), flags=re.MULTILINE)
    elif separator != " ":
        text = blanks_behind_quotes(separator).sub('"', text)
    lines = [f"{line}\n" for line in text.split("\n")]
    reader = csv.reader(
        lines, delimiter=separator[0], skipinitialspace=separator != " ", strict=True
    )
    rows: list[list[str]] = []
    starts: list[int] = []
    broken: set[int] = set()
    before = 0
    while len(rows) < _ROWS:
        try:
            row = next(reader, None)
        except csv.Error:
            row = "".join(lines[before : reader.line_num]).rstrip("\n").split(separator[0])
            broken.add(len(rows))
        if row is None:
            break
        if any(field.strip() for field in row):
            rows.append(row)
            starts.append(before)
        before = reader.line_num
    else:
        whole = True  # so far
    if not whole and len(rows) > 1:  # the last may be cut
        rows.pop()
    return rows, starts, broken


def blanks_behind_quotes(separator: str) -> re.Pattern[str]:
    """Return the pattern of quotes that close a field, with the blanks between it and the next."""
    blanks = "[ ]" if separator == "\t" else r"[ \t]"
    return re.compile(rf'(?<!")"{blanks}+(?={re.escape(separator)}|[\r\n]|$)')


def _first_row(rows, starts, width, known, separator):
    """Return the place of the first row of the table, the header if there is one.

    Rows before it have fewer fields: one each, or any number where the header is beyond doubt,
    or where fields are apart by blanks and a blank line follows.
    """
    if known.skip is not None:
        return 0
    # a title may have as many fields as the table below it, empty ones
    named = (n for n, row in enumerate(rows[:_TITLES]) if len(row) == width)
    first = next((n for n in named if _is_named(rows[n], known)), 0)
    if first and naming(rows[first:]) > 0:
        return first
    first = next((n for n, row in enumerate(rows) if len(row) == width), 0)
    before = rows[:first]
    if not before or width < 2 or any(len(row) > width for row in before):
        return 0
    evidence = naming(rows[first:])
    # as R writes row names
    names_the_rest = len(before) == 1 and len(before[0]) == width - 1 and _are_words(before[0])
    is_apart = separator.isspace() and starts[first] > starts[first - 1] + 1
    single = is_apart or all(len(row) == 1 for row in before)
    if evidence > 0 or (single and not (names_the_rest and evidence < 0)):
        return first
    return 0


def _has_header(fit, evidence, known):
    is_named = bool(fit.rows) and _is_named(fit.rows[0], known)
    return is_named if known.names else is_named or evidence >= 0


def _is_named(row, known):
    """Return whether a row has names of columns of the model's, or that the user names."""
    names = known.names or known.asked
    return any(field in names or field.strip() in names for field in row)


def _beyond(fit, known):
    """Return which field of the rows has no name in the header, as `Dialect.beyond` says it."""
    if not fit.rows:
        return ""
    header, *rows = fit.rows
    more = fit.width - len(header)
    if more == -1 and not header[-1].strip():
        return "name"
    is_proven = len(rows) > 1 or (rows and known.names)
    if more != 1 or not is_proven or any(len(row) != fit.width for row in rows):
        return ""
    if not any(row[-1].strip() for row in rows):
        return "last"
    firsts = [row[0].strip() for row in rows]
    name_rows = len(set(firsts)) == len(firsts) and not any(re.search(r"\d[.,]", f) for f in firsts)
    return "first" if name_rows and len(header) > 1 else ""


def _is_loose(text, fit):
    """Return whether fields are apart by several blanks, or have blanks around quotes."""
    if fit.separator == RUNS or ord(fit.separator) > 127:  # polars has separators of one byte
        return True
    if fit.separator == " ":
        return False
    blank = "" if fit.separator == "\t" else "\t"
    pattern = rf'[ {blank}]"[^"]*"|"[^"]*"[ {blank}]+(?={re.escape(fit.separator)}|$)|"[^"]*"'
    found = (match[0] for match in re.finditer(pattern, text, re.MULTILINE))
    return any(quoted[0] != '"' or quoted[-1] != '"' for quoted in found)
