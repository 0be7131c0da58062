"""Columns with a role of their own: the weights, the groups or the times of the rows."""

import logging
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from ..errors import DataError
from .columns.inference import find_column
from .columns.number import Number
from .columns.schema import Dropped, Schema, Weight
from .options import TrainOptions
from .read.notes import left_out
from .read.table import Table
from .wording import listed, shown

_log = logging.getLogger("fastbp")
_WEIGHT = "the weights of the rows"
_GROUP = "the groups of the rows"
# the reasons to leave a column out that the user has given
ASKED = ("asked", _WEIGHT, _GROUP)


def tell_left_out(schema: Schema, table: Table) -> None:
    """Warn of the columns that are no inputs, though nobody asked for it: once for each reason."""
    reasons: dict[str, list[str]] = {}
    for column in schema.dropped:
        if column.reason not in ASKED:
            reasons.setdefault(column.reason, []).append(column.name)
    for reason, names in reasons.items():
        are = "column {} is" if len(names) == 1 else "columns {} are"
        left_out(f"{table.name}: {are.format(listed(names))} left out: {reason}")


def check_roles(table: Table, options: TrainOptions) -> None:
    """Raise DataError if a column with a role of its own is not there, or has another role."""
    kinds = {"categorical": options.categorical, "numeric": options.numeric}
    others: dict[str, tuple] = {"the target": options.targets, "an id": options.ids, **kinds}
    for role, name in (
        ("weight", options.weight),
        ("group", options.group),
        ("time", options.time),
    ):
        if name is None:
            continue
        table.require([name])
        # an id may be a group, and a group or a time an input; a weight is a weight alone
        checked = others if role == "weight" else {"the target": options.targets}
        checked |= {"the weight": (options.weight,)} if role != "weight" else {}
        for other, names in checked.items():
            if name in names:
                raise DataError(
                    f"column {shown(name)} is named as {other} and as the {role}: choose one"
                )


def roles_of(options: TrainOptions, row_numbers: Sequence[str] = ()) -> dict[str, Any]:
    """Return the roles of columns for `infer`: weights are left out, groups and numbers are ids.

    A group is an input if the user says of which kind; a time is one unless it is left out.
    """
    roles = {name: getattr(options, name) for name in ("ids", "drop", "categorical", "numeric")}
    taken = {name for names in roles.values() for name in names}
    for role, name in (("drop", options.weight), ("ids", options.group)):
        if name is not None and name not in taken:
            roles[role] = (*roles[role], name)
    return roles | {"ids": (*roles["ids"], *row_numbers)}


def unnamed_numbers(table: Table, options: TrainOptions) -> list[str]:
    """Return the columns without a name of their own that number the rows, which is logged."""
    o = options
    given = {*o.targets, o.weight, o.group, o.time, *o.ids, *o.drop, *o.categorical, *o.numeric}
    numbers = [name for name in table.row_numbers if name not in given]
    if numbers:
        message = "%s: %s: without a name, and numbers of rows: ids, which are not learned from"
        _log.warning(message, table.name, listed(numbers))
    return numbers


def with_roles(schema: Schema, table: Table, options: TrainOptions) -> Schema:
    """Return an inferred schema with what options add: weights, quantiles, why columns are left."""
    dropped = [Dropped(c.name, _WEIGHT) if c.name == options.weight else c for c in schema.dropped]
    inputs = [column.name for column in schema.columns]
    group = options.group
    if group is not None and group not in [*inputs, *(c.name for c in dropped)]:
        dropped.append(Dropped(group, _GROUP))
    weight = None if options.weight is None else weight_of(table, options.weight, options.decimal)
    targets = schema.targets
    if isinstance(options.quantile, tuple) and schema.target.task == "regression":
        targets = tuple(replace(t, quantile=level) for t in targets for level in options.quantile)
    first, *others = targets
    return replace(
        schema, target=first, more_targets=tuple(others), dropped=tuple(dropped), weight=weight
    )


def weight_of(table: Table, name: str, decimal: Any = None) -> Weight:
    """Return the column of weights of a name, with the way in which its numbers are written."""
    try:
        found = find_column(table, name, decimal)
    except DataError:  # of a value that is none, which reading the weights refuses by its row
        return Weight(name)
    return Weight(name, found.text) if found.kind is Number and found.text else Weight(name)
