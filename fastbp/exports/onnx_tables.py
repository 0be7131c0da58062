"""The columns of a table, encoded in an ONNX graph as `fastbp.tables` encodes them."""

from collections.abc import Callable
from math import pi

import numpy as np

from ..quoted import quoted
from ..tables.columns.boolean import Boolean
from ..tables.columns.category import Category
from ..tables.columns.date import PERIODS, Date
from ..tables.columns.number import Number
from ..tables.columns.ramps import HEIGHT
from ..tables.columns.scaling import LARGEST


def add_features(graph, schema):
    """Add an input for each column of a schema; return the features (n, n_features) in float64.

    Raises
    ------
    ValueError
        If a column has no name, or its kind has no graph.
    """
    if any(column.name == "" for column in schema.columns):
        raise ValueError(
            "fastbp.to_onnx: a column has the empty name, and ONNX has no input without a name; "
            "name the column, and train again"
        )
    for column in schema.columns:
        if type(column) not in _ENCODERS:
            raise ValueError(
                f"fastbp.to_onnx: column {quoted(column.name)} holds {column.plural}, which have "
                "no ONNX export; drop the column, and train again"
            )
    inputs = [
        graph.input(column.name, object if isinstance(column, Category) else np.float64, 1)
        for column in schema.columns
    ]  # before all else, so that these names are theirs
    parts = []
    for column, values in zip(schema.columns, inputs, strict=True):
        parts += _ENCODERS[type(column)](column, values)
    first, *others = parts
    return first.node("Concat", *others, axis=1)


def _numeric(column, values):
    """Return the features of a number, a truth value or a date."""
    missing = values.node("IsNaN")

    def known(feature, instead):
        return missing.node("Where", feature.constant(instead), feature)

    if isinstance(column, Boolean):
        features = [known(values, 0.5)]
    else:
        scaled = (values - column.center) / column.scale
        clipped = scaled.node("Max", -LARGEST).node("Min", LARGEST)
        if column.bound:
            bent = clipped / column.bound
            clipped = clipped / (bent * bent + 1).node("Sqrt")
        features = [known(clipped, 0)]
        if column.edges:
            low, high = np.array([column.edges[:-1], column.edges[1:]])
            rising = (values - values.constant(low)) / values.constant(high - low)
            features.append(known(rising.node("Max", 0.0).node("Min", 1.0) * HEIGHT, 0))
    if isinstance(column, Date):
        for period in column.periods:
            phase = values * (2 * pi) / PERIODS[period]
            features += [known(phase.node(kind), 0) for kind in ("Sin", "Cos")]
    if column.missing:
        features.append(missing.cast(np.float64))
    return features


def _category(column, values):
    """Return the features, (n, width) in one: rows of a matrix, found by place."""
    known = len(column.categories)
    rare = column.effects.names if column.effects else ()
    # its rows: one for each category, that of all others, of missing values, and of rare ones
    matrix = np.zeros((known + 2 + len(rare), column.width))
    matrix[:known, :known] = np.eye(known)
    matrix[known, known : known + column.other] = 1
    matrix[known + 1, column.width - 1 : column.width - 1 + column.missing] = 1
    if rare:
        start = known + column.other
        matrix[known + 2 :, known:start] = 1
        effects = column.effects.of(np.arange(len(rare)))
        matrix[known + 2 :, start : start + effects.shape[1]] = effects
    places = {"": known + 1} | {name: n for n, name in enumerate(column.categories)}
    places |= {name: known + 2 + n for n, name in enumerate(rare)}
    place = values.node(
        "LabelEncoder",
        keys_strings=list(places),
        values_int64s=list(places.values()),
        default_int64=known,
    )
    rows = values.graph.constant(matrix, np.float64)
    return [rows.node("Gather", place.flat(), axis=0)]


# from a column and its values to features, (n, k) each
_ENCODERS: dict[type, Callable] = {
    Number: _numeric,
    Boolean: _numeric,
    Date: _numeric,
    Category: _category,
}
