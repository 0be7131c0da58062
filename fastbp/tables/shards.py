"""A search in shards: processes that know nothing of each other train a part of its options each.

Every process draws the same options by the seed, and trains every n-th of them. Its file is a
model, the best of its part, whose record has the losses of all options of the part. `merge_shards`
finds the best of all in these records.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from os import PathLike
from typing import Any, TypeVar

from ..annotations import FilePath
from ..errors import DataError
from ..quoted import quoted, quoted_path
from ..training.stopped import Stopped
from .model import TableModel
from .options import TrainOptions
from .wording import counted

# options that change no bit of a result, or only how many are tried to their end
_MAY_DIFFER = ("n_threads", "max_time")
_MOST_SHOWN = 10  # shards that are missing
_Each = TypeVar("_Each")


@dataclass(frozen=True)
class Shard:
    """The part `number` of `count` of a search; both count from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def part(self, each: Sequence[_Each]) -> Sequence[_Each]:
        """Return every `count`-th of what is drawn, so that shards take about the same time."""
        return each[self.number - 1 :: self.count]


def a_shard(name: str, value: Any, search: int | None) -> Shard | None:
    """Return a checked shard of a search of so many options, as text such as ``3/16``, or None.

    Raises
    ------
    ValueError, TypeError
        If it is no such text, if nothing is searched, or if it would hold no option.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name}={quoted(value)}: expected text such as '3/16'")
    if search is None:
        raise ValueError(f"{name}={quoted(value)}: only a search has shards; give search=50")
    found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", value, re.ASCII)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ValueError(
            f"{name}={quoted(value)}: expected a number and a count, such as 1/16 to 16/16"
        )
    shard = Shard(int(found[1]), int(found[2]))
    if shard.count > search:
        raise ValueError(
            f"{name}={shard}: a search={search} has no option for some of the shards; "
            f"expected at most {search}"
        )
    return shard


def merge_shards(paths: Iterable[FilePath]) -> TableModel:
    """Return the model of a search whose shards are in these files, as one process finds it.

    Its options are those with the least loss on the rows that choose. Its scores and its weights
    are those of one process, bit by bit; ``record["search"]`` has what all shards have tried.

    Parameters
    ----------
    paths : iterable of paths
        The model files of all shards, in any order, as ``train(..., search=50, shard="3/16")``
        and ``fastbp train --search 50 --shard 3/16 -o FILE`` make them.

    Returns
    -------
    TableModel

    Raises
    ------
    DataError
        If a shard is missing, given twice, or of another search; or if no option has a loss.
    ModelFileError, OSError
        If a file is no model, or cannot be read.
    """
    parts: dict[int, TableModel] = {}
    names: dict[int, str] = {}
    for path in [paths] if isinstance(paths, str | PathLike) else paths:
        name, model = quoted_path(path), TableModel.load(path)
        search = model.record.get("search") or {}
        if "shard" not in search:
            raise DataError(f"{name} is no shard of a search: train it with search and shard")
        number = search["shard"]["number"]
        if number in parts:
            raise DataError(f"{names[number]} and {name} are both shard {number}: leave one out")
        parts[number], names[number] = model, name
    if not parts:
        raise DataError("no shard is given: give the files of all")
    _check_same(parts, names)
    _check_complete(parts)
    return _merged(parts)


def _check_same(parts, names):
    """Raise DataError unless all parts are of one search."""
    known: dict[str, tuple[int, Any]] = {}
    for number, model in parts.items():
        for what, value in _identity(model).items():
            other, expected = known.setdefault(what, (number, value))
            if value != expected:
                raise DataError(
                    f"{names[number]} is of another search than {names[other]}: they differ in "
                    f"{what}; give the shards of one"
                )


def _identity(model):
    """Return what the shards of one search have in common, by the words for it."""
    record, search = model.record, model.record["search"]
    given = search["shard"]["given"]
    options = {f.name: given.get(f.name, f.default) for f in fields(TrainOptions)}
    same = {f"the option {name}": options[name] for name in options if name not in _MAY_DIFFER}
    same["the number of shards"] = search["shard"]["count"]
    same["the number of options"] = search["asked"]
    same["the rows"] = record.get("data", {}).get("digest")
    if search["by"]:  # else the time was over before
        same["what chose"] = search["by"]
    return {**same, "the columns": model.schema.to_data()}


def _check_complete(parts):
    count = next(iter(parts.values())).record["search"]["shard"]["count"]
    lacking = count - len(parts)
    if lacking:
        # a record says how many there are, whatever it is
        missing = (f"{number}/{count}" for number in range(1, count + 1) if number not in parts)
        shown = ", ".join(islice(missing, _MOST_SHOWN))
        more = f" and {lacking - _MOST_SHOWN:,} more" if lacking > _MOST_SHOWN else ""
        are = "is" if lacking == 1 else "are"
        raise DataError(
            f"{counted(lacking, 'shard')} of {count:,} {are} missing: {shown}{more}; "
            "train them by their numbers, and give all files"
        )


def _merged(parts):
    """Return the model of the best options of all parts, with the record of one search."""
    count = len(parts)
    tried: dict[int, Any] = {}
    for number, model in parts.items():
        for turn, each in enumerate(model.record["search"]["tried"]):
            tried[number - 1 + turn * count] = each
    rows = [tried[place] for place in sorted(tried)]
    losses = [math.inf if each["loss"] is None else each["loss"] for each in rows]
    chosen = losses.index(min(losses))
    if math.isinf(losses[chosen]):
        errors = (each["error"] for each in rows if each["error"])
        raise DataError(f"no option of the search has a loss: {next(errors, 'none was trained')}")
    best = parts[chosen % count + 1]
    if not best.record.get("steps") and best.record.get("stopped") == Stopped.DIVERGED:
        raise DataError(
            f"the best options diverged on all rows that train: {rows[chosen]['options']}; give a "
            "lower learning rate"
        )
    searches = [parts[number].record["search"] for number in sorted(parts)]
    stopped = next((each["stopped"] for each in searches if each["stopped"]), None)
    told = {name: each for name, each in best.record["search"].items() if name != "shard"}
    best.record["search"] = {**told, "chosen": chosen, "stopped": stopped, "tried": rows}
    best.record["stopped"] = stopped or best.record.get("stopped")
    return best
