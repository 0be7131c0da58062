"""Tables that tests train on: mixed columns, with missing values, of few rows."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

TARGETS = ("class", "number", "flag")  # of `people`: text, numbers, booleans
WRITERS = {
    ".csv": pl.DataFrame.write_csv,
    ".parquet": pl.DataFrame.write_parquet,
    ".ndjson": pl.DataFrame.write_ndjson,
    ".arrow": pl.DataFrame.write_ipc,
}


def people(rows=200, seed=0, target="class"):
    """Return a frame of all kinds of columns; `target` is "class" (text), "number" or "flag"."""
    rng = np.random.default_rng(seed)
    age = rng.normal(40, 12, rows).round(2)
    city = rng.choice(["Ulm", "Köln", "Oslo", "São Paulo"], rows, p=[0.4, 0.3, 0.2, 0.1])
    paid = rng.random(rows) < 0.5
    days = rng.integers(0, 700, rows)
    score = age / 12 + 2 * (city == "Oslo") - paid + rng.normal(0, 0.5, rows)
    targets = {
        "class": np.array(["low", "mid", "top"])[np.digitize(score, [2.5, 4])],
        "number": (100 + 20 * score).round(3),
        "flag": score > 3,
    }
    frame = pl.DataFrame(
        {
            "code": [f"K{place:05d}" for place in rng.permutation(rows)],
            "age": age,
            "city": city,
            "paid": paid,
            "since": [datetime(2020, 1, 1) + timedelta(days=int(day)) for day in days],
            "visits": rng.poisson(3, rows),
            "y": targets[target],
        }
    ).with_columns(pl.col("since").cast(pl.Date))
    return _with_gaps(frame, rng, ["age", "city", "paid", "visits"])


def numeric(rows=120, seed=3):
    """Return arrays of three numbers and a class."""
    rng = np.random.default_rng(seed)
    x = rng.normal([1, -50, 1e4], [2, 9, 3e3], (rows, 3))
    labels = (x[:, 0] + rng.normal(0, 1, rows) > 1).astype(int) + (x[:, 1] < -55)
    return {"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "y": np.array(["u", "v", "w"])[labels]}


def _with_gaps(frame, rng, names, share=0.1):
    gaps = {name: pl.Series(rng.random(len(frame)) < share) for name in names}
    return frame.with_columns(
        pl.when(gap).then(None).otherwise(pl.col(name)).alias(name) for name, gap in gaps.items()
    )


def written(folder, frame, suffix=".csv", name="table"):
    """Write a frame to a file of a format; return its path."""
    path = folder / f"{name}{suffix}"
    WRITERS[suffix](frame, path)
    return path


def classes_and_probabilities(frame):
    """Return the predictions, and an array of the probabilities."""
    names = [name for name in frame.columns if name.startswith("probability of ")]
    return frame["prediction"], frame.select(names).to_numpy()
