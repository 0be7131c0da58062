"""The parts of a `partial_fit`, and when each is trained: the schedule's time, and the limit."""

import math
import time
import warnings
from dataclasses import dataclass

from ..data.feed import parts_of
from ..data.source import Source
from ..kernels.support.scalars import a_number
from ..quoted import quoted


@dataclass(frozen=True)
class Span:
    """The part of a training that one call trains.

    It begins at time `begin` of the schedule, in epochs, and is `length` epochs long; the schedule
    is not followed where its time is not known. Training may take `seconds`, if that is not None.
    """

    begin: float | None
    length: float = 0.0
    seconds: float | None = None


def begin_of(X, epoch, completed):
    """Return the schedule's time where `X` begins, in epochs; None if it is not known.

    That is `epoch`, if given, else, of a source, the number of `completed` epochs: a pass over it
    is one. How much of an epoch arrays or an iterator are, only the caller knows.
    """
    if epoch is not None:
        return a_number("epoch", epoch, low=0)
    return float(completed) if isinstance(X, Source) else None


def warn_of_no_time(schedule):
    """Warn the caller of partial_fit that a schedule is not followed."""
    warnings.warn(
        f"schedule={quoted(schedule)}: partial_fit does not know how much of an epoch a call is, "
        "and trains at the full learning rate; give epoch=, the time in epochs, such as 2.5",
        stacklevel=5,
    )


def parts_in_time(X, y, sample_weight, begin, max_time):
    """Yield the parts of a stream, or arrays, in order, each with its `Span`.

    None stands for all parts that come after `max_time` seconds, unless that is None.
    """
    rows = len(X) if isinstance(X, Source) else None
    deadline = math.inf if max_time is None else time.perf_counter() + max_time
    done = 0
    for part in parts_of(X, y, sample_weight, lambda: time.perf_counter() > deadline):
        left = None if max_time is None else max(deadline - time.perf_counter(), 1e-9)
        if rows is None or part is None:
            yield part, Span(begin, seconds=left)
            continue
        count = len(part[1])
        yield part, Span(begin + done / rows, count / rows, left)
        done += count
