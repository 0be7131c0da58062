"""Tasks of `fit_many` on the workers of a Dask cluster, each on one thread.

Data that jobs share are sent to every worker once, and tasks name them. A task travels as bytes
and comes back as the results of its jobs; Dask runs it again if its worker is lost.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import math
import pickle
import sys
import threading
import time
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ..kernels.support.once import cached_property
from ..network import Network
from ..quoted import quoted
from ..training.interrupt import Stop
from ..training.stopped import Stopped
from .jobs import Job, Result
from .packs import Alone, Ended, Packed
from .shared import Shared

_LOOK_SECONDS = 0.2  # who waits for a task looks so often whether all must end
_FETCH_SECONDS = 2.0  # how long a result may take to come, at first
_TELL_SECONDS = 1.0  # workers are told so often: one may have come since
_WORKER_SECONDS = 300.0  # how long all wait for a worker where the last one is lost
_MOST_SENT = 3  # how often the data of a task are sent, if all who held them are lost
_GONE = "the scheduler went away, or its client was closed, before the job was done"


@dataclass(frozen=True)
class Sent:
    """What tasks share, on each worker: X, y, weights, and others that they name."""

    objects: Sequence[Any]

    @cached_property
    def shared(self) -> Shared:
        """The data of all tasks of a worker, checked and converted by the first."""
        return Shared(*self.objects[:3])

    def __getstate__(self):
        """Leave out what was made of them, where they move on."""
        return {"objects": self.objects}


class Cluster:
    """Runs tasks on the workers of a `distributed.Client`.

    Raises
    ------
    TypeError, ValueError
        If `client` is none, is asynchronous or closed, or has no worker.
    """

    def __init__(self, client: Any, shared: Shared, jobs: Sequence[Job]) -> None:
        self._client, self.threads = client, _threads_of(client)
        self._objects = _objects_of(shared, jobs)
        self._data: Any = None  # the future of the data on the workers
        self._lock = threading.Lock()  # of those who send data or tell workers
        self._name = f"fastbp-{uuid.uuid4().hex}"
        self._numbers = itertools.count()
        self._told, self._lost = -math.inf, time.monotonic()

    def run(self, task: Alone | Packed, stop: Stop) -> Ended:
        """Train a task on a worker; yield each job with its result, as the task does itself.

        The jobs of a task that was cancelled were interrupted.

        Raises
        ------
        ConnectionError
            If the scheduler went away, or all workers.
        """
        content = pickled(task, self._objects)
        try:
            return self._run(task, content, stop)
        except ConnectionError:
            raise
        except Exception as error:
            # a connection that is lost; or what Dask raises, of many kinds, once a client is closed
            if isinstance(error, OSError) or self._client.status != "running":
                raise ConnectionError(_GONE) from error
            raise

    def _run(self, task, content, stop):
        for _ in range(_MOST_SENT):
            data = self._held(stop)
            if data is None:
                return _not_begun(task, stop.stopped)
            key = f"{self._name}-{next(self._numbers)}"
            names = (self._name, key)
            future = self._client.submit(_trained, data, content, names, key=key, pure=False)
            try:
                error = self._error(future, stop)
                if error is None:
                    return _ended(task, self._result(future))
            except CancelledError as cancelled:
                # its future keeps it, and so would keep itself by the frames of who raised it
                error = cancelled.with_traceback(None)
            if not isinstance(error, CancelledError):
                return ((job, job.result(error=error)) for job in task.jobs)
            lost = getattr(error, "reason", None) == "scheduler-connection-lost"
            if lost or self._client.status != "running":
                raise ConnectionError(_GONE) from error
            if key not in self._client.futures:  # by the caller; a thread does not end by it
                _tell(self._client, key, Stopped.INTERRUPTED)
                return _not_begun(task, Stopped.INTERRUPTED)
            self._forget(data)
        raise ConnectionError(f"the workers that held the data were lost {_MOST_SENT} times")

    def _held(self, stop):
        """Return the future of the data, sent if no worker holds them; None if all must end."""
        with self._lock:
            while self._data is None and not stop.seen:
                if self._client.status != "running":
                    raise ConnectionError(_GONE)
                if self._client.nthreads():
                    sent = Sent(self._objects)
                    self._data = self._client.scatter(sent, broadcast=True, hash=False)
                elif time.monotonic() > self._lost + _WORKER_SECONDS:
                    raise ConnectionError(f"there was no worker for {_WORKER_SECONDS:.0f} s")
                else:
                    time.sleep(_LOOK_SECONDS)
            return None if stop.seen else self._data

    def _forget(self, data):
        """Let data be sent again that no worker holds."""
        with self._lock:
            if self._data is data:
                self._data, self._lost = None, time.monotonic()

    def _error(self, future, stop):
        """Wait for a future; return its error or None. What raises says that it was cancelled.

        The error is not raised: its future would keep it, and so itself, by the frames of who does.
        """
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        while not done.wait(_LOOK_SECONDS):
            if self._client.status != "running":  # its callbacks may not come any more
                raise CancelledError
            if stop.seen and not self._end_all(stop.stopped):
                future.cancel()
        error = future.exception()
        return error and error.with_traceback(future.traceback())

    def _result(self, future):
        """Return the result of a future that is done; what raises says that it was cancelled.

        It never comes if the client is closed meanwhile, or its scheduler goes away. Each trial
        may take twice as long as the one before, for all begin to fetch it anew.
        """
        seconds = _FETCH_SECONDS
        while True:
            with suppress(TimeoutError, asyncio.TimeoutError):  # one and the same since 3.11
                return future.result(timeout=seconds)
            if self._client.status != "running":
                raise CancelledError
            seconds *= 2

    def _end_all(self, reason):
        """End the tasks on all workers at their next slice; return whether there is a worker."""
        with self._lock:
            if time.monotonic() < self._told + _TELL_SECONDS:
                return True
            self._told = time.monotonic()
            return _tell(self._client, self._name, reason)


def _threads_of(client):
    """Return how many threads the workers of a client have; an error if it is none or has none."""
    distributed = sys.modules.get("distributed")
    if distributed is None or not isinstance(client, distributed.Client):
        raise TypeError(
            f"client={quoted(client)}: expected a distributed.Client, such as "
            "Client('tcp://host:8786')"
        )
    if client.asynchronous:
        raise ValueError("client: it is asynchronous; expected one without asynchronous=True")
    if client.status != "running":
        raise ValueError(f"client: it is {client.status}; expected one that is connected")
    threads = sum(client.nthreads().values())
    if not threads:
        raise ValueError(
            "client: its cluster has no workers; start some, and wait for them by "
            "client.wait_for_workers(1)"
        )
    return threads


def _objects_of(shared: Shared, jobs: Iterable[Job]) -> list[Any]:
    """Return what tasks name rather than hold: all data, the rows of folds, and to validate."""
    found = {}
    for job in jobs:
        rows = () if job.fold is None else (job.fold.trains, job.fold.tests)
        for each in (*rows, job.options.get("validation_data")):
            found[id(each)] = each
    return [shared.X, shared.y, shared.weight, *found.values()]


def _tell(client, name, reason):
    """End what has a name on all workers; return whether there is a worker, as far as is known."""
    with suppress(OSError):  # of a scheduler that went away, which its status says
        return bool(client.run(_note, name, reason, on_error="ignore"))
    return True


def _not_begun(task, reason):
    return ((job, job.result(stopped=reason)) for job in task.jobs)


def _ended(task, answer):
    """Yield each job of a task with the result that a worker sent, as that of this process."""
    found, error = answer
    for place, result in found:
        job = task.jobs[place]
        if result is not None and isinstance(job.model, Network):
            there = result.network
            job.model.engine.set_progress(*there.engine.progress())
            job.model.history = there.history
            result = replace(result, network=job.model)
        yield job, None if result is None else replace(result, settings=job.settings)
    if error is not None:
        raise error  # which is that of the jobs left


def pickled(task: Any, objects: Sequence[Any]) -> bytes:
    """Return a task as bytes, in which `objects` are but numbers."""
    from cloudpickle import CloudPickler

    places = {id(each): place for place, each in enumerate(objects) if each is not None}

    class Pickler(CloudPickler):
        def persistent_id(self, value):
            return places.get(id(value))

    file = io.BytesIO()
    Pickler(file).dump(task)
    return file.getvalue()


def unpickled(content: bytes, objects: Sequence[Any]) -> Any:
    """Return a task that `pickled` made, with objects for their numbers."""

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, place):
            return objects[place]

    return Unpickler(io.BytesIO(content)).load()


# ------------------------------------------------------------------ on a worker

# results by the places of their jobs, and the error that ended the task before the others
Trained = tuple[list[tuple[int, Result | None]], BaseException | None]

# what must end on this worker, and why: names of tasks, and of all tasks of a call
_noted: dict[str, Stopped] = {}


def _note(name, reason):
    _noted.setdefault(name, reason)


class _Told(Stop):
    """Ends trainings once one of their names is noted."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self._names = names

    @property
    def seen(self) -> bool:
        """Whether the trainings must end."""
        for name in self._names:
            if name in _noted:
                self.now(_noted[name])
        return super().seen


def _trained(data: Sent, content: bytes, names: Iterable[str]) -> Trained:
    """Train a task; return the places of its jobs with their results, and what ended it.

    A worker that raised SystemExit or KeyboardInterrupt, as a callback may, would end by it.
    """
    task = unpickled(content, data.objects)
    places = {id(job): place for place, job in enumerate(task.jobs)}
    done: list[tuple[int, Result | None]] = []
    try:
        for job, result in task.run(data.shared, _Told(names), 1):
            done.append((places[id(job)], result and replace(result, settings={})))
    except (SystemExit, KeyboardInterrupt) as error:
        return done, error
    return done, None
