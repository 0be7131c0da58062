"""A training on a table, from the file to the model: plan, encode, train, score."""

import logging
import platform
import time
from dataclasses import fields
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np

from .. import __version__
from ..checks import as_callables
from ..errors import DataError, ModelFileError
from ..kernels.random import permutation
from ..kernels.support.scalars import a_flag
from ..machine import free_memory
from ..training.checkpoints import Checkpoints, as_checkpoints
from ..training.state import SECTION as TRAINING
from ..training.state import to_json
from .columns.encoding import Encoder
from .columns.inference import infer
from .declared import takes
from .encoded import Budget, load_rows, load_valid
from .model import SECTION, TableModel, schema_of, tell_unknown
from .options import TrainOptions
from .read.reading import open_table
from .result.scores import scores_of
from .wording import bytes_shown, counted, unknown

_log = logging.getLogger("fastbp")
JOB = "job"


@takes(TrainOptions)
def train(
    data,
    target,
    *,
    valid=None,
    checkpoints=None,
    resume=False,
    callbacks=(),
    progress=False,
    **options,
):
    """Train a network on a table; return the `TableModel`.

    ``fastbp train`` calls it. Columns are encoded by what they hold: numbers, booleans,
    categories, dates, and missing values; the target decides between classification and
    regression.

    Parameters
    ----------
    data : path, glob, folder, frame or dict of arrays
        CSV, Parquet, Arrow IPC, NDJSON or ``.npz``; a frame of polars, pandas or pyarrow.
    target : str
        Column to learn.
    valid : path, frame, ..., optional
        Rows for validation. Default: a share of `data`.
    checkpoints : path or Checkpoints, optional
        Folder for checkpoints; see ``Network.fit``.
    resume : bool, default False
        Go on from the last checkpoint, if there is one.
    callbacks, progress
        As for ``Network.fit``.
    **options
        The fields of ``fastbp.tables.options.TrainOptions``; `takes` names them here.

    Returns
    -------
    TableModel
        ``model.record["stopped"]`` says why it ended: "epochs", "early stopping", "time",
        "callback", "interrupted" (Ctrl-C) or "terminated" (SIGTERM, with checkpoints). With
        checkpoints, a model of the last two has no scores.

    Raises
    ------
    DataError
        If the table cannot be used as it is.
    DivergenceError
        If a loss is not finite.
    ValueError, TypeError
        If an argument is not of its form; nothing is read then.
    """
    names = [field.name for field in fields(TrainOptions)]
    for name in options:
        if name not in names:
            raise TypeError(f"train has {unknown('option', name, names)}")
    asked, callbacks = TrainOptions(target=target, **options), as_callables(callbacks)
    progress, resume = a_flag("progress", progress), a_flag("resume", resume)
    return Job(data, asked, valid, checkpoints, resume).run(callbacks, progress)


class Job:
    """A training on a table that is planned, and may be run.

    Parameters
    ----------
    data, valid, checkpoints, resume
        As for `train`.
    options : TrainOptions
        What was asked.
    """

    def __init__(self, data, options, valid=None, checkpoints=None, resume=False):
        if valid is not None and options.valid_share:
            raise ValueError(
                f"valid_share={options.valid_share}: no rows are held back where `valid` gives "
                "them; expected one of the two"
            )
        self.options, self.checkpoints = options, as_checkpoints(checkpoints, resume)
        self._begun: Any = self.checkpoints.latest() if resume else None
        if self.resumes:
            self._check_begun()
        self.table = open_table(data, options.missing)
        self.valid_table = None if valid is None else open_table(valid, options.missing)

    @property
    def resumes(self):
        """Whether there is a checkpoint to go on from."""
        return self._begun is not None

    @property
    def files(self):
        """The files that are read."""
        return (*self.table.files, *(self.valid_table.files if self.valid_table else ()))

    @cached_property
    def rows(self):
        """The rows of the table."""
        return self.table.count()

    @cached_property
    def is_training(self):
        """Which rows are trained on, (rows,) bool; None for all."""
        held = 0 if self.valid_table is not None else self.options.valid_rows(self.rows)
        if not held:
            return None
        if held >= self.rows:
            raise DataError(
                f"{self.table.name} has {self.rows} rows, and {held} are held back to validate "
                "on: give more rows, or valid_share=0"
            )
        mask = np.ones(self.rows, bool)
        mask[permutation(self.rows, self.options.seed)[:held]] = False
        return mask

    @cached_property
    def schema(self):
        """What the columns hold; of a training that goes on, as it was when it began."""
        o = self.options
        if self.resumes:
            return schema_of(self._begun, "the checkpoint")
        return infer(
            self.table, o.target, task=o.task, ids=o.ids, drop=o.drop, categorical=o.categorical,
            numeric=o.numeric, is_training=self.is_training,
        )  # fmt: skip

    @cached_property
    def network(self):
        """The untrained network.

        Raises
        ------
        MemoryError
            If it takes more than is free.
        """
        needed, free = self.options.network_bytes(self.schema), free_memory()
        if free is not None and needed > free:
            raise MemoryError(
                f"a network with hidden layers of {', '.join(map(str, self.options.hidden))} takes "
                f"{bytes_shown(needed)}, and {bytes_shown(free)} are free"
            )
        return self.options.network(self.schema)

    @cached_property
    def batch(self):
        """Samples a step."""
        return self.options.batch_of(self.rows if self.is_training is None else self._trained)

    @cached_property
    def budget(self):
        """Where encoded rows are kept: in memory, or in a scratch file."""
        streamed = self._begun.sections[JOB]["streamed"] if self.resumes else None
        valid = self.valid_table
        held = self.rows - self._trained if valid is None else valid.count()
        return Budget(
            self.schema, self.network.dtype, self._trained, held, self.options.memory, streamed
        )

    @property
    def _trained(self):
        return self.rows if self.is_training is None else int(self.is_training.sum())

    def run(self, callbacks=(), progress=False):
        """Encode the rows, train, and score; return the `TableModel`."""
        o, started, schema, network = self.options, time.perf_counter(), self.schema, self.network
        encoder = Encoder(schema, self.table.name, network.dtype)
        rows = load_rows(self.table, encoder, self.is_training, self.budget, o.class_weight)
        if not rows.count:
            raise DataError(
                f"{self.table.name} has no row to train on with a value of {o.target!r}"
            )
        tell_unknown(encoder)
        if rows.no_target:
            _log.warning(
                "%s: %s without a value of %r: left out", self.table.name,
                counted(rows.no_target, "row"), o.target,
            )  # fmt: skip
        valid, digest = rows.valid, rows.digest
        if self.valid_table is not None:
            encoder = Encoder(schema, self.valid_table.name, network.dtype)
            valid, more = load_valid(self.valid_table, encoder, self.budget.held)
            tell_unknown(encoder)
            digest += more
        own = {"data": digest, "options": o.to_data(), "streamed": self.budget.streamed}
        checkpoints = self._kept(own)
        history = network.fit(
            *rows.train, epochs=o.epochs, batch_size=self.batch, sample_weight=rows.weight,
            validation_data=valid, early_stopping=o.patience or None, n_threads=o.n_threads,
            progress=progress, callbacks=callbacks, max_time=o.max_time,
            checkpoints=checkpoints, resume=self.resumes,
        )  # fmt: skip
        record = self._record(history, rows, valid, digest, time.perf_counter() - started)
        return TableModel(network, schema, _lists(history), record)

    def _kept(self, own):
        """Return where checkpoints are written, with what a table's training has of its own."""
        if self.checkpoints is None:
            return None
        if self.resumes and self._begun.sections[JOB]["data"] != own["data"]:
            raise DataError(
                f"resume: {self.table.name} does not hold the rows that the training began with; "
                "give it the same, or begin anew in an empty folder of checkpoints"
            )
        sections = {SECTION: self.schema.to_data(), JOB: own}
        kept = self.checkpoints
        return Checkpoints(kept.folder, kept.every, kept.keep, sections)

    def _check_begun(self):
        """Raise unless the checkpoint is of a training on a table, with the same options."""
        sections = self._begun.sections
        own = sections.get(JOB)
        if not (
            {SECTION, TRAINING} <= sections.keys()
            and isinstance(own, dict)
            and {"data", "options", "streamed"} <= own.keys()
            and isinstance(own["options"], dict)
        ):
            raise ModelFileError(
                f"{self.checkpoints.folder} holds checkpoints, but of no training on a table"
            )
        self.options.check_begun(own["options"])

    def _record(self, history, rows, valid, digest, seconds):
        o, metrics, details = self.options, {}, {"confusion": None, "residuals": None}
        # who is told to end has no time to be scored: the training goes on from its checkpoint
        preempted = self.checkpoints is not None and history.stopped.by_signal
        if valid is not None and not preempted:
            scores = scores_of(self.schema.target)
            scores.add(self.network.forward(valid[0], o.n_threads), valid[1])
            metrics, details = {"valid": scores.metrics()}, scores.details()
        return {
            "fastbp": __version__,
            "versions": {"python": platform.python_version()} | _versions(),
            "data": {
                "name": self.table.name,
                "rows": self.rows,
                "train": rows.count,
                "valid": 0 if valid is None else len(valid[0]),
                "no_target": rows.no_target,
                "digest": digest,
            },
            "options": o.to_data(),
            "batch_size": self.batch,
            "streamed": self.budget.streamed,
            "steps": self.network.steps,
            "seconds": seconds,
            "threads": history.n_threads,
            "peak": None if preempted else history.peak,
            "stopped": history.stopped.value,
            "best_epoch": history.best_epoch,
            "metrics": metrics,
            **details,
        }


def _versions():
    return {name: version(name) for name in ("numpy", "numba", "polars", "scikit-learn")}


def _lists(history):
    """Return the history as lists of numbers by name, none where one is not finite."""
    names = [name for name in (history.epochs[0] if len(history) else ()) if name != "epoch"]
    return {name: [to_json(float(v)) for v in history[name]] for name in names}
