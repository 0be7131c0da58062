"""Training from sources beside training in memory: ``python benchmarks/streams.py``.

The same rows lie in memory, in a map of a ``.npy`` file, in a scratch file (what an iterator's
blocks are kept in), in Parquet, which a fit of several epochs unpacks first (timed apart), and in
Parquet that is read as it is. Fits of as many epochs run in one process, in turn; a ratio is how
fast a source is beside memory: the median of the ratios of the rounds, and that of the shortest
times, which others on the machine disturb least. On one thread, whose own time of the processor
does not count others, there are two more: what it takes of that beside memory, and what the
reader takes, which must be below 100 % and have a processor of its own, or the one thread waits.
Files lie in the system's cache: a disk's speed is not measured.
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
from fastbp.data import ArraySource, ParquetSource, spooled

# rows of each workload: several windows of the usual size
ROWS = {"tabular": 2_000_000, "mnist": 100_000}
KINDS = ("map", "scratch", "parquet", "packed")
# numbers of a row group, as those who write Parquet like them
_NUMBERS_A_GROUP = 2**24
_TARGET = 0.9
_CLOCKS = (time.perf_counter, time.thread_time, time.process_time)


def write_parquet(path, X, y):
    """Write columns x0, x1, ... and y to a Parquet file."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = {f"x{n}": column for n, column in enumerate(X.T)}
    table = pa.table({**columns, "y": y.reshape(len(y))})
    parquet.write_table(table, path, row_group_size=min(2**17, _NUMBERS_A_GROUP // X.shape[1]))


def make_source(kind, folder, X, y, window_rows=None):
    """Return the source of one of ``KINDS``, with its files in a folder."""
    more, folder = {"window_rows": window_rows}, Path(folder)
    if kind == "scratch":
        edges = np.linspace(0, len(X), 21).astype(int)
        blocks = ((X[a:b], y[a:b]) for a, b in pairwise(edges))
        return spooled(blocks, folder=folder, **more)
    if kind == "map":
        for name, array in (("X", X), ("y", y)):
            np.save(folder / f"{name}.npy", array)
        return ArraySource(folder / "X.npy", folder / "y.npy", **more)
    if not (folder / "rows.parquet").exists():
        write_parquet(folder / "rows.parquet", X, y)
    return ParquetSource(folder / "rows.parquet", "y", **more, unpack=kind == "parquet")


@dataclass
class Result:
    """The fits of one workload on so many threads, by kind: seconds, and those to make a source.

    Of each round there are its seconds, and those of the processor of this thread and of all.
    """

    workload: str
    threads: object
    rounds: dict = field(default_factory=lambda: {kind: [] for kind in ("memory", *KINDS)})
    once: dict = field(default_factory=dict)

    def ratios(self, kind):
        """Return the median ratio to memory, and that of the shortest times."""
        memory, own = ([s[0] for s in self.rounds[which]] for which in ("memory", kind))
        return median(m / o for m, o in zip(memory, own, strict=True)), min(memory) / min(own)

    def shares(self, kind):
        """Return what this thread's share is, and that of the reader, of the fit in memory."""
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


def main(arguments=None):
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Training from sources beside memory.")
    parser.add_argument("--workload", choices=ROWS, action="append", help="default: all")
    parser.add_argument("--rows", type=int, help="default: several windows")
    parser.add_argument("--kind", choices=KINDS, action="append", help="default: all")
    parser.add_argument("--threads", choices=("1", "auto"), action="append", help="default: both")
    parser.add_argument("--epochs", type=int, default=4, help="of a fit; default: 4")
    parser.add_argument("--rounds", type=int, default=7, help="default: 7")
    options = parser.parse_args(arguments)
    print("workload threads    source  seconds s/epoch*   ratio   best* thread*  reader* (*: best)")
    for name in options.workload or ROWS:
        for threads in options.threads or ("1", "auto"):
            result = measure(
                name, options.rows or ROWS[name], threads if threads == "auto" else 1,
                options.epochs, options.rounds, options.kind or KINDS,
            )  # fmt: skip
            print("\n".join(lines_of(result, options.epochs)), flush=True)


if __name__ == "__main__":
    main()
