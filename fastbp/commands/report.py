"""``fastbp report``: one page of HTML about a model."""

from typing import Annotated, Any

from .exits import guarded
from .models import load_model
from .values import LogOption, ModelArgument, QuietOption, not_the_input, output_option


def report(
    model: ModelArgument,
    output: Annotated[Any, output_option("Page of HTML.", "report.html")] = "report.html",
    log: LogOption = "text",
    quiet: QuietOption = False,
):
    """Write a page of HTML about a model.

    It holds learning curves, the confusion matrix or the residuals, the columns and the times,
    and needs no other file.
    """
    with guarded(log, quiet) as out:
        from ..report.build import write_report

        loaded = load_model(model)
        not_the_input(output, model)
        out.step(f"writing {output}")
        write_report(loaded, output)
        out.event("saved", f"saved to {output}", path=output)
