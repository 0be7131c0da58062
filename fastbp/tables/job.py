"""Training on a table, from the file to the model: plan, encode, train, score."""

import logging
import time
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import to_builtins

from ..annotations import Callback, FilePath
from ..errors import DataError
from ..kernels.support.once import cached_property
from ..memory import bytes_shown, free_memory
from ..network import Network
from ..ranks.comm import as_ranks
from ..training.checkpoints import Checkpoints, as_checkpoints, latest_in
from .begun import JOB, Begun, begun_of
from .calibration import calibrate
from .class_weights import weights_of
from .columns.encoding import Encoder
from .columns.inference import infer
from .columns.ramp_fit import with_ramps
from .columns.schema import Schema
from .conformal import residuals_of
from .encoded import Budget, Encoded, encode_table
from .keys import read_keys
from .labels import labels_in
from .members import most_at_once, parts_of, train_members
from .model import TableModel
from .networks import batch_of, network_bytes, network_of
from .options import TrainOptions, held_rows
from .predicting import tell_unknown
from .read.naming import Like
from .read.table import Data, open_table
from .recording import is_preempted, out_of_fold_of, record_of
from .roles import check_roles, roles_of, unnamed_numbers, with_roles
from .sections import READING, SECTION, schema_of
from .settling import Settling, not_told_again
from .shares import Shares
from .split import Keys, Mask, Split, hold_out
from .trained import One, Several
from .wording import counted, listed

_log = logging.getLogger("fastbp")
_steps = logging.getLogger("fastbp.steps")
# a training stops after this time at the earliest, though none is left of its budget
_LEAST_SECONDS = 0.1


@dataclass(frozen=True)
class _Settled:
    """What a table settles of a training."""

    schema: Schema
    options: TrainOptions
    split: Split


class Job:
    """A planned training on a table; for the arguments see `train`.

    The rows `among` all, (rows,) bool, train and validate; by default all. `asked` are the options
    that were given. All ranks of `comm`, or this process alone, train together: each finds what
    its share of the columns is, and encodes its share of the rows.
    """

    def __init__(
        self,
        data: Data,
        options: TrainOptions,
        valid: Data | None = None,
        checkpoints: FilePath | Checkpoints | None = None,
        resume: bool = False,
        among: Mask | None = None,
        comm: Any = None,
        sync: str = "step",
        average_every: int | None = None,
    ):
        if valid is not None and options.valid_share:
            raise ValueError(
                f"valid_share={options.valid_share}: no rows are held back where `valid` gives "
                "them; expected one of the two"
            )
        if valid is not None and options.ensemble_by == "folds":
            raise ValueError(
                "ensemble_by='folds': each fold validates in turn, and `valid` gives rows for all; "
                "expected one of the two"
            )
        if valid is not None and options.folds is None and among is None:
            options.refuse_key("no rows are held back where `valid` gives them")
        if options.search is not None:
            options.check_search(valid, checkpoints)
        self._among = among
        #: what was given as the table
        self.data: Any = data
        #: the shares of the rows that ranks have
        self.shares = Shares(as_ranks(comm), comm, sync, average_every)
        self._started = time.perf_counter()
        self.asked = options
        self.checkpoints = as_checkpoints(checkpoints, resume)
        self._begun: Any = latest_in(self.checkpoints) if resume else None
        self._own = None
        if self._begun is not None and self.checkpoints is not None:
            self._own = begun_of(self._begun, self.checkpoints.folder, options)
        self.table = open_table(data, options.missing, options)
        like = Like(self.table.reading, frozenset(self.table.columns), options.targets)
        self.valid_table = (
            None if valid is None else open_table(valid, options.missing, options, like)
        )

    @property
    def resumes(self) -> bool:
        """Whether the training resumes from a checkpoint."""
        return self._begun is not None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the tables."""
        return (*self.table.files, *(self.valid_table.files if self.valid_table else ()))

    @cached_property
    def rows(self) -> int:
        """The number of rows of the table."""
        _steps.info("counting the rows of %s", self.table.name)
        return self.table.require_rows()

    @cached_property
    def keys(self) -> Keys:
        """The groups or the times of the rows, if they are split by these."""
        return read_keys(self.table, self.asked)

    @property
    def options(self) -> Any:
        """The `TrainOptions` of the table, in which nothing is left to the preset."""
        return self._settled.options

    @property
    def split(self) -> Split:
        """Which rows train and which validate."""
        return self._settled.split

    @property
    def _budget_left(self) -> float | None:
        """The seconds that are left of the time budget, at least some; None without one."""
        if self.asked.time_budget is None:
            return None
        return max(self.asked.time_budget - (time.perf_counter() - self._started), _LEAST_SECONDS)

    @property
    def time_limit(self) -> float | None:
        """The seconds that a training may take from now on; None without a limit."""
        limits = [t for t in (self.options.max_time, self._budget_left) if t is not None]
        return min(limits, default=None)

    @property
    def _rows_split(self) -> Mask:
        """The rows that train or validate, (rows,) bool."""
        return ~self.tested if self._among is None else self._among

    @cached_property
    def tested(self) -> Mask:
        """Which rows neither train nor validate, and measure what a search has chosen."""
        count = 0 if self.asked.search is None else held_rows(self.rows)
        rows = np.ones(self.rows, bool)
        held = hold_out(rows, count, self.asked.seed, self.keys, self.table.name)
        return held.validates

    @property
    def schema(self) -> Schema:
        """The schema of the table; that of the checkpoint if the training resumes."""
        return self._settled.schema

    @cached_property
    def _settled(self) -> "_Settled":
        # each rank looks at columns of its own: what fails on one, fails on all
        return self.shares.ranks.together(self._settle)

    def _settle(self):
        o, ranks = self.asked, self.shares.ranks
        self.shares.expect_one_task(self)
        holds = self.valid_table is not None
        settling = Settling(o, self.table, self._rows_split, self.keys, holds)
        if self._own is not None:
            found = schema_of(self._begun, "the checkpoint")
            options = self._own.continued(o)
            settling.split_rows(found.targets, options)
            return _Settled(found, options, settling.split)
        check_roles(self.table, o)
        found, seconds = self._inferred(settling), self._budget_left
        # ranks refuse what may be narrowed, and could narrow it in different ways
        while ranks.count == 1 and settling.narrow(found, seconds):
            seconds = None
            with not_told_again():
                found = self._inferred(settling)
        return _Settled(found, settling.options, settling.split)

    def _inferred(self, settling):
        """Return the schema of the table, whose options and split are settled on the way."""
        o = self.asked
        task: Any = o.task
        decimal: Any = o.decimal
        rows = self.rows
        _steps.info("looking at the columns of %s, %s", self.table.name, counted(rows, "row"))
        found = infer(
            self.table,
            o.targets,
            task=task,
            decimal=decimal,
            date_format=o.date_format,
            max_categories=o.max_categories,
            clip_target=o.clip_target,
            loss=o.learned_loss,
            is_training=settling.settle,
            groups=self.keys.groups,
            ranks=self.shares.ranks,
            **roles_of(o, unnamed_numbers(self.table, o)),
        )
        found = with_roles(found, self.table, o)
        ramps: Any = settling.options.ramps
        by: Any = settling.options.ramp_edges
        trains = settling.split.trains
        return with_ramps(found, self.table, trains, ramps, by, self.shares.ranks)

    @cached_property
    def network(self) -> Network:
        """The untrained network, the first of an ensemble.

        MemoryError if it, or the ensemble, takes more than the free memory.
        """
        needed = network_bytes(self.options, self.schema)
        free = free_memory()
        if free is not None and needed > free:
            count = self.options.ensemble
            what = f"{count} networks" if count > 1 else "a network"
            raise MemoryError(
                f"{what} with hidden layers of {', '.join(map(str, self.options.hidden))} "
                f"{'take' if count > 1 else 'takes'} {bytes_shown(needed)}, and "
                f"{bytes_shown(free)} are free"
            )
        return network_of(self.options, self.schema)

    @cached_property
    def batch(self) -> int:
        """The number of samples per step."""
        return batch_of(self.options, self._trained)

    @cached_property
    def budget(self) -> Budget:
        """Where encoded rows are kept: in memory, or in a scratch file."""
        valid = self.valid_table
        held = int(self.split.validates.sum()) if valid is None else valid.require_rows()
        given = (self.schema, self.network.dtype, self._trained, held, self.options.memory)
        return Budget(*given, self._own, network_bytes(self.options, self.schema))

    @property
    def trained_rows(self) -> npt.NDArray[np.intp]:
        """The places in the table of the rows that train and have all targets, in their order."""
        known = labels_in(self.table, self.schema.targets)[1]
        return np.flatnonzero(known & self.split.trains)

    @property
    def _trained(self):
        return int(self.split.trains.sum())

    @property
    def _threads(self) -> Any:
        return self.options.n_threads

    @property
    def fit_options(self) -> dict[str, Any]:
        """Arguments of ``fit`` that are those of every network."""
        o = self.options
        return {"epochs": o.epochs, "batch_size": self.batch, "early_stopping": o.patience or None}

    def run(self, callbacks: Iterable[Callback] = (), progress: bool = False) -> TableModel:
        """Encode the rows, train, and score; return the `TableModel`."""
        o = self.options
        started = time.perf_counter()
        # before the rows are encoded: what does not fit is refused at once
        at_once = most_at_once(self.budget, o)
        parts = parts_of(self) if o.ensemble > 1 else []
        rows = self.encoded()
        if not progress:
            several = f"training {o.ensemble} networks" if parts else "training"
            _steps.info("%s, at most %s", several, counted(o.epochs, "epoch"))
        kept = self.shares.ranks.together(lambda: self._kept(rows))
        trained: One | Several
        if parts:
            members = train_members(self, parts, rows, rows.valid, kept, callbacks, progress)
            trained = Several(o.ensemble_by, members, min(at_once, o.ensemble))
        else:
            history = self.network.fit(
                rows.X,
                rows.y,
                sample_weight=rows.weight,
                validation_data=rows.valid,
                n_threads=self._threads,
                progress=progress,
                callbacks=callbacks,
                max_time=self.time_limit,
                checkpoints=kept,
                resume=self.resumes,
                **self.shares.of_fit,
                **self.fit_options,
            )
            trained = One(self.network, history)
            rows = self.shares.whole(rows)
        return self.model(trained, rows, time.perf_counter() - started)

    def model(self, trained: One | Several, rows: Encoded, seconds: float) -> TableModel:
        """Return the model of what was trained on encoded rows in so many seconds."""
        preempted = is_preempted(self, trained)
        unseen = [] if preempted else trained.unseen(self.schema, rows)
        temperature = None
        if self.options.calibrate:
            temperature = calibrate(trained.networks, unseen, self.schema, self._threads)
        record = record_of(self, trained, rows, seconds, preempted)
        record["temperature"] = temperature
        residuals = residuals_of(self.schema, unseen, self._threads)
        given = (self.schema, trained.lists, record, self.table.reading, residuals)
        model = TableModel(trained.network, *given)
        model.out_of_fold = out_of_fold_of(self, trained)
        return model

    def encoded(self) -> Encoded:
        """Return the rows that train and that validate, encoded; DataError if none trains.

        Of several ranks each has its share, with the counts of all.
        """
        name, targets = self.table.name, listed(self.options.targets)
        rows = self.shares.rows(self._own_rows, self.schema, self.rows)
        if not rows.count:
            raise DataError(f"{name} has no training row with a value of {targets}: give some")
        if rows.no_target and self.shares.ranks.leads:
            count = counted(rows.no_target, "row")
            _log.warning("%s: %s without a value of %s: left out", name, count, targets)
        if self.shares.ranks.count == 1:
            rows.check_weights(name)
        return rows

    def _own_rows(self):
        rows = self._encoded(self.table, self.split)
        if self.valid_table is not None and rows.count:
            all_rows = np.ones(self.valid_table.require_rows(), bool)
            more = self._encoded(self.valid_table, Split(~all_rows, all_rows))
            digest, sums = rows.digest + more.digest, rows.sums + more.sums
            rows = replace(rows, valid=more.valid, digest=digest, sums=sums)
        return rows

    def held(self, among: Mask) -> tuple[Any, ...]:
        """Return X and y, and weights if there are some, of other rows of the table, encoded."""
        encoder = Encoder(self.schema, self.table.name, self.network.dtype)
        split = Split(np.zeros_like(among), among)
        return encode_table(self.table, encoder, split, self.budget).valid or ()

    def with_options(self, options: TrainOptions) -> "Job":
        """Return a job on the same rows with other options, which do not change their features."""
        _ = self.tested
        twin = copy(self)
        twin._settled = replace(self._settled, options=options)
        for name in ("network", "batch"):  # which depend on them
            vars(twin).pop(name, None)
        return twin

    def _encoded(self, table, split) -> Encoded:
        _steps.info("encoding the rows of %s", table.name)
        groups = self.keys.groups if table is self.table else None
        encoder = Encoder(self.schema, table.name, self.network.dtype, split.trains, groups)
        weights = weights_of(self.options.class_weight, table, encoder, split.trains)
        own = self.shares.own(split)
        hashes = self.shares.digest(), self.shares.sums(self.checkpoints is not None)
        given = (self.shares.budget(self.budget, own), weights, *hashes)
        rows = encode_table(table, encoder, own, *given)
        tell_unknown(encoder)
        return rows

    def _kept(self, rows):
        """Return the checkpoints, with the sections of a training on a table."""
        if self.checkpoints is None:
            return None
        if self._own and not self._own.is_of(rows.digest, rows.sums):
            raise DataError(
                f"resume: {self.table.name} does not hold the rows that the training began with; "
                "give it the same, or begin anew in an empty folder of checkpoints"
            )
        asked, options = self.asked.to_data(), self.options.to_data()
        budget = self.budget
        own = Begun(rows.digest, asked, budget.streamed, options, budget.window_rows, rows.sums)
        sections = {
            SECTION: self.schema.to_data(),
            READING: to_builtins(self.table.reading),
            JOB: to_builtins(own),
        }
        kept = self.checkpoints
        return Checkpoints(kept.folder, kept.every, kept.keep, sections)
