"""``fastbp warmup``: compile the kernels ahead of time."""

from collections import Counter
from enum import Enum
from typing import Annotated

import typer

from .exits import Code, Ended, guarded
from .log import LogOption, Mode


class DType(str, Enum):
    """What a network can compute in."""

    float32 = "float32"
    float64 = "float64"


def warmup(
    dtype: Annotated[
        list[DType], typer.Option(help="What networks will compute in.", case_sensitive=True)
    ] = [DType.float32],  # noqa: B006 - Typer copies it
    log: LogOption = Mode.text,
):
    """Compile the kernels ahead of time, for an image or a node; say what and where."""
    with guarded(log) as out:
        from ..diagnostics.warmup import warm_up

        report = warm_up([each.value for each in dtype])
        compiled = Counter(report.compiled)
        for name, count in sorted(compiled.items()):
            out.text(f"compiled {name}" + (f" x {count}" if count > 1 else ""))
        before = report.kept - len(report.compiled)
        total = len(report.compiled)
        out.event(
            "warmup",
            f"{total} compiled, {before} there before, in {report.folder}, {report.seconds:.1f} s",
            compiled=compiled,
            there_before=before,
            folder=report.folder,
            seconds=report.seconds,
        )
        if not report.kept:
            message = f"{report.folder} cannot be written; set FASTBP_CACHE_DIR"
            raise Ended(Code.FAILED, message)
