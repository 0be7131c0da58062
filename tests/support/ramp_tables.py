"""What tests of ramps share: a table with steps, the jobs on it, and its columns."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from fastbp.tables.job import Job
from fastbp.tables.options import TrainOptions


def table(rows=600, seed=0):
    """Return numbers of several kinds, dates, and a target with steps in `x` and `hour`."""
    rng = np.random.default_rng(seed)
    x, small = rng.normal(size=rows).round(3), rng.normal(size=rows) * 1e-9
    hour, day = rng.integers(0, 24, rows), rng.integers(0, 700, rows)
    start = datetime(2020, 1, 1)
    y = np.sin(4 * x) + (hour > 8) * (hour < 17) + 1e9 * small + day / 700
    return pl.DataFrame(
        {
            "x": x,
            "small": small,
            "hour": hour,
            "day": [start + timedelta(days=int(n), seconds=int(n) % 7) for n in day],
            "flag": rng.random(rows) < 0.5,
            "y": (y + rng.normal(0, 0.1, rows)).round(4),
        }
    ).with_columns(x=pl.when(pl.int_range(rows) % 10 > 0).then(pl.col("x")))


def job_of(data, **options):
    given = {"target": "y", "preset": "fast", "ramps": 8, "ramp_edges": "tree", **options}
    return Job(data, TrainOptions(**given))


def column_of(schema, name):
    return next(column for column in schema.columns if column.name == name)
