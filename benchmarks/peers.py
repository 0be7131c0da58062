"""Whole training steps beside those of the peers: ``python benchmarks/peers.py``.

Each peer runs in processes of its own, one for each number of threads. The peers take turns
within a round, and the peak rate of fused multiply-add is measured before each turn. A figure is
the median over rounds. In a round every peer trains a fresh net for the same number of epochs. Its
result counts only if its loss fell and it took one step per batch.
"""

import argparse
import contextlib
import itertools
import json
import math
import os
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median

# where this file is run and not imported, the package lies above it
sys.path.extend([str(Path(__file__).resolve().parent.parent)] if __name__ == "__main__" else [])

from benchmarks.markdown import caption, markdown, write_between
from benchmarks.peer_frameworks import PEERS, batches_of
from benchmarks.process import LIMIT_SECONDS, Process, ProcessError
from benchmarks.workloads import WORKLOADS
from fastbp.machine import processor_name

FOLDER = Path(__file__).resolve().parent
# README.md has a summary of the table
TABLE = FOLDER / "README.md"
SUMMARY = FOLDER.parent / "README.md"
DTYPES = ("float32", "float64")
THREADS = ("1", "all")
OWN = "fastbp"
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ROUNDS, QUICK_ROUNDS = 5, 2
# a round has at most this many steps, and at most this many operations
ROUND_STEPS, ROUND_FLOPS = 1000, 2.5e10
# fewer than two cannot show that the loss falls
LEAST_EPOCHS = 2
# of the data, for --quick
QUICK_BATCHES = 8
# idle threads of the last peer may spin for this long and occupy a processor
SETTLE_SECONDS = 0.4


@dataclass
class Result:
    """The figures of one peer with one workload, dtype and number of threads.

    Attributes
    ----------
    epochs, steps : int
        Epochs and steps of one round.
    seconds, peaks, losses : list
        For each round: its time, the peak in FLOP/s, and the losses of the first and last epoch.
    missing : str
        Why there are no figures; empty if there are.
    """

    workload: str
    dtype: str
    threads: str
    peer: str
    epochs: int
    steps: int
    version: str = ""
    seconds: list = field(default_factory=list)
    peaks: list = field(default_factory=list)
    losses: list = field(default_factory=list)
    missing: str = ""

    def add(self, answer, peak):
        """Add a round; raise `ProcessError` if the net did not learn or took other steps."""
        first, last = answer["losses"][0], answer["losses"][-1]
        if not last < first < math.inf:
            raise ProcessError(f"it does not learn: its loss went from {first:.4g} to {last:.4g}")
        if answer["steps"] != self.steps:
            raise ProcessError(f"it took {answer['steps']} steps, not {self.steps}")
        self.seconds.append(answer["seconds"])
        self.peaks.append(peak)
        self.losses.append([first, last])


def process_of(peer, threads, limit=LIMIT_SECONDS):
    """Return the process of a peer that may compute with a number of threads."""
    variables = {**dict.fromkeys(VARIABLES, str(threads)), **PEERS[peer].environment(threads)}
    return Process("benchmarks.peer_frameworks", (peer, str(threads)), variables, limit)


def epochs_of(workload):
    """Return the number of epochs in one round, the same for all peers."""
    most = min(ROUND_STEPS // batches_of(workload), ROUND_FLOPS // workload.flops_per_epoch)
    return max(LEAST_EPOCHS, int(most))


def measure(workload, dtype, threads, processes, rounds):
    """Return the results of all peers with one workload, by the name of the peer.

    `processes` are the peers' processes by name. fastbp must be among them: it measures the peak.
    """
    epochs = epochs_of(workload)
    results = {}
    for peer, process in processes.items():
        steps = epochs * batches_of(workload)
        result = results[peer] = Result(workload.name, dtype, threads, peer, epochs, steps)
        try:
            loaded = process.ask("load", workload=asdict(workload), dtype=dtype)
            result.version = loaded["version"]
        except ProcessError as error:
            result.missing = str(error)
    for _ in range(rounds):
        for peer, result in results.items():
            if result.missing:
                continue
            time.sleep(SETTLE_SECONDS)
            peak = processes[OWN].ask("peak", dtype=dtype)["peak"]
            try:
                result.add(processes[peer].ask("train", epochs=epochs), peak)
            except ProcessError as error:
                result.missing = str(error)
    return results


def best_peer(results):
    """Return the name of the fastest peer other than fastbp, None if no peer has figures."""
    times = {
        peer: median(result.seconds)
        for peer, result in results.items()
        if peer != OWN and not result.missing
    }
    return min(times, key=times.get, default=None)


def figures(results, workload):
    """Return the figures of each peer that has some: medians over rounds.

    ``of_best`` is its speed as a multiple of the best other peer's, round by round.
    """
    best, found = best_peer(results), {}
    for peer, result in results.items():
        if result.missing:
            continue
        seconds, flops = median(result.seconds), workload.flops_per_epoch * result.epochs
        pairs = zip(result.seconds, result.peaks, strict=True)
        found[peer] = {
            "samples_per_second": workload.rows * result.epochs / seconds,
            "us_per_step": seconds / result.steps * 1e6,
            "gflops": flops / seconds / 1e9,
            "share_of_peak": median(flops / s / peak for s, peak in pairs),
            "of_best": None,
        }
        if best:
            pairs = zip(results[best].seconds, result.seconds, strict=True)
            found[peer]["of_best"] = median(b / s for b, s in pairs)
    return found


# the last two: share of the peak, and speed as a multiple of the best peer's
HEAD = ("workload", "dtype", "threads", "peer", "samples/s", "us/step", "GFLOP/s", "peak", "ratio")
WIDTHS = (8, 7, 7, 13, 11, 9, 7, 7, 7)


def _line(cells):
    return "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=False))


def lines_of(results, found):
    """Return the lines of the printed table for one workload, one per peer."""
    lines = []
    for peer, result in results.items():
        cells = [result.workload, result.dtype, result.threads, PEERS[peer].title]
        if result.missing:
            lines.append(f"{_line(cells)}  {result.missing}")
            continue
        own = found[peer]
        cells += [f"{own['samples_per_second']:,.0f}", f"{own['us_per_step']:,.1f}"]
        cells += [f"{own['gflops']:.1f}", f"{own['share_of_peak']:.0%}", _times(own["of_best"])]
        lines.append(_line(cells))
    return lines


def _times(ratio):
    return "" if ratio is None else f"{ratio:.2f}x"


def readme_table(groups, processor):
    """Return the table of all peers in float32 in Markdown, with its caption.

    `groups` are pairs of what `measure` and `figures` returned, of any dtype.
    """
    groups = _float32(groups)
    peers = list(groups[0][0])
    titles = [PEERS[peer].title for peer in peers]
    head = ["workload", "threads", *titles, "fastbp: share of peak", "times the best peer's speed"]
    rows = []
    for results, found in groups:
        own, result = found.get(OWN, {}), results[OWN]
        cells = [_microseconds(results, found, peer) for peer in peers]
        share = f"{own['share_of_peak']:.0%}" if own else ""
        rows.append([result.workload, result.threads, *cells, share, _times(own.get("of_best"))])
    return f"{markdown([head, *rows])}\n\n{caption(groups, processor)}"


def summary_table(groups, processor):
    """Return README.md's table in Markdown: fastbp and the best peer, one row per workload."""
    rows, threads = {}, {}
    for results, found in _float32(groups):
        own, best = results[OWN], best_peer(results)
        workload = WORKLOADS[own.workload]
        layers = "-".join(map(str, workload.sizes))
        peer = f"{PEERS[best].title} {_microseconds(results, found, best)}" if best else ""
        ratio = _times(found.get(OWN, {}).get("of_best"))
        cells = rows.setdefault(own.workload, [own.workload, layers, str(workload.batch)])
        cells += [_microseconds(results, found, OWN), peer, ratio]
        threads[own.threads] = None
    head = ["workload", "layers", "batch"]
    for count in threads:
        head += [f"{count} thread{'s' * (count != '1')}: fastbp", "best peer", "ratio"]
    return f"{markdown([head, *rows.values()])}\n\n{caption(groups, processor)}"


def _float32(groups):
    return [group for group in groups if next(iter(group[0].values())).dtype == "float32"]


def _microseconds(results, found, peer):
    return results[peer].missing or f"{found[peer]['us_per_step']:,.1f}"


def available_threads():
    """Return the number of threads this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parse(arguments):
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(description="Whole training steps beside those of the peers.")
    tables = {"workloads": WORKLOADS, "peers": PEERS, "threads": THREADS, "dtypes": DTYPES}
    for name, table in tables.items():
        parser.add_argument(f"--{name}", nargs="+", choices=list(table), default=list(table))
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--readme", action="store_true", help="write the tables of both READMEs")
    parser.add_argument("--quick", action="store_true", help="little data: check that it works")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    whole = set(options.workloads) == set(WORKLOADS) and set(options.peers) == set(PEERS)
    if options.readme and (options.quick or not whole or "float32" not in options.dtypes):
        parser.error("--readme wants float32, all workloads and all peers, without --quick")
    return options


def measure_all(options):
    """Measure and print the selected peers; return the pairs of results and figures."""
    peers = [peer for peer in PEERS if peer in {OWN, *options.peers}]
    print(_line(HEAD), flush=True)
    groups = []
    for threads in options.threads:
        count = available_threads() if threads == "all" else int(threads)
        with contextlib.ExitStack() as stack:
            processes = {peer: process_of(peer, count) for peer in peers}
            for process in processes.values():
                stack.callback(process.close)
            for name, dtype in itertools.product(options.workloads, options.dtypes):
                workload = WORKLOADS[name]
                if options.quick:
                    few = min(workload.rows, QUICK_BATCHES * workload.batch)
                    workload = replace(workload, rows=few)
                results = measure(workload, dtype, threads, processes, options.rounds)
                groups.append((results, figures(results, workload)))
                print("\n".join(lines_of(*groups[-1])), flush=True)
    return groups


def main(arguments=None):
    """Run the command line."""
    options, processor = parse(arguments), processor_name()
    try:
        groups = measure_all(options)
    except ProcessError as error:
        sys.exit(f"fastbp, which measures the peak, cannot: {error}")
    if options.json:
        entries = [
            {**asdict(result), **found.get(peer, {})}
            for results, found in groups
            for peer, result in results.items()
        ]
        facts = {"processor": processor, "all_threads": available_threads(), "quick": options.quick}
        options.json.write_text(json.dumps({**facts, "results": entries}, indent=1) + "\n")
    if options.readme:
        write_between(TABLE, "peers", readme_table(groups, processor))
        write_between(SUMMARY, "speed", summary_table(groups, processor))


if __name__ == "__main__":
    main()
