"""``fastbp predict``: scored rows of a table."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .config import ConfigOption
from .exits import Code, Ended, guarded
from .log import LogOption, Mode
from .models import load_table_model
from .rows import DataArgument, open_rows
from .values import ModelArgument, ThreadsOption, not_the_input, writable


def predict(
    model: ModelArgument,
    data: DataArgument,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            help="A .csv or .parquet file; default: CSV on stdout.",
            metavar="OUT",
            callback=writable,
        ),
    ] = "",
    keep: Annotated[
        list[str], typer.Option(help="A column of DATA to keep beside predictions.", metavar="COL")
    ] = [],  # noqa: B006 - Typer copies it
    threads: ThreadsOption = "auto",
    config: ConfigOption = "",
    log: LogOption = Mode.text,
):
    """Predict for each row of a table, in bounded memory: classes with probabilities, or numbers.

    Columns that identify rows are kept; without one, rows are numbered. Exit codes: 0 done, 1 the
    system failed, 2 usage, 3 bad data or model, 130 interrupted. No partial file is ever left.
    """
    with guarded(log) as out:
        from ..tables.result.writing import SUFFIXES, write_csv, write_frames

        if output and Path(output).suffix not in SUFFIXES:
            raise Ended(Code.USAGE, f"-o {output}: expected a name in {' or '.join(SUFFIXES)}")
        if not output and out.json:
            raise Ended(
                Code.USAGE, "--log json: its lines and predictions cannot share stdout; -o OUT"
            )
        if not output and sys.stdout is None:
            raise Ended(Code.USAGE, "stdout is closed: say with -o OUT where to")
        loaded = load_table_model(model)
        table = open_rows(data, loaded.schema.missing_words)
        not_the_input(output, model, *table.files)
        frames = loaded.predictions(table, keep, threads)
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
