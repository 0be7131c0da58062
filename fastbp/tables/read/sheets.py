"""Workbooks of Excel and OpenDocument: the first sheet that holds a table."""

from importlib import import_module
from pathlib import Path

import polars as pl

from ...errors import DataError
from ..wording import listed, one_line, shown
from .notes import step, warn


def sheet_of(name: str, path: Path) -> pl.DataFrame:
    """Return the first sheet that is not empty; DataError if all are.

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
    for place, sheet in enumerate(sheets):
        frame = pl.read_excel(path, sheet_name=sheet, raise_if_empty=False)
        if frame.width:
            others = sheets[:place] + sheets[place + 1 :]
            if others:
                warn(name, f"the sheet {shown(sheet)} is read, and not {listed(others)}")
            return frame
    raise DataError(f"{name} is a workbook of empty sheets")
