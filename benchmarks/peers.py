"""Whole training steps beside those of the peers: ``python benchmarks/peers.py``.

Each peer runs in processes of its own, one for each number of threads. Within a workload the
rounds go round the peers, each with the peak of fused multiply-add measured just before it; a
figure is the median over rounds. In a round every peer trains a fresh net for as many epochs,
and its result counts only if its loss fell and its steps are those of all batches.
"""

import argparse
import contextlib
import itertools
import json
import math
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median

# where this file is run and not imported, the package lies above it
sys.path.extend([str(Path(__file__).resolve().parent.parent)] if __name__ == "__main__" else [])

from benchmarks.peer_frameworks import PEERS, batches_of
from benchmarks.workloads import WORKLOADS
from fastbp.machine import processor_name

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BEGIN = "<!-- what follows is written by benchmarks/peers.py --readme -->"
END = "<!-- end of what benchmarks/peers.py writes -->"
DTYPES = ("float32", "float64")
THREADS = ("1", "all")
OWN = "fastbp"
ROUNDS, QUICK_ROUNDS = 5, 2
# a round has as many steps of a small net, or as many operations of a large one
ROUND_STEPS, ROUND_FLOPS = 1000, 2.5e10
# two are the fewest that show a loss falling
LEAST_EPOCHS = 2
# of the data, for --quick
QUICK_BATCHES = 8
# one request may take as long, the compilation of a step included
LIMIT_SECONDS = 300
# idle threads of the peer before may spin for as long, and take a processor from this one
SETTLE_SECONDS = 0.4
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class PeerError(Exception):
    """Why a peer has no result, in one line."""


class Process:
    """A peer in a process of its own, started when it is first asked.

    Parameters
    ----------
    peer : str
        A name in ``PEERS``.
    threads : int
        How many may compute.
    limit : float
        Seconds that an answer may take.
    """

    def __init__(self, peer, threads, limit=LIMIT_SECONDS):
        self.peer, self.threads, self.limit = peer, threads, limit
        self._process = None

    def _start(self):
        environment = {
            **os.environ,
            **dict.fromkeys(VARIABLES, str(self.threads)),
            **PEERS[self.peer].environment(self.threads),
        }
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peer_frameworks", self.peer, str(self.threads)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,  # so that its compilers can be ended with it
        )

    def ask(self, request, **arguments):
        """Return the answer to a request, a dict; see `peer_frameworks.Server`.

        Raises
        ------
        PeerError
            If it is not installed, fails, dies, or takes too long; the next request starts anew.
        """
        if self._process is None:
            self._start()
        process = self._process
        with contextlib.suppress(BrokenPipeError):  # it is dead: reading says so
            line = json.dumps({"request": request, "arguments": arguments})
            print(line, file=process.stdin, flush=True)
        if not select.select([process.stdout], [], [], self.limit)[0]:
            self.close()
            raise PeerError(f"{request} took more than {self.limit:g} s")
        line = process.stdout.readline()
        if not line:
            raise PeerError(self._last_words())
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer

    def _last_words(self):
        """Say how the process ended, and close it."""
        status = self._process.wait()
        self._log.seek(0)
        lines = self._log.read().strip().splitlines()
        self.close()
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return ": ".join(["its process ended", how, *lines[-1:]])

    def close(self):
        """End the process and all that it started."""
        if self._process is None:
            return
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._log.close()
        self._process.wait()
        self._process = None


@dataclass
class Result:
    """What one peer did with one workload, dtype and number of threads.

    Attributes
    ----------
    epochs, steps : int
        Of one round.
    seconds, peaks, losses : list
        For each round: its time, the peak in FLOP/s, and the first and last epoch's loss.
    missing : str
        Why it has no figures; empty if it has.
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
        """Add a round; raise `PeerError` if the net did not learn, or took other steps."""
        first, last = answer["losses"][0], answer["losses"][-1]
        if not last < first < math.inf:
            raise PeerError(f"it does not learn: its loss went from {first:.4g} to {last:.4g}")
        if answer["steps"] != self.steps:
            raise PeerError(f"it took {answer['steps']} steps, not {self.steps}")
        self.seconds.append(answer["seconds"])
        self.peaks.append(peak)
        self.losses.append([first, last])


def epochs_of(workload):
    """Return the epochs of one round, the same for all peers."""
    most = min(ROUND_STEPS // batches_of(workload), ROUND_FLOPS // workload.flops_per_epoch)
    return max(LEAST_EPOCHS, int(most))


def measure(workload, dtype, threads, processes, rounds):
    """Return the results of all peers with one workload, by the name of the peer.

    `processes` are those of the peers to measure by their names, fastbp among them, which
    measures the peak.
    """
    epochs = epochs_of(workload)
    results = {}
    for peer, process in processes.items():
        steps = epochs * batches_of(workload)
        result = results[peer] = Result(workload.name, dtype, threads, peer, epochs, steps)
        try:
            loaded = process.ask("load", workload=asdict(workload), dtype=dtype)
            result.version = loaded["version"]
        except PeerError as error:
            result.missing = str(error)
    for _ in range(rounds):
        for peer, result in results.items():
            if result.missing:
                continue
            time.sleep(SETTLE_SECONDS)
            peak = processes[OWN].ask("peak", dtype=dtype)["peak"]
            try:
                result.add(processes[peer].ask("train", epochs=epochs), peak)
            except PeerError as error:
                result.missing = str(error)
    return results


def best_peer(results):
    """Return the name of the quickest peer but fastbp, None if none has figures."""
    times = {
        peer: median(result.seconds)
        for peer, result in results.items()
        if peer != OWN and not result.missing
    }
    return min(times, key=times.get, default=None)


def figures(results, workload):
    """Return the figures of each peer that has some: medians over rounds.

    ``of_best`` is how many times as fast it is as the best peer but fastbp, round by round.
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


# the last two: its share of the peak, and its speed as a multiple of the best peer's
HEAD = ("workload", "dtype", "threads", "peer", "samples/s", "us/step", "GFLOP/s", "peak", "ratio")
WIDTHS = (8, 7, 7, 13, 11, 9, 7, 7, 7)


def _line(cells):
    return "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=False))


def lines_of(results, found):
    """Return the lines of the printed table for one workload, every peer among them."""
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
    """Return the README's table of float32 in Markdown, and what was measured below it.

    `groups` are pairs of what `measure` and `figures` returned, of any dtype.
    """
    groups = [group for group in groups if next(iter(group[0].values())).dtype == "float32"]
    peers = list(groups[0][0])
    titles = [PEERS[peer].title for peer in peers]
    head = ["workload", "threads", *titles, "fastbp: share of peak", "times the best peer's speed"]
    rows = [head, ["---"] * len(head)]
    for results, found in groups:
        own, result = found.get(OWN, {}), results[OWN]
        cells = [results[peer].missing or f"{found[peer]['us_per_step']:,.1f}" for peer in peers]
        share = f"{own['share_of_peak']:.0%}" if own else ""
        rows.append([result.workload, result.threads, *cells, share, _times(own.get("of_best"))])
    # a reason may hold what ends a cell
    lines = ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows]
    return "\n".join([*lines, "", _caption(groups, processor)])


def _caption(groups, processor):
    """Return what was measured, where, with which versions, and the peaks."""
    peaks, versions, rounds = {}, {}, 0
    for results, _ in groups:
        for peer, result in results.items():
            rounds = max(rounds, len(result.seconds))
            peaks.setdefault(result.threads, []).extend(result.peaks)
            if result.version:
                versions[PEERS[peer].title] = result.version
    peak = ", ".join(f"{n}: {max(peaks[n]) / 1e9:.0f}" for n in peaks if peaks[n])
    versions = ", ".join(f"{title} {version}" for title, version in versions.items())
    what = f"Microseconds a step in float32, medians of {rounds} rounds, on {processor}"
    return f"{what}; peak in GFLOP/s by threads: {peak}. {versions}."


def write_readme(table, path=README, marks=(BEGIN, END)):
    """Put a table between the two marks of a README; raise `ValueError` if they are not there."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not end:
        raise ValueError(f"{path}: expected the lines {marks[0]!r} and {marks[1]!r}")
    path.write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}", encoding="utf-8")


def available_threads():
    """Return how many threads this process may use."""
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
    parser.add_argument("--readme", action="store_true", help="write README.md's float32 table")
    parser.add_argument("--quick", action="store_true", help="little data: does it work?")
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    whole = set(options.workloads) == set(WORKLOADS) and set(options.peers) == set(PEERS)
    if options.readme and (options.quick or not whole or "float32" not in options.dtypes):
        parser.error("--readme wants float32, all workloads and all peers, without --quick")
    return options


def measure_all(options):
    """Measure what the options name and print it; return the pairs of results and figures."""
    peers = [peer for peer in PEERS if peer in {OWN, *options.peers}]
    print(_line(HEAD), flush=True)
    groups = []
    for threads in options.threads:
        count = available_threads() if threads == "all" else int(threads)
        with contextlib.ExitStack() as stack:
            processes = {peer: Process(peer, count) for peer in peers}
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
    except PeerError as error:
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
        write_readme(readme_table(groups, processor))


if __name__ == "__main__":
    main()
