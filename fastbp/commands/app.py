"""The application: what all commands share, and where they are registered."""

import sys
from typing import Annotated

import typer

from .. import __version__
from .bench import bench
from .codes import Code
from .doctor import doctor
from .evaluate import evaluate
from .explain import explain
from .export import export
from .info import info
from .merge import merge
from .options import Command, Group
from .plan import plan
from .predict import predict
from .report import report
from .train import train
from .warmup import warmup

app = typer.Typer(
    name="fastbp",
    cls=Group,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # whole lines, which a log can be searched for, not boxes as wide as a terminal
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool):
    if wanted:
        print(f"fastbp {__version__}", flush=True)  # here its reader may be gone
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, help="Print the version.")
    ] = False,
):
    """Train multilayer perceptrons on the CPU, at its full speed."""
    if ctx.invoked_subcommand is None:
        print(ctx.get_help(), file=sys.stderr)
        raise typer.Exit(Code.USAGE)


_ALWAYS = set(Code) - {Code.BAD_DATA, Code.DIVERGED, Code.PREEMPTED}
_READS = {*_ALWAYS, Code.BAD_DATA}
for _command, _codes, _example in (
    (train, set(Code), "fastbp train people.csv --target income -o income.safetensors"),
    (plan, _READS, "fastbp plan people.csv --target income --preset fast --ranks 1,4,16"),
    (merge, _READS, "fastbp merge part-* -o best.safetensors"),
    (predict, _READS, "fastbp predict income.safetensors new.parquet -o scored.csv"),
    (evaluate, _READS, "fastbp evaluate income.safetensors tested.csv"),
    (explain, _READS, "fastbp explain income.safetensors tested.csv -o explained.html"),
    (info, _READS, "fastbp info income.safetensors"),
    (report, _READS, "fastbp report income.safetensors -o income.html"),
    (export, _READS, "fastbp export income.safetensors -o income.onnx"),
    (warmup, _ALWAYS, "fastbp warmup --dtype float32 --dtype float64"),
    (bench, _ALWAYS, "fastbp bench --quick --dtype float64 --threads 1"),
    (doctor, _ALWAYS, "fastbp doctor --log json | python -m json.tool"),
):
    _meanings = "; ".join(f"{code:d} {code.meaning}" for code in sorted(_codes))
    _epilog = f"Exit codes: {_meanings}.\n\nExample: {_example}"
    app.command(cls=Command, epilog=_epilog)(_command)
