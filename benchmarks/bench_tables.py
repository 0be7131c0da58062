"""Tables on disk: reading, encoding, and the commands that train and predict."""

import numpy as np

import fastbp

from .bench_files import new_folder
from .common import needs, run_command

ROWS = 50_000
FORMATS = ("csv", "parquet")


def write_table(path, rows=ROWS):
    """Write a table of ten numbers, two categories and a date, some missing; y is the target."""
    import polars as pl

    rng = np.random.default_rng(0)
    numbers = rng.standard_normal((10, rows))
    columns = {f"x{n}": np.where(rng.random(rows) < 0.02, None, x) for n, x in enumerate(numbers)}
    columns = {name: pl.Series(x.tolist(), dtype=pl.Float64) for name, x in columns.items()}
    for name, values in (("city", ["Oslo", "Rome", "Lima"]), ("size", ["S", "M", "L", None])):
        columns[name] = pl.Series([values[n] for n in rng.integers(0, len(values), rows)])
    days = pl.Series(rng.integers(0, 5000, rows).tolist(), dtype=pl.Int32)
    columns["day"] = days.cast(pl.Date)
    columns["y"] = pl.Series(np.where(numbers[0] + numbers[1] > 0, "yes", "no").tolist())
    frame = pl.DataFrame(columns)
    frame.write_csv(path) if path.suffix == ".csv" else frame.write_parquet(path)


class Encode:
    """`train` for one epoch of a net so small that reading and encoding take most of the time."""

    params = (FORMATS,)
    param_names = ("format",)
    timeout = 300

    def setup(self, kind):
        needs(fastbp, "train", "polars")
        self.file = new_folder(self) / f"table.{kind}"
        write_table(self.file)
        self.time_train_one_epoch(kind)

    def time_train_one_epoch(self, kind):
        fastbp.train(self.file, "y", hidden=(4,), epochs=1)

    def peakmem_train_one_epoch(self, kind):
        fastbp.train(self.file, "y", hidden=(4,), epochs=1)


class Commands:
    """`fastbp train` and `fastbp predict` from the start of the process to its end."""

    params = (FORMATS,)
    param_names = ("format",)
    number, timeout = 1, 300

    def setup(self, kind):
        needs(fastbp, "train", "polars", "typer")
        folder = new_folder(self)
        self.file, self.model = folder / f"table.{kind}", folder / "model"
        self.scored = folder / f"scored.{kind}"
        write_table(self.file)
        self.time_train(kind)

    def time_train(self, kind):
        run_command("train", self.file, "--target", "y", "--epochs", "3", "-o", self.model)

    def time_predict(self, kind):
        run_command("predict", self.model, self.file, "-o", self.scored)
