"""`fit_many`: many trainings in one call, one on each core, with the bits they have alone."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from ..annotations import ArrayLike, FilePath, Matrix, Threads, Weights
from ..kernels.compiler.processors import available_threads
from ..kernels.support.scalars import a_flag, a_number, a_whole_number
from ..memory import require_memory
from ..training.checkpoints import Checkpoints
from ..training.interrupt import Stop
from ..training.stopped import Stopped
from .jobs import Result, crossed, jobs_of
from .kept import kept_in
from .packs import Alone, Ended, Packed, tasks_of
from .settings import seeds_of
from .shared import folds_of, shared_of

# settings that are data
_OF_ARRAYS = frozenset({"validation_data", "sample_weight", "rows"})
# how a task is run until a `Stop` ends it
Run = Callable[[Alone | Packed, Stop], Ended]


class Results:
    """The results of `fit_many`, in the order in which they end; each is yielded once.

    Iterating waits for the next. Ctrl-C ends all trainings at their next slice, and the rest of
    the results say so. The trainings go on if nobody iterates, and keep the program from ending; a
    ``with`` block ends them.
    """

    def __init__(
        self, tasks: Sequence[Alone | Packed], run: Run, stop: Stop, threads: int, bar: Any
    ) -> None:
        self._count = sum(len(task.jobs) for task in tasks)
        self._train, self._stop, self._bar = run, stop, bar
        self._ended: list[Result] = []
        self._yielded = 0
        self._wakes: SimpleQueue[None] = SimpleQueue()
        self._numbers = itertools.count(1)
        self._pool = ThreadPoolExecutor(min(threads, self._count), "fastbp-many")
        try:
            for task in tasks:
                self._begin(task)
        except KeyboardInterrupt:  # those that have begun would go on
            self.stop()
            self._pool.shutdown(wait=False)
            raise

    def _begin(self, task):
        """Begin a task when a thread is free."""
        ended: set[int] = set()
        future = self._pool.submit(self._run, task, ended)
        future.add_done_callback(partial(self._end, task, ended))

    def _run(self, task, ended):
        """Run a task; put its results, and begin those of its jobs anew that must run alone."""
        for job, result in self._train(task, self._stop):
            ended.add(id(job))
            if result is None:
                self._begin(Alone(job))
            else:
                self._put(result)

    def _end(self, task, ended, future):
        """Put what is left of a task, if an error has ended it."""
        error = future.exception()
        if error is not None:
            for job in task.jobs:
                if id(job) not in ended:
                    self._put(job.result(error=error))

    def _put(self, result):
        self._ended.append(result)
        self._wakes.put(None)
        is_last = next(self._numbers) == self._count
        if is_last:  # nothing begins any more, and the data can go
            self._pool.shutdown(wait=False)
            del self._train
        if self._bar is not None:
            self._bar.update()
            if is_last:
                self._bar.close()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Result]:
        return self

    def __next__(self) -> Result:
        if self._yielded == len(self):
            raise StopIteration
        try:
            self._wait_for_one()
        except KeyboardInterrupt:
            self.stop()
            self._wait_for_one()
        self._yielded += 1
        return self._ended[self._yielded - 1]

    def _wait_for_one(self):
        """Wait for a result; Ctrl-C may lose what is taken from the queue, but no result."""
        while len(self._ended) == self._yielded:
            with suppress(Empty):  # Python does not see a Ctrl-C that came just before it waits
                self._wakes.get(timeout=0.2)

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, *reason: object) -> None:
        """End all trainings that are left."""
        self.stop()

    def stop(self, reason: Stopped = Stopped.INTERRUPTED) -> None:
        """End all trainings at their next slice; what is done is kept."""
        self._stop.now(reason)

    def wait(self) -> list[Result]:
        """Return all results in the order of the jobs, those that were yielded before too."""
        for _ in self:
            pass
        return sorted(self._ended, key=lambda r: (r.job, r.seed or 0, r.fold or 0))

    def to_frame(self) -> Any:
        """Return all results in the order of the jobs as a frame, waiting for them.

        It is one of polars, or of pandas where polars is not installed.

        A row has the place of its job, its fold and seed, its settings (text, where they are
        neither numbers nor text), its scores, such as ``test_loss``, why it stopped, its error, and
        its seconds.
        """
        rows = []
        for result in self.wait():
            settings = {n: _shown(v) for n, v in result.settings.items() if n not in _OF_ARRAYS}
            row: dict[str, Any] = {"job": result.job, "fold": result.fold, "seed": result.seed}
            row |= settings | ({} if result.seed is None else {"seed": result.seed})
            row |= {f"test_{name}": score for name, score in result.scores.items()}
            row["stopped"] = None if result.stopped is None else str(result.stopped)
            row["error"] = None if result.error is None else str(result.error)
            rows.append(row | {"seconds": result.seconds})
        if find_spec("polars") is None:
            return import_module("pandas").DataFrame(rows)
        import polars as pl

        return pl.DataFrame(rows, infer_schema_length=None, strict=False)


def _shown(value):
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, (int, float, str, bool, type(None))) else repr(value)


def fit_many(
    jobs: Iterable[Any],
    X: Matrix,
    y: ArrayLike,
    *,
    folds: Any = None,
    seeds: int | Iterable[int] | None = None,
    sample_weight: Weights = None,
    n_threads: Threads = "auto",
    progress: bool = False,
    max_time: float | None = None,
    checkpoints: FilePath | Checkpoints | None = None,
    client: Any = None,
    **fit_options: Any,
) -> Results:
    """Train many networks at once, one on each core; return their `Results` as they end.

    Every result has the bits that it has alone. The longest trainings begin first. X is shared:
    it is converted once, whatever the number of jobs.

    Parameters
    ----------
    jobs : iterable of Network, MLPClassifier, MLPRegressor or dict
        What to train. A network is trained in place, an estimator is cloned. A dict holds the
        parameters of a `Network`, or one under ``network`` or ``estimator``; arguments of
        `Network.fit` for this job alone; under ``rows`` the rows that it trains on; and under
        ``sample_weight`` (n,) weights of all rows, which multiply those of the call in training.
    X, y : array_like
        Data of all jobs.
    folds : int, cross-validation splitter of scikit-learn, or iterable of (train, test)
        Train each job on the rows of each fold, and score it on the others. A number has the
        meaning it has in scikit-learn: folds of classes have the shares of all rows.
    seeds : int or iterable of int, optional
        Train each job with each of these seeds, or with 0 to ``seeds - 1``.
    sample_weight : array_like (n,) or (n, n_out), optional
        Weights of the rows or of their outputs, in training and in scores; none is negative.
    n_threads : int or "auto"
        How many jobs run at once. A single job takes all threads for itself.
    progress : bool, default False
        Show a bar on stderr.
    max_time : float, optional
        Seconds after which all trainings end, within a slice of about 50 ms.
    checkpoints : path or Checkpoints, optional
        Folder of the checkpoints of all jobs, which are networks. The same call goes on where an
        earlier one was killed: a job that was done is read, and no job is trained twice.
    client : distributed.Client, optional
        Train on the workers of its Dask cluster, each job on one thread. The data are sent once;
        jobs whose worker is lost are trained again; results and bits are those of this process.
    **fit_options
        Arguments of `Network.fit` for all jobs, such as ``epochs``.

    Returns
    -------
    Results
        Yields a `Result` for each training. One that fails has an ``error``, and the others go on.

    Raises
    ------
    ValueError, TypeError
        Before any work: if there is no job, one is neither a model of fastbp nor a dict, two are
        one network, an argument is unknown, the folds do not fit the rows, the folder of
        checkpoints is that of other jobs, or a cluster has no workers.
    MemoryError
        Before any work: if the networks take more memory than is free.
    """
    limit = None if max_time is None else a_number("max_time", max_time, above=0)
    threads = available_threads()
    if n_threads != "auto":
        threads = a_whole_number("n_threads", n_threads, least=1)
    shared = shared_of(X, y, sample_weight)
    templates = jobs_of(jobs, fit_options, shared.X.shape)
    parts = [] if folds is None else folds_of(folds, shared, templates[0].kind.classifies)
    found = crossed(templates, seeds_of(seeds), parts)
    if client is not None and (n_threads != "auto" or checkpoints is not None):
        name = "checkpoints" if n_threads == "auto" else "n_threads"
        raise ValueError(f"{name}: the workers of a client have their own; leave it out")
    if checkpoints is not None:
        found = kept_in(checkpoints, found, shared)
    made = [job.kind.bytes for job in found if job.model is None]
    require_memory(sum(made), f"{len(made):,} networks", "fewer jobs, or units, take less")
    at_once = threads
    # a single job takes all threads for itself
    run: Run = partial(_run_here, shared, threads if len(found) == 1 else 1)
    if client is not None:
        from .cluster import Cluster

        cluster = Cluster(client, shared, found)
        # for each thread of a worker, one task waits
        run, threads, at_once = cluster.run, cluster.threads, 2 * cluster.threads
    bar = _bar(len(found)) if a_flag("progress", progress) else None
    return Results(tasks_of(found, shared, threads), run, Stop(limit), at_once, bar)


def _run_here(shared, n_threads, task, stop):
    return task.run(shared, stop, n_threads)


def _bar(total):
    from tqdm.auto import tqdm  # imports asyncio, 10 ms

    return tqdm(total=total, unit="model")
