"""``fastbp merge``: the model of a search from the files of its shards."""

from typing import Annotated, Any

import typer

from ..tables.wording import counted
from .describe import metrics_line, search_lines
from .exits import guarded
from .models import check_there
from .values import LogOption, QuietOption, not_the_input, output_option


def merge(
    parts: Annotated[
        list[str], typer.Argument(help="The model files of all shards.", metavar="PART...")
    ],
    output: Annotated[Any, output_option("Model file to write.")],
    log: LogOption = "text",
    quiet: QuietOption = False,
):
    """Find the best model of a search whose shards were trained apart.

    The shards are what train --search 50 --shard 3/16 -o FILE makes, in any order. The model, its
    record and its scores are those of a search in one process.
    """
    with guarded(log, quiet) as out:
        from ..tables.shards import merge_shards

        for part in parts:
            check_there(part)
        not_the_input(output, *parts)
        out.step(f"reading {counted(len(parts), 'file')}")
        model = merge_shards(parts)
        search = model.record["search"]
        lines = "\n".join([metrics_line(model), *search_lines(model)])
        out.event("done", lines, metrics=model.record["metrics"], search=search)
        model.save(output)
        out.event("saved", f"saved to {output}", path=output)
