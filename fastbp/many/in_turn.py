"""Trainings one after the other, of networks that read a source: it is read by one at a time."""

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..data.source import Source
from ..errors import DivergenceError
from ..training.stopped import Stopped
from .jobs import Result


def fit_in_turn(
    jobs: Iterable[Mapping[str, Any]], X: Source, max_time: float | None = None, **shared: Any
) -> Iterator[Result]:
    """Yield the result of each job of `fit_many` on a source, trained when it is asked for.

    A job is a dict with a ``network`` and arguments of its `fit`; `shared` are those of all. After
    `max_time` seconds, or a signal, the others do not begin, which their results say.
    """
    deadline = math.inf if max_time is None else time.perf_counter() + max_time
    ended: Stopped | None = None
    for number, job in enumerate(jobs):
        settings = dict(job)
        network, begun = settings.pop("network"), time.perf_counter()
        result = Result(number, settings, network=network)
        if ended is None and begun > deadline:
            ended = Stopped.TIME
        if ended is not None:
            result.stopped = ended
            yield result
            continue
        left = None if max_time is None else deadline - begun
        try:
            result.history = network.fit(X, max_time=left, **settings, **shared)
            result.stopped = result.history.stopped
        except DivergenceError as error:  # the network has its best weights
            result.error, result.stopped = error, Stopped.DIVERGED
        network.engine.release()
        result.seconds = time.perf_counter() - begun
        if result.stopped is not None and result.stopped.by_signal:
            ended = result.stopped
        yield result
