"""``fastbp plan``: what several processes, or machines, gain in a training."""

import os
from dataclasses import dataclass
from typing import Any

from ..tables.declared import Declared, counts, duration, flag, number, option, size
from ..tables.options import TrainOptions
from .config import ConfigOption
from .distributed import follows, on_ranks
from .exits import guarded, usage
from .options import made, with_options
from .rows import DataArgument, open_rows, refuse_standard_input, target_of
from .values import LogOption


@dataclass(frozen=True)
class PlanOptions(Declared):
    """Options that the command has beside `TrainOptions`.

    Parameters
    ----------
    ranks : int or sequence of int, optional
        Numbers of processes to compare. Default: 1, 2, 4 and so on, to 64 or the batch size.
    latency : float, in seconds, optional
        Time of a message between machines. Default: measured, or 30us.
    bandwidth : int, in bytes, optional
        Bytes per second between machines. Default: measured, or 1.25GB, of 10 Gbit/s.
    per_machine : int, optional
        Processes of a machine. Default: as many as mpiexec started here, or as processors.
    distributed : bool, default False
        Measure with all processes that mpiexec started, and the way between them.
    """

    ranks: tuple[int, ...] | None = option(counts("numbers such as 1,2,16"), None, panel="Plan")
    latency: float | None = option(duration("2us or 0.1ms", above=0), None, panel="Plan")
    bandwidth: int | None = option(size("10GB"), None, panel="Plan")
    per_machine: int | None = option(number(whole=True, least=1), None, panel="Plan")
    distributed: bool = option(flag(), False, panel="Plan")


@with_options(TrainOptions, PlanOptions)
def plan(data: DataArgument, *, config: ConfigOption = "", log: LogOption = "text", **values: Any):
    """Predict how long an epoch takes on several processes, and say how many to use.

    The options are those of train --distributed, which trains one network; --threads auto is one
    thread to a process. Steps are measured on this machine; the way between machines is measured
    where mpiexec started processes on them.
    """
    follower = values["distributed"] and follows(os.environ)
    with guarded(log, follower) as out, on_ranks(out, values["distributed"]) as (ranks, comm):
        from ..scaling.plan import plan_ranks

        job, given, sample = ranks.together(lambda: _asked(data, values))
        out.step("measuring steps")
        threads = job.asked.n_threads
        with usage():
            found = plan_ranks(
                job.network,
                int(job.split.trains.sum()),
                job.batch,
                ranks=_counts(job) if given.ranks is None else given.ranks,
                comm=comm,
                latency=given.latency,
                bandwidth=given.bandwidth,
                per_machine=given.per_machine,
                n_threads=1 if threads == "auto" else threads,
                sample=sample,
            )
        out.event("ranks", f"{job.table.name}: {found}", **found.to_dict())


def _asked(data, values):
    """Return the `Job`, which the ranks can train, the options, and some rows if there are any."""
    from ..tables.job import Job
    from ..tables.networks import check_task
    from ..tables.planning import first_rows
    from ..tables.read.table import open_table

    values["target"] = values["target"] or target_of(data)
    with usage():
        asked, given = made(TrainOptions, values), made(PlanOptions, values)
        if given.distributed:
            refuse_standard_input(*data)
        table = open_rows(data, lambda rows: open_table(rows, asked.missing, asked))
        job = Job(table, asked)
        check_task(job.options, job.schema)
        job.shares.check_for(job, max([2, *(given.ranks or ())]))
    sample = first_rows(job)
    return job, given, sample if len(sample[0]) else None


def _counts(job):
    """Return the powers of two to 64 that give each rank rows to train and to score."""
    rows = [int(each.sum()) for each in (job.split.trains, job.split.validates)]
    most = min(64, job.batch, *(count for count in rows if count))
    return [2**power for power in range(7) if 2**power <= most]
