"""``fastbp bench``: the peak of this machine, and the share of it that fastbp reaches."""

from typing import Annotated, Any

import typer

from ..durations import duration
from ..tables.wording import counted
from .exits import guarded
from .options import taking
from .values import DTYPE, LogOption, ThreadsOption

_SECONDS, _QUICK_SECONDS = 12.0, 2.5
# lowest share of the highest peak on a quiet machine
_STEADY = 0.8
_UNITS = {"FLOP/s": "GFLOP/s", "B/s": "GB/s"}


def bench(
    dtype: Annotated[
        Any, taking(DTYPE, "Precision of the kernels.", "--dtype", default="float32")
    ] = "float32",
    threads: ThreadsOption = "auto",
    quick: Annotated[bool, typer.Option("--quick", help="Measure for 3 s, less exactly.")] = False,
    log: LogOption = "text",
):
    """Measure kernels and training against the peak of this machine."""
    with guarded(log) as out:
        from ..diagnostics.bench import run

        seconds = _QUICK_SECONDS if quick else _SECONDS
        out.step(f"measuring for about {duration(seconds)}")
        with out.progress(total=100, unit="%", title="measuring") as bar:
            results = run(
                dtype, threads, seconds, on_turn=lambda share: bar.update(int(100 * share) - bar.n)
            )
        heading = (
            f"peak {results.peak / 1e9:.1f} GFLOP/s: {results.dtype}, "
            f"{counted(results.threads, 'thread')}; "
            "shares are of the peak beside each, also where fewer run"
        )
        out.event(
            "peak",
            heading,
            rate=results.peak,
            lowest=results.lowest,
            highest=results.highest,
            unit="FLOP/s",
            dtype=results.dtype,
            threads=results.threads,
        )
        for measure in results.measures:
            out.event("measure", **vars(measure))
        out.text("", *_table(results.measures), "")
        if results.lowest < _STEADY * results.highest:
            low, high = results.lowest / 1e9, results.highest / 1e9
            out.warning(
                f"the peak went from {low:.1f} to {high:.1f} GFLOP/s: other processes were busy, "
                "and shares are rough"
            )
        out.event("bench", f"measured in {duration(results.seconds)}", seconds=results.seconds)


def _table(measures):
    """Return the lines of an aligned table."""
    rows = [("", "size", "time", "rate", "", "share", "")]
    rows += [_row(measure) for measure in measures]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    # words to the left, numbers to the right
    sides = "<<>><><"
    for row in rows:
        cells = zip(row, sides, widths, strict=True)
        yield "  ".join(f"{cell:{side}{width}}" for cell, side, width in cells).rstrip()


def _row(measure):
    name = f"train {measure.name}" if measure.kind == "training" else measure.name
    if not measure.rounds:
        return name, measure.size, "too slow", "-", "", "-", ""
    seconds, rate = duration(measure.seconds), f"{measure.rate / 1e9:.1f}"
    share = f"{measure.share:.0%}"
    return name, measure.size, seconds, rate, _UNITS[measure.unit], share, f"of {measure.of}"
