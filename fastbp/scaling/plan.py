"""What several processes gain in the training of one network: `plan_ranks`."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from ..durations import duration
from ..kernels.compiler.processors import available_threads
from ..kernels.support.scalars import a_number, a_whole_number
from ..kernels.tuning import SLICE_SECONDS
from ..network import Network
from ..quoted import quoted
from ..ranks.comm import as_ranks
from ..ranks.cost import EXCHANGES, NETWORK, SHARED, Costs, Link, seconds_of_exchange, work_of_sum
from ..ranks.local import averaged
from .trials import Trials, sample_of

# the longest message, and the slowest link, that a prediction is made for
_LONGEST, _SLOWEST = 3600.0, 1.0
# the fewest ranks are best that take at most this multiple of the shortest time
_NEAR = 1.1


@dataclass(frozen=True)
class RankCosts:
    """The predicted training on so many ranks; times are in seconds.

    Parameters
    ----------
    ranks, machines : int
        Processes, and the machines that they fill.
    compute : float
        A step of the slowest rank without the sum of gradients.
    sum : float
        The sum of the gradients of a step.
    epoch_step, epoch_local : float
        An epoch with ``sync="step"``, and with ``sync="local"``.
    local_every : int
        Steps between two averages with ``sync="local"``.
    sync : {"step", "local"}
        The one to use: "local" where a step is shorter than what joins it with the others'.
    epoch : float
        An epoch with `sync`.
    """

    ranks: int
    machines: int
    compute: float
    sum: float
    epoch_step: float
    epoch_local: float
    local_every: int
    sync: str
    epoch: float


@dataclass(frozen=True)
class RankPlan:
    """What `plan_ranks` found: a `RankCosts` for each number of ranks; it prints as a table.

    `shared` and `network` are the links within a machine and between machines, `sources` says of
    each whether it was "measured", "given" or "assumed", `per_machine` how many ranks are on a
    machine, and `n_threads` the threads of each.
    """

    rows: int
    batch_size: int
    n_threads: int
    per_machine: int
    shared: Link
    network: Link
    sources: dict[str, str]
    entries: list[RankCosts]

    @property
    def takes_over(self) -> int | None:
        """The first number of ranks whose sum of gradients takes longer than the computation."""
        return next((each.ranks for each in self.entries if each.sum > each.compute), None)

    @property
    def best(self) -> RankCosts:
        """The fewest ranks within a tenth of the shortest epoch."""
        shortest = min(each.epoch for each in self.entries)
        return next(each for each in self.entries if each.epoch <= _NEAR * shortest)

    def speedup(self, costs: RankCosts) -> float:
        """Return how many times as fast as one rank some are."""
        return self.entries[0].epoch / costs.epoch

    def to_dict(self) -> dict[str, Any]:
        """Return all as JSON."""
        return {**asdict(self), "takes_over": self.takes_over, "best": self.best.ranks}

    def __str__(self) -> str:
        """Return the table, and what to use."""
        head = ["ranks", "machines", "compute", "sum", 'epoch, sync="step"', '"local"', "speedup"]
        table = [head, *([*_cells(each), _times(self.speedup(each))] for each in self.entries)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        rows = ["  ".join(map(str.rjust, row, widths)) for row in table]
        best = self.best
        every = f", average_every={best.local_every}" if best.sync == "local" else ""
        return "\n".join(
            [
                f"{self.rows:,} rows, batches of {self.batch_size:,}, "
                f"{self.n_threads} {'thread' if self.n_threads == 1 else 'threads'} to a rank",
                *(_told(name, getattr(self, name), how) for name, how in self.sources.items()),
                "",
                *rows,
                "",
                *self._balance(),
                f"use {best.ranks:,} {'rank' if best.ranks == 1 else 'ranks'}"
                + (f', sync="{best.sync}"{every}' if best.ranks > 1 else ""),
            ]
        )

    def _balance(self):
        """Yield where sums take longer than computation."""
        if self.takes_over is not None:
            yield (
                f"from {self.takes_over:,} ranks, a sum of gradients takes longer than the "
                "computation"
            )
        elif len(self.entries) > 1:
            yield "sums of gradients take less than computation everywhere here"


def _times(speedup):
    return f"{speedup:.1f}" if speedup >= 0.1 else f"{speedup:.1g}"


def _cells(each):
    """Return the cells of a row of the table."""
    times = (each.compute, each.sum, each.epoch_step, each.epoch_local)
    told = [duration(seconds) if seconds else "-" for seconds in times]
    return [f"{each.ranks:,}", f"{each.machines:,}", *told]


def _told(name, link, how):
    where = {"shared": "within a machine", "network": "between machines"}[name]
    return f"{where}: messages of {duration(link.latency)}, {link.bandwidth / 1e9:.3g} GB/s ({how})"


def plan_ranks(
    network: Network,
    rows: int,
    batch_size: int = 128,
    *,
    ranks: int | Iterable[int] | None = None,
    comm: Any = None,
    latency: float | None = None,
    bandwidth: float | None = None,
    per_machine: int | None = None,
    n_threads: int = 1,
    sample: tuple[Any, Any] | None = None,
) -> RankPlan:
    """Predict the time of ``network.fit(X, y, batch_size=batch_size, comm=comm)`` for some ranks.

    Steps are measured: this process trains copies of the network, on as many rows of a batch as the
    slowest rank has of a shuffled one. Sums are computed from the latency and the
    bandwidth between ranks,

        seconds = messages * latency + bytes / bandwidth,

    and an epoch is ``ceil(rows / batch_size)`` steps with a sum each, or with an average after
    some. Validation and reading are not part of it.

    Parameters
    ----------
    network : Network
        It stays as it is.
    rows, batch_size : int
        Rows that train, and samples per step, of all ranks together.
    ranks : int or iterable of int, optional
        Numbers of ranks, each at most `batch_size`. Default: the powers of 2 to 64.
    comm : mpi4py.MPI.Intracomm, optional
        All its ranks call this function, with the same arguments. They measure their link, and
        take their steps at the same time. Where all are on one machine that is the link within it,
        else between machines.
    latency : float, optional
        Seconds of a message between machines, at most 3600. Default: measured, or 3e-5.
    bandwidth : float, optional
        Bytes per second between two machines, at least 1. Default: measured, or 1.25e9, 10 Gbit/s.
    per_machine : int, optional
        Ranks of a machine. Default: those of `comm` on one machine, or the processors here.
    n_threads : int, default 1
        Threads of a rank.
    sample : tuple (X, y), optional
        Rows for the trials, which take them again and again. Default: random numbers.

    Returns
    -------
    RankPlan

    Raises
    ------
    ValueError, TypeError
        If an argument is invalid.
    """
    if not isinstance(network, Network):
        raise TypeError(f"network={quoted(network)}: expected a Network")
    every = as_ranks(comm)
    machine = (latency, bandwidth, per_machine, n_threads)
    with every.joined():
        asked = every.together(lambda: _checked(rows, batch_size, ranks, *machine))
        rows, batch_size, counts = asked
        engine = copy.deepcopy(network).engine
        every.together(engine.optimizer.require_steps)
        net = ([spec.n_out for spec in engine.plan.specs], engine.plan.dtype, engine.optimizer)
        names = ("rows, batch_size, ranks", "latency, bandwidth, per_machine, n_threads", "network")
        every.expect_same(dict(zip(names, (asked, machine, net), strict=True)))
        given = every.together(lambda: sample_of(engine, sample))
        trials = Trials(engine, given, rows, n_threads, every)
        here = int(every.largest(every.here)) if every.count > 1 else None
        per_machine = per_machine or here or max(1, available_threads() // n_threads)
        links, sources = _links(every, trials, batch_size, latency, bandwidth)
        entries = []
        for count in counts:
            own = trials.own_work(batch_size, count)
            link = links["shared" if count <= per_machine else "network"]
            entries.append(_entry(engine, own, count, per_machine, link, -(-rows // batch_size)))
    plan = (rows, batch_size, n_threads, per_machine)
    return RankPlan(*plan, **links, sources=sources, entries=entries)


def _checked(rows, batch_size, ranks, latency, bandwidth, per_machine, n_threads):
    """Return the rows, those of a batch, and the numbers of ranks in order, with 1."""
    rows = a_whole_number("rows", rows, least=1)
    batch = min(a_whole_number("batch_size", batch_size, least=1), rows)
    a_whole_number("n_threads", n_threads, least=1)
    if latency is not None:
        a_number("latency", latency, above=0, most=_LONGEST)
    if bandwidth is not None:
        a_number("bandwidth", bandwidth, low=_SLOWEST)
    if per_machine is not None:
        a_whole_number("per_machine", per_machine, least=1)
    if ranks is None:
        return rows, batch, [2**power for power in range(7) if 2**power <= batch]
    ranks = ranks if isinstance(ranks, Iterable) else [ranks]
    counts = {a_whole_number("ranks", each, least=1) for each in ranks}
    if counts and max(counts) > batch:
        raise ValueError(
            f"ranks: {max(counts)} for batches of {batch} rows; expected at least a row for "
            "each rank: take larger batches, or fewer ranks"
        )
    return rows, batch, sorted(counts | {1})


def _links(every, trials, batch_size, latency, bandwidth):
    """Return the link within a machine and that between machines, and how they are known."""
    links = {"shared": SHARED, "network": NETWORK}
    sources = dict.fromkeys(links, "assumed")
    if every.count > 1:
        here = int(every.largest(every.here))
        name = "shared" if here == every.count else "network"
        links[name], sources[name] = trials.link(batch_size, here), "measured"
    if latency is not None or bandwidth is not None:
        known = links["network"]
        links["network"] = Link(latency or known.latency, bandwidth or known.bandwidth)
        is_all = latency is not None and bandwidth is not None
        sources["network"] = "given" if is_all else f"given, else {sources['network']}"
    return links, sources


def _entry(engine, own, count, per_machine, link, steps):
    """Return the costs of so many ranks, whose own work is known; speedup is not."""
    plan, each = engine.plan, (engine.plan.dtype.itemsize, count, per_machine)
    sizes = plan.size, averaged(plan, engine.optimizer)
    of_sum, of_average = (link.seconds(work_of_sum(size, *each)) for size in sizes)
    told = EXCHANGES * seconds_of_exchange(link, count)
    joining = max(0.0, own.joint - own.local) + of_sum
    costs = Costs(own.local, joining, own.average + of_average + told)
    joint = steps * (own.joint + of_sum)
    joint += told * max(1, joint / SLICE_SECONDS)
    averages = -(-steps // costs.steps_between)  # the last at the end of the epoch
    local = steps * costs.own_step + averages * costs.average
    is_local = costs.averaging_pays
    return RankCosts(
        ranks=count,
        machines=-(-count // per_machine),
        compute=own.joint,
        sum=of_sum,
        epoch_step=joint,
        epoch_local=local,
        local_every=costs.steps_between,
        sync="local" if is_local else "step",
        epoch=local if is_local else joint,
    )
