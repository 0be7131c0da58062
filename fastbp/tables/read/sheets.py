"""Workbooks of Excel and OpenDocument: the sheet that holds the table."""

from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl

from ...errors import DataError
from ..wording import counted, listed, one_line, shown
from .cells import naming
from .notes import step, warn

_TITLES = 20  # rows among which is the header
_LOOKED_AT = 200
_UNNAMED = "__UNNAMED__"  # what the reader calls a column without a name


def sheet_of(name: str, path: Path, columns: Collection[str]) -> tuple[pl.DataFrame, list[str]]:
    """Return the sheet that holds most of some columns, or is not empty, and the other names.

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
        found = _below_titles(name, path, sheet, columns)
        held = len({*columns} & {*found.columns})
        if found.width and held > most:
            chosen, frame, most = sheet, found, held
        if most == len(columns):
            break
    if not chosen:
        raise DataError(f"{name} is a workbook of empty sheets")
    others = [sheet for sheet in sheets if sheet != chosen]
    if others:
        warn(name, f"the sheet {shown(chosen)} is read, and not {listed(others)}")
    return frame, others


def _below_titles(name, path, sheet, columns):
    """Return a sheet whose header is its first row, or one below titles."""
    how: dict[str, Any] = {"sheet_name": sheet, "raise_if_empty": False}
    whole = pl.read_excel(path, drop_empty_rows=False, **how)
    place, names = _header_of(whole, columns)
    frame = whole.filter(pl.any_horizontal(pl.all().is_not_null())) if whole.width else whole
    if place:
        # the reader counts from the first row of the sheet, of which it leaves out empty ones
        for row in range(place, place + _TITLES):
            below = pl.read_excel(path, read_options={"header_row": row}, **how)
            if names <= {each.strip() for each in below.columns}:
                frame = below
                told = f"{counted(place, 'row')} before the table left out"
                warn(name, f"the sheet {shown(sheet)}: {told}")
                break
    lacking = {each: f"column_{n}" for n, each in enumerate(frame.columns, 1) if _UNNAMED in each}
    if lacking and frame.width > len(lacking):
        warn(name, f"columns without a name are called {listed([*lacking.values()])}")
    return frame.rename(lacking)


def _header_of(frame, columns):
    """Return the row of a sheet that is its header, counted from 0, and its names.

    It is the first, or the one that has most of `columns`; or where some columns have no name, the
    first with text in each that stands over numbers or dates.
    """
    known, held = {*columns}, len({*columns} & {*frame.columns})
    found: tuple[int, set[str]] = (0, set())
    rows = [["" if c is None else str(c) for c in row] for row in frame.head(_LOOKED_AT).rows()]
    for place, row in enumerate(rows[:_TITLES], 1):
        names = {field.strip() for field in row} - {""}
        if len(known & names) > held:
            return place, names
        if not found[0] and len(names) == frame.width and naming(rows[place - 1 :]) > 0:
            found = place, names
    is_doubtful = not held and any(_UNNAMED in each for each in frame.columns)
    return found if is_doubtful else (0, set())
