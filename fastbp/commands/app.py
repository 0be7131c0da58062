"""The application: what all commands share, and where they are registered."""

import copy
import os
import sys
import time
from collections import Counter
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from .. import __version__

_FAILED, _DIVERGED, _INTERRUPTED = 1, 4, 130


class DType(str, Enum):
    """What a network can compute in."""

    float32 = "float32"
    float64 = "float64"


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


def _threads(text: str) -> int | str:
    if text == "auto" or (text.isdecimal() and int(text) >= 1):
        return text if text == "auto" else int(text)
    raise typer.BadParameter(f"{text!r}: expected auto, or a number of at least 1")


def _writable(path: str) -> str:
    folder = Path(path).resolve().parent
    if os.path.exists(path) and not os.path.isfile(path):
        raise typer.BadParameter(f"{path!r}: it exists, and is not a regular file")
    if path and not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise typer.BadParameter(f"{path!r}: {folder} is not a folder that can be written")
    return path


def _known(name: str) -> str:
    from ..datasets import DATASETS

    try:
        return DATASETS.find(name).name
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _end(message, code):
    """Print `message` on a line of its own, behind progress or a ^C; return what to raise."""
    print(f"\nfastbp: {message}", file=sys.stderr)
    return typer.Exit(code)


@app.command(epilog="Example: fastbp train digits --epochs 60 --threads 2")
def train(
    data: Annotated[
        str, typer.Argument(help="The data set: digits.", metavar="DATA", callback=_known)
    ],
    epochs: Annotated[int, typer.Option(help="Passes over the data.", min=1)] = 40,
    batch_size: Annotated[int, typer.Option(help="Samples a step.", min=1)] = 32,
    seed: Annotated[int, typer.Option(help="Keys it all.", min=0, max=2**63 - 1)] = 0,
    threads: Annotated[
        Any, typer.Option(help="auto, or how many.", metavar="THREADS", parser=_threads)
    ] = "auto",
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="Save the model here.", metavar="FILE", callback=_writable
        ),
    ] = "",
):
    """Train a net on real data; print progress, test accuracy, time and share of peak."""
    from .. import Adam, DivergenceError, Network
    from ..datasets import DATASETS

    dataset = DATASETS.find(data)
    try:
        split = dataset.load()
    except ImportError:
        sys.exit(f"fastbp: {data} needs scikit-learn: python -m pip install 'fastbp[sklearn]'")
    started = time.perf_counter()
    network = Network(dataset.sizes, loss="cross_entropy", optimizer=Adam(2e-3), seed=seed)
    print(f"{data}: {dataset.title}")
    print(f"{len(split.train[0])} to train on, {len(split.test[0])} to test on\n")
    print(network.summary())
    print("\ncompiling, or loading compiled kernels ... ", end="", flush=True)
    try:
        # on a copy, before the clock of the first epoch starts
        trial = copy.deepcopy(network)
        history = trial.fit(*split.train, epochs=1, batch_size=batch_size, n_threads=threads)
        if history.stopped == "interrupted":
            raise KeyboardInterrupt
        # not in its fit, which would note a Ctrl-C here too late
        trial.evaluate(*split.test, n_threads=threads)
        print(f"{time.perf_counter() - started:.1f} s\n")
        history = network.fit(
            *split.train,
            epochs=epochs,
            batch_size=batch_size,
            validation_data=split.test,
            n_threads=threads,
            progress=sys.stderr.isatty(),
        )
    except DivergenceError as error:
        raise _end(error, _DIVERGED) from None
    except KeyboardInterrupt:
        raise _end("interrupted", _INTERRUPTED) from None
    print(history)
    score = network.evaluate(*split.test, n_threads=threads)
    print(f"\ntest accuracy {score['accuracy']:.2%}, test loss {score['loss']:.4f}")
    if output:
        try:
            network.save(output)
        except OSError as error:
            reason = error.strerror or error
            raise _end(f"cannot save to {output}: {reason}", _FAILED) from None
        print(f"saved to {output}")
    if history.stopped == "interrupted":
        raise typer.Exit(_INTERRUPTED)


@app.command(epilog="Example: fastbp warmup --dtype float32 --dtype float64")
def warmup(
    dtype: Annotated[
        list[DType], typer.Option(help="What networks will compute in.", case_sensitive=True)
    ] = [DType.float32],  # noqa: B006 - Typer copies it
):
    """Compile the kernels ahead of time, for an image or a node; say what and where."""
    from ..warmup import warm_up

    report = warm_up([each.value for each in dtype])
    for name, count in sorted(Counter(report.compiled).items()):
        print(f"compiled {name}" + (f" x {count}" if count > 1 else ""))
    print(
        f"{len(report.compiled)} compiled, {report.kept - len(report.compiled)} there before, "
        f"in {report.folder}, {report.seconds:.1f} s"
    )
    if not report.kept:
        raise _end(f"{report.folder} cannot be written; set FASTBP_CACHE_DIR", _FAILED)
