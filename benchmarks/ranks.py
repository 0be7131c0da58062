"""Training on several ranks: ``mpiexec -n 2 python benchmarks/ranks.py [NET ...]``.

It prints what a sum of gradients costs, and the weak scaling of each net: the time of a step on one
rank over that on all, where the global batch and the rows grow with the ranks, so that each has as
much work, on one thread. Both sides train in turn; figures are medians over rounds. With ``--plan``
it compares the epochs that ``plan_ranks`` predicts with those that ranks take; with ``--losses``
the validation losses of ``sync="step"`` and ``"local"``; and with ``--project``, on one process, it
predicts what 16 to 1,024 cores would gain.
"""

import argparse
import copy
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

# where this file is run and not imported, the package lies above it
sys.path.extend([str(Path(__file__).resolve().parent.parent)] if __name__ == "__main__" else [])

from benchmarks.workloads import WORKLOADS, make_data
from fastbp import Network, plan_ranks
from fastbp.ranks.comm import Ranks
from fastbp.ranks.cost import supposed
from fastbp.ranks.reduction import Messages, SharedMemory

_NETS = ("mnist2", "wide")
_SECONDS = 1.5  # of a round
_CORES = 1, 16, 64, 256, 1024
_PER_MACHINE = 16
#: (latency, bandwidth) between machines
_NETWORKS = {"10 Gbit/s Ethernet": (3e-5, 1.25e9), "100 Gbit/s InfiniBand": (2e-6, 1.25e10)}
_SIZES = (1_000, 30_000, 668_000, 8_300_000)


def seconds_of_epoch(net, data, batch, comm, **way):
    """Return the seconds of an epoch of one rank, or of all where `comm` is theirs."""
    options = {"batch_size": batch, "comm": comm, "n_threads": 1, **way}
    net = copy.deepcopy(net)  # which stays the same on all ranks
    history = net.fit(*data, epochs=1, **options)
    epochs = max(1, int(_SECONDS / history.seconds))
    if comm is not None:
        epochs = comm.bcast(epochs)
    history = net.fit(*data, epochs=epochs, **options)
    return float(np.median(history["seconds"]))


def seconds_per_step(workload, data, comm):
    """Return the seconds of a training step of one rank, or of all where `comm` is theirs."""
    net = Network(list(workload.sizes), loss=workload.loss, seed=0)
    batch = workload.batch * (1 if comm is None else comm.size)
    return seconds_of_epoch(net, data, batch, comm) / -(-workload.rows // workload.batch)


def scaling(comm, name, rounds):
    """Print the time of a step on one rank and on all, and the ratio: medians of rounds."""
    rows = min(WORKLOADS[name].rows, 16 * WORKLOADS[name].batch)
    workload = replace(WORKLOADS[name], rows=rows)
    data = make_data(workload, seed=comm.rank)
    alone, together = [], []
    for _ in range(rounds):
        if comm.rank == 0:
            alone.append(seconds_per_step(workload, data, None))
        Ranks(comm).wait()
        together.append(seconds_per_step(workload, data, comm))
    if comm.rank == 0:
        ratios = np.divide(alone, together)
        one, several = 1e6 * np.median(alone), 1e6 * np.median(together)
        print(
            f"{name:8} one rank {one:9,.0f} us, {comm.size} ranks {several:9,.0f} us, "
            f"scaling {np.median(ratios):.2f} (of rounds: {np.array2string(ratios, precision=2)})",
            flush=True,
        )


def prediction(comm, name, rounds):
    """Print the seconds of an epoch as planned and as measured, on one rank and on all."""
    rows = WORKLOADS[name].rows // comm.size
    workload = replace(WORKLOADS[name], rows=rows * comm.size)
    data = make_data(replace(workload, rows=rows), seed=comm.rank)
    net = Network(list(workload.sizes), loss=workload.loss, seed=0)
    planned, measured = [], []
    for _ in range(rounds):
        plan = plan_ranks(
            net, workload.rows, workload.batch, ranks=[comm.size], comm=comm, per_machine=comm.size
        )
        one, all_ranks = plan.entries
        planned.append((one.epoch, all_ranks.epoch_step, all_ranks.epoch_local))
        alone = 0.0
        if comm.rank == 0:
            alone = seconds_of_epoch(net, make_data(workload), workload.batch, None)
        Ranks(comm).wait()
        ways = [{}, {"sync": "local", "average_every": all_ranks.local_every}]
        found = [seconds_of_epoch(net, data, workload.batch, comm, **way) for way in ways]
        measured.append((alone, *found))
    if comm.rank == 0:
        for way, told, took in zip(
            ("one rank", "step", "local"),
            np.median(planned, axis=0),
            np.median(measured, axis=0),
            strict=True,
        ):
            print(
                f"{name:8} {comm.size} ranks, {way:8} planned {1e3 * told:9.2f} ms, measured "
                f"{1e3 * took:9.2f} ms: {told / took:.2f}",
                flush=True,
            )


def losses(comm, seeds):
    """Print the validation losses of one process, of joint and of local steps, over seeds."""
    from sklearn.datasets import load_digits, make_friedman1

    digits, classes = load_digits(return_X_y=True)
    table, y = make_friedman1(8_000, noise=1.0, random_state=0)
    y = (y - y.mean())[:, None] / y.std()
    sets = {
        "digits": (digits / 16, classes, [64, 100, 10], "cross_entropy", 40),
        "Friedman": (2 * table - 1, y, [10, 64, 64, 1], "mse", 20),
    }
    for name, (X, y, sizes, loss, epochs) in sets.items():
        for way in ("one", "step", "local"):
            found = [_loss(comm, X, y, sizes, loss, epochs, seed, way) for seed in range(seeds)]
            if comm.rank == 0:
                text = f"{np.mean(found):.4f} +- {np.std(found, ddof=1):.4f}"
                net = Network(sizes, loss=loss, seed=0).engine
                costs = supposed(net.plan, net.optimizer, 32, comm.size, one_machine=True)
                every = f", averages of {costs.steps_between} steps" if way == "local" else ""
                print(f"{name:8} {way:5} validation loss {text}{every}", flush=True)


def _loss(comm, X, y, sizes, loss, epochs, seed, way):
    """Return the lowest validation loss of a training; the seed draws the rows and the network."""
    rows = np.random.default_rng(seed).permutation(len(X))
    valid, rows = rows[: len(X) // 5], rows[len(X) // 5 :]
    net = Network(sizes, loss=loss, seed=seed)
    options = {"epochs": epochs, "batch_size": 32, "n_threads": 1}
    if way == "one":
        history = net.fit(X[rows], y[rows], validation_data=(X[valid], y[valid]), **options)
        return min(history["val_loss"])
    own, valid = rows[comm.rank :: comm.size], valid[comm.rank :: comm.size]
    options |= {"comm": comm, "sync": way, "validation_data": (X[valid], y[valid])}
    return min(net.fit(X[own], y[own], **options)["val_loss"])


def project(name):
    """Print what `plan_ranks` predicts of many cores, each as fast as one here by itself."""
    workload = WORKLOADS[name]
    net = Network(list(workload.sizes), loss=workload.loss, seed=0)
    for network, (latency, bandwidth) in _NETWORKS.items():
        plan = plan_ranks(
            net,
            1_000_000,
            8192,
            ranks=_CORES,
            latency=latency,
            bandwidth=bandwidth,
            per_machine=_PER_MACHINE,
        )
        print(f"{name}, machines of {_PER_MACHINE} cores, {network}:\n{plan}\n", flush=True)


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
    parser.add_argument("nets", nargs="*", metavar="NET", help=f"some of {', '.join(WORKLOADS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plan", action="store_true", help="compare plans with measurements")
    parser.add_argument("--losses", type=int, metavar="SEEDS", help="compare validation losses")
    parser.add_argument("--project", action="store_true", help="predict for many cores")
    given = parser.parse_args(arguments)
    given.nets = given.nets or list(_NETS)
    if unknown := set(given.nets) - set(WORKLOADS):
        parser.error(f"{unknown.pop()}: expected some of {', '.join(WORKLOADS)}")
    return given


def main():
    """Measure what the command line asks for."""
    given = parse(sys.argv[1:])
    if given.project:
        for name in given.nets:
            project(name)
        return
    from mpi4py import MPI  # it starts MPI

    comm = MPI.COMM_WORLD
    if given.losses:
        losses(comm, given.losses)
        return
    if not given.plan:
        sums(comm)
    for name in given.nets:
        (prediction if given.plan else scaling)(comm, name, given.rounds)


if __name__ == "__main__":
    main()
