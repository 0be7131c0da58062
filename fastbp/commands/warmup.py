"""``fastbp warmup``: compile the kernels ahead of time."""

from collections import Counter
from typing import Annotated

from ..durations import duration
from .exits import Code, Ended, guarded
from .options import taking
from .values import DTYPE, LogOption, QuietOption


def warmup(
    dtype: Annotated[
        list[str],
        taking(DTYPE, "Precision to compile for.", "--dtype", default="float32", several=True),
    ] = ["float32"],  # noqa: B006 - Typer copies it
    log: LogOption = "text",
    quiet: QuietOption = False,
):
    """Compile the kernels ahead of time.

    Kernels are otherwise compiled where they are first used, and kept in a cache: run this once
    in an image or on a node.
    """
    with guarded(log, quiet) as out:
        from ..diagnostics.warmup import warm_up

        report = warm_up(dtype)
        compiled = Counter(report.compiled)
        for name, count in sorted(compiled.items()):
            out.text(f"compiled {name}" + (f" x {count}" if count > 1 else ""))
        before = report.kept - len(report.compiled)
        total, took = len(report.compiled), duration(report.seconds)
        out.event(
            "warmup",
            f"{total} compiled, {before} there before, in {report.folder}, {took}",
            compiled=compiled,
            there_before=before,
            folder=report.folder,
            seconds=report.seconds,
        )
        if not report.kept:
            why = (
                f"{report.folder} cannot be written" if report.folder else "there is no home folder"
            )
            message = f"{why}; set FASTBP_CACHE_DIR"
            raise Ended(Code.FAILED, message)
