"""``fastbp report``: one page of HTML about a model."""

from typing import Annotated

import typer

from .exits import guarded
from .log import LogOption, Mode
from .models import load_model
from .values import ModelArgument, not_the_input, writable


def report(
    model: ModelArgument,
    output: Annotated[
        str, typer.Option("--output", "-o", help="The page.", metavar="FILE", callback=writable)
    ] = "report.html",
    log: LogOption = Mode.text,
):
    """Write a self-contained page: curves, confusion or residuals, schema, times.

    Exit codes: 0 done, 1 the system failed, 2 usage, 3 not a model file.
    """
    with guarded(log) as out:
        from ..report.build import write_report

        loaded = load_model(model)
        not_the_input(output, model)
        write_report(loaded, output)
        out.event("saved", f"saved to {output}", path=output)
