"""What is settled for the table of a training: its options, and which rows train."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from ..kernels.peak import measure_peak
from ..memory import require_memory
from .columns.encoding import Encoder
from .columns.number import Standardized
from .columns.schema import Schema, Target
from .encoded import Budget
from .labels import labels_in
from .members import fits_at_once
from .networks import network_bytes
from .options import TrainOptions
from .presets import Facts, Work, fitting, settled
from .read.table import Table
from .split import Keys, Mask, Split, hold_out

# what drawing the rows that are held back takes of each row, as measured: at random, of each class,
# by group, by time
_AT_RANDOM, _BY_CLASS, _BY_GROUP, _BY_TIME = 19, 46, 56, 40
_log = logging.getLogger("fastbp")


class Settling:
    """Settles options and split when the targets of a table are known.

    `asked` are the options that were given, and the rows `among` all train or validate. `holds`
    says that the rows to validate are given, and so none of these.

    Attributes
    ----------
    options : TrainOptions
        The options, those too that a preset decides.
    split : Split
        Which rows train and which validate.
    """

    def __init__(
        self, asked: TrainOptions, table: Table, among: Mask, keys: Keys, holds: bool
    ) -> None:
        self._asked, self._table, self._among = asked, table, among
        self._keys, self._holds = keys, holds
        self.options: TrainOptions = asked
        self.split: Split = Split(among, np.zeros_like(among))

    def settle(self, targets: Sequence[Target], known: int) -> Mask:
        """Settle both for unfitted targets; return which rows train. So many have each target."""
        has_all = self._among
        if known < len(has_all):
            has_all = has_all & labels_in(self._table, targets)[1]
        groups = self._keys.groups
        facts = Facts(
            rows=int(has_all.sum()),
            groups=None if groups is None else len(np.unique(groups[has_all])),
            holds=self._holds,
        )
        self.options = settled(self._asked, facts)
        self.split_rows(targets, self.options)
        return self.split.trains

    def split_rows(self, targets: Sequence[Target], options: TrainOptions) -> None:
        """Settle the split by settled options."""
        asked, among = self._asked, self._among
        held = 0 if self._holds else options.valid_rows(int(among.sum()))
        is_free = held and not (asked.group or asked.time)
        if held:
            of_a_row = _BY_GROUP if asked.group else _BY_TIME if asked.time else _AT_RANDOM
            if is_free and targets[0].classes and len(targets) == 1:
                of_a_row = _BY_CLASS
            what = f"splitting {len(among):,} rows"
            require_memory(of_a_row * len(among), what, "give fewer rows, or more memory")
        labels = labels_in(self._table, targets)[0] if is_free else None
        self.split = hold_out(among, held, asked.seed, self._keys, self._table.name, labels)

    def narrow(self, schema: Schema, seconds: float | None) -> bool:
        """Choose other options where the schema says that those of the preset do not fit.

        That is a preset that fits into so many seconds, where there is a time budget, and networks
        by their seeds where memory or weights do not allow folds. Return whether rows are to be
        looked at anew.
        """
        asked, options = self._asked, self.options
        if seconds is not None:
            name = fitting(asked, self._work(schema), seconds)
            if name != options.preset:
                self._asked = replace(asked, preset=name, time_budget=None)
                return True
        by_preset = asked.ensemble_by is None and options.ensemble_by == "folds"
        if by_preset and not self._can_fold(schema):
            self._asked = replace(asked, ensemble_by="seeds")
            return True
        return False

    def _work(self, schema):
        threads: Any = self._asked.n_threads
        numbers = [column for column in schema.columns if isinstance(column, Standardized)]
        return Work(
            rows=int(self.split.trains.sum()),
            numbers=len(numbers),
            inputs=schema.n_features - sum(column.n_ramps for column in numbers),
            outputs=schema.n_outputs,
            peak=measure_peak("float32", threads),
        )

    def _can_fold(self, schema):
        """Return whether memory holds the rows of folds, and each may have one with a weight."""
        options, trains = self.options, self.split.trains
        rows, networks = int(trains.sum()), network_bytes(options, schema)
        budget = Budget(schema, options.dtype, rows, 0, options.memory, networks=networks)
        if not fits_at_once(budget, options):
            return False
        return schema.weight is None or self._weighed(schema) >= options.ensemble

    def _weighed(self, schema):
        """Return how many rows that train have a weight above 0."""
        encoder, first, found = Encoder(schema, self._table.name), 0, 0
        for frame in self._table.frames([schema.weight.name]):
            rows = slice(first, first + len(frame))
            weights = encoder.weights(frame, schema.weight, first)
            found += int((weights > 0)[self.split.trains[rows]].sum())
            first += len(frame)
        return found


@contextmanager
def not_told_again() -> Iterator[None]:
    """Keep what was said of a table from being said again, where it is looked at once more."""

    def is_new(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    _log.addFilter(is_new)
    try:
        yield
    finally:
        _log.removeFilter(is_new)
