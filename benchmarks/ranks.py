"""Training on several ranks: ``mpiexec -n 2 python benchmarks/ranks.py [NET ...]``.

It prints what a sum of gradients costs, and the weak scaling of each net: the time of a step on one
rank over that on all, where the global batch and the rows grow with the ranks, so that each has as
much work, on one thread. Both sides train in turn; figures are medians over rounds.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

# where this file is run and not imported, the package lies above it
sys.path.extend([str(Path(__file__).resolve().parent.parent)] if __name__ == "__main__" else [])

from benchmarks.workloads import WORKLOADS, make_data
from fastbp import Network
from fastbp.ranks.comm import Ranks
from fastbp.ranks.reduction import Messages, SharedMemory

_NETS = ("mnist2", "wide")
_SECONDS = 1.5  # of a round
_SIZES = (1_000, 30_000, 668_000, 8_300_000)


def seconds_per_step(workload, data, comm):
    """Return the seconds of a training step of one rank, or of all where `comm` is theirs."""
    net = Network(list(workload.sizes), loss=workload.loss, seed=0)
    batch = workload.batch * (1 if comm is None else comm.size)
    options = {"batch_size": batch, "comm": comm, "n_threads": 1}
    history = net.fit(*data, epochs=1, **options)
    epochs = max(1, int(_SECONDS / history.seconds))
    if comm is not None:
        epochs = comm.bcast(epochs)
    history = net.fit(*data, epochs=epochs, **options)
    steps = -(-workload.rows // workload.batch)
    return float(np.median(history["seconds"])) / steps


def _wait(comm):
    """Wait for rank 0, asleep: its processors are to be idle."""
    arrived = comm.Ibarrier()
    while not arrived.Test():
        time.sleep(0.005)


def scaling(comm, name, rounds):
    """Print the time of a step on one rank and on all, and the ratio: medians of rounds."""
    rows = min(WORKLOADS[name].rows, 16 * WORKLOADS[name].batch)
    workload = replace(WORKLOADS[name], rows=rows)
    data = make_data(workload, seed=comm.rank)
    alone, together = [], []
    for _ in range(rounds):
        if comm.rank == 0:
            alone.append(seconds_per_step(workload, data, None))
        _wait(comm)
        together.append(seconds_per_step(workload, data, comm))
    if comm.rank == 0:
        ratios = np.divide(alone, together)
        one, several = 1e6 * np.median(alone), 1e6 * np.median(together)
        print(
            f"{name:8} one rank {one:9,.0f} us, {comm.size} ranks {several:9,.0f} us, "
            f"scaling {np.median(ratios):.2f} (of rounds: {np.array2string(ratios, precision=2)})",
            flush=True,
        )


def sums(comm):
    """Print the microseconds of a sum of so many floats: here, by messages, by Allreduce."""
    for size in _SIZES:
        shared = SharedMemory.between(Ranks(comm), comm, size, np.float32)
        ways = {"messages": Messages(comm, size, np.float32)}
        if shared:
            ways = {"shared memory": shared, **ways}
        calls = {name: lambda way=way: way.add(0.0) for name, way in ways.items()}
        numbers = np.zeros(size, np.float32)
        total = np.empty_like(numbers)
        calls["MPI's Allreduce"] = lambda n=numbers, t=total: comm.Allreduce(n, t)
        times = {name: [] for name in calls}
        for _ in range(max(10, min(500, 20_000_000 // size))):
            for name, call in calls.items():
                comm.Barrier()
                begin = time.perf_counter()
                call()
                times[name].append(1e6 * (time.perf_counter() - begin))
        if comm.rank == 0:
            told = ", ".join(f"{name} {np.median(each):,.0f} us" for name, each in times.items())
            print(f"sum of {size:,} float32 over {comm.size} ranks: {told}", flush=True)


def parse(arguments):
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nets", nargs="*", default=_NETS, choices=list(WORKLOADS), metavar="NET")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args(arguments)


def main():
    """Measure what the command line asks for."""
    given = parse(sys.argv[1:])
    from mpi4py import MPI  # it starts MPI

    sums(MPI.COMM_WORLD)
    for name in given.nets:
        scaling(MPI.COMM_WORLD, name, given.rounds)


if __name__ == "__main__":
    main()
