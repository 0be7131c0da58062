"""``fastbp train``: from a table to a model file."""

import logging
import os
import re
import time
from dataclasses import dataclass

from ..quoted import quoted_path
from ..tables.declared import Declared, choice, duration, flag, number, option, text
from ..tables.options import TrainOptions
from .arrays import array_task
from .cluster import connected
from .config import ConfigOption
from .describe import (
    folds_lines,
    members_lines,
    metrics_line,
    plan_lines,
    search_lines,
    summary_lines,
    temperature_lines,
)
from .distributed import follows, on_ranks
from .exits import Code, Ended, guarded, usage
from .options import made, with_options
from .rows import DataArgument, dataset_of, open_rows, refuse_standard_input, target_of
from .signals import Terminated, unwrapped
from .values import LogOption, QuietOption, file_to_write, folder_to_write, not_the_input

_log = logging.getLogger("fastbp")
_EPOCH_LINES_SECONDS = 10.0  # between two lines in a log that is no terminal


@dataclass(frozen=True)
class JobOptions(Declared):
    """Options that the command has beside `TrainOptions`.

    Parameters
    ----------
    valid : str, optional
        Rows for validation, files as of DATA. Default: a share of DATA.
    output : str, optional
        Model file to write.
    out_of_fold : str, optional
        File for the predictions of each row by the network that has not seen it, .csv or
        .parquet; with ensemble_by=folds.
    shard : str, optional
        Part of a search to train, such as 3/16, for ``fastbp merge``; or 16 alone in a job array
        whose tasks are the parts. Default: that of the task, in an array of SLURM, Grid Engine or
        AWS Batch.
    dask : str, optional
        Train the networks of a search on the Dask cluster whose scheduler is at this address, such
        as tcp://host:8786, or has written this file.
    checkpoints : str, optional
        Folder for checkpoints.
    every : float, in seconds, default 30
        Time between checkpoints.
    resume : bool, default False
        Go on from the last checkpoint, if there is one.
    distributed : bool, default False
        Train one network on all processes that mpiexec started, each on its share of the rows.
    sync : {"step", "local", "auto"}, default "step"
        With distributed, add the gradients at every step, or average the networks after some
        steps; auto averages where steps are short. Plan with fastbp plan.
    average_every : int, optional
        Steps between two averages, with sync local or auto. Default: 4 to 32, by a cost model.
    dry_run : bool, default False
        Print the plan and end: columns, network, FLOPs, memory, expected time.
    """

    valid: str = option(text("DATA", empty=True), "", panel="Data")
    output: str = option(file_to_write(), "", panel="Job", names=("--output", "-o"))
    out_of_fold: str = option(file_to_write(), "", panel="Job")
    shard: str = option(text("N/COUNT", empty=True), "", panel="Job")
    dask: str = option(text("ADDRESS", empty=True), "", panel="Job")
    checkpoints: str = option(folder_to_write(), "", panel="Job", names=("--checkpoint",))
    every: float = option(duration(least=0), 30.0, panel="Job")
    resume: bool = option(flag(), False, panel="Job")
    distributed: bool = option(flag(), False, panel="Job")
    sync: str = option(choice("step", "local", "auto"), "step", panel="Job")
    average_every: int | None = option(number(whole=True, least=1), None, panel="Job")
    dry_run: bool = option(flag(), False, panel="Job")


@with_options(TrainOptions, JobOptions)
def train(
    data: DataArgument,
    *,
    config: ConfigOption = "",
    log: LogOption = "text",
    quiet: QuietOption = False,
    **values,
):
    """Train a network on a table, and save it as a model file.

    The target decides the task: classes or numbers. Columns are encoded by what they hold.
    """
    follower = values["distributed"] and follows(os.environ)
    with guarded(log, quiet or follower) as out:
        kept = values["checkpoints"]
        if values["resume"] and not kept:
            raise Ended(Code.USAGE, "--resume: give the folder of checkpoints, --checkpoint DIR")
        try:
            at = "" if values["dry_run"] else values["dask"]
            with unwrapped(), connected(at, values["search"]) as client:
                _train(out, data, values, client)
        except Terminated as error:
            code, why = (
                (Code.PREEMPTED, "terminated outside of training: run it again with --resume")
                if kept
                else (Code.TERMINATED, str(error))
            )
            raise Ended(code, why) from None


def _train(out, data, values, client):
    from ..tables.planning import plan_of, summary_of
    from ..tables.search import trained
    from ..training.stopped import Stopped

    with on_ranks(out, values["distributed"]) as (ranks, comm):
        job, given, shard = ranks.together(lambda: _job_of(data, values, comm))
        is_plan = given.dry_run
        summary = ranks.together(lambda: plan_of(job) if is_plan else summary_of(job))
        out.event("plan" if is_plan else "data", **summary)
        if dataset := dataset_of(data):
            out.text(f"{dataset.name}: {dataset.title}")
        out.text(*summary_lines(summary, job))
        out.text("", job.network.summary(job.batch), "")
        if is_plan:
            out.text(*plan_lines(summary))
            return
        callbacks = [_Epochs(out)] if job.asked.search is None else []
        model = trained(job, callbacks, out.shows_progress, shard, client)
    kept = job.checkpoints
    if Stopped(model.record["stopped"]).by_signal and (kept or not model.record["steps"]):
        _preempted(model, kept)
    if ranks.leads:
        _end(out, model, given.output, given.out_of_fold)


def _job_of(data, values, comm):
    """Return the `Job`, whose schema is settled, its options, and the part of a search if any."""
    from ..tables.job import Job
    from ..tables.networks import check_task
    from ..tables.read.formats import suffix_of
    from ..tables.read.table import open_table
    from ..training.checkpoints import Checkpoints

    values["target"] = values["target"] or target_of(data)
    with usage():
        asked, given = made(TrainOptions, values), made(JobOptions, values)
        output, folder = given.output, given.checkpoints
        if output and suffix_of(output):
            raise ValueError(
                f"output={quoted_path(output)}: that is the name of a table; expected a name "
                "such as model.safetensors"
            )
        if asked.ensemble_by is not None:
            _check_out_of_fold(given, asked)
        kept = Checkpoints(folder, given.every) if folder else None
        way = {"sync": given.sync, "average_every": given.average_every}
        if not given.distributed and way != {"sync": "step", "average_every": None}:
            name = "average_every" if given.sync == "step" else "sync"
            raise ValueError(
                f"{name}={way[name]}: one process has nothing to add; give `distributed`"
            )
        if given.distributed:
            refuse_standard_input(*data, given.valid)
        shard = _shard_of(given, asked.search)
        table = open_rows(data, lambda rows: open_table(rows, asked.missing, asked))
        job = Job(table, asked, given.valid or None, kept, given.resume, comm=comm, **way)
    not_the_input(output, *job.files)
    not_the_input(given.out_of_fold, *job.files, option="--out-of-fold")
    schema = job.schema
    with usage():
        check_task(job.options, schema)
        _check_out_of_fold(given, job.options)
        job.shares.check(job)
    return job, given, shard


def _shard_of(given, search):
    """Return the part of a search to train: as given, or of the task of a job array; or None."""
    from ..tables.shards import a_shard

    text, count, variable = given.shard or None, None, "shard"
    is_count = re.fullmatch("[1-9][0-9]{0,8}", text or "") is not None
    if search is not None and (text is None or is_count):
        number, count, variable = array_task(os.environ, int(text or 0))
        if number is None and text:
            raise ValueError(f"shard={text}: this is no task of a job array; give 1/{text}")
        text = number and f"{number}/{count}"
    shard = a_shard(variable, text, search)
    if count:
        _log.warning("shard %s of the search, by %s; --shard 1/1 searches all", shard, variable)
    if shard is not None and shard.count > 1 and not (given.output or given.dry_run):
        raise ValueError(f"shard={shard}: name a file for the part, with output")
    return shard


def _check_out_of_fold(given, asked):
    from ..tables.result.writing import SUFFIXES

    path = given.out_of_fold
    if not path:
        return
    if asked.ensemble_by != "folds":
        raise ValueError(
            f"out_of_fold={quoted_path(path)}: no row is left out of a fold; give ensemble_by=folds"
        )
    if os.path.splitext(path)[1] not in SUFFIXES:
        raise ValueError(
            f"out_of_fold={quoted_path(path)}: expected a name ending in {' or '.join(SUFFIXES)}"
        )


def _preempted(model, kept):
    """End a command that a signal ended before the training of its model was done."""
    stopped = model.record["stopped"]
    code = Code.PREEMPTED if stopped == "terminated" else Code.INTERRUPTED
    is_kept = kept and (kept.files() or kept.parts())
    after = f" after a checkpoint in {kept.folder}: --resume goes on" if is_kept else ""
    raise Ended(code, f"{stopped}{after}")


def _end(out, model, output, out_of_fold):
    """Print the history and the scores of the model, and save it."""
    from ..tables.result.writing import write_frames

    stopped = model.record["stopped"]
    members = members_lines(model)
    out.text(*members or [model.network.history])
    scores = [metrics_line(model), *temperature_lines(model), *folds_lines(model)]
    out.event(
        "done",
        "\n".join(["", *scores, *search_lines(model)]),
        stopped=stopped,
        temperature=model.record.get("temperature"),
        metrics=model.record["metrics"],
        folds=model.record.get("folds"),
        ensemble=model.record.get("ensemble"),
        search=model.record.get("search"),
        fingerprint=model.fingerprint,
        output=output or None,
    )
    if output:
        model.save(output)
        out.event("saved", f"saved to {output}", path=output)
    else:
        out.text("not saved: give --output FILE")
    if out_of_fold and model.out_of_fold is not None:
        rows = write_frames(out_of_fold, [model.out_of_fold])
        out.event("saved", f"{rows:,} rows out of fold in {out_of_fold}", path=out_of_fold)
    folds = model.record.get("folds") or {}
    if "interrupted" in (stopped, folds.get("stopped")):
        raise Ended(Code.INTERRUPTED, "interrupted")


class _Epochs:
    """Prints epochs: each as JSON; as text now and then, where no bar shows them."""

    def __init__(self, out):
        self._out = out
        self._printed = time.monotonic()

    def __call__(self, entry):
        """Print an epoch, if it is due."""
        due = time.monotonic() - self._printed > _EPOCH_LINES_SECONDS
        if self._out.json or (due and not self._out.shows_progress):
            self._out.epoch(entry)
            self._printed = time.monotonic()
