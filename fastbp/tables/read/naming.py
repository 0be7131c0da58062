"""The names of the columns of a file, and which of them only number its rows."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl
from msgspec import Struct

from ...errors import DataError
from ..wording import shown
from .cells import is_typed
from .dialect import COMMENTS, Dialect

# what pandas, polars and R call a column that has no name
_NAMELESS = re.compile(r"|Unnamed: [\d.]+|\.\.\.1|__index_level_\d+__")
# the share of the rows whose number is that of the row before plus one
_MOSTLY = 0.9


class Reading(Struct, frozen=True):
    """How the table of a model was read, which the tables that it predicts share.

    `columns` are its names in the order of the file; if its file had no `header`, they are
    column_1, column_2, ... It is saved with the model.
    """

    header: bool = True
    columns: tuple[str, ...] = ()


class Like(NamedTuple):
    """The table of a model, which another is read like: the names known of it, its targets."""

    reading: Reading
    names: frozenset[str]
    targets: tuple[str, ...]


class Names(NamedTuple):
    """The names of columns; `unnamed` are those that the file has no name for."""

    all: list[str]
    unnamed: tuple[str, ...] = ()


def names_of(name: str, fields: Sequence[str], dialect: Dialect, like: Like | None = None) -> Names:
    """Return the names of the columns of a file whose first row has some `fields`.

    Blanks around names are no part of them, unless a model knows them so. Without a header they
    are those of the model's table, `like`, in order, with or without its target.
    """
    if not dialect.header:
        return Names(_by_place(name, len(fields), like))
    known = like.names if like else ()
    fields = list(fields)
    if dialect.beyond == "sign" and fields[0] in COMMENTS:
        del fields[0]
    elif dialect.beyond == "sign":
        fields[0] = fields[0].lstrip("".join(COMMENTS))
    elif dialect.beyond == "name":
        del fields[-1]
    elif dialect.beyond:
        fields.insert(0 if dialect.beyond == "first" else len(fields), "")
    names = [name if name in known else name.strip() for name in fields]
    unnamed = tuple(f"column_{place}" for place, name in enumerate(names, 1) if not name)
    return Names([name or f"column_{place}" for place, name in enumerate(names, 1)], unnamed)


def _by_place(name, count, like):
    known = like.reading.columns if like else ()
    if not known:
        return [f"column_{place}" for place in range(1, count + 1)]
    if count == len(known):
        return list(known)
    others = [column for column in known if column not in like.targets]
    if count == len(others):
        return others
    raise DataError(
        f"{name} has no header and {count:,} columns, but the table of the model has "
        f"{len(known):,}: give the same columns in the same order, or a header"
    )


def distinct(name: object, columns: Sequence[str]) -> None:
    """Raise DataError if two columns have the same name."""
    if len(set(columns)) < len(columns):
        twice, _ = Counter(columns).most_common(1)[0]
        raise DataError(
            f"{name} has two columns named {shown(twice)}: rename one, for a model knows "
            "columns by name"
        )


def may_number_rows(columns: Sequence[str], unnamed: Sequence[str] = ()) -> list[str]:
    """Return the columns that writers add for the numbers or names of rows: they have no name."""
    found = []
    for name in columns:
        if name not in unnamed and not _NAMELESS.fullmatch(name):
            break
        found.append(name)
    stored = [name for name in columns if name.startswith("__index_level_") and name not in found]
    return found + stored


def numbers_rows(values: pl.Series) -> bool:
    """Return whether values number rows, or name each of them by a text of its own."""
    values = values.drop_nulls()
    if values.dtype == pl.String:
        numbers = values.str.strip_chars().cast(pl.Int64, strict=False)
        if numbers.null_count() == len(numbers):
            return len(values) > 1 and values.n_unique() == len(values) and not is_typed(values[0])
        values = numbers
    if not values.dtype.is_integer() or values.null_count() or not len(values):
        return False
    follow = int((values.diff().drop_nulls() == 1).sum())
    return values.n_unique() == len(values) or follow >= _MOSTLY * len(values)
