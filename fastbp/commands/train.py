"""``fastbp train``: from a table to a model file."""

import contextlib
import os
import time
from typing import Annotated, Any

import typer

from ..errors import DataError, ModelFileError
from .config import ConfigOption
from .describe import metrics_line, plan_lines, summary_lines
from .exits import Code, Ended, guarded
from .log import LogOption, Mode
from .rows import DataArgument, dataset_of, open_rows
from .signals import Terminated, terminable
from .values import ThreadsOption, duration, layers, not_the_input, size, writable, writable_folder

_EPOCH_LINES_SECONDS = 10.0  # between two lines in a log that nobody watches


def train(
    data: DataArgument,
    target: Annotated[str, typer.Option(help="The column to learn.", metavar="COL")] = "",
    valid: Annotated[
        str, typer.Option(help="Rows to validate on; default: a share of DATA.", metavar="DATA")
    ] = "",
    output: Annotated[
        str,
        typer.Option("--output", "-o", help="The model file.", metavar="FILE", callback=writable),
    ] = "",
    task: Annotated[
        str,
        typer.Option(help="classification or regression; default: by the target.", metavar="TASK"),
    ] = "",
    id: Annotated[
        list[str],
        typer.Option(help="A column that identifies rows: kept, not learned from.", metavar="COL"),
    ] = [],  # noqa: B006 - Typer copies it
    drop: Annotated[list[str], typer.Option(help="A column to leave out.", metavar="COL")] = [],  # noqa: B006
    categorical: Annotated[
        list[str],
        typer.Option(help="A column of categories, whatever it looks like.", metavar="COL"),
    ] = [],  # noqa: B006
    numeric: Annotated[
        list[str], typer.Option(help="A column of numbers, ids and years too.", metavar="COL")
    ] = [],  # noqa: B006
    missing: Annotated[
        list[str], typer.Option(help="Another word for a missing value.", metavar="WORD")
    ] = [],  # noqa: B006
    valid_share: Annotated[
        float | None,
        typer.Option(help="The share of rows held back; default 0.2.", min=0, max=0.99),
    ] = None,
    hidden: Annotated[
        Any, typer.Option(help="Units of hidden layers.", metavar="N,N,...", parser=layers)
    ] = "100",
    activation: Annotated[
        str, typer.Option(help="Of the hidden layers: relu, tanh, gelu, ...", metavar="NAME")
    ] = "relu",
    dropout: Annotated[float, typer.Option(help="Its rate.", min=0, max=0.99)] = 0.0,
    loss: Annotated[
        str, typer.Option(help="Of a regression; default squared_error.", metavar="NAME")
    ] = "",
    optimizer: Annotated[str, typer.Option(help="adam, adamw, sgd, ...", metavar="NAME")] = "adam",
    learning_rate: Annotated[
        float | None, typer.Option(help="Default: the optimizer's.", min=0)
    ] = None,
    schedule: Annotated[
        str, typer.Option(help="constant, cosine or one_cycle.", metavar="NAME")
    ] = "constant",
    l2: Annotated[float, typer.Option(help="Penalty of weights.", min=0)] = 0.0,
    weight_decay: Annotated[
        float | None, typer.Option(help="Share of weights lost a step, times the rate.", min=0)
    ] = None,
    clip_norm: Annotated[float | None, typer.Option(help="Largest norm of gradients.")] = None,
    class_weight: Annotated[
        str, typer.Option(help="balanced: classes count the same.", metavar="NAME")
    ] = "",
    epochs: Annotated[int, typer.Option(help="Passes over the data, at most.", min=1)] = 100,
    patience: Annotated[
        int, typer.Option(help="Epochs without improvement; 0 never stops early.", min=0)
    ] = 10,
    batch_size: Annotated[
        int | None, typer.Option(help="Samples a step; default: by the rows, 32 to 256.", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="Keys it all.", min=0, max=2**63 - 1)] = 0,
    dtype: Annotated[str, typer.Option(help="float32 or float64.", metavar="NAME")] = "float32",
    threads: ThreadsOption = "auto",
    max_time: Annotated[
        float | None, typer.Option(help="Training stops after it.", parser=duration, metavar="TIME")
    ] = None,
    memory: Annotated[
        int | None,
        typer.Option(
            help="What rows may take; more go to a scratch file. Default: half of what is free.",
            parser=size,
            metavar="SIZE",
        ),
    ] = None,
    checkpoint: Annotated[
        str, typer.Option(help="A folder for checkpoints.", metavar="DIR", callback=writable_folder)
    ] = "",
    every: Annotated[
        float, typer.Option(help="From one to the next.", parser=duration, metavar="TIME")
    ] = "30s",  # type: ignore[assignment]  # Typer parses it
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint, if there is one.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan: FLOPs, memory, expected time.")
    ] = False,
    config: ConfigOption = "",
    log: LogOption = Mode.text,
):
    """Train a network on a table, or on digits, breast-cancer or diabetes.

    Exit codes: 0 done, 1 the system failed, 2 usage, 3 bad data, 4 diverged, 75 preempted after
    a checkpoint: run it again with --resume, 130 interrupted, 143 terminated without a
    checkpoint.
    """
    with guarded(log) as out:
        given = {
            "task": task, "loss": loss, "class_weight": class_weight, "max_time": max_time,
            "learning_rate": learning_rate, "weight_decay": weight_decay, "memory": memory,
            "clip_norm": clip_norm, "batch_size": batch_size, "valid_share": valid_share,
        }  # fmt: skip
        options: dict[str, Any] = {
            name: value for name, value in given.items() if value not in ("", None)
        }
        options |= {
            "ids": id, "drop": drop, "categorical": categorical, "numeric": numeric,
            "hidden": hidden, "activation": activation, "dropout": dropout, "optimizer": optimizer,
            "schedule": schedule, "l2": l2, "epochs": epochs, "patience": patience, "seed": seed,
            "dtype": dtype, "n_threads": threads,
        }  # fmt: skip
        if resume and not checkpoint:
            raise Ended(Code.USAGE, "--resume: say with --checkpoint DIR from where")
        try:
            with terminable():
                _train(out, data, target, valid, options, missing, checkpoint, every, resume,
                       dry_run, output)  # fmt: skip
        except Terminated:
            if not checkpoint:
                raise Ended(
                    Code.TERMINATED, "terminated, and nothing was kept: give it --checkpoint DIR"
                ) from None
            raise Ended(
                Code.PREEMPTED, "terminated outside of training: run it again with --resume"
            ) from None


def _train(out, data, target, valid, options, missing, checkpoint, every, resume, dry_run, output):
    from ..tables.job import Job
    from ..tables.options import TrainOptions
    from ..tables.planning import plan_of, summary_of
    from ..tables.read.readers import suffix_of
    from ..tables.read.table import MISSING_WORDS
    from ..training.checkpoints import Checkpoints
    from ..training.stopped import Stopped

    if output and suffix_of(output):
        raise Ended(Code.USAGE, f"-o {output}: that is the name of a table; give a model's, such "
                    "as model.safetensors")  # fmt: skip
    dataset = dataset_of(data)
    target = target or _target_of(dataset, data)
    with _usage():
        kept = Checkpoints(checkpoint, every) if checkpoint else None
        asked = TrainOptions(target=target, missing=(*MISSING_WORDS, *missing), **options)
        table = open_rows(data, asked.missing)
        job = Job(table, asked, valid or None, kept, resume)
    not_the_input(output, *job.files)
    schema = job.schema
    with _usage():
        asked.check_task(schema.target)
    summary = plan_of(job) if dry_run else summary_of(job)
    out.event("plan" if dry_run else "data", **summary)
    if dataset:
        out.text(f"{dataset.name}: {dataset.title}")
    out.text(*summary_lines(summary, job))
    out.text("", job.network.summary(job.batch), "")
    if dry_run:
        out.text(*plan_lines(summary))
        return
    model = job.run([_Epochs(out)], progress=out.shows_progress)
    if Stopped(model.record["stopped"]).by_signal and (kept or not model.record["steps"]):
        _preempted(model, kept)
    _end(out, model, output)


def _preempted(model, kept):
    """End a command that was told to, before the training of its model was done."""
    stopped = model.record["stopped"]
    code = Code.PREEMPTED if stopped == "terminated" else Code.INTERRUPTED
    is_kept = kept and kept.files()
    after = f" after a checkpoint in {kept.folder}: --resume goes on" if is_kept else ""
    raise Ended(code, f"{stopped}{after}")


def _end(out, model, output):
    """Say what the training gave, and save it."""
    stopped = model.record["stopped"]
    out.text(model.network.history)
    out.event("done", f"\n{metrics_line(model)}", stopped=stopped,
              metrics=model.record["metrics"], fingerprint=model.fingerprint,
              output=output or None)  # fmt: skip
    if output:
        model.save(output)
        out.event("saved", f"saved to {output}", path=output)
    else:
        out.text("not saved: -o FILE does that")
    if stopped == "interrupted":
        raise Ended(Code.INTERRUPTED, "interrupted")


@contextlib.contextmanager
def _usage():
    """Take what an option is refused with within for wrong usage."""
    try:
        yield
    except (DataError, ModelFileError):  # which are ValueErrors
        raise
    except (ValueError, TypeError) as error:
        raise Ended(Code.USAGE, str(error)) from None


def _target_of(dataset, data):
    """Return the column to learn where nobody named it."""
    from ..tables.datasets import DATASETS

    if dataset:
        return dataset.target
    (name, *more), sets = data, ", ".join(DATASETS)
    if not (more or os.path.exists(name) or os.path.splitext(name)[1]):
        raise Ended(Code.USAGE, f"{name} is neither a file nor a data set; data sets: {sets}")
    raise Ended(Code.USAGE, "--target: say which column is to be learned, --target COL")


class _Epochs:
    """Says what epochs give: each as JSON; as text now and then, where no bar shows them."""

    def __init__(self, out):
        self._out, self._said = out, time.monotonic()

    def __call__(self, entry):
        """Say it."""
        due = time.monotonic() - self._said > _EPOCH_LINES_SECONDS
        if self._out.json or (due and not self._out.shows_progress):
            self._out.epoch(entry)
            self._said = time.monotonic()
