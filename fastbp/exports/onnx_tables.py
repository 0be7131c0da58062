"""The columns of a table, encoded in an ONNX graph as `fastbp.tables` encodes them."""

from math import pi

import numpy as np

from ..tables.columns.schema import LARGEST, PERIODS
from .onnx_values import Value, clip


def add_features(graph, schema):
    """Add an input for each column of a schema; return the features (n, n_features) in float64.

    Raises
    ------
    ValueError
        If a column has no name.
    """
    if any(column.name == "" for column in schema.columns):
        raise ValueError(
            "fastbp.to_onnx: a column has the empty name, and ONNX has no input without a name; "
            "name the column, and train again"
        )
    inputs = [
        graph.input(column.name, object if column.kind == "category" else np.float64, 1)
        for column in schema.columns
    ]  # before all else, so that these names are theirs
    parts = []
    for column, values in zip(schema.columns, inputs, strict=True):
        if column.kind == "category":
            parts.append(_categories(column, values))
        else:
            parts += _numbers(column, values)
    first, *others = parts
    return first.node("Concat", *others, axis=1)


def _numbers(column, values):
    """Return the features of a number, a boolean or a date, (n, 1) each."""
    missing = values.node("IsNaN", dtype=np.bool_)
    if column.kind == "boolean":
        features = [_unless(missing, values, 0.5)]
    else:
        scaled = clip((values - column.mean) / column.scale, -LARGEST, LARGEST)
        features = [_unless(missing, scaled, 0)]
        for period in column.periods:
            phase = values * (2 * pi) / PERIODS[period]
            features += [_unless(missing, phase.node(kind), 0) for kind in ("Sin", "Cos")]
    return [*features, missing.cast(np.float64)] if column.missing else features


def _unless(missing, values, instead):
    """Return `values`, and a number instead where they are missing."""
    return missing.node("Where", values.constant(instead), values, dtype=values.dtype)


def _categories(column, values):
    """Return the features (n, width) of a category: rows of a table, found by its place."""
    known = len(column.categories)
    # the rows: one for each category, that of all others, and that of missing values
    table = np.zeros((known + 2, column.width))
    table[:known, :known] = np.eye(known)
    table[known, known : known + column.other] = 1
    table[known + 1, column.width - 1 : column.width - 1 + column.missing] = 1
    places = {"": known + 1} | {name: n for n, name in enumerate(column.categories)}
    place = values.node(
        "LabelEncoder", dtype=np.int64, keys_strings=list(places),
        values_int64s=list(places.values()), default_int64=known,
    )  # fmt: skip
    flat = place.node("Reshape", place.constant([-1]))
    rows: Value = flat.constant(table, np.float64)
    return rows.node("Gather", flat, axis=0)
