"""A network and the table that it reads: prediction, evaluation, and one file for both."""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec import to_builtins

from .. import model_file
from ..annotations import FilePath, Threads
from ..ensemble import Ensemble, networks_of
from ..errors import DataError, ModelFileError
from ..kernels.support.scalars import a_flag, a_number, a_whole_number
from ..model_file import Model
from ..network import Network
from ..quoted import quoted
from .columns.encoding import Encoder
from .columns.schema import Schema, Weight
from .conformal import SECTION as RESIDUALS
from .conformal import Residuals, radii_of, residuals_in
from .declared import takes
from .explaining import Explained
from .options import ReadOptions
from .predicting import Shown, predicted, tell_unknown
from .read.frames import is_pandas, with_index
from .read.naming import Like, Reading
from .read.table import Data, Table, open_table
from .result.asked import AskedScores, scorers_of
from .result.outputs import ids_of
from .result.record import check_history, check_record
from .result.scores import Scores, scores_of
from .roles import weight_of
from .sections import READING, SECTION, reading_of, schema_of
from .wording import listed, one_line

_log = logging.getLogger("fastbp")
_steps = logging.getLogger("fastbp.steps")
# sections of a model file beside those of `sections`
_HISTORY = "history"
_RECORD = "record"


class TableModel:
    """A trained network with the schema of its table.

    Parameters
    ----------
    network : Network or Ensemble
        The network, from a table's features to its target, or several.
    schema : Schema
        The fitted columns, the target, and the dropped columns.
    history : dict, optional
        A list of numbers for each name, one per epoch: loss, val_loss, seconds, ...
    record : dict, optional
        The data, options, versions, times and scores of the training, as JSON.
    reading : Reading, optional
        How the table was read: whether its file had a header, and its columns in order.
    residuals : sequence of Residuals, optional
        Those of each target on rows that did not train, for intervals.

    Attributes
    ----------
    out_of_fold : frame or None
        After a training of an ensemble by folds: predictions as of `predict`, of each row by the
        network that has not seen it, with the number of its fold. It is not in the model file.
    """

    def __init__(
        self,
        network: Network | Ensemble,
        schema: Schema,
        history: dict[str, list[float | None]] | None = None,
        record: dict[str, Any] | None = None,
        reading: Reading | None = None,
        residuals: Sequence[Residuals] = (),
    ) -> None:
        self.network = network
        self.schema = schema
        self.reading = reading or Reading()
        self.residuals = tuple(residuals)
        self.history = dict(history or {})
        self.record = dict(record or {})
        self.out_of_fold: Any = None

    def __repr__(self) -> str:
        schema = self.schema
        return (
            f"TableModel({schema.target.task} of {listed(schema.target_names)} from "
            f"{len(schema.columns)} columns, {self.network!r})"
        )

    def save(self, path: FilePath) -> None:
        """Write the model to one safetensors file, atomically."""
        sections = {
            SECTION: self.schema.to_data(),
            READING: to_builtins(self.reading),
            _HISTORY: self.history,
            _RECORD: self.record,
        }
        if self.residuals:
            sections[RESIDUALS] = to_builtins(self.residuals)
        model_file.save(path, replace(self.network.to_model(), sections=sections))

    @classmethod
    def load(cls, path: FilePath) -> "TableModel":
        """Return the model that `save` wrote; nothing in the file is executed.

        Raises
        ------
        ModelFileError
            If the file is truncated, altered, of another version, or of a network alone.
        FileNotFoundError
            If there is no such file.
        """
        return cls.from_model(model_file.load(path), path)

    @classmethod
    def from_model(cls, model: Model, path: FilePath) -> "TableModel":
        """Return the model in the `Model` that was read from `path`; see `load`."""
        if SECTION not in model.sections:
            what, kind = ("networks", "Ensemble") if model.more else ("a network", "Network")
            raise ModelFileError(
                f"{path} holds {what} without a table: load it with fastbp.{kind}.load"
            )
        schema = schema_of(model, path)
        history, record = (model.sections.get(name, {}) for name in (_HISTORY, _RECORD))
        try:
            check_history(history)
            check_record(record, history, schema.target.classes, 1 + len(model.more))
        except ValueError as error:
            raise ModelFileError(
                f"{path} does not describe how its model was trained: {one_line(error)}"
            ) from error
        network = networks_of(model, path)
        residuals = residuals_in(model, schema, path)
        return cls(network, schema, history, record, reading_of(model, path), residuals)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of schema, layers and parameters: equal if predictions are."""
        digest = hashlib.sha256(repr(self.schema.to_data()).encode())
        digest.update(repr(model_file.description(self.network.to_model())).encode())
        digest.update(self.network.parameters.tobytes())
        return digest.hexdigest()

    def open(self, data: Data, how: ReadOptions | None = None) -> Table:
        """Open a table as that of the model was read; `how` says how text is read."""
        schema = self.schema
        names = [*(column.name for column in (*schema.columns, *schema.dropped)), *schema.ids]
        like = Like(
            self.reading, frozenset([*names, *schema.target_names]), tuple(schema.target_names)
        )
        return open_table(data, schema.missing_words, how, like)

    @takes(ReadOptions)
    def predict(
        self,
        data: Data,
        n_threads: Threads = "auto",
        keep: str | Sequence[str] = (),
        spread: bool = False,
        interval: float | None = None,
        **options: Any,
    ) -> Any:
        """Return predictions as a frame, one row per row of the data.

        It is one of pandas, with the same index, if the data are; else one of polars.

        Columns: those that identify a row (or ``row``, from 1), then ``prediction``, then
        ``probability of <class>`` for each class.

        Parameters
        ----------
        data : path, frame or dict of arrays
            A table with the columns of the schema; others are ignored.
        n_threads : int or "auto"
            Any number gives the same result.
        keep : sequence of str, optional
            Further columns of the data to keep beside the predictions; "all" keeps every one.
        spread : bool, default False
            Add a column ``spread``, or one of each target: the standard deviation over the
            networks of an ensemble, of the population as `numpy.std` has it. It is that of the
            number, in its units, or of the probability of the predicted class.
        interval : float, optional
            Add columns ``lower`` and ``upper``, or two of each target, between which this share
            of the rows lie: the prediction give or take the ceil((n + 1) interval)-th smallest
            of the n absolute residuals of rows that did not train; with several quantiles, what
            rows lie beyond the outermost (see ``fastbp.tables.conformal``). If all rows are drawn
            alike, the probability that the target is within is at least `interval` (Lei et al.,
            JASA 2018, theorem 2.2) for residuals of rows that the network does not depend on.
            Validation rows have chosen when to stop, and residuals out of fold are of one network
            (as of Vovk's cross-conformal predictors, 2015), made smaller by what the mean of all
            takes from its error: the share then holds about, without a theorem.
        **options
            The fields of ``fastbp.tables.options.ReadOptions``; `takes` names them here.

        Raises
        ------
        DataError
            If a column is missing or a value is not of its kind.
        ValueError
            If the spread is asked for, and the model is one network; or an interval, and it
            learns classes, or has no residuals or too few: its file is of an older fastbp, or no
            row validated.
        """
        table = self.open(data, ReadOptions.of(self.predict, options))
        found = pl.concat(self.predictions(table, keep, n_threads, spread, interval))
        return with_index(found, data) if is_pandas(data) else found

    def predictions(
        self,
        data: Data,
        keep: str | Sequence[str] = (),
        n_threads: Threads = "auto",
        spread: bool = False,
        interval: float | None = None,
    ) -> Iterator[pl.DataFrame]:
        """Return the rows of `predict` in frames of some thousand rows, in bounded memory."""
        radii = None
        if interval is not None:
            level = a_number("interval", interval, above=0, below=1)
            radii = radii_of(self.schema, self.residuals, level)
        if a_flag("spread", spread) and not isinstance(self.network, Ensemble):
            raise ValueError(
                "spread=True: the model is one network, without a spread; train several, such as "
                "ensemble=5"
            )
        table = self.open(data)
        shown = Shown(ids_of(self.schema, table, keep), spread, radii)
        return predicted(self.network, self.schema, table, shown, n_threads)

    @takes(ReadOptions)
    def evaluate(
        self,
        data: Data,
        n_threads: Threads = "auto",
        weight: str | None = None,
        metrics: str | Sequence[str] = (),
        **options: Any,
    ) -> dict[str, float]:
        """Return scores by name, from a table with its target.

        Classification: rows, accuracy, balanced_accuracy, macro_f1, log_loss, and roc_auc of
        two classes, NaN where the rows are of one; regression: rows, r2, rmse, mae, of a quantile
        pinball_loss and coverage, the share of rows that are no larger than predicted, and of
        rates poisson_deviance. Rows without a target do not count.

        Parameters
        ----------
        data : path, frame or dict of arrays
            A table with the columns of the schema and the target.
        n_threads : int or "auto"
            Any number gives the same result.
        weight : str, optional
            Column of weights of the rows. Default: that of the training, if the table has it.
        metrics : str or sequence of str, optional
            Further metrics by scikit-learn's names, such as f1, neg_log_loss or
            cohen_kappa_score. Of two classes the second is the positive one. The outputs of all
            rows are then in memory.
        **options
            The fields of ``fastbp.tables.options.ReadOptions``; `takes` names them here.

        Raises
        ------
        DataError
            If a column is missing, a value is not of its kind, no row has a target, or a metric
            does not suit the target.
        ValueError
            If a metric is unknown.
        """
        asked = AskedScores(self.schema, scorers_of(metrics))
        table = self.open(data, ReadOptions.of(self.evaluate, options))
        more = [asked] if metrics else []
        return self.scores(table, n_threads, weight, more=more).metrics() | asked.metrics()

    def scores(
        self,
        data: Data,
        n_threads: Threads = "auto",
        weight: str | None = None,
        among: npt.NDArray[np.bool_] | None = None,
        more: Sequence[AskedScores] = (),
    ) -> Scores:
        """Return the scores that `evaluate` gathers, with the details of a report.

        `among` says which rows count, (rows,) bool; by default all. They are added to the scores
        `more` as well.
        """
        table = self.open(data)
        weighing = self._weight_in(table, weight)
        encoder = Encoder(self.schema.written(table.how), table.name, self.network.dtype)
        encoder.require(table)
        _steps.info("scoring the rows of %s", table.name)
        scores = scores_of(self.schema, self.network)
        first = 0
        for _, (X, targets, kept, weights) in encoder.encoded(table, weighing):
            if among is not None:
                kept = kept & among[first : first + len(kept)]
            first += len(kept)
            if kept.any():
                weights = None if weights is None else weights[kept]
                outputs = self.network.forward(X[kept], n_threads)
                for each in (scores, *more):
                    each.add(outputs, targets[kept], weights)
        if not scores.rows:
            names = listed(self.schema.target_names)
            raise DataError(f"{table.name} has no row with a value of {names}: give some")
        if not scores.weight:
            name = weighing.name if weighing else ""
            raise DataError(
                f"{table.name}: all weights in {quoted(name)} are 0: one must be above it"
            )
        tell_unknown(encoder)
        return scores

    @takes(ReadOptions)
    def explain(
        self,
        data: Data,
        metric: str | None = None,
        repeats: int = 5,
        rows: int = 10_000,
        seed: int = 0,
        n_threads: Threads = "auto",
        weight: str | None = None,
        on_score: Callable[[], Any] = lambda: None,
        **options: Any,
    ) -> pl.DataFrame:
        """Return what predictions depend on: a row for each column, the most important first.

        ``importance`` is how much the metric falls if the values of the column are permuted among
        the rows, the mean of the repeats, and ``deviation`` their standard deviation, as of
        scikit-learn's ``permutation_importance``. ``gradient`` is the mean over the rows of the
        absolute gradients of the prediction, in the target's units, or of the probability of the
        predicted class, with respect to the features of the column, which are scaled.

        Parameters
        ----------
        data : path, frame or dict of arrays
            A table with the columns of the schema and the target, best one not trained on.
        metric : str, optional
            Name of a metric of scikit-learn. Default: accuracy or r2.
        repeats : int
            Permutations of each column.
        rows : int
            Rows to draw at random at most; fewer where they have very many features.
        seed : int
            Seed of the rows and the permutations.
        n_threads : int or "auto"
            Any number gives the same result.
        weight : str, optional
            Column of weights of the rows. Default: that of the training, if the table has it.
        on_score : callable, optional
            Called after each of 1 + columns · repeats scores.
        **options
            The fields of ``fastbp.tables.options.ReadOptions``; `takes` names them here.

        Raises
        ------
        DataError
            If a column is missing, a value is not of its kind, no row has a target, or the
            metric does not suit the target.
        ValueError, TypeError
            If the metric is unknown, or a number is out of range.
        """
        counts = {"repeats": (repeats, 1), "rows": (rows, 2), "seed": (seed, 0)}
        given = {n: a_whole_number(n, v, least=least) for n, (v, least) in counts.items()}
        if metric is None:
            metric = "r2" if self.schema.target.task == "regression" else "accuracy"
        scorers_of([metric])
        table = self.open(data, ReadOptions.of(self.explain, options))
        weighing = self._weight_in(table, weight)
        drawn = (weighing, given["rows"], given["seed"], n_threads)
        explained = Explained(self.network, self.schema.written(table.how), table, *drawn)
        return explained.frame(metric, given["repeats"], given["seed"], on_score)

    def _weight_in(self, table: Table, weight: str | None) -> Weight | None:
        """Return the column of a table that weighs its rows: the one asked for, or the model's.

        Where the table lacks that of the model, scores are not weighted, which is logged.
        """
        own = self.schema.weight
        if weight is not None and (own is None or own.name != weight):
            table.require([weight])
            return weight_of(table, weight)
        if own is not None and weight is None and own.name not in table.columns:
            message = "%s has no column of weights, %r: all rows count the same"
            _log.warning(message, table.name, own.name)
            return None
        return own
