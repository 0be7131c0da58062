"""The table of a command: files, or a data set by its name."""

import os
from typing import Annotated

import typer

from ..tables.options import ReadOptions
from .codes import Code
from .exits import Ended
from .options import made

DataArgument = Annotated[
    list[str],
    typer.Argument(
        help=(
            "CSV and other text, Parquet, Arrow IPC, JSON, Excel or .npz, also packed: files, "
            "folders or globs; - for standard input; or a data set: digits, breast-cancer or "
            "diabetes."
        ),
        metavar="DATA...",
    ),
]


def dataset_of(data: list[str]):
    """Return the data set of that name, or None where it names files."""
    from ..tables.datasets import DATASETS

    name = data[0] if len(data) == 1 else ""
    return DATASETS.find(name) if name in DATASETS and not os.path.exists(name) else None


def target_of(data: list[str]):
    """Return the column to learn where ``--target`` does not name it; `Ended` if none is known."""
    from ..tables.datasets import DATASETS

    if dataset := dataset_of(data):
        return dataset.target
    (name, *more), sets = data, ", ".join(DATASETS)
    if not (more or os.path.exists(name) or os.path.splitext(name)[1]):
        raise Ended(Code.USAGE, f"{name} is neither a file nor a data set; data sets: {sets}")
    raise Ended(Code.USAGE, "--target: name the column to learn, --target COL")


def refuse_standard_input(*sources: str):
    """Raise ValueError if a source is standard input, which mpiexec gives to one process alone."""
    if "-" in sources:
        raise ValueError("-: the processes of mpiexec do not share standard input; give a file")


def open_rows(data: list[str], open_table):
    """Return the `Table` that a function opens of files, or of a data set by its name."""
    dataset = dataset_of(data)
    table = open_table(dataset.load() if dataset else data)
    table.name = dataset.name if dataset else table.name
    return table


def rows_for(model, data: list[str], reading):
    """Return the `Table` that a model reads, with the values of the options of `ReadOptions`."""
    how = made(ReadOptions, reading)
    return open_rows(data, lambda rows: model.open(rows, how))
