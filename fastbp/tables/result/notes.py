"""The meaning of a network's inputs and outputs in its table, for files that hold it alone."""

from ..columns.date import Date
from ..columns.number import Standardized
from ..columns.ramps import FORMULA
from ..columns.schema import Schema
from ..wording import named


def notes_of(schema: Schema) -> list[str]:
    """Return lines that say how the inputs come from columns, and what the outputs are."""
    features = []
    for column in schema.columns:
        first, *others = map(named, column.feature_names)
        features += [f"{first}: {column.formula.format(column)}", *others]
    lines = ["inputs, from the columns of a table; where a value is missing, 0:"]
    lines += [f"  {place}: {feature}" for place, feature in enumerate(features)]
    if any(isinstance(column, Standardized) and column.edges for column in schema.columns):
        lines.append(f"  a ramp A to B is {FORMULA}; that of a date is in {Date.quantity}")
    target = schema.target
    if schema.more_targets:
        outputs = [f"  {place}: {_of_one(each)}" for place, each in enumerate(schema.targets)]
        crossing = "outputs, to be sorted for each column: levels may cross:"
        return [*lines, crossing if schema.quantiles else "outputs:", *outputs]
    if target.task == "regression":
        return [*lines, "output:", f"  0: {_of_one(target)}"]
    lines.append(f"outputs, the probabilities of classes of {named(target.name)}:")
    return lines + [f"  {place}: {named(name)}" for place, name in enumerate(target.classes)]


def _of_one(target):
    """Return what the output of one target is."""
    if target.task == "regression":
        return f"({named(target.label)} - {target.mean!r}) / {target.scale!r}"
    return f"the probability of {named(target.name)} = {named(target.classes[1])}"
