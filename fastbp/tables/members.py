"""The members of an ensemble on a table: how they differ, and their training, all at once."""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..annotations import Callback
from ..errors import DataError, DivergenceError
from ..kernels.compiler.processors import available_threads
from ..many.bags import bag_of
from ..many.fitting import Results, fit_many
from ..many.in_turn import fit_in_turn
from ..memory import bytes_shown
from ..network import Network
from ..quoted import quoted
from ..training.checkpoints import Checkpoints
from ..training.history import History
from ..training.interrupt import Interrupt
from ..training.stopped import Stopped
from .encoded import Budget, Encoded
from .labels import labels_in
from .networks import network_of
from .options import TrainOptions
from .parts import check_enough
from .split import folds_of_rows

_log = logging.getLogger("fastbp")
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Part:
    """The encoded rows that a member trains on, all by default, and those it validates on.

    The latter are None where all members validate on the rows that are held back.
    """

    trains: Rows | None = None
    tests: Rows | None = None


@dataclass
class Member:
    """A member of an ensemble, and what became of its training; without a history, none began."""

    number: int  # from 0
    part: Part
    network: Network
    history: History | None = None
    stopped: Stopped | None = None
    error: DivergenceError | None = None


def parts_of(job: Any) -> list[Part]:
    """Return the rows of each member, as the options of a `Job` say that they differ.

    DataError if there are fewer rows or groups than folds.
    """
    options: Any = job.options
    if options.ensemble_by == "seeds":
        return [Part()] * options.ensemble
    labels, known = labels_in(job.table, job.schema.targets)
    known &= job.split.trains
    groups = None if job.keys.groups is None else job.keys.groups[known]
    rows = int(known.sum())
    if options.ensemble_by == "folds":
        check_enough(job, "ensemble", known)
        own = None if labels is None else labels[known]
        folds = folds_of_rows(rows, options.ensemble, options.seed, own, groups)
        each = (folds == number for number in range(options.ensemble))
        return [Part(np.flatnonzero(~held), np.flatnonzero(held)) for held in each]
    return [Part(_bag(rows, groups, options.seed, n)) for n in range(options.ensemble)]


def _bag(rows, groups, seed, number):
    """Return as many rows as there are, drawn with replacement; whole groups, where there are."""
    if groups is None:
        return np.sort(bag_of(rows, seed, number))
    _, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    of_groups = np.split(np.argsort(place, kind="stable"), np.cumsum(sizes)[:-1])
    return np.sort(np.concatenate([of_groups[n] for n in bag_of(len(sizes), seed, number)]))


def most_at_once(budget: Budget, options: TrainOptions) -> int:
    """Return how many members may train at once; MemoryError if rows of their own do not fit.

    Those of bags and folds are copies, one for each member that trains, and the folds that
    validate take as much as the table.
    """
    threads: Any = available_threads() if options.n_threads == "auto" else options.n_threads
    if options.ensemble_by == "seeds":
        return threads
    taken = bytes_of_rows(budget, options)
    if not fits_at_once(budget, options):
        raise MemoryError(
            f"ensemble_by={quoted(options.ensemble_by)}: each network trains on rows of its own, "
            f"and these take {bytes_shown(taken)} with the table, of "
            f"{bytes_shown(budget.limit)}: give more memory, or ensemble_by='seeds'"
        )
    more = (budget.limit - taken) // max(budget.bytes, 1)
    return int(min(threads, 1 + more))


def bytes_of_rows(budget: Budget, options: TrainOptions) -> int:
    """Return what rows in memory take while one network trains, those of its own too."""
    copies = {"seeds": 1, "bags": 2, "folds": 3}[options.ensemble_by or "seeds"]
    return budget.held_bytes + copies * budget.bytes


def fits_at_once(budget: Budget, options: TrainOptions) -> bool:
    """Return whether memory holds the rows of at least one network beside those of the table."""
    return not budget.streamed and bytes_of_rows(budget, options) <= budget.limit


def _check_weights(parts: list[Part], rows: Encoded, name: str) -> None:
    """Raise DataError if all rows that a member trains or validates on have a weight of 0."""
    for number, part in enumerate(parts, 1):
        both = ("trains", rows.weight, part.trains), ("validates", rows.own_weight, part.tests)
        for does, weights, which in both:
            if weights is not None and which is not None and not weights[which].any():
                raise DataError(
                    f"{name}: all rows that network {number} {does} on have a weight of 0: give "
                    "weights above it, another seed, or ensemble_by='seeds'"
                )


def train_members(
    job: Any,
    parts: list[Part],
    rows: Encoded,
    valid: tuple[npt.NDArray, ...] | None,
    kept: Checkpoints | None,
    callbacks: Iterable[Callback],
    progress: bool,
) -> list[Member]:
    """Train the members of an ensemble; return them in their order.

    Rows in a scratch file are read by one member after another.

    Raises
    ------
    DivergenceError
        If all diverged.
    DataError
        If all rows that one trains or validates on have a weight of 0.
    """
    _check_weights(parts, rows, job.table.name)
    networks = [job.network]
    networks += [network_of(job.options, job.schema, n) for n in range(1, len(parts))]
    members = [Member(n, *pair) for n, pair in enumerate(zip(parts, networks, strict=True))]
    lock = threading.Lock()
    told = [[_telling(each, member.number, lock) for each in callbacks] for member in members]
    train = _one_by_one if job.budget.streamed else _at_once
    train(job, members, rows, valid, kept, told, progress)
    if all(member.error for member in members):
        assert members[0].error is not None
        raise members[0].error
    return members


def _telling(callback: Callback, number: int, lock: Any) -> Callable[[dict[str, Any]], Any]:
    """Return a callback that knows the member, and runs once at a time."""

    def tell(entry):
        with lock:
            return callback({"member": number, **entry})

    return tell


class _Signals(Interrupt):
    """Ends trainings at once at Ctrl-C, and at SIGTERM if `terminable`."""

    def __init__(self, terminable: bool) -> None:
        super().__init__(terminable)
        self._results: Results | None = None

    def note(self, number, frame):
        """Handle a signal: the trainings end at their next slice."""
        super().note(number, frame)
        self._end()

    def ends(self, results: Results) -> None:
        """Let a signal end these, or one that was seen already."""
        self._results = results
        if self.seen:
            self._end()

    def _end(self):
        if self._results is not None:
            self._results.stop(self.stopped)


def _at_once(job, members, rows, valid, kept, told, progress):
    jobs = [
        {
            "network": member.network,
            "rows": member.part.trains,
            "validation_data": _validation(rows, valid, member.part),
            "callbacks": callbacks,
        }
        for member, callbacks in zip(members, told, strict=True)
    ]
    signals = _Signals(terminable=kept is not None)
    given: dict[str, Any] = {
        "sample_weight": rows.weight,
        "n_threads": most_at_once(job.budget, job.options),
        "max_time": job.time_limit,
        "checkpoints": kept,
        "progress": progress,
        **job.fit_options,
    }
    with signals.watching(), fit_many(jobs, rows.X, rows.y, **given) as results:
        signals.ends(results)
        try:
            for result in results:
                _take(members[result.job], result.history, result.stopped, result.error)
        finally:  # of an error: none writes a checkpoint any more when the caller goes on
            results.stop()
            results.wait()


def _validation(rows, valid, part):
    if part.tests is None:
        return valid
    weight = rows.own_weight
    arrays = (rows.X, rows.y, *([] if weight is None else [weight]))
    return tuple(array[part.tests] for array in arrays)


def _take(member, history, stopped, error=None):
    """Keep what became of a training; raise its error, unless it diverged."""
    if error is not None and not isinstance(error, DivergenceError):
        raise error
    member.history, member.stopped, member.error = history, stopped, error


def _one_by_one(job, members, rows, valid, kept, told, progress):
    options = job.options
    jobs = [
        {
            "network": member.network,
            "callbacks": callbacks,
            "checkpoints": None if kept is None else kept.part(f"job-{member.number:05d}"),
        }
        for member, callbacks in zip(members, told, strict=True)
    ]
    given = {"validation_data": valid, "n_threads": options.n_threads, "progress": progress}
    given |= {"resume": kept is not None, "max_time": job.time_limit, **job.fit_options}
    for result in fit_in_turn(jobs, rows.X, **given):
        _take(members[result.job], result.history, result.stopped, result.error)
