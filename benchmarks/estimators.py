"""Whole fits beside those of scikit-learn: ``python benchmarks/estimators.py``.

fastbp's MLPClassifier and MLPRegressor get the same data, settings and random_state as those of
scikit-learn, and run the same number of epochs. Both run in one process, in turn, after a first fit
that compiles. A time is the median over rounds; a ratio is the median of the ratios of each round.
Both sides use all threads of the machine, or one. With one thread the time is processor time, so
other processes do not count. The case text-memory is the peak memory of a sparse fit, measured in
processes of its own.
"""

import argparse
import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np

# where this file is run and not imported, the package lies above it
sys.path.extend([str(Path(__file__).resolve().parent.parent)] if __name__ == "__main__" else [])

from benchmarks.fits import (
    CASES,
    CLOCKS,
    DTYPES,
    SIDES,
    TOPICS,
    WORDS,
    limited_blas,
    read_images,
    timed_fit,
)
from benchmarks.markdown import markdown, write_between
from benchmarks.peer_frameworks import PEERS
from benchmarks.peers import ROUNDS, SETTLE_SECONDS, TABLE, THREADS, available_threads
from fastbp.machine import processor_name

ROOT = Path(__file__).resolve().parent.parent
MEMORY = "text-memory"
MIB = 2**20


@dataclass
class Result:
    """The figures of both sides with one case and dtype; dicts are by side.

    Attributes
    ----------
    seconds : dict of list
        Time of each round.
    n_iter, loss : dict
        From the last round; all rounds give the same.
    """

    case: str
    data: str
    dtype: str
    threads: str
    target: float
    seconds: dict = field(default_factory=lambda: {side: [] for side in SIDES})
    n_iter: dict = field(default_factory=dict)
    loss: dict = field(default_factory=dict)

    @property
    def ratio(self):
        """The speed of fastbp as a multiple of scikit-learn's."""
        pairs = zip(self.seconds["sklearn"], self.seconds["fastbp"], strict=True)
        return median(theirs / own for theirs, own in pairs)

    @property
    def note(self):
        """A remark: the target is missed, or the sides ran different numbers of epochs."""
        notes = [] if self.ratio >= self.target else ["below target"]
        theirs, own = self.n_iter["sklearn"], self.n_iter["fastbp"]
        if theirs != own:
            notes.append(f"n_iter_ differs: {self.ratio * own / theirs:.2f}x per epoch")
        return "; ".join(notes)

    @property
    def facts(self):
        """All figures, for JSON."""
        return {**asdict(self), "ratio": self.ratio, "note": self.note}


def measure(case, dtype, threads, rounds):
    """Return the result of a case, after one epoch of each side that compiles."""
    X, y = case.data(dtype)
    data = f"{X.shape[0]:,} x {X.shape[1]:,} {case.source}"
    result = Result(case.name, data, dtype, threads, case.target(dtype))
    with limited_blas(threads):
        for side in SIDES:
            timed_fit(case.new(side, threads, max_iter=1), (X, y))
        for _, side in itertools.product(range(rounds), SIDES):
            estimator = case.new(side, threads)
            time.sleep(SETTLE_SECONDS)
            result.seconds[side].append(timed_fit(estimator, (X, y), CLOCKS[threads]))
            result.n_iter[side], result.loss[side] = estimator.n_iter_, float(estimator.loss_)
    return result


def _status(name):
    text = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(name + r":\s+(\d+) kB", text)[1])


def memory_of(side, dtype, rows):
    """Return the peak number of bytes that a fit of text adds to this process, and that of X."""
    case = replace(CASES["text"], rows=rows)
    X, y = case.data(dtype)
    # loads the kernels; with few columns, so that it leaves little memory behind
    timed_fit(case.new(side, max_iter=1), (X[:400, :TOPICS], y[:400]))
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = _status("VmRSS")
    timed_fit(case.new(side, max_iter=2), (X, y))
    return _status("VmHWM") - before, X.data.nbytes + X.indices.nbytes + X.indptr.nbytes


def sparse_memory(dtype, rows):
    """Return the peak of a sparse fit in bytes by side, X included, and the most it should be.

    The limit is three times X, four arrays of the size of the parameters, and the results and
    deltas of a batch.
    """
    code = "import sys; sys.path.append({!r}); from benchmarks.estimators import memory_of as m; "
    code = code.format(str(ROOT)) + f"print(*m({{!r}}, {dtype!r}, {rows}))"
    # freed memory returns to the system at once; otherwise the fit could reuse it unmeasured
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"}
    entry = {"case": MEMORY, "dtype": dtype}
    for side in SIDES:
        command = [sys.executable, "-c", code.format(side)]
        done = subprocess.run(
            command, env=environment, cwd=Path(__file__).parent, stdout=subprocess.PIPE, check=True
        )
        added, entry["X"] = map(int, done.stdout.split())
        entry[side] = added + entry["X"]
    hidden, batch = 100, min(200, rows)
    parameters = (WORDS + 1) * hidden + (hidden + 1) * TOPICS
    floats = 4 * parameters + 2 * batch * (hidden + TOPICS)
    return {**entry, "limit": 3 * entry["X"] + floats * np.dtype(dtype).itemsize}


HEAD = ("case", "data", "dtype", "sklearn s", "fastbp s", "ratio", "target", "n_iter_", "loss_")
WIDTHS = (6, 29, 7, 9, 9, 7, 6, 9, 8)


def _line(cells):
    return "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=False))


def _both(values, style=""):
    """Return scikit-learn's value and fastbp's, or one value if they are equal."""
    return " / ".join(dict.fromkeys(f"{values[side]:{style}}" for side in SIDES))


def cells_of(result):
    """Return the cells of a result, as ``HEAD`` names them."""
    seconds = [f"{median(result.seconds[side]):.3f}" for side in SIDES]
    speed = [f"{result.ratio:.2f}x", f"{result.target}x"]
    ends = [_both(result.n_iter), _both(result.loss, ".6g")]
    return [result.case, result.data, result.dtype, *seconds, *speed, *ends]


def memory_line(entry):
    """Return the figures of `sparse_memory` as one line."""
    words = {key: f"{entry[key] / MIB:.1f} MiB" for key in (*SIDES, "X", "limit")}
    return (
        f"{MEMORY}, {entry['dtype']}: {words['X']} of X and all that a fit adds are "
        f"{words['sklearn']} with scikit-learn, {words['fastbp']} with fastbp"
        f" (at most {words['limit']}{'' if entry['fastbp'] <= entry['limit'] else ': above'})"
    )


def readme_block(results, memory, processor):
    """Return the table of benchmarks/README.md in Markdown, with its caption."""
    keep = [n for n, name in enumerate(HEAD) if name not in ("target", "loss_")]
    rows = [[cells[n] for n in keep] for cells in (HEAD, *map(cells_of, results))]
    rounds, threads = len(results[0].seconds["fastbp"]), results[0].threads
    versions = ", ".join(f"{name} {version(name)}" for name in ("scikit-learn", "fastbp"))
    what = f"Seconds of `fit`, medians of {rounds} rounds, threads: {threads}"
    what = f"{what}, on {processor}, {date.today()}"
    sparse = [f"{memory_line(entry)}." for entry in memory]
    return "\n".join([markdown(rows), "", f"{what}; {versions}.", *sparse])


def _some_of(names, text):
    """Return the names in a comma-separated list, or raise the error that argparse reports."""
    given = text.split(",")
    if unknown := [name for name in given if name not in names]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not in {', '.join(names)}")
    return given


def parse(arguments):
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(description="Whole fits beside those of scikit-learn.")
    for option, names in {"cases": [*CASES, MEMORY], "dtypes": DTYPES}.items():
        how = {"type": partial(_some_of, names), "default": list(names)}
        parser.add_argument(
            f"--{option}", metavar="NAMES", help=f"default: {','.join(names)}", **how
        )
    parser.add_argument("--threads", choices=THREADS, default="all", help="default: all")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default: {ROUNDS}")
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="folder of MNIST's files")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--readme", action="store_true", help="write README.md's table")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: expected 1 or more")
    if options.readme and not {*CASES, MEMORY, *DTYPES} <= {*options.cases, *options.dtypes}:
        parser.error("--readme wants all cases and dtypes")
    return options


def measure_all(options):
    """Measure and print the selected cases; return the results, and those of memory."""
    cases = dict(CASES)
    if options.images:
        make, source = partial(read_images, options.images), options.images.resolve().name
        cases["images"] = replace(cases["images"], make=make, source=source)
    print(_line(HEAD), flush=True)
    results, memory = [], []
    for name, dtype in itertools.product(options.cases, options.dtypes):
        if name == MEMORY:
            memory.append(sparse_memory(dtype, cases["text"].rows))
            print(memory_line(memory[-1]), flush=True)
        else:
            results.append(measure(cases[name], dtype, options.threads, options.rounds))
            print(f"{_line(cells_of(results[-1]))}  {results[-1].note}".rstrip(), flush=True)
    return results, memory


def main(arguments=None):
    """Run the command line."""
    options, processor = parse(arguments), processor_name()
    results, memory = measure_all(options)
    if options.json:
        facts = {"processor": processor, "all_threads": available_threads(), "memory": memory}
        facts["results"] = [result.facts for result in results]
        options.json.write_text(json.dumps(facts, indent=1) + "\n")
    if options.readme:
        write_between(TABLE, "estimators", readme_block(results, memory, processor))


if __name__ == "__main__":
    # NumPy's BLAS reads them when it is loaded, which it is by now: start Python again
    if variables := PEERS["sklearn"].environment(None):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **variables})
    main()
