"""What predictions depend on: the importance of each column, and how they change with it."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..annotations import Threads
from ..ensemble import Ensemble
from ..errors import DataError
from ..kernels.random import permutation
from ..network import Network
from ..quoted import quoted
from .columns.encoding import Encoder
from .columns.schema import Schema, Weight
from .gradients import input_gradients
from .options import SEEDS
from .read.table import Table
from .result.asked import model_of, scorers_of
from .wording import listed, one_line

_steps = logging.getLogger("fastbp.steps")
# the numbers of encoded rows that are held, twice
_MOST_CELLS = 2**25
_BLOCK = 4096


class Explained:
    """Rows of a table, encoded once, whose columns can be permuted.

    `rows` with a target are drawn at random, fewer where they have very many features. `weight`
    weighs them.
    """

    def __init__(
        self,
        network: Network | Ensemble,
        schema: Schema,
        table: Table,
        weight: Weight | None = None,
        rows: int = 10_000,
        seed: int = 0,
        n_threads: Threads = "auto",
    ) -> None:
        self._network = network
        self._schema = schema
        self._n_threads = n_threads
        self._encoder = Encoder(schema, table.name, network.dtype)
        self._encoder.require(table)
        most = max(1, min(rows, _MOST_CELLS // schema.n_features))
        self._X, self._y, self._weight = self._encoded(table, weight, most, seed)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self._X)

    def _encoded(self, table, weight, most, seed):
        """Return features, targets and weights of rows that are drawn."""
        _steps.info("drawing rows of %s", table.name)
        chosen = self._drawn(table, most, seed)
        names = [*self._schema.target_names, *([weight.name] if weight else [])]
        parts, first = [], 0
        for frame in self._encoder.frames(table, names):
            among = chosen[first : first + len(frame)]
            if among.any():
                parts.append(self._part(frame, among, weight, first))
            first += len(frame)
        X, y, weights = zip(*parts, strict=True)
        weighs = np.concatenate(weights) if weight else None
        return np.concatenate(X), np.concatenate(y), weighs

    def _part(self, frame, among, weight, first):
        part = frame.filter(among)
        try:
            X, (y, _) = self._encoder.encode(part), self._encoder.encode_target(part)
            return X, y, self._encoder.weights(part, weight) if weight else None
        except DataError:  # said again with the row as it is in the table
            self._encoder.encode(frame, first)
            self._encoder.encode_target(frame, first)
            if weight:
                self._encoder.weights(frame, weight, first)
            raise

    def _drawn(self, table, most, seed):
        """Return which rows are drawn, (rows,) bool, among those with a target."""
        kept, first = [], 0
        names = self._schema.target_names
        for frame in table.frames(names):
            kept.append(self._encoder.encode_target(frame, first)[1])
            first += len(frame)
        there = np.flatnonzero(np.concatenate(kept)) if kept else np.empty(0, np.int64)
        if not len(there):
            raise DataError(f"{table.name} has no row with a value of {listed(names)}: give some")
        chosen = np.zeros(first, bool)
        chosen[there[permutation(len(there), seed)[:most]]] = True
        return chosen

    def frame(
        self,
        metric: str,
        repeats: int = 5,
        seed: int = 0,
        on_score: Callable[[], Any] = lambda: None,
    ) -> pl.DataFrame:
        """Return for each column how much a metric falls if its values are permuted.

        See `TableModel.explain`. `on_score` is called after each of 1 + columns · repeats scores.
        """
        _steps.info("loading scikit-learn")
        from sklearn.inspection import permutation_importance

        scorer = scorers_of([metric])[metric]
        model = model_of(self._schema, lambda places: self._told(places, on_score))
        columns = self._schema.columns
        _steps.info("permuting %d columns", len(columns))
        places = np.repeat(np.arange(self.rows, dtype=np.int32)[:, None], len(columns), axis=1)
        truth = model.named(self._y)
        try:
            found = permutation_importance(
                model,
                places,
                truth,
                scoring=scorer,
                n_repeats=repeats,
                random_state=seed % SEEDS,
                sample_weight=self._weight,
            )
        except (ValueError, TypeError, AttributeError) as error:  # of a metric of another task
            raise DataError(
                f"metric {quoted(metric)} of the target {listed(self._schema.target_names)}: "
                f"{one_line(error)}"
            ) from error
        return pl.DataFrame(
            {
                "column": [column.name for column in columns],
                "importance": found.importances_mean,
                "deviation": found.importances_std,
                "gradient": self.gradients(),
            }
        ).sort("importance", descending=True, maintain_order=True)

    def _told(self, places, on_score):
        outputs = self.outputs(places)
        on_score()
        return outputs

    def outputs(self, places: npt.NDArray) -> npt.NDArray:
        """Return the outputs (rows, n_out) where column j of row i has the value of another row.

        That is row ``places[i, j]``.
        """
        X, start, own = self._X, 0, np.arange(self.rows)
        for column, source in zip(self._schema.columns, places.T, strict=True):
            stop = start + column.width
            if (source != own).any():
                X = X.copy() if X is self._X else X
                X[:, start:stop] = self._X[source, start:stop]
            start = stop
        return self._network.forward(X, self._n_threads)

    def gradients(self) -> npt.NDArray[np.float64]:
        """Return the mean |gradient| of each column, (columns,): of its features together.

        Of several targets it is their mean, each in its units.
        """
        schema, total = self._schema, np.zeros(self._schema.n_features)
        scales = [t.scale if t.task == "regression" else 1.0 for t in schema.targets]
        outputs = list(range(len(scales))) if schema.more_targets else [None]
        weights = np.ones(self.rows) if self._weight is None else self._weight
        for first in range(0, self.rows, _BLOCK):
            rows = slice(first, first + _BLOCK)
            for output, scale in zip(outputs, scales, strict=False):
                given = (self._network, self._X[rows], output, self._n_threads)
                total += scale * (weights[rows] @ np.abs(input_gradients(*given)))
        starts = np.cumsum([0, *(column.width for column in schema.columns)])[:-1]
        return np.add.reduceat(total, starts) / (weights.sum() * len(outputs))
