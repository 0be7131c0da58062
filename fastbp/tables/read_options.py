"""The options of reading a file of text, for training and for predicting."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..quoted import quoted
from .declared import Declared, Kind, choice, encoding, flag, number, option, separator, texts
from .wording import shown


def formats(metavar):
    """Return the kind of formats of dates, each for all columns, or for one: born=%d/%m/%Y.

    A dict has those of columns by their names.
    """
    several = texts(metavar)

    def check(name, value):
        if isinstance(value, Mapping):
            value = [f"{column}={each}" for column, each in value.items()]
        found = several.check(name, value)
        for each in found:
            if "%" not in each.rpartition("=")[2]:
                raise ValueError(
                    f"{name}={quoted(each)}: expected a format such as %d/%m/%Y, or that of a "
                    "column, such as born=%d/%m/%Y"
                )
        return found

    return Kind(metavar, str, check, several=True)


@dataclass(frozen=True, kw_only=True)
class ReadOptions(Declared):
    """How files of text are read, where it is not told from the file.

    Parameters
    ----------
    separator : str, optional
        Character between fields: , ; | space, tab or another. Default: told from the file.
    encoding : str, optional
        Encoding, such as utf-8, cp1252 or utf-16. Default: told from the file.
    skip_rows : int, optional
        Lines before the header, or before the rows. Default: told from the file.
    header : bool, optional
        Whether the first row names the columns. Default: told from the file.
    decimal : {".", ","}, optional
        Mark before the decimals of numbers in text. Default: by the values of
        each column, or as for the model.
    date_format : sequence of str, or dict
        Format of dates, such as %d/%m/%Y, or of one column's, such as born=%d/%m/%Y. Default: by
        the values of each column, or as for the model.
    """

    separator: str | None = option(separator(), None, panel="Reading")
    encoding: str | None = option(encoding(), None, panel="Reading")
    skip_rows: int | None = option(number(whole=True, least=0), None, panel="Reading")
    header: bool | None = option(flag(), None, panel="Reading", names=("--header/--no-header",))
    decimal: str | None = option(choice(".", ","), None, panel="Reading")
    date_format: tuple = option(formats("FORMAT"), (), panel="Reading")

    @classmethod
    def of(cls, method: Callable[..., Any], options: Mapping[str, Any]) -> "ReadOptions":
        """Return the further options that a method was called with; TypeError if it has not all."""
        known = [each.name for each in fields(cls)]
        for name in options:
            if name not in known:
                there = ", ".join(inspect.signature(method).parameters)
                raise TypeError(f"{method.__name__} has no argument {shown(name)}: it has {there}")
        return cls(**options)

    @property
    def named_columns(self) -> frozenset[str]:
        """The columns that options name; those of a training do, the others of reading do not."""
        of_columns = [f.name for f in fields(self) if f.metadata["kind"].metavar == "COL"]
        values = [getattr(self, name) or () for name in of_columns]
        several = [[value] if isinstance(value, str) else value for value in values]
        return frozenset(name for names in several for name in names)
