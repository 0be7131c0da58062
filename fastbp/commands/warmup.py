"""``fastbp warmup``: compile the kernels ahead of time."""

from collections import Counter
from typing import Annotated, Any

import typer

from ..durations import duration
from ..tables.declared import choice
from .exits import Code, Ended, guarded
from .options import taking
from .values import DTYPE, LogOption, QuietOption, folder_to_write


def _levels():
    from ..kernels.compiler.target import LEVELS

    return LEVELS


def warmup(
    dtype: Annotated[
        list[str],
        taking(DTYPE, "Precision to compile for.", "--dtype", default="float32", several=True),
    ] = ["float32"],  # noqa: B006 - Typer copies it
    to: Annotated[
        Any,
        taking(folder_to_write(), "Folder to fill for an image; all users can read it.", "--to"),
    ] = None,
    cpu: Annotated[
        Any,
        taking(
            choice(known=_levels, metavar="LEVEL"),
            "Processors that --to is for, x86-64-v3 or -v4; else this one alone.",
            "--cpu",
        ),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove old versions, but the last two used in 90 days.")
    ] = False,
    log: LogOption = "text",
    quiet: QuietOption = False,
):
    """Compile the kernels ahead of time.

    Kernels are otherwise compiled where they are first used, and kept in a cache: run this once
    in an image or on a node.
    """
    with guarded(log, quiet) as out:
        from ..diagnostics.warmup import warm_up

        if cpu and not to:
            raise Ended(Code.USAGE, f"--cpu {cpu}: name the folder to fill with --to")
        try:
            report = warm_up(dtype, to=to, cpu=cpu, prune=prune)
        except ValueError as error:
            raise Ended(Code.USAGE, str(error)) from None
        compiled = Counter(report.compiled)
        for name, count in sorted(compiled.items()):
            out.text(f"compiled {name}" + (f" x {count}" if count > 1 else ""))
        before = report.kept - len(report.compiled)
        total, took = len(report.compiled), duration(report.seconds)
        place = f"in {report.folder}, " if report.folder else ""
        out.event(
            "warmup",
            f"{total} compiled, {before} there before, {place}{took}",
            compiled=compiled,
            there_before=before,
            folder=report.folder,
            seconds=report.seconds,
            pruned=report.pruned,
        )
        for old in report.pruned:
            out.text(f"removed {old}")
        if not report.kept:
            from ..kernels.compiler.cache_folder import find_place

            why = f"{report.folder} cannot be written" if report.folder else find_place().none
            raise Ended(Code.FAILED, f"{why}; set FASTBP_CACHE_DIR")
        if report.unkept:
            raise Ended(Code.FAILED, f"not all kernels were kept: {report.unkept}")
