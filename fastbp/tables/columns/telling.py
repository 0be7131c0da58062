"""What a reader of a table should know of its columns: said in the log, once per training."""

import logging

from ..wording import counted, listed, shown
from .category import Category
from .number import OUTLYING, Number

_log = logging.getLogger("fastbp")


def tell(table_name, columns, found):
    """Log what was guessed of inputs, gathered, or lies far out; `found` is of each by its name."""
    for name, each in found.items():
        if each.doubt:
            _log.warning("%s: column %s: %s", table_name, shown(name), each.doubt)
    for column in columns:
        if isinstance(column, Category) and column.other:
            _log.warning(
                "%s: column %s: %s of %s become inputs, %.3g %% of the rows are in the others%s; "
                "`max_categories` keeps more",
                table_name,
                shown(column.name),
                f"{len(column.categories):,}",
                counted(column.distinct, "category", "categories"),
                100 * column.rest,
                f", known by their effect on {listed(column.effects.on)}" if column.effects else "",
            )
        if isinstance(column, Number):
            if column.text.unit:
                _log.info(
                    "%s: column %s is in %s", table_name, shown(column.name), column.text.unit
                )
            _tell_outlier(
                table_name, f"column {shown(column.name)}", found[column.name], column, ""
            )


def tell_target(table_name, learned, fit, target):
    """Log what was guessed of a target, or lies far out, from its survey and its fit."""
    if learned.doubt:
        _log.warning("%s: the target %s: %s", table_name, shown(target.name), learned.doubt)
    if target.task == "regression":
        advice = "; mend it, or give clip_target=10 or a robust loss such as loss=huber"
        if target.low is not None:
            advice = f"; it is clipped to {target.low:.6g} to {target.high:.6g}"
        name = f"the target {shown(target.name)}"
        _tell_outlier(table_name, name, learned.found, fit.spread, advice)


def _tell_outlier(table_name, name, found, column, advice):
    """Warn of the number furthest from the center if it is very far from it."""
    candidate = found.candidate
    center, scale = column.center, column.scale
    value, row = max(candidate.low, candidate.high, key=lambda each: abs(each[0] - center))
    if abs(value - center) > OUTLYING * scale:
        _log.warning(
            "%s: %s is %.6g in row %s, more than %s deviations from the other rows%s",
            table_name,
            name,
            value,
            f"{row:,}",
            f"{OUTLYING:,}",
            advice or "; it is bounded: mend it if it is wrong",
        )
