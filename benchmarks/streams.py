"""Training from sources beside training in memory: ``python benchmarks/streams.py``.

The same rows are in memory, in a memory-mapped ``.npy`` file, in a scratch file (where the blocks
of an iterator are kept), in Parquet that a fit of several epochs first unpacks (timed separately),
and in Parquet that is read as it is. Fits of the same number of epochs run in one process, in turn.
A ratio is the speed of a source relative to memory: the median over rounds, and the ratio of the
shortest times, which other processes disturb least. With one thread there are two more figures, in
processor time, which does not count other processes: the training thread relative to memory, and
the reader. The reader must take less than 100 % and have a processor of its own, or the training
thread waits. Files are in the cache of the system: the speed of the disk is not measured.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

# where this file is run and not imported, the package lies above it
sys.path.extend([str(Path(__file__).resolve().parent.parent)] if __name__ == "__main__" else [])

from benchmarks.bench_training import make_network
from benchmarks.workloads import WORKLOADS, make_data
from fastbp import data as sources

# rows of each workload: several windows of the default size
ROWS = {"tabular": 2_000_000, "mnist": 100_000}
KINDS = ("map", "scratch", "parquet", "packed")
# numbers in a row group of usual size
_NUMBERS_PER_GROUP = 2**24
_TARGET = 0.9
_CLOCKS = (time.perf_counter, time.thread_time, time.process_time)


def write_parquet(path, X, y):
    """Write columns x0, x1, ... and y to a Parquet file."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = {f"x{n}": column for n, column in enumerate(X.T)}
    table = pa.table({**columns, "y": y.reshape(len(y))})
    parquet.write_table(table, path, row_group_size=min(2**17, _NUMBERS_PER_GROUP // X.shape[1]))


def make_source(kind, folder, X, y, window_rows=None):
    """Return the source of one of ``KINDS``, with its files in a folder."""
    more, folder = {"window_rows": window_rows}, Path(folder)
    if kind == "scratch":
        edges = np.linspace(0, len(X), 21).astype(int)
        blocks = ((X[a:b], y[a:b]) for a, b in pairwise(edges))
        return sources.spooled(blocks, folder=folder, **more)
    if kind == "map":
        for name, array in (("X", X), ("y", y)):
            np.save(folder / f"{name}.npy", array)
        return sources.ArraySource(folder / "X.npy", folder / "y.npy", **more)
    if not (folder / "rows.parquet").exists():
        write_parquet(folder / "rows.parquet", X, y)
    return sources.ParquetSource(folder / "rows.parquet", "y", **more, unpack=kind == "parquet")


@dataclass
class Result:
    """The fits of one workload and number of threads, by kind of source.

    Each round has three times: elapsed, processor time of this thread, and of all threads. `once`
    is the time to make the source.
    """

    workload: str
    threads: object
    rounds: dict = field(default_factory=lambda: {kind: [] for kind in ("memory", *KINDS)})
    once: dict = field(default_factory=dict)

    def ratios(self, kind):
        """Return the median ratio to memory, and the ratio of the shortest times."""
        memory, own = ([s[0] for s in self.rounds[which]] for which in ("memory", kind))
        return median(m / o for m, o in zip(memory, own, strict=True)), min(memory) / min(own)

    def shares(self, kind):
        """Return the times of this thread and of the reader relative to the fit in memory."""
        memory = min(own for _, own, _ in self.rounds["memory"])
        own = min(own for _, own, _ in self.rounds[kind])
        return memory / own, min(both - own for _, own, both in self.rounds[kind]) / memory


def measure(name, rows, threads, epochs, rounds, kinds=KINDS):
    """Return the `Result` of a workload."""
    workload, result = WORKLOADS[name], Result(name, threads)
    X, y = make_data(workload, rows)
    options = {"batch_size": workload.batch, "n_threads": threads}
    network = make_network(workload)
    network.fit(X[:2000], y[:2000], epochs=1, **options)  # loads the kernels
    with tempfile.TemporaryDirectory() as folder:
        data = {"memory": (X, y)}
        for kind in kinds:
            source = make_source(kind, folder, X, y)
            begin = time.perf_counter()
            source.for_epochs(epochs)
            data[kind] = (source,)
            result.once[kind] = time.perf_counter() - begin
        for _ in range(rounds):
            for kind, given in data.items():
                begin = [clock() for clock in _CLOCKS]
                network.fit(*given, epochs=epochs, **options)
                seconds = [clock() - b for clock, b in zip(_CLOCKS, begin, strict=True)]
                result.rounds[kind].append(seconds)
    return result


def lines_of(result, epochs):
    """Yield the lines of the table of a result."""
    for kind, rounds in result.rounds.items():
        if not rounds:
            continue
        seconds = [wall for wall, _, _ in rounds]
        line = f"{result.workload:>8} {result.threads!s:>7} {kind:>9} {median(seconds):8.3f}"
        line += f" {min(seconds) / epochs:8.3f}"
        if kind != "memory":
            typical, best = result.ratios(kind)
            line += f" {typical:7.1%} {best:7.1%}"
            if result.threads == 1:
                own, reader = result.shares(kind)
                line += f" {own:7.1%} {reader:7.1%}"
            line += "" if best >= _TARGET else "  below target"
        if kind == "parquet":
            line += f"  ({result.once[kind]:.2f} s to unpack, once)"
        yield line


def parse(arguments):
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(description="Training from sources beside memory.")
    parser.add_argument("--workload", choices=ROWS, action="append", help="default: all")
    parser.add_argument("--rows", type=int, help="default: several windows")
    parser.add_argument("--kind", choices=KINDS, action="append", help="default: all")
    parser.add_argument("--threads", choices=("1", "auto"), action="append", help="default: both")
    parser.add_argument("--epochs", type=int, default=4, help="per fit; default: 4")
    parser.add_argument("--rounds", type=int, default=7, help="default: 7")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Run the command line."""
    options = parse(arguments)
    print("workload threads    source  seconds s/epoch*   ratio   best* thread*  reader* (*: best)")
    for name in options.workload or ROWS:
        for threads in options.threads or ("1", "auto"):
            count = threads if threads == "auto" else 1
            rows, kinds = options.rows or ROWS[name], options.kind or KINDS
            result = measure(name, rows, count, options.epochs, options.rounds, kinds)
            print("\n".join(lines_of(result, options.epochs)), flush=True)


if __name__ == "__main__":
    main()
