"""Tables larger than memory: rows, seconds and peak memory of ``fastbp train`` and ``predict``.

    python benchmarks/large.py                      # 10 million rows of CSV and of Parquet
    python benchmarks/large.py --rows 200000        # a quick check that it works
    python benchmarks/large.py --predict-gb 10      # also score a Parquet file of 10 GB

Each command runs in a process of its own; the system reports its peak resident memory. The bound
`BOUND_MIB` is 1 GiB plus the value of ``--memory``.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MEMORY_MIB = 512
BOUND_MIB = 1024 + MEMORY_MIB
_CHUNK = 500_000
_WIDE = 20  # columns


@dataclass(frozen=True)
class Measured:
    """One command: its name, rows, seconds and peak memory in MiB."""

    name: str
    rows: int
    seconds: float
    peak_mib: float

    def __str__(self):
        """Return a row of the table."""
        speed = self.rows / self.seconds
        verdict = "within" if self.peak_mib <= BOUND_MIB else "ABOVE"
        return (
            f"{self.name:<22}{self.rows:>14,} rows {self.seconds:>8.1f} s {speed:>12,.0f} rows/s "
            f"{self.peak_mib:>7.0f} MiB, {verdict} the bound of {BOUND_MIB}"
        )


def make_rows(first, count, seed=0):
    """Return rows of a table of numbers, categories, dates and missing values, as a frame."""
    import polars as pl

    rng = np.random.default_rng((seed, first))
    x = rng.normal(size=(count, 8)).astype(np.float32)
    colour = rng.integers(0, 4, count)
    hidden = rng.random(count) < 0.1
    day = np.datetime64("2020-01-01") + rng.integers(0, 1500, count)
    y = 2 * x[:, 0] - x[:, 1] + 1.5 * (colour == 0) + rng.normal(0, 0.5, count)
    names = pl.Series(["red", "green", "blue", "black"])
    return pl.DataFrame(
        {
            "row_id": np.arange(first, first + count),
            **{f"x{n}": x[:, n] for n in range(8)},
            "colour": names.gather(colour),
            "shop": pl.Series(rng.integers(0, 300, count)).cast(pl.String),
            "gap": pl.Series(np.where(hidden, np.nan, x[:, 2])).fill_nan(None),
            "day": day,
            "label": np.where(y > 0, "yes", "no"),
        }
    )


def write_tables(folder, rows):
    """Write the rows as CSV and as Parquet."""
    import polars as pl

    csv = folder / "rows.csv"
    with csv.open("wb") as file:
        for first in range(0, rows, _CHUNK):
            frame = make_rows(first, min(_CHUNK, rows - first))
            file.write(frame.write_csv(include_header=first == 0).encode())
    parquet = folder / "rows.parquet"
    types = {"shop": pl.String}
    pl.scan_csv(csv, schema_overrides=types, try_parse_dates=True).sink_parquet(parquet)


def write_wide_parquet(path, gigabytes):
    """Write a Parquet file of random numbers, of about `gigabytes`."""
    import polars as pl
    from polars.io.plugins import register_io_source

    columns, count, rows = _WIDE, 500_000, wide_rows(gigabytes)

    def frames(*_):
        for first in range(0, rows, count):
            rng = np.random.default_rng(first)
            x = rng.standard_normal((columns, min(count, rows - first)), dtype=np.float32)
            yield pl.DataFrame({f"x{n}": x[n] for n in range(columns)})

    schema = {f"x{n}": pl.Float32 for n in range(columns)}
    register_io_source(frames, schema=schema).sink_parquet(path, compression="uncompressed")


def wide_rows(gigabytes):
    """Return the number of rows in such a file."""
    return round(gigabytes * 1e9 / (4 * _WIDE))


def _apart(function, *arguments):
    """Call a function in a new process, because children inherit the peak of this one."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{function.__name__} failed")


def measured(name, rows, *arguments):
    """Run ``fastbp`` with arguments in a process; return its time and memory."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "fastbp", *map(str, arguments)], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if code := os.waitstatus_to_exitcode(status):
        raise SystemExit(f"fastbp {' '.join(map(str, arguments))} ended with {code}")
    # the unit is KiB, on macOS bytes
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return Measured(name, rows, time.perf_counter() - started, usage.ru_maxrss / scale)


def run(rows, predict_gb, folder):
    """Yield the time and memory of each command."""
    _apart(write_tables, folder, rows)
    for path in (folder / "rows.csv", folder / "rows.parquet"):
        kind, model = path.suffix[1:], folder / f"{path.suffix[1:]}.safetensors"
        train = ("train", path, "--target", "label", "--epochs", 2, "--memory", f"{MEMORY_MIB}MiB")
        yield measured(f"train {kind}", rows, *train, "-o", model)
        yield measured(
            f"predict {kind}", rows, "predict", model, path, "-o", folder / f"out.{kind}"
        )
        yield measured(f"evaluate {kind}", rows, "evaluate", model, path)
        path.unlink()
    if predict_gb:
        wide, learned = folder / "wide.parquet", folder / "learned.parquet"
        _apart(write_wide_parquet, wide, predict_gb)
        _apart(write_wide_parquet, learned, 0.01)
        model, out = folder / "wide.safetensors", folder / "wide.out.parquet"
        train = ("train", learned, "--target", "x0", "--epochs", 1)
        yield measured("train wide", wide_rows(0.01), *train, "-o", model)
        yield measured("predict wide", wide_rows(predict_gb), "predict", model, wide, "-o", out)


def parse(arguments):
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--predict-gb", type=float, default=0.0)
    parser.add_argument("--folder", help="folder of the tables; default: a temporary one")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Parse the arguments, measure and print; exit with 1 if memory exceeds the bound."""
    options = parse(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        above = False
        for result in run(options.rows, options.predict_gb, Path(folder)):
            print(result, flush=True)
            above |= result.peak_mib > BOUND_MIB
    sys.exit(int(above))


if __name__ == "__main__":
    main()
