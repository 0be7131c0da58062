"""Permutation importance of features, on rows that the networks have not been trained on."""

from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ..annotations import Floats, Threads
from ..ensemble import Ensemble, members_of
from ..kernels.random import permutation
from ..network import Network
from ..tables.columns.schema import Schema
from ..tables.explaining import Explained
from ..tables.folds import not_told_again
from ..tables.job import Job
from ..tables.members import parts_of
from ..tables.model import TableModel
from ..tables.parts import labels_of
from ..tables.read.table import open_table

# as `TableModel.explain` draws
_MOST_ROWS = 10_000
_REPEATS = 5
# a score of one row, such as R2, may have no meaning
_FEWEST_ROWS = 2


class Unseen(NamedTuple):
    """A network, and rows of the table that it has not been trained on."""

    network: Network | Ensemble
    rows: pl.DataFrame


def unseen_by(job: Job, model: TableModel, frame: pl.DataFrame) -> list[Unseen]:
    """Return the rows of a training that validated, with the network that has not seen them.

    Of an ensemble by folds these are the folds with their networks; else the network, or all
    networks together, with the rows that were held back. Without any, the list is empty. At most
    10,000 rows are drawn.
    """
    found: list[tuple[Network | Ensemble, Any]]
    if job.options.ensemble_by == "folds":
        with not_told_again():
            parts, known = parts_of(job), np.flatnonzero(labels_of(job)[1])
        members = model.record["ensemble"]["members"]
        pairs = zip(members_of(model.network), members, strict=True)
        found = [(network, known[parts[own["number"] - 1].tests]) for network, own in pairs]
    else:
        found = [(model.network, np.flatnonzero(job.split.validates))]
    most = _MOST_ROWS // len(found)
    drawn = [(each, _drawn(rows, most, job.options.seed)) for each, rows in found]
    return [Unseen(each, frame[rows]) for each, rows in drawn if len(rows) >= _FEWEST_ROWS]


def _drawn(rows, most, seed):
    return rows if len(rows) <= most else np.sort(rows[permutation(len(rows), seed)[:most]])


def importances(
    unseen: list[Unseen], schema: Schema, names: list[str], seed: int, n_threads: Threads
) -> Floats:
    """Return how much accuracy, or R2, falls if a column is permuted, (n_features,).

    It is the mean of five permutations, and over folds the mean weighted by their rows. A column
    that is no input has 0.
    """
    metric = "r2" if schema.target.task == "regression" else "accuracy"
    total = np.zeros(len(names))
    for network, rows in unseen:
        table = open_table(rows, schema.missing_words)
        explained = Explained(network, schema, table, schema.weight, len(rows), 0, n_threads)
        found = explained.frame(metric, _REPEATS, seed)
        falls = dict(zip(found["column"], found["importance"], strict=True))
        total += len(rows) * np.array([falls.get(name, 0.0) for name in names])
    return total / sum(len(rows) for _, rows in unseen)
