"""What the ranks of a training agree on; `Alone` is one process that trains by itself."""

from __future__ import annotations

import platform
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from ..data.feed import feed_of
from ..data.samples import Samples
from ..data.windows import Feed
from ..engine.engine import Engine
from ..engine.pace import pace_of_steps
from ..errors import DataError, ModelFileError
from ..kernels.compiler.processors import available_threads, processors_allowed
from ..kernels.support.scalars import a_whole_number
from ..quoted import quoted, shortened
from .cost import supposed
from .local import EvenPace, LocalShard, LocalSteps, averaged
from .reduction import Messages, SharedMemory
from .scores import JointScore, OwnScore
from .shard import Held, Shard, shard_samples
from .steps import JointPace, JointSteps, OwnSteps

Result = TypeVar("Result")
#: The exit code of all processes after an error that one rank cannot tell the others.
ABORTED = 1
_NAP = 0.002  # seconds
# errors that are made of their message alone; others arrive as RuntimeError
_PLAIN = (
    *(DataError, ModelFileError, ValueError, TypeError),
    *(MemoryError, OSError, RuntimeError, ArithmeticError),
)


class Alone:
    """One process: it agrees with itself."""

    number, count = 0, 1
    #: How many ranks are on this machine.
    here = 1
    #: How many steps each rank makes by itself, before all average; None: each step is joint.
    average_every: int | None = None
    #: Whether this rank writes checkpoints and shows progress.
    leads = True
    #: The most threads that "auto" may mean.
    most_threads = sys.maxsize

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Train within: an error on one rank ends all."""
        yield

    def set_sync(self, sync: str, average_every: int | None, engine: Engine, batch: int) -> None:
        """Check and take the arguments `sync` and `average_every` of `Network.fit`."""
        a_way(sync, average_every)

    def check_allowed(self, allowed: Any) -> None:
        """Raise ValueError if these processes cannot allow what `data.weights.Allowed` says."""

    def together(self, function: Callable[[], Result]) -> Result:
        """Return ``function()``; raise on every rank if it raises on one."""
        return function()

    def expect_same(self, settings: dict[str, Any]) -> None:
        """Raise ValueError on every rank if the settings of one are others."""

    def first(self, value: Result) -> Result:
        """Return the value of rank 0."""
        return value

    def all(self, value: Result) -> list[Result]:
        """Return the values of all ranks, in their order."""
        return [value]

    def own(self, names: Sequence[str]) -> list[str]:
        """Return which of some names, in one order on all ranks, are this rank's to look at."""
        return list(names)

    def merged(self, found: dict[str, Result]) -> dict[str, Result]:
        """Return what all ranks found by the names that are their own."""
        return found

    def largest(self, value: float) -> float:
        """Return the largest value of all ranks; NaN if one is."""
        return value

    def sums(self, values: Any) -> Any:
        """Return the sums of float64 arrays over the ranks, added in their order."""
        return values

    def sum_here(self, value: int) -> int:
        """Return the sum of the values of the ranks on this machine."""
        return value

    def known_to_all(self, error: BaseException) -> BaseException:
        """Note an error that every rank is about to raise; return it."""
        return error

    def wait(self) -> None:
        """Wait for all ranks."""

    def feed(
        self, engine: Engine, X: Any, y: Any, weight: Any, options: Any, seed: int, must_end: Any
    ) -> Feed:
        """Return the samples of a training, as `feed_of` does; `options` are those of a fit."""
        order = (options.batch_size, options.shuffle, seed)
        more = (options.epochs, options.steps_per_epoch, must_end, options.allowed)
        return feed_of(engine, X, y, weight, order, *more)

    def pace(self, flops: float, threads: int) -> Any:
        """Return the `Pace` of steps of so many operations."""
        return pace_of_steps(flops, threads)

    def steps(self, engine: Engine, feed: Feed) -> Any:
        """Return what makes the steps of a training."""
        return OwnSteps(engine, feed)

    def scores(self, metric: Any, data: Samples) -> OwnScore | JointScore:
        """Return what scores validation rows."""
        return OwnScore(metric, data)


class Ranks(Alone):
    """The ranks of a communicator of mpi4py, of which this process is one.

    All methods but `known_to_all` must be called by every rank, in the same order. A rank that
    fails where the others do not know it prints its error and ends all of them with the exit code
    `ABORTED`; else they would wait for it for ever.
    """

    def __init__(self, comm: Any) -> None:
        self._comm = comm
        self.number, self.count = comm.rank, comm.size
        self.leads = self.number == 0

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Train within, apart from what else the communicator is used for."""
        self._comm = self._comm.Dup()
        try:
            self._settle_here()
            yield
        except BaseException as error:
            if not is_known(error):
                self._end_all(error)
            raise
        finally:
            self._comm.Free()

    def check_allowed(self, allowed: Any) -> None:
        """Raise ValueError if missing targets or negative weights are allowed."""
        for name in ("missing", "signed"):
            if getattr(allowed, name):
                switch = "missing_targets" if name == "missing" else name
                raise ValueError(f"{switch}=True is for one process; with comm, expected False")

    def set_sync(self, sync: str, average_every: int | None, engine: Engine, batch: int) -> None:
        """Check and take the two arguments, or what the cost model makes of them."""
        super().set_sync(sync, average_every, engine, batch)
        costs = supposed(engine.plan, engine.optimizer, batch, self.count, self.here == self.count)
        is_local = sync == "local" or (sync == "auto" and costs.averaging_pays)
        self.average_every = (average_every or costs.steps_between) if is_local else None

    def together(self, function: Callable[[], Result]) -> Result:
        """Return ``function()``; raise on every rank if it raises on one, and name that rank.

        The function may agree with the other ranks in turn, by `all` and what is made of it: where
        one fails before it gives its value, the others raise there. It may not use `first`,
        `wait`, or a reduction: there they would wait for the one that failed.
        """
        error: Exception | None = None
        try:
            result = function()
        except Exception as raised:
            if is_known(raised):
                raise
            error = raised
        self.exchanged(None, error)
        return result

    def exchanged(self, value: Result, error: Exception | None = None) -> list[Result]:
        """Return the values of all ranks; raise on each if one has an error in its place."""
        found = self._comm.allgather((value, error and _told(error)))
        first = next((each for _, each in found if each is not None), None)
        if first is None:
            return [each for each, _ in found]
        failed = [number for number, (_, each) in enumerate(found) if each == first]
        kind, message = first
        if error is not None and len(failed) == self.count:
            raise self.known_to_all(error)
        raise self.known_to_all(kind(f"{named(failed)} of {self.count}: {message}")) from error

    def expect_same(self, settings: dict[str, Any]) -> None:
        """Raise ValueError on every rank, naming the first setting that differs and the ranks."""
        shown = self.all({n: (_written(v), quoted(v)) for n, v in settings.items()})
        for name in settings:
            groups: dict[Any, list[int]] = {}
            for number, each in enumerate(shown):
                groups.setdefault(each[name], []).append(number)
            if len(groups) > 1:
                told = ", ".join(f"{v} on {named(where)}" for (_, v), where in groups.items())
                message = f"{name} differs between the ranks: it is {told}"
                raise self.known_to_all(ValueError(message))

    def first(self, value: Result) -> Result:
        """Return the value of rank 0."""
        found: Result = self._comm.bcast(value)
        return found

    def all(self, value: Result) -> list[Result]:
        """Return the values of all ranks, in their order."""
        return self.exchanged(value)

    def own(self, names: Sequence[str]) -> list[str]:
        """Return which of some names, in one order on all ranks, are this rank's to look at."""
        return list(names[self.number :: self.count])

    def merged(self, found: dict[str, Result]) -> dict[str, Result]:
        """Return what all ranks found by the names that are their own."""
        return {name: value for each in self.all(found) for name, value in each.items()}

    def largest(self, value: float) -> float:
        """Return the largest value of all ranks; NaN if one is."""
        return float(np.max(self.all(float(value))))

    def sums(self, values: Any) -> Any:
        """Return the sums of float64 arrays over the ranks, added in their order."""
        total = np.zeros(np.shape(values))
        for each in self.all(np.asarray(values, np.float64)):
            total += each
        return total

    def sum_here(self, value: int) -> int:
        """Return the sum of the values of the ranks on this machine."""
        return sum(self._all_here(value))

    def known_to_all(self, error: BaseException) -> BaseException:
        """Note an error that every rank is about to raise; return it."""
        error.fastbp_is_known = True  # type: ignore[attr-defined]
        return error

    def feed(
        self, engine: Engine, X: Any, y: Any, weight: Any, options: Any, seed: int, must_end: Any
    ) -> Feed:
        """Return the samples of all ranks, of which this one gives some."""
        data = self.together(lambda: shard_samples(engine, X, y, weight, options))
        kinds = {
            "X": "sparse" if data.is_sparse else "dense",
            "y": "numbers" if data.labels is None else "labels",
            "sample_weight": None if data.weight is None else "given",
        }
        self.expect_same(kinds)
        counts = self.all(len(data))
        weights = None
        if data.weight is not None:
            weights = np.concatenate(self.all(data.weight.astype(np.float64)))
        order = (options.batch_size, options.shuffle, seed)
        held = Held(data, sum(counts[: self.number]), sum(counts), weights)
        if self.average_every:
            return LocalShard(held, *order, self.number, self.average_every)
        return Shard(held, *order)

    def pace(self, flops: float, threads: int) -> Any:
        """Return the pace of all ranks."""
        if self.average_every:
            return EvenPace(self.average_every, threads)
        return JointPace(self, threads)

    def steps(self, engine: Engine, feed: Feed) -> Any:
        """Return what makes the steps of a training."""
        if self.average_every:
            share = len(feed.head) / feed.rows
            reduction = self.reduction(engine.plan.dtype, averaged(engine.plan, engine.optimizer))
            return LocalSteps(engine, feed, self, reduction, share)
        return JointSteps(engine, self.reduction(engine.plan.dtype, engine.plan.size))

    def reduction(self, dtype: Any, size: int) -> SharedMemory | Messages:
        """Return what adds so many numbers: in shared memory, where all ranks have it."""
        shared = SharedMemory.between(self, self._comm, size, dtype)
        return shared or Messages(self._comm, size, dtype)

    def wait(self) -> None:
        """Wait for all ranks asleep, so that those that compute have the processors."""
        arrived = self._comm.Ibarrier()
        while not arrived.Test():
            time.sleep(_NAP)

    def scores(self, metric: Any, data: Samples) -> OwnScore | JointScore:
        """Return what scores the validation rows of all ranks."""
        return JointScore(self, metric.kind, data)

    def _end_all(self, error):
        """Say why this rank fails, and end all; a signal, with an `exit_code`, is no bug."""
        code, who = getattr(error, "exit_code", None), f"rank {self.number} of {self.count}"
        if code is None:
            print(f"fastbp: {who} failed:", file=sys.stderr)
            traceback.print_exc()
        else:
            print(f"fastbp: {who}: {error}", file=sys.stderr)
        sys.stderr.flush()
        self._comm.Abort(ABORTED if code is None else code)

    def _all_here(self, value):
        """Return the values of the ranks on this machine."""
        here = platform.node()
        return [each for host, each in self.all((here, value)) if host == here]

    def _settle_here(self):
        """Find who else is on this machine, and so how many processors are this rank's.

        Those that it shares count in part.
        """
        mine = processors_allowed()
        others = self._all_here(mine)
        self.here = len(others)
        share = sum(1 / sum(number in allowed for allowed in others) for number in mine)
        self.most_threads = max(1, min(int(share + 1e-9), available_threads()))


def is_known(error: BaseException) -> bool:
    """Return whether every rank raises an error, so that none waits for another."""
    return getattr(error, "fastbp_is_known", False)


def _written(value):
    """Return the `repr` of a value without addresses, which differ between processes."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _told(error):
    """Return the class and the message with which other ranks raise an error."""
    kind = next((each for each in _PLAIN if isinstance(error, each)), None)
    text = str(error) if kind and str(error) else f"{type(error).__name__}: {error}"
    return kind or RuntimeError, shortened(text)


def named(numbers: list[int]) -> str:
    """Return ranks by their numbers: ``ranks 0, 2 and 3``."""
    *most, last = map(str, numbers)
    return f"ranks {', '.join(most)} and {last}" if most else f"rank {last}"


def a_way(sync: str, average_every: int | None) -> dict[str, Any]:
    """Return the arguments `sync` and `average_every` of `Network.fit`, or raise."""
    if sync not in ("step", "local", "auto"):
        raise ValueError(f'sync={quoted(sync)}: expected "step", "local" or "auto"')
    if average_every is not None:
        a_whole_number("average_every", average_every, least=1)
        if sync == "step":
            raise ValueError(
                f"average_every={average_every}: with sync=step all add their gradients at every "
                "step; give sync=local or sync=auto, or leave it out"
            )
    return {"sync": sync, "average_every": average_every}


def as_ranks(comm: Any) -> Alone:
    """Return the argument `comm` of `Network.fit` as `Ranks`; None and one rank are `Alone`.

    It raises TypeError or ValueError unless it is an intra-communicator of mpi4py.
    """
    if comm is None:
        return Alone()
    mpi = sys.modules.get("mpi4py.MPI")  # who has a communicator has imported it
    if mpi is None or not isinstance(comm, mpi.Comm):
        raise TypeError(f"comm={quoted(comm)}: expected a communicator, such as MPI.COMM_WORLD")
    if comm == mpi.COMM_NULL:
        raise ValueError("comm=MPI.COMM_NULL: expected a communicator that this process is in")
    if not isinstance(comm, mpi.Intracomm):
        raise TypeError(f"comm={quoted(comm)}: expected an intra-communicator (MPI.Intracomm)")
    if mpi.Is_finalized():
        raise ValueError("comm: MPI is finalized; expected a communicator that is in use")
    return Alone() if comm.size == 1 else Ranks(comm)
