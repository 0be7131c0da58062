"""What a reader of a table should know of its columns: said in the log, once per training."""

import logging
from typing import NamedTuple

from ..wording import counted, listed, shown
from .category import Category
from .number import OUTLYING, Number

_log = logging.getLogger("fastbp")


class Remark(NamedTuple):
    """What is said of a column, and at which level of the log."""

    level: int
    text: str


def tell(table_name, remarks):
    """Log remarks."""
    for each in remarks:
        _log.log(each.level, "%s: %s", table_name, each.text)


def remarks_of(name, found, column):
    """Return what was guessed of an input, gathered, or lies far out.

    `found` is its kind and candidate, and `column` what was fitted, None if it is no input.
    """
    where = f"column {shown(name)}"
    remarks = [Remark(logging.WARNING, f"{where}: {found.doubt}")] if found.doubt else []
    if isinstance(column, Category) and column.other:
        gathered = counted(column.distinct, "category", "categories")
        effects = column.effects
        known = f", known by their effect on {listed(effects.on)}" if effects else ""
        text = (
            f"{where}: {len(column.categories):,} of {gathered} become inputs, "
            f"{100 * column.rest:.3g} % of the rows are in the others{known}; `max_categories` "
            "keeps more"
        )
        remarks.append(Remark(logging.WARNING, text))
    if isinstance(column, Number):
        if column.text.unit:
            remarks.append(Remark(logging.INFO, f"{where} is in {column.text.unit}"))
        remarks += _outlier(where, found, column, "")
    return remarks


def tell_target(table_name, learned, fit, target):
    """Log what was guessed of a target, or lies far out, from its survey and its fit."""
    name = f"the target {shown(target.name)}"
    if learned.doubt:
        tell(table_name, [Remark(logging.WARNING, f"{name}: {learned.doubt}")])
    if target.task == "regression":
        advice = "; mend it, or give clip_target=10 or a robust loss such as loss=huber"
        if target.low is not None:
            advice = f"; it is clipped to {target.low:.6g} to {target.high:.6g}"
        tell(table_name, _outlier(name, learned.found, fit.spread, advice))


def _outlier(name, found, column, advice):
    """Return what is said of the number furthest from the center, if it is very far from it."""
    candidate = found.candidate
    center, scale = column.center, column.scale
    value, row = max(candidate.low, candidate.high, key=lambda each: abs(each[0] - center))
    if not abs(value - center) > OUTLYING * scale:  # nor of NaN
        return []
    text = (
        f"{name} is {value:.6g} in row {row:,}, more than {OUTLYING:,} deviations from the other "
        f"rows{advice or '; it is bounded: mend it if it is wrong'}"
    )
    return [Remark(logging.WARNING, text)]
