"""Models of people, one for each target, and what they must predict."""

import numpy as np
import polars as pl

from command_line import fastbp, people
from fastbp import Network, TableModel

PEOPLE = people(400)
NEW = people(150, seed=1)
TARGETS = ("rich", "zip", "grown", "income")


def with_grown(frame):
    return frame.with_columns(pl.col("age").fill_null(40).ge(35).alias("grown"))


def make_models(folder):
    """Fill a folder with a model for each target, named after it, and one without ids."""
    data = folder / "people.csv"
    with_grown(PEOPLE).write_csv(data)
    for target in TARGETS:
        options = [f"--drop={name}" for name in {"income", "rich", "grown"} - {target}]
        done = fastbp(
            "train",
            data,
            "--target",
            target,
            *options,
            "--preset",
            "fast",
            "--epochs",
            15,
            "--hidden",
            30,
            "-o",
            folder / target,
        )
        assert done.code == 0, done.err
    anonymous = folder / "anonymous.csv"
    PEOPLE.drop("person_id").write_csv(anonymous)
    done = fastbp("train", anonymous, "--target", "rich", "--epochs", 5, "-o", folder / "anonymous")
    assert done.code == 0, done.err
    Network([14, 3, 2], loss="cross_entropy").save(folder / "network")
    return folder


def forward(path, data="new.csv"):
    """Return what the network of a model gives for a table's features, in float64."""
    from fastbp.tables.columns.encoding import Encoder

    model = TableModel.load(path)
    X = Encoder(model.schema).encode(pl.read_csv(data, infer_schema=False)).astype(np.float64)
    (W1, W2), (b1, b2) = model.network.weights, model.network.biases
    return np.maximum(X @ W1 + b1, 0) @ W2 + b2, model


def softmax(Z):
    e = np.exp(Z - Z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)
