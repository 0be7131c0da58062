"""Predictions as a frame: the columns that identify a row, the prediction, the probabilities."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from ..columns.schema import Schema, Target
from ..read.table import Table

EVERY = "all"


def ids_of(schema: Schema, table: Table, keep: str | Sequence[str] = ()) -> list[str]:
    """Return the columns of a table to keep beside predictions: its ids, and those of `keep`.

    "all" among `keep`, or in its place, keeps every column, one of that name too.
    """
    keep = [keep] if isinstance(keep, str) else keep
    if EVERY in keep:
        return list(table.columns)
    table.require(keep)
    ids = [name for name in schema.ids if name in table.columns]
    return [*dict.fromkeys([*ids, *keep])]


def frame_of(
    schema: Schema,
    ids: pl.DataFrame,
    first: int,
    outputs: npt.NDArray,
    spread: npt.NDArray | None = None,
    bounds: Sequence[tuple[npt.NDArray, npt.NDArray]] | None = None,
) -> pl.DataFrame:
    """Return the predictions of n rows as a frame, from the outputs (n, n_out) of a network.

    `ids` has the columns that identify the rows; without any, rows are numbered after `first`.
    `spread` (n, n_out) is that of the outputs, if it is asked for: the columns show that of the
    predicted number, in its units, or of the probability of the predicted class. `bounds` are the
    lower and the upper (n,) of each column that is learned, in its units.
    """
    if not ids.width:
        ids = pl.DataFrame({"row": np.arange(first + 1, first + 1 + len(outputs))})
    columns: dict[str, pl.Series] = {}
    if schema.more_targets:
        spreads = [None] * len(schema.targets) if spread is None else spread.T
        each = zip(schema.targets, schema.uncrossed(outputs).T, spreads, strict=True)
        for target, output, deviation in each:
            columns |= _of_one(target, output, deviation)
    elif schema.target.task == "regression":
        columns = {"prediction": pl.Series(in_units(schema.target, outputs[:, 0]))}
        if spread is not None:
            columns["spread"] = pl.Series(_scaled(schema.target, spread[:, 0]))
    else:
        labels = outputs.argmax(axis=1)
        columns = {"prediction": class_values(schema.target).gather(labels)}
        for place, name in enumerate(schema.target.classes):
            columns[f"probability of {name}"] = pl.Series(outputs[:, place])
        if spread is not None:
            columns["spread"] = pl.Series(spread[np.arange(len(spread)), labels])
    for names, both in zip(bound_names(schema), bounds or (), strict=bounds is not None):
        columns |= {name: pl.Series(bound) for name, bound in zip(names, both, strict=True)}
    free: dict[str, pl.Series] = {}
    for name, values in columns.items():
        free[free_name(name, {*ids.columns, *free})] = values
    return ids.hstack([values.alias(name) for name, values in free.items()])


def bound_names(schema: Schema) -> list[tuple[str, str]]:
    """Return the names of the lower and the upper bound of each column that is learned."""
    several = len(schema.target_names) > 1
    of = [f" of {name}" if several else "" for name in schema.target_names]
    return [(f"lower{each}", f"upper{each}") for each in of]


def out_of_fold(
    schema: Schema, ids: pl.DataFrame, folds: npt.NDArray, outputs: npt.NDArray
) -> pl.DataFrame:
    """Return the frame of `frame_of`, with the number of the fold of each row before it."""
    return frame_of(
        schema, ids.with_columns(pl.Series(free_name("fold", ids.columns), folds)), 0, outputs
    )


def _of_one(target, output, spread):
    """Return the columns of one of several targets, from its output (n,) and its spread or None."""
    if target.task == "regression":
        columns = {f"prediction of {target.label}": pl.Series(in_units(target, output))}
    else:
        labels = class_values(target).gather((output > 0.5).astype(np.int64))
        columns = {
            f"prediction of {target.name}": labels,
            f"probability of {target.name}={target.classes[1]}": pl.Series(output.copy()),
        }
    if spread is not None:
        columns[f"spread of {target.label}"] = pl.Series(_scaled(target, spread))
    return columns


def _scaled(target, spread):
    """Return the spread (n,) of outputs in the units of a target; of classes as it is."""
    is_number = target.task == "regression"
    return spread.astype(np.float64) * target.scale if is_number else spread.copy()


def in_units(target: Target, output: npt.NDArray) -> npt.NDArray[np.float64]:
    """Return predicted numbers in the units of a target, from the output (n,) of a network."""
    return output.astype(np.float64) * target.scale + target.mean


def class_values(target: Target) -> pl.Series:
    """Return the classes as integers, booleans or text, as in the table."""
    if target.kind == "integer":
        return pl.Series([int(name) for name in target.classes], dtype=pl.Int64)
    if target.kind == "boolean":
        return pl.Series([name == "true" for name in target.classes], dtype=pl.Boolean)
    return pl.Series(list(target.classes), dtype=pl.String)


def free_name(name, taken):
    """Return a name that is not taken: `name`, or with underscores behind it."""
    while name in taken:
        name += "_"
    return name
