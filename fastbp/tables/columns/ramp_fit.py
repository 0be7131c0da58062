"""The edges of the ramps of a schema's numbers and dates, from the rows that train."""

import logging
from typing import Literal

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from ...ranks.comm import Alone
from ..read.table import Table
from ..wording import counted
from .encoding import Encoder
from .number import Standardized
from .ramps import edges_by_quantiles, edges_by_tree
from .schema import Schema
from .values import golden_fractions

_steps = logging.getLogger("fastbp.steps")
# training rows that edges are taken from, about: of more, those spread evenly
_SAMPLE = 2**16


def with_ramps(
    schema: Schema,
    table: Table,
    trains: npt.NDArray[np.bool_],
    bins: int,
    by: Literal["tree", "quantiles"],
    ranks: Alone | None = None,
) -> Schema:
    """Return a schema whose numbers and dates have at most `bins` ramps each; none if it is 0.

    The edges come from rows of the `table` that train, (rows,) bool, have all targets and a weight
    above 0: from about 65,536 of these where there are more. Each of the `ranks` finds those of
    columns of its own. DataError if a target or a weight is not as the schema says.
    """
    ranks = ranks or Alone()
    columns = [column for column in schema.columns if isinstance(column, Standardized)]
    if not bins or not columns:
        return schema
    if by == "tree":
        _steps.info("loading scikit-learn")
    _steps.info("finding the ramps of %s", counted(len(columns), "column"))
    own_names = {*ranks.own([column.name for column in columns])}
    columns = [column for column in columns if column.name in own_names]
    values, y, weights = _sampled(schema, table, columns, trains)
    is_classes = bool(schema.target.classes) and not schema.more_targets
    found = {}
    for column in columns:
        known = ~np.isnan(values[column.name])
        own = values[column.name][known], None if weights is None else weights[known]
        if not known.any():
            continue
        if by == "tree":
            found[column.name] = edges_by_tree(own[0], y[known], bins, own[1], is_classes)
        else:
            found[column.name] = edges_by_quantiles(own[0], bins, own[1])
    found = ranks.merged(found)
    return replace(
        schema,
        columns=tuple(
            replace(column, edges=found[column.name]) if found.get(column.name) else column
            for column in schema.columns
        ),
    )


def _sampled(schema, table, columns, trains):
    """Return values by column, targets, and weights or None, of rows that train."""
    encoder = Encoder(schema, table.name)
    words, weight = schema.missing_words, schema.weight
    chosen = trains & _spread(len(trains), int(trains.sum()))
    names = [*(column.name for column in columns), *schema.target_names]
    values: dict[str, list] = {column.name: [] for column in columns}
    targets, weights, first = [], [], 0
    for frame in table.frames([*names, *([weight.name] if weight else [])]):
        y, among = encoder.encode_target(frame, first)
        among &= chosen[first : first + len(frame)]
        if weight:
            own = encoder.weights(frame, weight, first)
            among &= own > 0
            weights.append(own[among])
        targets.append(schema.clipped(y)[among])
        part = frame.filter(among)
        for column in columns:
            values[column.name].append(column.read(part[column.name], words, column.written)[0])
        first += len(frame)
    joined = {name: np.concatenate(parts) for name, parts in values.items()}
    return joined, np.concatenate(targets), np.concatenate(weights) if weight else None


def _spread(rows, train):
    """Return which of so many rows are looked at, (rows,) bool, if so many of them train."""
    if train <= _SAMPLE:
        return np.ones(rows, bool)
    return golden_fractions(np.arange(rows)) <= np.uint64(_SAMPLE / train * 2.0**64)
