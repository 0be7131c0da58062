"""Workbooks of Excel and OpenDocument: the sheet that holds the table."""

from collections.abc import Collection
from importlib import import_module
from pathlib import Path

import polars as pl

from ...errors import DataError
from ..wording import listed, one_line, shown
from .notes import step, warn


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
        found = pl.read_excel(path, sheet_name=sheet, raise_if_empty=False)
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
