"""``fastbp evaluate``: the scores of a model on rows whose target is known."""

from typing import Annotated

import typer

from ..tables.options import ReadOptions
from .config import ConfigOption
from .describe import scores_text
from .exits import guarded
from .models import load_table_model
from .options import with_options
from .rows import DataArgument, open_rows
from .values import LogOption, ModelArgument, QuietOption, ThreadsOption


@with_options(ReadOptions)
def evaluate(
    model: ModelArgument,
    data: DataArgument,
    weight: Annotated[
        str,
        typer.Option(
            "--weight",
            help="Column of the weights of the rows. Default: that of the training.",
            metavar="COL",
        ),
    ] = "",
    threads: ThreadsOption = "auto",
    config: ConfigOption = "",
    log: LogOption = "text",
    quiet: QuietOption = False,
    **reading,
):
    """Score a model on rows whose target is known.

    A classification: accuracy, balanced accuracy, macro F1, log loss, and ROC AUC for two
    classes. A regression: R2, and RMSE and MAE in the units of the target.
    """
    with guarded(log, quiet) as out:
        loaded = load_table_model(model)
        table = open_rows(data, lambda rows: loaded.open(rows, **reading))
        metrics = loaded.evaluate(table, threads, weight or None)
        out.result("scores", f"{table.name}: {scores_text(metrics)}", data=table.name, **metrics)
