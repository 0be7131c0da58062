"""The search of a training on a table: options drawn at random, many networks at once.

A fifth of the rows is put aside first. The others train and validate, and choose the options; what
is chosen on rows is not measured on them, so the score of the chosen model is that of the fifth.
Several processes can search: each trains a shard of the options, see `shards`.
"""

import logging
import math
import time
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..annotations import Callback
from ..data import Source
from ..errors import DataError, DivergenceError
from ..many.fitting import fit_many
from ..many.in_turn import fit_in_turn
from ..many.jobs import Result
from ..training.history import History
from ..training.state import to_json
from ..training.stopped import Stopped
from .folds import part_of, train_job
from .job import Job
from .model import TableModel
from .networks import check_task, optimizer_of
from .options import TrainOptions
from .parts import folds_of
from .settling import not_told_again
from .shards import Shard
from .trained import One

_log = logging.getLogger("fastbp")
_steps = logging.getLogger("fastbp.steps")
# networks of one width, dropout, decay and rates, as searched for tables by Gorishniy et al.
# (NeurIPS 2021, arXiv 2106.11959, appendix) and for TabM (ICLR 2025, arXiv 2410.24210), in steps
# of two; a schedule as RealMLP needs one (arXiv 2407.04491). Rates are multiples of the
# optimizer's own
_LAYERS = (1, 2, 3, 4)
_UNITS = (32, 64, 128, 256, 512)
_RATES = (0.1, 10.0)
_DROPOUTS = (0.0, 0.5)
_DECAYS = (1e-4, 1e-1)
_BATCHES = (32, 64, 128, 256, 512)
_ACTIVATIONS = ("relu", "gelu", "silu")
_SCHEDULES = ("constant", "cosine")


@dataclass
class Tried:
    """Options that a search has tried, with their losses on the rows that choose, by folds."""

    options: TrainOptions
    losses: list[float]
    epochs: int = 0
    seconds: float = 0.0
    error: str | None = None

    @property
    def loss(self) -> float:
        """The mean loss; infinite if there is none."""
        known = bool(self.losses) and np.isfinite(self.losses).all()
        return float(np.mean(self.losses)) if known else math.inf

    def to_data(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return it as JSON: of the options those that were not given."""
        own = {name: v for name, v in self.options.to_data().items() if given.get(name) != v}
        facts = {"loss": to_json(self.loss), "epochs": self.epochs, "seconds": self.seconds}
        return {"options": own, **facts, "error": self.error}


def trained(
    job: Job,
    callbacks: Iterable[Callback] = (),
    progress: bool = False,
    shard: Shard | None = None,
    client: Any = None,
) -> TableModel:
    """Train the model of a job; or of the best of many options if its own ask for a search.

    A search runs on the cluster of a `distributed.Client`, if there is one.
    """
    if job.options.search is None:
        return train_job(job, callbacks, progress)
    if tuple(callbacks):
        raise ValueError("callbacks: a search trains many networks at once; leave one of them out")
    return Search(job, progress, shard or Shard(1, 1), client).run()


def require_search(name: str, search: int | None) -> None:
    """Raise ValueError unless there is a search: one training does not run on a cluster."""
    if search is None:
        raise ValueError(f"{name}: only a search runs on a cluster; give search=50")


def drawn(options: TrainOptions, given: Collection[str]) -> list[TrainOptions]:
    """Return the options that a search tries: first settled ones, then with others drawn.

    Those whose names are `given` stay.
    """
    rng = np.random.default_rng(options.seed)
    first = replace(options, search=None)
    rate = optimizer_of(first).hyper_parameters["learning_rate"]
    found = [first]
    for _ in range((options.search or 1) - 1):
        drawn = _draw(rng, rate)
        found.append(replace(first, **{n: v for n, v in drawn.items() if n not in given}))
    return found


def _draw(rng, rate):
    """Return options drawn at random; each draw takes as many numbers as any other."""

    def log_uniform(low, high):
        return float(f"{math.exp(rng.uniform(math.log(low), math.log(high))):.3g}")

    return {
        "hidden": (int(rng.choice(_UNITS)),) * int(rng.choice(_LAYERS)),
        "activation": str(rng.choice(_ACTIVATIONS)),
        "dropout": _or_zero(rng, round(rng.uniform(*_DROPOUTS), 3)),
        "learning_rate": float(f"{rate * log_uniform(*_RATES):.3g}"),
        "schedule": str(rng.choice(_SCHEDULES)),
        "weight_decay": _or_zero(rng, log_uniform(*_DECAYS)),
        "batch_size": int(rng.choice(_BATCHES)),
    }


def _or_zero(rng, value):
    return float(rng.choice((0.0, value)))


class Search:
    """One search, or a shard of one: `job` has the table and the options that all share."""

    def __init__(self, job: Job, progress: bool, shard: Shard, client: Any = None) -> None:
        self._job = job
        self._shard = shard
        self._client = client
        self._progress = progress
        self._given = job.options.to_data()
        self._limit = job.time_limit
        self._started = time.perf_counter()
        self._stopped: Stopped | None = None
        own = shard.part(drawn(job.options, job.asked.to_data()))
        self._tried = [Tried(options, []) for options in own]

    def run(self) -> TableModel:
        """Train, choose, and measure; return the model of the best options.

        Ctrl-C and `max_time` end the search, and the best so far is kept; with folds, Ctrl-C is
        raised, as there is no model yet.
        """
        job = self._job
        check_task(job.options, job.schema)
        model, best, by = self._by_folds() if job.options.folds else self._by_validation()
        stopped = None if self._stopped is None else self._stopped.value
        rows = [tried.to_data(self._given) for tried in self._tried]
        told = {"asked": job.options.search, "by": by, "chosen": best, "stopped": stopped}
        if self._shard.count > 1:
            told["shard"] = {**asdict(self._shard), "given": job.asked.to_data()}
        model.record["search"] = {**told, "tried": rows}
        model.record["options"] = self._tried[best].options.to_data()
        model.record["stopped"] = stopped or model.record["stopped"]
        if model.record["steps"]:
            _steps.info("scoring the rows that have chosen nothing")
            scores = model.scores(job.table, job.options.n_threads, among=job.tested).metrics()
            model.record["metrics"]["test"] = {n: to_json(value) for n, value in scores.items()}
        return model

    def _by_validation(self):
        """Return the model with the least loss on the validation rows, its place, and how."""
        rows = self._job.encoded()
        if rows.valid is None:
            raise DataError(f"{self._job.table.name}: search: no row validates: give more rows")
        results = self._train(self._job, rows, rows.valid, self._left(1))
        best = self._best()
        chosen = self._job.with_options(self._tried[best].options)
        result = results[best]
        if result.error is not None:  # all have failed
            return self._failed(chosen, rows, result.error), best, "validation loss"
        if result.history is None:  # none was begun
            return chosen.with_options(replace(chosen.options, max_time=1e-3)).run(), best, ""
        assert result.network is not None
        chosen.network = result.network
        model = chosen.model(One(result.network, result.history), rows, result.seconds)
        return model, best, "validation loss"

    def _by_folds(self):
        """Return the model of the options with the least mean loss of the folds, as above.

        It is trained like any other, on the rows that train.
        """
        job = self._job
        how, folds = folds_of(job)
        for number, (trains, tested) in enumerate(folds, 1):
            _steps.info("fold %d of %d", number, len(folds))
            seen = len(self._tried[0].losses)
            try:
                with not_told_again():
                    part = part_of(job, replace(job.options, search=None), trains)
                    # a share of the time is left for the training of the best
                    limit = self._left(len(folds) / (len(folds) + 1))
                    self._train(part, part.encoded(), part.held(tested), limit)
            except DataError as error:
                _log.warning("fold %d of %d chooses nothing: %s", number, len(folds), error)
            if self._stopped and seen:  # some have not seen this fold
                for tried in self._tried:
                    del tried.losses[seen:]
            if self._stopped:
                break
        if not self._tried[0].losses:
            raise DataError(f"{job.table.name}: search: no fold chooses: give more rows")
        best = self._best()
        chosen = self._tried[best]
        if self._stopped is Stopped.INTERRUPTED:
            own = chosen.to_data(self._given)["options"]
            _log.warning("search: the best so far, with a loss of %.4g: %s", chosen.loss, own)
            raise KeyboardInterrupt
        by = f"mean loss of {len(chosen.losses)} of {len(folds)} folds by {how}"
        last = job.with_options(replace(chosen.options, max_time=self._left(1)))
        try:
            return last.run(progress=self._progress), best, by
        except DivergenceError as error:
            return self._failed(last, last.encoded(), error), best, by

    def _failed(self, chosen, rows, error):
        """Return an untrained model where other shards may hold the best options; else raise."""
        if self._shard.count == 1 or not isinstance(error, DivergenceError):
            raise error
        network = chosen.with_options(chosen.options).network
        history = History(network.dtype.name)
        history.stopped = Stopped.DIVERGED
        return chosen.model(One(network, history), rows, 0.0)

    def _left(self, share):
        """Return the seconds left of a share of `max_time`, at least some; None without it."""
        limit = self._limit
        if limit is None:
            return None
        return max(share * limit - (time.perf_counter() - self._started), 1e-3)

    def _train(self, part, rows, held, limit):
        """Train a network for each of the options, and note its loss on rows that are held back."""
        jobs = []
        for tried in self._tried:
            own = part.with_options(tried.options)
            given = {**own.fit_options, "validation_data": rows.valid}
            jobs.append({"network": own.network, **given})
        results = self._trained(jobs, rows, part.options.n_threads, limit)
        for tried, result in zip(self._tried, results, strict=True):
            tried.seconds += result.seconds
            tried.error = None if result.error is None else str(result.error)
            loss = math.inf
            if result.error is None and result.history and result.network is not None:
                X, y, weight = (*held, None)[:3]
                loss = result.network.evaluate(X, y, weight, part.options.n_threads)["loss"]
                tried.epochs = max(tried.epochs, len(result.history))
            tried.losses.append(loss)
            if result.stopped in (Stopped.TIME, Stopped.INTERRUPTED):
                self._stopped = self._stopped or result.stopped
        return results

    def _trained(self, jobs, rows, n_threads, limit) -> list[Result]:
        """Train networks on encoded rows: all at once, or in turn on rows from a scratch file."""
        shared = {"max_time": limit, "progress": self._progress}
        if self._client is None:
            shared["n_threads"] = n_threads
        if isinstance(rows.X, Source):
            if self._client is not None:
                raise MemoryError(
                    f"{self._job.table.name}: the workers of a search on a cluster hold all rows "
                    "in memory, and they do not fit; search without it, or in shards"
                )
            return list(fit_in_turn(jobs, rows.X, **shared))
        given = {"sample_weight": rows.weight, "client": self._client, **shared}
        with fit_many(jobs, rows.X, rows.y, **given) as results:
            return results.wait()

    def _best(self):
        """Return the place of the best options, the first if none has a loss."""
        for tried in self._tried:
            if tried.error is not None:
                own = tried.to_data(self._given)["options"]
                _log.warning("search: %s: %s", own, tried.error)
        return int(np.argmin([tried.loss for tried in self._tried]))
