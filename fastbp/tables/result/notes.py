"""The meaning of a network's inputs and outputs in its table, for files that hold it alone."""

from ..columns.schema import Schema
from ..wording import named


def notes_of(schema: Schema) -> list[str]:
    """Return lines that say how the inputs come from columns, and what the outputs are."""
    lines, place = ["inputs, from the columns of a table; where a value is missing, 0:"], 0
    for column in schema.columns:
        for number, name in enumerate(column.feature_names):
            lines.append(
                f"  {place}: {named(name)}{'' if number else ': ' + column.formula.format(column)}"
            )
            place += 1
    target = schema.target
    if target.task == "regression":
        value = f"({named(target.name)} - {target.mean!r}) / {target.scale!r}"
        return [*lines, "output:", f"  0: {value}"]
    classes = enumerate(target.classes)
    return [
        *lines,
        f"outputs, the probabilities of classes of {named(target.name)}:",
        *(f"  {place}: {named(name)}" for place, name in classes),
    ]
