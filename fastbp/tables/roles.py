"""Columns with a role of their own, which are no inputs: the weights of the rows."""

from msgspec.structs import replace

from ..errors import DataError
from .columns.schema import Dropped, Schema
from .options import TrainOptions
from .read.table import Table
from .wording import shown


def check_roles(table: Table, options: TrainOptions) -> None:
    """Raise DataError if a column of weights is not there, or has another role too."""
    if options.weight is None:
        return
    table.require([options.weight])
    others = {"the target": (options.target,), "an id": options.ids}
    others |= {"categorical": options.categorical, "numeric": options.numeric}
    for role, names in others.items():
        if options.weight in names:
            raise DataError(
                f"column {shown(options.weight)} is named as {role} and as the weight: choose one"
            )


def with_roles(schema: Schema, options: TrainOptions) -> Schema:
    """Return a schema that names the column of weights, which was inferred as left out."""
    reasons = {options.weight: "the weights of the rows"}
    dropped = [Dropped(c.name, reasons.get(c.name, c.reason)) for c in schema.dropped]
    return replace(schema, dropped=tuple(dropped), weight=options.weight)
