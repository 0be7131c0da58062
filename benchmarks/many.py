"""Many networks in one call, beside one alone and beside peers: ``python benchmarks/many.py``.

A network is 32-64-64-1, trained for two epochs on 20,000 shared rows. All sides train in turn, and
a figure is the median over rounds. scikit-learn fits run in processes by ``joblib``, and JAX
trains all networks of a chunk by one ``vmap``; both train fewer networks, and the figure is of
one. The share of the time that Python's interpreter is held is processor time outside of compiled
code. From it a simulation tells how many threads would help.
"""

import argparse
import heapq
import subprocess
import sys
import time
import warnings
from datetime import date
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import numpy as np

# where this file is run and not imported, the package lies above it
sys.path.extend([str(Path(__file__).resolve().parent.parent)] if __name__ == "__main__" else [])

from benchmarks.peer_frameworks import Jax
from benchmarks.workloads import Workload
from fastbp import Network, fit_many
from fastbp.engine import pack
from fastbp.kernels.compiler.processors import available_threads
from fastbp.machine import processor_name

SIZES, ROWS, EPOCHS, BATCH = (32, 64, 64, 1), 20_000, 2, 128
SMALL, SMALL_ROWS, SMALL_EPOCHS = (4, 16, 1), 200, 200
MEMBERS, THREADS = 8, (1, 2, 4, 8, 16, 32, 64)
FOLDER = Path(__file__).resolve().parent
PARTS = ("throughput", "members", "interpreter", "memory")


def data(sizes, rows):
    """Return X (rows, n_in) and y (rows, 1) as float32."""
    X = np.random.default_rng(0).normal(size=(rows, sizes[0])).astype(np.float32)
    return X, X[:, :1] * X[:, 1:2]


def jobs(sizes, count):
    """Return jobs that differ by their seeds."""
    return [{"sizes": sizes, "optimizer": "adam", "seed": seed} for seed in range(count)]


def per_second(count, function, *arguments):
    """Return how many of `count` networks a function trains in a second."""
    started = time.perf_counter()
    function(*arguments)
    return count / (time.perf_counter() - started)


def alone(count, X, y):
    """Train networks one after the other, on one thread, without `fit_many`."""
    for job in jobs(SIZES, count):
        Network(**job).fit(X, y, epochs=EPOCHS, batch_size=BATCH, n_threads=1)


def together(count, X, y):
    """Train networks by `fit_many`."""
    fit_many(jobs(SIZES, count), X, y, epochs=EPOCHS, batch_size=BATCH).wait()


def _sklearn_fit(X, y, seed):
    from sklearn.neural_network import MLPRegressor

    warnings.simplefilter("ignore")
    MLPRegressor(
        hidden_layer_sizes=SIZES[1:-1], batch_size=BATCH, max_iter=EPOCHS, random_state=seed
    ).fit(X, y)


def sklearn_fits(count, X, y):
    """Fit scikit-learn's MLPRegressor in as many processes as there are threads."""
    from joblib import Parallel, delayed

    run = Parallel(n_jobs=available_threads())
    run(delayed(_sklearn_fit)(X, y[:, 0], seed) for seed in range(count))


class Vmap(Jax):
    """JAX's training of equal networks at once."""

    def __init__(self, count, X, y):
        workload = Workload("many", SIZES, BATCH, ROWS, "squared_error")
        super().__init__(workload, X, y, 0)
        self.count, self.epochs = count, self.jax.jit(self.jax.vmap(self._epoch))

    def __call__(self):
        """Train new networks."""
        numpy = self.jax.numpy
        self.start()
        state = self.jax.tree.map(lambda a: numpy.repeat(a[None], self.count, 0), self.state)
        for _ in range(EPOCHS):
            orders = [self.rng.permutation(ROWS) for _ in range(self.count)]
            state, losses = self.epochs(state, np.stack(orders).astype("int32"))
        self.jax.block_until_ready((state, losses))


class Clock:
    """Stands in for the kernel of packs, and adds up the processor time inside of it."""

    def __init__(self, kernel):
        self._kernel, self.inside = kernel, 0.0

    def serial(self, *arguments):
        """Run the kernel."""
        begun = time.thread_time()
        result = self._kernel.serial(*arguments)
        self.inside += time.thread_time() - begun
        return result


def seconds_of_each(sizes, rows, epochs, count):
    """Return the seconds of a network inside and outside of the kernel of packs."""
    X, y = data(sizes, rows)
    given = {"epochs": epochs, "n_threads": 1}
    fit_many(jobs(sizes, count // 5), X, y, **given).wait()
    kernel = pack.train_many
    pack.train_many = clock = Clock(kernel)
    begun = time.process_time()
    try:
        fit_many(jobs(sizes, count), X, y, **given).wait()
    finally:
        pack.train_many = kernel
    return clock.inside / count, (time.process_time() - begun - clock.inside) / count


def simulated(count, inside, held, threads):
    """Return how much faster `threads` train `count` equal networks than one thread does.

    Each network holds the interpreter for a while, which one thread can at a time, and is then
    trained. Nothing else delays a thread: memory and clock are as those of one.
    """
    free, interpreter = [0.0] * threads, 0.0
    for _ in range(count):
        interpreter = max(heapq.heappop(free), interpreter) + held
        heapq.heappush(free, interpreter + inside)
    return count * (inside + held) / max(free)


def throughput(count, peer_count, rounds):
    """Print how many networks a second each side trains."""
    X, y = data(SIZES, ROWS)
    sides = {"one alone, one thread": (alone, count // 4), "fit_many": (together, count)}
    if find_spec("sklearn") and find_spec("joblib"):
        sides["scikit-learn, joblib"] = (sklearn_fits, peer_count)
    if find_spec("jax"):
        sides["JAX, vmap"] = (Vmap(peer_count, X, y), peer_count)
    found = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name, (function, number) in sides.items():
            given = () if isinstance(function, Vmap) else (number, X, y)
            rate = per_second(number, function, *given)
            if turn:  # the first compiles
                found[name].append(rate)
    own, threads = found["fit_many"], available_threads()
    for name, rates in found.items():
        ratios = [mine / other for mine, other in zip(own, rates, strict=True)]
        note = f"fit_many is {median(ratios):.2f} times as fast"
        if name == "one alone, one thread":
            note += f", {median(ratios) / threads:.3f} of {threads} threads"
        print(f"{name:24} {median(rates):8.1f} networks a second; {note}")


def members(rounds):
    """Print how long an ensemble takes beside one network, on one thread and on all."""
    X, y = data(SIZES, ROWS)
    found = {"one thread": [], "all threads": []}
    for turn in range(rounds + 1):
        every = per_second(1, lambda: fit_many(jobs(SIZES, MEMBERS), X, y, epochs=20).wait())
        for name, threads in zip(found, (1, "auto"), strict=True):
            net = Network(**jobs(SIZES, 1)[0])
            one = per_second(1, partial(net.fit, X, y, epochs=20, n_threads=threads))
            found[name] += [one / every] if turn else []
    for name, ratios in found.items():
        print(f"{MEMBERS} networks take {median(ratios):.2f} times as long as one on {name}")


def interpreter(count):
    """Print the share of the time that the interpreter is held, and what follows from it."""
    cases = [(SIZES, ROWS, EPOCHS, count), (SMALL, SMALL_ROWS, SMALL_EPOCHS, count)]
    for sizes, rows, epochs, number in cases:
        inside, held = seconds_of_each(sizes, rows, epochs, number)
        name = f"{'-'.join(map(str, sizes))}, {rows:,} rows, {epochs} epochs"
        share = held / (inside + held)
        print(f"{name}: {inside * 1e6:.0f} us compiled, {held * 1e6:.0f} us Python, {share:.2%}")
        shown = (f"{n}: {simulated(number, inside, held, n):.1f}" for n in THREADS)
        print(f"  simulated, not measured: speed-up by threads {', '.join(shown)}")


def memory(count):
    """Print the peak memory of processes that train few and many networks."""
    # behind the installed packages, as above
    program = f"import sys; sys.path.append({str(FOLDER.parent)!r})\n"
    program += "from benchmarks.many import *; X, y = data(SIZES, ROWS)\n"
    program += "for _ in fit_many(jobs(SIZES, COUNT), X, y, epochs=EPOCHS): pass\n"
    # of this process alone: what getrusage tells includes that of the one that began it
    program += "print(*(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    for number in (2, count):
        # a fastbp in the folder where it begins would hide the installed one
        command = [sys.executable, "-I", "-c", program.replace("COUNT", str(number))]
        told = subprocess.run(command, check=True, capture_output=True, text=True)
        print(f"{number} networks: peak memory {int(told.stdout.split()[1]) / 1024:.0f} MiB")


def parse(arguments=None):
    """Return what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", type=int, default=1000)
    parser.add_argument("--peer-nets", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=PARTS, action="append")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Measure what is asked for."""
    given = parse(arguments)
    print(f"{processor_name()}, {available_threads()} threads, {date.today()}")
    wanted = given.only or PARTS
    if "throughput" in wanted:
        throughput(given.nets, given.peer_nets, given.rounds)
    if "members" in wanted:
        members(given.rounds)
    if "interpreter" in wanted:
        interpreter(given.nets)
    if "memory" in wanted:
        memory(given.nets)


if __name__ == "__main__":
    main()
