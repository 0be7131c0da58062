"""Cross-validation: a model for each fold, scored on the rows that it has not seen."""

import logging
import time
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from ..annotations import Callback
from ..errors import DataError, DivergenceError
from ..kernels.compiler.processors import available_threads
from ..many.pool import threads_of
from ..memory import free_memory
from ..training.interrupt import Stop
from ..training.state import to_json
from ..training.stopped import Stopped
from .job import Job
from .members import bytes_of_rows
from .model import TableModel
from .options import TrainOptions
from .parts import folds_of
from .settling import not_told_again
from .split import Mask

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
        limit = job.time_limit
        deadline = None if limit is None else started + limit
        model.record["folds"] = _scored(job, how, folds, deadline)
    return model


def _scored(job, how, folds, deadline):
    """Return the scores of the folds, and how they were made, as JSON.

    A fold whose rows cannot be trained on, for example as they are of one class, is not scored.
    Several are trained at once, each on one thread, if memory holds the rows of all.
    """
    options = job.options
    at_once = min(_at_once(job), len(folds))
    alone = options if at_once == 1 else replace(options, n_threads=1)
    stop = Stop()

    def score(number):
        left = None if deadline is None else deadline - time.perf_counter()
        if stop.seen or (left is not None and left <= 0):
            return (stop.stopped if stop.seen else Stopped.TIME), []
        _steps.info("fold %d of %d", number, options.folds)
        with stop.applies():
            return _one_fold(job, replace(alone, max_time=left), *folds[number - 1])

    found: dict[str, Any] = {"by": how, "asked": options.folds, "scores": [], "stopped": None}
    with not_told_again():
        results = run_at_once(score, range(1, len(folds) + 1), at_once, stop)
    for number, (stopped, scores) in enumerate(results, 1):
        if isinstance(stopped, Exception):
            _log.warning("fold %d of %d is not scored: %s", number, options.folds, stopped)
        elif stopped:
            found["stopped"] = found["stopped"] or stopped.value
        found["scores"] += scores
    if found["stopped"]:
        done = len(found["scores"])
        _log.warning("%d of %d folds are scored: %s", done, options.folds, found["stopped"])
    return found


def run_at_once(task, numbers, at_once, stop):
    """Return what a function returns for each number; Ctrl-C ends what runs by `stop`.

    One after the other they run in this thread, else in others.
    """
    if at_once == 1:
        return [task(number) for number in numbers]
    futures: list[Future[Any]] = []
    with threads_of(at_once, "fastbp-folds", stop) as pool:
        try:
            futures.extend(pool.submit(task, number) for number in numbers)
            return [future.result() for future in futures]
        except KeyboardInterrupt:  # perhaps before all have begun
            stop.now(Stopped.INTERRUPTED)
            futures += [pool.submit(task, number) for number in numbers[len(futures) :]]
            return [future.result() for future in futures]


def _at_once(job):
    """Return how many folds may be trained at once: one for each thread, if memory holds them."""
    threads = job.options.n_threads
    threads = available_threads() if threads == "auto" else threads
    budget, free = job.budget, free_memory()
    limit = job.options.memory or (None if free is None else free // 2)
    if budget.streamed or limit is None:
        return 1 if budget.streamed else threads
    return max(1, min(threads, limit // max(1, bytes_of_rows(budget, job.options))))


def part_of(job: Job, options: TrainOptions, trains: Mask) -> Job:
    """Return the job of the rows of a fold that train; its networks differ as these rows allow."""
    options = replace(options, ensemble_by=job.asked.ensemble_by)
    return Job(job.table, options, job.valid_table, among=trains)


def _one_fold(job, options, trains, tested):
    """Return what ended a fold before its score, a signal or an error, or None; and its scores."""
    try:
        model = part_of(job, options, trains).run()
        stopped = Stopped(model.record["stopped"])
        if stopped.by_signal:
            return stopped, []
        scores = model.scores(job.table, options.n_threads, among=tested).metrics()
    except (DataError, DivergenceError) as error:
        return error, []
    return None, [{name: to_json(value) for name, value in scores.items()}]
