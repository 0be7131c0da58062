"""The application: what all commands share, and where they are registered."""

from typing import Annotated

import typer

from .. import __version__
from .bench import bench
from .doctor import doctor
from .evaluate import evaluate
from .export import export
from .info import info
from .predict import predict
from .report import report
from .train import train
from .warmup import warmup

app = typer.Typer(
    help="Train multilayer perceptrons on the CPU, at its full speed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # messages in whole lines that a log can be searched for, not in boxes as wide as a terminal
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool):
    if wanted:
        print(f"fastbp {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, help="Print the version.")
    ] = False,
):
    """Hold what belongs to no single command."""


for _command, _example in (
    (train, "fastbp train people.csv --target income -o income.safetensors"),
    (predict, "fastbp predict income.safetensors new.parquet -o scored.csv"),
    (evaluate, "fastbp evaluate income.safetensors tested.csv"),
    (info, "fastbp info income.safetensors"),
    (report, "fastbp report income.safetensors -o income.html"),
    (export, "fastbp export income.safetensors -o income.onnx"),
    (warmup, "fastbp warmup --dtype float32 --dtype float64"),
    (bench, "fastbp bench --quick --dtype float64 --threads 1"),
    (doctor, "fastbp doctor --log json | python -m json.tool"),
):
    app.command(epilog=f"Example: {_example}")(_command)
