"""Predictions as a frame: what identifies a row, the prediction, the probabilities."""

import numpy as np
import polars as pl

from ...errors import DataError
from ..wording import unknown


def ids_of(schema, table, keep=()):
    """Return which columns of a table stand beside its predictions.

    Raises
    ------
    DataError
        If one of `keep` is not there.
    """
    for name in keep:
        if name not in table.columns:
            raise DataError(f"{table.name} has {unknown('column', name, table.columns)}")
    ids = [name for name in schema.ids if name in table.columns]
    return [*dict.fromkeys([*ids, *keep])]


def frame_of(target, ids, first, outputs):
    """Return the predictions of some rows as a frame.

    Parameters
    ----------
    target : Target
        What is predicted.
    ids : polars.DataFrame
        The columns that identify the rows; if there is none, they are numbered.
    first : int
        How many rows come before.
    outputs : numpy.ndarray
        (n, n_out) of the network.
    """
    if not ids.width:
        ids = pl.DataFrame({"row": np.arange(first + 1, first + 1 + len(outputs))})
    if target.task == "regression":
        numbers = outputs[:, 0].astype(np.float64) * target.scale + target.mean
        columns = {"prediction": pl.Series(numbers)}
    else:
        labels = outputs.argmax(axis=1)
        columns = {"prediction": class_values(target).gather(labels)}
        for place, name in enumerate(target.classes):
            columns[f"probability of {name}"] = pl.Series(outputs[:, place])
    free: dict[str, pl.Series] = {}
    for name, values in columns.items():
        free[_free(name, {*ids.columns, *free})] = values
    return ids.hstack([values.alias(name) for name, values in free.items()])


def class_values(target):
    """Return the classes as a series of what they are in the table."""
    if target.kind == "integer":
        return pl.Series([int(name) for name in target.classes], dtype=pl.Int64)
    if target.kind == "boolean":
        return pl.Series([name == "true" for name in target.classes], dtype=pl.Boolean)
    return pl.Series(list(target.classes), dtype=pl.String)


def _free(name, taken):
    """Return a name that no column that is kept has."""
    while name in taken:
        name += "_"
    return name
