"""Predictions beside those of other libraries: ``python benchmarks/quality.py``.

Every method is fitted on the same splits of the same tables, with its defaults, on one thread,
after a first fit that compiles and imports. A result is kept as soon as it is there, as a line of
JSON. So an interrupted run goes on where it ended, and more methods, tables and seeds can be added.
Install with ``python -m pip install -e ".[quality]"``; a library that is missing is left out.
"""

import argparse
import itertools
import logging
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd

# where this file is run and not imported, the package lies above it
sys.path.extend([str(Path(__file__).resolve().parent.parent)] if __name__ == "__main__" else [])

from benchmarks.markdown import write_between
from benchmarks.quality_methods import PEERS, method_named
from benchmarks.quality_report import report
from benchmarks.quality_runs import keep, measure, predictions, read_runs
from benchmarks.quality_tables import all_sources
from fastbp.machine import processor_name

FOLDER = Path(__file__).resolve().parent
README, PLOTS = FOLDER / "README.md", FOLDER / "plots"
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
WARM_ROWS = 300


def warm(method, table, done):
    """Fit a method once on a small table of the kind of another, unless it is in `done`.

    That compiles, loads and imports what the method needs.
    """
    kind = (method.name, min(table.classes, 3))
    if kind in done:
        return
    done.add(kind)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.random((WARM_ROWS, 3)), columns=list("abc"))
    frame["d"] = np.array(list("xyz"))[rng.integers(0, 3, WARM_ROWS)]
    y = np.arange(WARM_ROWS) % kind[1] if table.classes else rng.random(WARM_ROWS)
    predictions(method, table.task, 0, (frame, y), frame)


def run_all(options, sources, methods):
    """Measure what the file of results lacks, and print it."""
    runs, done = read_runs(options.results), set()
    for name in options.tables or sources:
        wanted = [
            (seed, method)
            for seed, method in itertools.product(range(options.seeds), methods)
            if method.name in options.again or (name, method.name, seed, options.rows) not in runs
        ]
        if not wanted:
            continue
        table = sources[name].table()
        if table.left_out:
            print(f"{name}: {table.left_out} rows of rare classes or without target are left out")
        for seed, method in wanted:
            print(f"{name}  {seed}  {method.name}", end="  ", flush=True)
            warm(method, table, done)
            run = measure(sources[name], table, method, seed, options.rows)
            keep(options.results, run)
            print(
                f"{run.error:.5g}  {run.score:.4f}  {run.fit_s + run.predict_s:.2f} s", flush=True
            )


def selected(options):
    """Return the sources of all tables, and the methods.

    Raises
    ------
    ValueError
        If a table or a method is not known, or a method is not installed.
    """
    sources = all_sources(options.folder)
    if unknown := [name for name in options.tables or () if name not in sources]:
        raise ValueError(f"table {unknown[0]!r}: expected one of {', '.join(sources)}")
    if unknown := [name for name in options.tuned if name not in sources]:
        raise ValueError(f"--tuned {unknown[0]!r}: expected one of {', '.join(sources)}")
    names = options.methods or ["fastbp", *(m.name for m in PEERS.values() if m.installed)]
    methods = [method_named(name) for name in dict.fromkeys(names)]
    if missing := [method for method in methods if not method.installed]:
        raise ValueError(f"{missing[0].name}: install {missing[0].package}, or leave it out")
    known = [method.name for method in methods]
    for option, given in {"--baseline": [options.baseline], "--again": options.again}.items():
        if unknown := [name for name in given if name and name not in known]:
            raise ValueError(f"{option} {unknown[0]!r}: expected one of {', '.join(known)}")
    return sources, methods


def write_report(options, sources, methods):
    """Print the report, and write what the options ask for."""
    runs = {
        run.key[:3]: run for run in read_runs(options.results).values() if run.rows == options.rows
    }
    names = [method.name for method in methods]
    baseline = options.baseline or names[0]
    tables, seeds = options.tables or list(sources), range(options.seeds)
    given = (runs, names, tables, seeds, baseline, options.tuned, options.rows)
    text, found = report(*given, processor_name())
    print(f"\n{text}")
    folder = options.plots or (PLOTS if options.readme else None)
    if folder:
        from benchmarks.quality_plots import pareto_plot, rank_plot, save

        files = [folder / f"quality-{kind}.{options.format}" for kind in ("ranks", "pareto")]
        save(rank_plot(found), files[0])
        save(pareto_plot(found, baseline), files[1])
    if options.readme:
        images = [f"![{file.stem}]({os.path.relpath(file, FOLDER)})" for file in files]
        write_between(README, "quality", "\n\n".join([text, *images]))


def _names(text):
    return [name for name in text.split(",") if name]


def _method(text):
    try:
        return method_named(text).name
    except ValueError as error:
        raise argparse.ArgumentTypeError(error) from None


def parse(arguments):
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(description="Predictions beside those of other libraries.")
    add = parser.add_argument
    peers = ", ".join(PEERS)
    add(
        "--methods",
        nargs="+",
        type=_method,
        metavar="NAME",
        help=f"fastbp, 'fastbp:OPTION=VALUE ...', {peers}",
    )
    add("--baseline", metavar="NAME", help="method that errors are relative to; default: the first")
    add("--tables", type=_names, metavar="NAMES", help="default: all")
    add("--folder", type=Path, help="folder of CSV and Parquet files, and of tables.json")
    add(
        "--tuned",
        type=_names,
        default=[],
        metavar="NAMES",
        help="tables that options were chosen on",
    )
    add("--seeds", type=int, default=3, help="splits of each table; default: 3")
    add("--rows", type=int, default=8_000, help="most rows to train on; default: 8000")
    add(
        "--results",
        type=Path,
        default=FOLDER / "quality.jsonl",
        metavar="FILE",
        help="lines of JSON",
    )
    add("--again", nargs="+", default=[], metavar="NAME", help="methods to measure again")
    add("--report", action="store_true", help="measure nothing: report what the file has")
    add("--plots", type=Path, metavar="FOLDER", help="write the two plots there")
    add("--format", choices=("svg", "png"), default="svg", help="of the plots; default: svg")
    add("--readme", action="store_true", help="write the tables and plots of README.md")
    options = parser.parse_args(arguments)
    for name in ("seeds", "rows"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} {getattr(options, name)}: expected 1 or more")
    return options


def main(arguments=None):
    """Run the command line."""
    options = parse(arguments)
    try:
        sources, methods = selected(options)
    except ValueError as error:
        sys.exit(f"quality.py: {error}")
    if not options.report:
        run_all(options, sources, methods)
    try:
        write_report(options, sources, methods)
    except ValueError as error:
        sys.exit(f"quality.py: {error}")


if __name__ == "__main__":
    # OpenMP and BLAS read them when they are loaded, which they are by now: start Python again
    if any(os.environ.get(name) != "1" for name in ONE_THREAD):
        variables = {**os.environ, **dict.fromkeys(ONE_THREAD, "1")}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], variables)
    # what a training decides on a table is said there, and not among the results
    logging.getLogger("fastbp").setLevel(logging.ERROR)
    main()
