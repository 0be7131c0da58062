"""Predictions of a table, frame by frame, in bounded memory."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ..annotations import Threads
from ..ensemble import Ensemble
from ..network import Network
from .columns.encoding import Encoder
from .columns.schema import Schema
from .conformal import intervals_of
from .read.table import Table
from .result.outputs import frame_of

_log = logging.getLogger("fastbp")
_steps = logging.getLogger("fastbp.steps")


@dataclass(frozen=True)
class Shown:
    """What stands beside predictions: columns of the table, and how sure they are.

    `spread` asks for the deviation over the networks of an ensemble. `radii` are those of the
    intervals of each column that is learned, in its units; None without intervals.
    """

    columns: Sequence[str] = ()
    spread: bool = False
    radii: Sequence[float] | None = None


def predicted(
    network: Network | Ensemble, schema: Schema, table: Table, shown: Shown, n_threads: Threads
) -> Iterator[pl.DataFrame]:
    """Yield the predictions of the rows of a table, in frames of some thousand rows.

    Raises
    ------
    DataError
        If a column is missing or a value is not of its kind.
    """
    encoder = Encoder(schema.written(table.how), table.name, network.dtype)
    encoder.require(table)
    _steps.info("predicting the rows of %s", table.name)
    first = 0
    several: Any = network
    for frame in encoder.frames(table, shown.columns):
        outputs: Any = np.empty((0, schema.n_outputs), network.dtype)
        deviation: Any = outputs if shown.spread else None
        if len(frame) and shown.spread:
            features = encoder.encode(frame, first)
            outputs, deviation = several.mean_and_spread(features, n_threads)
        elif len(frame):
            outputs = network.forward(encoder.encode(frame, first), n_threads)
        bounds = None if shown.radii is None else intervals_of(schema, outputs, shown.radii)
        yield frame_of(schema, frame.select(shown.columns), first, outputs, deviation, bounds)
        first += len(frame)
    tell_unknown(encoder)


def tell_unknown(encoder: Encoder) -> None:
    """Warn of categories that the schema does not know."""
    message = "%s: %d values of column %r are categories unknown to the model: it ignores them"
    for column, count in encoder.unknown.items():
        _log.warning(message, encoder.table_name, count, column)
