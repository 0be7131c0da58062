"""``fastbp explain``: what the predictions of a model depend on."""

from typing import Annotated, Any

from ..tables.declared import number, text
from ..tables.options import ReadOptions
from ..tables.wording import named
from .config import ConfigOption
from .exits import guarded, usage
from .models import load_table_model
from .options import taking, with_options
from .rows import DataArgument, rows_for
from .values import (
    LogOption,
    ModelArgument,
    QuietOption,
    ThreadsOption,
    WeightOption,
    not_the_input,
    output_option,
)

_MOST_COLUMNS = 100
_DIGITS = 12  # beyond, a difference of scores is rounding


@with_options(ReadOptions)
def explain(
    model: ModelArgument,
    data: DataArgument,
    metric: Annotated[
        Any,
        taking(
            text("NAME"),
            "Metric of scikit-learn that falls. Default: accuracy or r2.",
            "--metric",
            default=None,
        ),
    ] = None,
    repeats: Annotated[
        Any,
        taking(number(whole=True, least=1), "Permutations of each column.", "--repeats", default=5),
    ] = 5,
    rows: Annotated[
        Any, taking(number(whole=True, least=2), "Rows to draw, at most.", "--rows", default=10_000)
    ] = 10_000,
    seed: Annotated[
        Any,
        taking(
            number(whole=True, least=0, below=2**63),
            "Seed of the rows and of the permutations.",
            "--seed",
            default=0,
        ),
    ] = 0,
    weight: WeightOption = "",
    output: Annotated[Any, output_option("Page of HTML: the report, with the table.")] = "",
    threads: ThreadsOption = "auto",
    config: ConfigOption = "",
    log: LogOption = "text",
    quiet: QuietOption = False,
    **reading,
):
    """Show what the predictions of a model depend on, column by column.

    The importance of a column is how much the metric falls if its values are permuted among the
    rows; the gradient is how much the prediction changes with its features, which are scaled. Use
    rows that the model was not trained on.
    """
    with guarded(log, quiet) as out:
        from ..tables.result.asked import scorers_of

        with usage():
            scorers_of([metric] if metric else [])
        loaded = load_table_model(model)
        table = rows_for(loaded, data, reading)
        not_the_input(output, model, *table.files)
        scores = 1 + repeats * len(loaded.schema.columns)
        with out.progress(total=scores, unit="score", title="permuting") as bar:
            given = (metric, repeats, rows, seed, threads, weight or None, bar.update)
            found = loaded.explain(table, *given)
        columns = found.to_dicts()
        out.result("explanation", "\n".join(_lines(columns)), data=table.name, columns=columns)
        if output:
            from ..report.build import write_report

            write_report(loaded, output, columns)
            out.event("saved", f"saved to {output}", path=output)


def _lines(columns):
    """Return the lines of an aligned table."""
    rows = [("column", "importance", "", "gradient")]
    for each in columns[:_MOST_COLUMNS]:
        spread = f"\u00b1 {each['deviation']:.2g}"
        importance = f"{round(each['importance'], _DIGITS):.4g}"
        gradient = f"{each['gradient']:.4g}"
        rows.append((named(each["column"]), importance, spread, gradient))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, "<><>", widths, strict=True)
        yield "  ".join(f"{cell:{side}{width}}" for cell, side, width in cells).rstrip()
    if len(columns) > _MOST_COLUMNS:
        yield f"and {len(columns) - _MOST_COLUMNS:,} more columns: --log json has them"
