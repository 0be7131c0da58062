"""The commands of ``fastbp``, as Typer declares them."""

import sys
import time
from typing import Annotated

import typer

from . import __version__

app = typer.Typer(
    help="Train multilayer perceptrons on the CPU, at its full speed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
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


def _threads(text: str):
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r}: expected auto or a number") from None


@app.command(epilog="Example: fastbp train digits --epochs 60 --threads 2")
def train(
    data: Annotated[str, typer.Argument(help="The data set: digits.")],
    epochs: Annotated[int, typer.Option(help="Passes over the data.", min=1)] = 40,
    batch_size: Annotated[int, typer.Option(help="Samples a step.", min=1)] = 32,
    seed: Annotated[int, typer.Option(help="Keys weights and shuffles.", min=0)] = 0,
    threads: Annotated[str, typer.Option(help="auto, or how many.")] = "auto",
    output: Annotated[str, typer.Option("--output", "-o", help="Save the model here.")] = "",
):
    """Train a net on real data; print progress, test accuracy, time and share of peak."""
    from . import Adam, Network
    from .datasets import DATASETS

    n_threads = _threads(threads)
    try:
        dataset = DATASETS.find(data)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    try:
        split = dataset.load()
    except ImportError:
        sys.exit(f"{data} needs the extra sklearn: python -m pip install 'fastbp[sklearn]'")
    started = time.perf_counter()
    network = Network(dataset.sizes, loss="cross_entropy", optimizer=Adam(2e-3), seed=seed)
    print(f"{dataset.name}: {dataset.title}")
    print(f"{len(split.train[0])} to train on, {len(split.test[0])} to test on\n")
    print(network.summary())
    print("\ncompiling, or loading compiled kernels ... ", end="", flush=True)
    network.evaluate(*split.test, n_threads=n_threads)
    _compile_training(dataset, n_threads, batch_size)
    print(f"{time.perf_counter() - started:.1f} s\n")
    history = network.fit(
        *split.train,
        epochs=epochs,
        batch_size=batch_size,
        validation_data=split.test,
        n_threads=n_threads,
        progress=sys.stderr.isatty(),
    )
    print(history)
    score = network.evaluate(*split.test)
    print(f"\ntest accuracy {score['accuracy']:.2%}, test loss {score['loss']:.4f}")
    if output:
        network.save(output)
        print(f"saved to {output}")
    if history.stopped == "interrupted":
        raise typer.Exit(130)


def _compile_training(dataset, n_threads, batch_size):
    """Compile before the clock of the first epoch starts, on a net of its own."""
    from . import Network

    split = dataset.load()
    twin = Network(dataset.sizes, loss="cross_entropy", seed=0)
    twin.fit(*split.train, epochs=1, batch_size=batch_size, n_threads=n_threads)
