"""Workbooks of Excel and OpenDocument: the sheet that holds the table."""

from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from ...errors import DataError
from ..wording import counted, listed, one_line, shown
from .cells import is_typed, naming
from .notes import step, warn

_TITLES = 20  # rows among which is the header
_LOOKED_AT = 200  # rows by which it is told
_UNNAMED = "__UNNAMED__"  # what the reader calls a column without a name


class Sheet(NamedTuple):
    """The table of a workbook, the names of its other sheets, and those given to columns."""

    frame: pl.DataFrame
    others: list[str]
    unnamed: tuple[str, ...]


def sheet_of(name: str, path: Path, columns: Collection[str]) -> Sheet:
    """Return the sheet that holds most of some columns, or is not empty.

    It is the first of several. DataError if all are empty.

    ModuleNotFoundError, with what installs it, if fastexcel is absent.
    """
    try:
        fastexcel = import_module("fastexcel")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{name} is a workbook, which needs fastexcel: python -m pip install 'fastbp[excel]'"
        ) from error
    step("reading", name)
    try:
        sheets = fastexcel.read_excel(path).sheet_names
    except fastexcel.FastExcelError as error:
        raise DataError(f"{name} cannot be read as a workbook: {one_line(error)}") from error
    chosen, frame, most = "", pl.DataFrame(), -1
    for sheet in sheets:
        found = _read(path, sheet)
        held = len({*columns} & {*found.columns})
        if found.width and held > most:
            chosen, frame, most = sheet, found, held
        if most == len(columns):
            break
    if not chosen:
        raise DataError(f"{name} is a workbook of empty sheets")
    is_doubtful = any(_UNNAMED in each for each in frame.columns)
    searched = [] if most else sheets if columns else [chosen] * is_doubtful
    for sheet in searched:  # below titles
        place = _header_of(path, sheet, columns)
        if place:
            chosen, frame = sheet, _read(path, sheet, header_row=place)
            told = f"{counted(place, 'row')} before the table left out"
            warn(name, f"the sheet {shown(sheet)}: {told}")
            break
    others = [sheet for sheet in sheets if sheet != chosen]
    if others:
        warn(name, f"the sheet {shown(chosen)} is read, and not {listed(others)}")
    lacking = _names_for(frame.columns)
    if lacking and frame.width > len(lacking):
        warn(name, f"columns without a name are called {listed([*lacking.values()])}")
    return Sheet(frame.rename(lacking), others, tuple(lacking.values()))


def _read(path, sheet, **options):
    how: Any = {"sheet_name": sheet, "raise_if_empty": False}
    return pl.read_excel(path, read_options=options, **how)


def _names_for(columns):
    """Return names for the columns that have none, by their places."""
    found: dict[str, str] = {}
    for place, column in enumerate(columns, 1):
        if _UNNAMED in column:
            called = f"column_{place}"
            while called in columns:
                called += "_"
            found[column] = called
    return found


def _header_of(path, sheet, columns):
    """Return the row of a sheet that is its header below titles, counted from 0; 0 for none.

    Each column has text of its own there, over numbers or dates, or one of `columns` among words.
    """
    whole: Any = {"has_header": False, "drop_empty_rows": False}
    options = {"header_row": None, "skip_rows": 0, "n_rows": _LOOKED_AT, "dtypes": "string"}
    how = {"sheet_name": sheet, "raise_if_empty": False, "read_options": options}
    rows = [[cell or "" for cell in row] for row in pl.read_excel(path, **how, **whole).rows()]
    for place, row in enumerate(rows[:_TITLES]):
        names = {field.strip() for field in row} - {""}
        if place and len(names) == len(row) and (not columns or names & {*columns}):
            evidence = naming(rows[place:])
            if evidence > 0 or (columns and evidence == 0 and not any(map(is_typed, row))):
                return place
    return 0
