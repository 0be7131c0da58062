"""The record of a training, which is kept with its model: what was given, and what came of it."""

import logging
import platform
from importlib.metadata import version
from typing import Any

import polars as pl

from .. import __version__
from .encoded import Encoded
from .read.frames import is_pandas, with_index
from .result.outputs import ids_of, out_of_fold
from .trained import One, Several, metrics_of
from .wording import counted

_steps = logging.getLogger("fastbp.steps")


def is_preempted(job: Any, trained: One | Several) -> bool:
    """Return whether a signal ended the training of a `Job`, which is then not scored.

    It is scored unless it resumes later, or had not made a step: Numba, interrupted while it
    compiles, may fail to compile what scores.
    """
    unscored = job.checkpoints is not None or not trained.steps
    return unscored and trained.stopped.by_signal


def record_of(
    job: Any, trained: One | Several, rows: Encoded, seconds: float, preempted: bool
) -> dict[str, Any]:
    """Return the record of the training of a `Job` on encoded rows in so many seconds, as JSON."""
    valid = rows.valid
    metrics: dict[str, Any] = {}
    details: dict[str, Any] = {"confusion": None, "residuals": None}
    if not preempted:
        if valid is not None:
            _steps.info("scoring %s", counted(len(valid[0]), "validation row"))
        scored = trained.scores(job.schema, rows, valid, job.options.n_threads)
        for name, scores in scored.items():
            metrics[name] = metrics_of(scores)
            details = scores.details()
    return {
        "fastbp": __version__,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("numpy", "numba", "polars", "scikit-learn")},
        "data": {
            "name": job.table.name,
            "rows": job.rows,
            "train": rows.count,
            "valid": 0 if valid is None else len(valid[0]),
            "no_target": rows.no_target,
            "digest": rows.digest,
        },
        "options": job.options.to_data(),
        "batch_size": job.batch,
        "streamed": job.budget.streamed,
        "steps": trained.steps,
        "seconds": seconds,
        "threads": trained.threads,
        "peak": None if preempted else trained.peak,
        "stopped": trained.stopped.value,
        "best_epoch": trained.best_epoch,
        "metrics": metrics,
        **details,
        **trained.more(),
    }


def out_of_fold_of(job: Any, trained: One | Several) -> pl.DataFrame | None:
    """Return the predictions of rows by the members that have not seen them, or None."""
    if trained.out_of_fold is None:
        return None
    folds, outputs = trained.out_of_fold
    there = job.trained_rows[folds > 0]
    ids = pl.DataFrame({"row": there + 1})
    if names := ids_of(job.schema, job.table):
        ids = pl.concat(job.table.frames(names))[there]
    found = out_of_fold(job.schema, ids, folds[folds > 0], outputs[folds > 0])
    return with_index(found, job.data.iloc[there]) if is_pandas(job.data) else found
