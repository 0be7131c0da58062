"""``fastbp evaluate``: the scores of a model on rows whose target is known."""

from typing import Annotated

from ..tables.declared import texts
from ..tables.options import ReadOptions
from .config import ConfigOption
from .describe import scores_text
from .exits import guarded, usage
from .models import load_table_model
from .options import taking, with_options
from .rows import DataArgument, rows_for
from .values import LogOption, ModelArgument, QuietOption, ThreadsOption, WeightOption


@with_options(ReadOptions)
def evaluate(
    model: ModelArgument,
    data: DataArgument,
    weight: WeightOption = "",
    metric: Annotated[
        list[str],
        taking(
            texts("NAME"),
            "A metric by its name in scikit-learn, such as f1 or neg_log_loss.",
            "--metric",
            several=True,
        ),
    ] = [],  # noqa: B006 - Typer copies it
    threads: ThreadsOption = "auto",
    config: ConfigOption = "",
    log: LogOption = "text",
    quiet: QuietOption = False,
    **reading,
):
    """Score a model on rows whose target is known.

    A classification: accuracy, balanced accuracy, macro F1, log loss, and ROC AUC for two
    classes. A regression: R2, and RMSE and MAE in the units of the target. --metric adds any of
    scikit-learn.
    """
    with guarded(log, quiet) as out:
        from ..tables.result.asked import scorers_of

        with usage():
            scorers_of(metric)
        loaded = load_table_model(model)
        table = rows_for(loaded, data, reading)
        metrics = loaded.evaluate(table, threads, weight or None, metric)
        out.result("scores", f"{table.name}: {scores_text(metrics)}", data=table.name, **metrics)
