"""``fastbp predict``: scored rows of a table."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ..tables.declared import Declared, number, option, texts
from ..tables.options import ReadOptions
from .config import ConfigOption
from .exits import Code, Ended, guarded, usage
from .models import load_table_model
from .options import made, taking, with_options
from .rows import DataArgument, rows_for
from .values import (
    LogOption,
    ModelArgument,
    QuietOption,
    ThreadsOption,
    not_the_input,
    output_option,
)


@dataclass(frozen=True)
class IntervalOptions(Declared):
    """What the command has beside `ReadOptions`.

    Parameters
    ----------
    interval : float, optional
        Add lower and upper, between which this share of the rows of a regression lie, such as 0.9.
    """

    interval: float | None = option(number(above=0, below=1), None, panel="Options")


@with_options(IntervalOptions, ReadOptions)
def predict(
    model: ModelArgument,
    data: DataArgument,
    output: Annotated[
        Any, output_option("File for predictions, .csv or .parquet. Default, and -: CSV on stdout.")
    ] = "",
    keep: Annotated[
        list[str],
        taking(
            texts("COL"),
            "Columns of DATA to keep beside predictions; all keeps every column.",
            "--keep",
            several=True,
        ),
    ] = [],  # noqa: B006 - Typer copies it
    spread: Annotated[
        bool,
        typer.Option(
            "--spread",
            help="Add the spread of an ensemble: the standard deviation of its predictions.",
        ),
    ] = False,
    threads: ThreadsOption = "auto",
    config: ConfigOption = "",
    log: LogOption = "text",
    quiet: QuietOption = False,
    **values,
):
    """Predict the target for each row of a table.

    Classes come with their probabilities. Columns that identify rows are kept; without one, rows
    are numbered. Memory is bounded, whatever the size of the table, and files are written
    atomically.
    """
    with guarded(log, quiet) as out:
        from ..ensemble import members_of
        from ..tables.result.writing import SUFFIXES, write_csv, write_frames

        output = "" if output == "-" else output
        if output and Path(output).suffix not in SUFFIXES:
            raise Ended(
                Code.USAGE, f"--output {output}: expected a name ending in {' or '.join(SUFFIXES)}"
            )
        if not output and out.json:
            raise Ended(
                Code.USAGE,
                "--log json: its lines and predictions cannot share stdout; give --output FILE",
            )
        if not output and sys.stdout is None:
            raise Ended(Code.USAGE, "stdout is closed; give --output FILE")
        loaded = load_table_model(model)
        if spread and len(members_of(loaded.network)) == 1:
            why = f"{model} holds one network; train several, such as --ensemble 5"
            raise Ended(Code.USAGE, f"--spread: {why}")
        table = rows_for(loaded, data, values)
        not_the_input(output, model, *table.files)
        with usage():
            interval = made(IntervalOptions, values).interval
            frames = loaded.predictions(table, keep, threads, spread, interval)
        with out.progress(unit="row") as bar:
            counted = _counted(frames, bar)
            if not output:
                write_csv(sys.stdout.buffer, counted)
                return
            rows = write_frames(output, counted)
        out.event("done", f"{rows:,} rows in {output}", rows=rows, output=output)


def _counted(frames, bar):
    for frame in frames:
        yield frame
        bar.update(len(frame))
