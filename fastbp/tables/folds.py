"""Cross-validation: a model for each fold, scored on the rows that it has not seen."""

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..annotations import Callback
from ..errors import DataError, DivergenceError
from ..training.state import to_json
from ..training.stopped import Stopped
from .job import Job
from .model import TableModel
from .parts import folds_of
from .split import hold_out

_log = logging.getLogger("fastbp")
_steps = logging.getLogger("fastbp.steps")


def train_job(job: Job, callbacks: Iterable[Callback] = (), progress: bool = False) -> TableModel:
    """Train the model of a job, and score it by cross-validation if its options ask for folds.

    The model is trained as without folds; its record has the scores of each fold.
    """
    started = time.perf_counter()
    # before the training: a table that cannot be split is refused at once
    how, folds = folds_of(job) if job.options.folds is not None else ("", [])
    model = job.run(callbacks, progress)
    if folds and not Stopped(model.record["stopped"]).by_signal:
        limit = job.options.max_time
        deadline = None if limit is None else started + limit
        model.record["folds"] = _scored(job, how, folds, deadline)
    return model


def _scored(job, how, folds, deadline):
    """Return the scores of the folds, and how they were made, as JSON.

    A fold whose rows cannot be trained on, for example as they are of one class, is not scored.
    """
    options = job.options
    found: dict[str, Any] = {"by": how, "asked": options.folds, "scores": [], "stopped": None}
    for number, (trains, tested) in enumerate(folds, 1):
        left = None if deadline is None else deadline - time.perf_counter()
        if left is not None and left <= 0:
            found["stopped"] = Stopped.TIME.value
            break
        _steps.info("fold %d of %d", number, options.folds)
        stopped, scores = _one_fold(job, replace(options, max_time=left), trains, tested, number)
        if stopped:
            found["stopped"] = stopped
            break
        found["scores"] += scores
    if found["stopped"]:
        done = len(found["scores"])
        _log.warning("%d of %d folds are scored: %s", done, options.folds, found["stopped"])
    return found


def _one_fold(job, options, trains, tested, number):
    """Return the signal that ended a fold, or None, and a list of its scores."""
    name = job.table.name
    held = 0 if job.valid_table is not None else options.valid_rows(int(trains.sum()))
    try:
        split = hold_out(trains, held, options.seed, job.keys, name)
        part = Job(job.table, options, job.valid_table, split=split)
        with _not_told_again():
            model = part.run()
            if Stopped(model.record["stopped"]).by_signal:
                return model.record["stopped"], []
            scores = model.scores(job.table, options.n_threads, among=tested).metrics()
    except (DataError, DivergenceError) as error:
        _log.warning("fold %d of %d is not scored: %s", number, options.folds, error)
        return None, []
    return None, [{name: to_json(value) for name, value in scores.items()}]


@contextmanager
def _not_told_again() -> Iterator[None]:
    """Keep what was said of the table in the training of the model from being said of each fold."""

    def is_new(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    _log.addFilter(is_new)
    try:
        yield
    finally:
        _log.removeFilter(is_new)
