"""Permutation importance of features, on rows that the networks have not been trained on."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from sklearn.utils.validation import check_is_fitted

from ..annotations import Floats, Threads
from ..ensemble import Ensemble, members_of
from ..kernels.random import permutation
from ..network import Network
from ..tables.explaining import Explained
from ..tables.job import Job
from ..tables.members import parts_of
from ..tables.model import TableModel
from ..tables.read.table import open_table
from ..tables.settling import not_told_again

# as `TableModel.explain` draws
_MOST_ROWS = 10_000
_REPEATS = 5
# a score of one row, such as R2, may have no meaning
_FEWEST_ROWS = 2


class Measured(NamedTuple):
    """A network, and rows of the table that it has not been trained on."""

    network: Network | Ensemble
    rows: pl.DataFrame


def unseen_by(job: Job, model: TableModel, frame: pl.DataFrame) -> list[Measured]:
    """Return the rows of a training that validated, with the network that has not seen them.

    Of an ensemble by folds these are the folds with their networks; else the network, or all
    networks together, with the rows that were held back. Without any, the list is empty. At most
    10,000 rows are drawn.
    """
    found: list[tuple[Network | Ensemble, Any]]
    ensemble = model.record.get("ensemble", {})
    if ensemble.get("by") == "folds":
        with not_told_again():
            parts, trained = parts_of(job), job.trained_rows
        pairs = zip(members_of(model.network), ensemble["members"], strict=True)
        found = [(network, trained[parts[own["number"] - 1].tests]) for network, own in pairs]
    else:
        found = [(model.network, np.flatnonzero(job.split.validates))]
    most = _MOST_ROWS // len(found)
    drawn = [(each, _drawn(rows, most, job.options.seed)) for each, rows in found]
    return [Measured(each, frame[rows]) for each, rows in drawn if len(rows) >= _FEWEST_ROWS]


def _drawn(rows, most, seed):
    return rows if len(rows) <= most else np.sort(rows[permutation(len(rows), seed)[:most]])


def _measured(unseen, schema, names, seed, n_threads):
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


class Importances:
    """The part of an estimator that measures its features; it stands behind BaseEstimator."""

    model_: TableModel
    n_threads: Threads
    _names: list[str]
    _unseen: Sequence[Measured] = ()
    _importances: Floats | None = None

    def _measure_on(self, unseen: list[Measured]) -> None:
        """Keep what the importances of a new fit are measured on."""
        self._unseen, self._importances = unseen, None

    @property
    def feature_importances_(self) -> Floats:
        """The permutation importance of each feature, (n_features_in_,).

        It is how much the score, accuracy or R2, falls if the values of the column are permuted
        among samples that were not trained on: the mean of five permutations, as of scikit-learn's
        ``permutation_importance``. These samples are those that were held back or, of an ensemble
        by folds, those of each fold with its network: the mean of the folds, weighted by their
        samples. A column that is no input has 0, and one that only misleads is below 0.

        They are computed when they are first asked for: 5 · n_features_in_ + 1 predictions of the
        samples, of which at most 10,000 are drawn. A pickle has the importances, if they were
        computed before, but not the samples.

        Raises
        ------
        AttributeError
            If there are no such samples.
        """
        check_is_fitted(self)
        if self._importances is None:
            if not self._unseen:
                raise AttributeError(
                    "feature_importances_: there are no samples to measure them on, which are not "
                    "held back with valid_share=0, and are not in a pickle; use "
                    "model_.explain(frame)"
                )
            seed = self.model_.record["options"].get("seed", 0)
            given = (self.model_.schema, self._names, seed, self.n_threads)
            self._importances = _measured(self._unseen, *given)
        return self._importances

    def __dir__(self):
        """Leave the importances out until they are computed: what shows an estimator reads all."""
        names = super().__dir__()
        is_known = self._importances is not None
        return [name for name in names if is_known or name != "feature_importances_"]

    def __getstate__(self):
        """Leave the samples out that importances are measured on: a model need not hold data."""
        return {name: value for name, value in vars(self).items() if name != "_unseen"}
