"""All that a model knows of its table: fitted columns, the target, the dropped columns."""

import itertools
import json
from collections import Counter
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta, Struct
from msgspec.structs import replace

from ...json_data import Count, Finite, Positive, read_as
from ...quoted import quoted
from ..losses import LOSSES
from .date_text import DateText, order_of, patterns_of
from .kinds import AnyColumn
from .number_text import NumberText

# what model files of format 2 hold for a column of any kind, in this order
_FORMAT_2: dict[str, Any] = {"name": None, "kind": None, "missing": None}
_FORMAT_2 |= {"mean": 0.0, "scale": 1.0, "categories": [], "other": False, "clock": False}
# what later versions have added, and files need not hold
_LATER: dict[str, Any] = {"weight": None, "more_targets": []}
_LATER_OF_A_COLUMN: dict[str, Any] = {"text": {}, "bound": 0.0, "distinct": 0, "rest": 0.0}
_LATER_OF_A_COLUMN |= {"effects": None, "edges": []}
_LATER_OF_A_TARGET: dict[str, Any] = {"text": {}, "low": None, "high": None, "rate": False}
_LATER_OF_A_TARGET |= {"quantile": None}

Level: TypeAlias = Annotated[float, Meta(gt=0, lt=1)]
Task: TypeAlias = Literal["classification", "regression"]


class Target(Struct, frozen=True, forbid_unknown_fields=True):
    """The column that is learned.

    `kind` says how classes are written back, or is "number" for regression. `classes` are sorted
    text, integers by their value, booleans ("false", "true"); `counts` are their training rows.
    A regression learns (y - mean) / scale of y clipped to `low` and `high`, if they are
    given. `text` says how numbers are written. A `rate` is at least 0, and has a mean of 0. A
    `quantile` is given where several are learned, each as a target of its own.
    """

    name: str
    task: Task
    kind: Literal["text", "integer", "boolean", "number"]
    classes: tuple[str, ...] = ()
    counts: tuple[Count, ...] = ()
    mean: Finite = 0.0
    scale: Positive = 1.0
    text: NumberText = NumberText()
    low: Finite | None = None
    high: Finite | None = None
    rate: bool = False
    quantile: Level | None = None

    def __post_init__(self) -> None:
        classes = self.classes
        classifies = self.task == "classification"
        if classifies == (self.kind == "number"):
            raise ValueError(f"kind={quoted(self.kind)}: not one of a {self.task}")
        if self.rate and (classifies or self.mean):
            raise ValueError("rate=True: expected a regression with a mean of 0")
        if len(set(classes)) < len(classes):
            raise ValueError(f"classes={quoted(classes)}: one is there twice")
        if classifies != (len(classes) > 1) or len(self.counts) != len(classes):
            raise ValueError(
                f"a {self.task} of {len(classes)} classes and {len(self.counts)} counts"
            )
        if self.quantile is not None and classifies:
            raise ValueError(f"quantile={self.quantile}: classes have none")
        if self.kind == "integer":
            numbers = sorted({int(text) for text in classes})
            if list(classes) != [str(number) for number in numbers]:
                raise ValueError(f"classes={quoted(classes)}: expected ascending whole numbers")
        if self.kind == "boolean" and classes != ("false", "true"):
            raise ValueError(f"classes={quoted(classes)}: booleans have ('false', 'true')")

    @property
    def label(self) -> str:
        """The name, and the quantile if it is one of several."""
        return self.name if self.quantile is None else f"{self.name} at {self.quantile}"

    def class_named(self, name: str) -> int | None:
        """Return the place of the class that a person names, such as True or 1.0; or None."""
        if self.kind == "boolean":
            name = name.lower()
        elif self.kind == "integer" and name.endswith(".0"):
            name = name[:-2]
        return self.classes.index(name) if name in self.classes else None


class Weight(Struct, frozen=True, forbid_unknown_fields=True):
    """The column of the weights of the rows, and how its numbers are written."""

    name: str
    text: NumberText = NumberText()


class Dropped(Struct, frozen=True, forbid_unknown_fields=True):
    """A column that is no input, and why."""

    name: str
    reason: str


class Schema(Struct, frozen=True, forbid_unknown_fields=True):
    """All that predicting needs to know of the table that was learned from.

    `columns` are the inputs, in the order of their features. `ids` are kept beside predictions,
    and are no inputs. `more_targets` are those beside the first, if several are learned: then all
    are numbers, or all have two classes. `weight` is the column of the weights of rows, if there
    was one.
    """

    columns: Annotated[tuple[AnyColumn, ...], Meta(min_length=1)]
    target: Target
    dropped: tuple[Dropped, ...] = ()
    ids: tuple[str, ...] = ()
    missing_words: tuple[str, ...] = ()
    weight: Weight | None = None
    more_targets: tuple[Target, ...] = ()

    def __post_init__(self) -> None:
        kinds = {(target.task, len(target.classes)) for target in self.targets}
        if self.more_targets and (len(kinds) > 1 or max(kinds)[1] > 2):
            raise ValueError("several targets: expected numbers, or two classes of each")
        if len({target.quantile is None for target in self.targets}) > 1:
            raise ValueError("several targets: expected quantiles of all, or of none")
        labels = [target.label for target in self.targets]
        if len(set(labels)) < len(labels):
            raise ValueError(f"several targets: {labels} are not distinct")
        inputs = [column.name for column in self.columns]
        distinct = {
            "columns": [*inputs, *self.target_names],
            "dropped": [*inputs, *(column.name for column in self.dropped)],
            "ids": [*inputs, *self.ids],
            "missing_words": self.missing_words,
        }
        for field, names in distinct.items():
            name, count = Counter(names).most_common(1)[0] if names else ("", 0)
            if count > 1:
                raise ValueError(f"{field} names {quoted(name)} twice")

    def written(self, how: Any) -> "Schema":
        """Return the schema for a table whose text is written in another way.

        `how` are `ReadOptions`, whose `decimal` and `date_format` say so.
        """
        patterns = patterns_of(how.date_format)

        def rewritten(part):
            text = getattr(part, "text", None)
            if isinstance(text, NumberText) and how.decimal:
                return replace(part, text=replace(text, decimal=how.decimal))
            if isinstance(text, DateText) and part.name in patterns:
                return replace(part, text=DateText(pattern=patterns[part.name]))
            if isinstance(text, DateText) and "" in patterns:
                return replace(part, text=replace(text, first=order_of(patterns[""]).first))
            return part

        return replace(
            self,
            columns=tuple(map(rewritten, self.columns)),
            target=rewritten(self.target),
            more_targets=tuple(map(rewritten, self.more_targets)),
            weight=self.weight and rewritten(self.weight),
        )

    @property
    def targets(self) -> tuple[Target, ...]:
        """The columns that are learned, in the order of the outputs of a network."""
        return (self.target, *self.more_targets)

    @property
    def target_names(self) -> list[str]:
        """The names of the columns that are learned."""
        return [*dict.fromkeys(target.name for target in self.targets)]

    @property
    def quantiles(self) -> tuple[float, ...]:
        """The level of each output of a network, if it learns several quantiles; else none."""
        return tuple(t.quantile for t in self.targets if t.quantile is not None)

    def uncrossed(self, outputs: npt.NDArray) -> npt.NDArray:
        """Return outputs (n, n_out) of a network, the quantiles of each target in their order.

        That is the rearrangement of Chernozhukov, Fernandez-Val and Galichon, Quantile and
        Probability Curves Without Crossing, Econometrica 78(3), 2010, which is never further from
        the true quantiles.
        """
        if not self.quantiles:
            return outputs
        levels = len(self.targets) // len(self.target_names)
        groups = outputs.reshape(len(outputs), len(self.target_names), levels)
        return np.sort(groups, axis=2).reshape(outputs.shape)

    def clipped(self, y: npt.NDArray) -> npt.NDArray:
        """Return scaled targets, (n,) or (n, n_targets), within their bounds if they have any."""
        targets: tuple[Any, ...] = self.targets
        if all(target.low is None for target in targets):
            return y
        low, high = zip(*map(_scaled_bounds, targets), strict=True)
        return np.clip(y, low, high) if self.more_targets else np.clip(y, low[0], high[0])

    def at_bounds(self, y: npt.NDArray) -> npt.NDArray[np.bool_]:
        """Return which of `clipped` targets (n, n_targets) may lie beyond: not rates of 0."""
        found = np.zeros(y.shape, bool)
        for place, target in enumerate(self.targets):
            if target.low is not None:
                low, high = (y.dtype.type(bound) for bound in _scaled_bounds(target))
                below = False if target.rate else y[:, place] <= low
                found[:, place] = below | (y[:, place] >= high)
        return found

    @property
    def n_outputs(self) -> int:
        """The number of outputs of a network: a probability per class, or one of each target."""
        return len(self.targets) if self.more_targets else len(self.target.classes) or 1

    @property
    def loss(self) -> str:
        """The loss that a network learns by default."""
        if self.more_targets and self.target.classes:
            return "binary_cross_entropy"
        return LOSSES[self.target.task][0]

    @property
    def n_features(self) -> int:
        """The number of features: the sum of the columns' widths."""
        return sum(column.width for column in self.columns)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the features, in order."""
        return tuple(itertools.chain(*(column.feature_names for column in self.columns)))

    def to_data(self) -> dict[str, Any]:
        """Return the schema as JSON of format 2: dicts, lists, text, numbers and flags."""
        data = _without(_LATER, json.loads(json.dumps(msgspec.to_builtins(self))))
        columns = (_without(_LATER_OF_A_COLUMN, column) for column in data["columns"])
        data["columns"] = [_FORMAT_2 | column for column in columns]
        data["target"] = _without(_LATER_OF_A_TARGET, data["target"])
        return data

    @classmethod
    def from_data(cls, data: Any) -> "Schema":
        """Return the schema that `to_data` describes; ValueError names the path of a fault."""
        fields = set(cls.__struct_fields__) - set(_LATER)
        absent = fields - set(data) if isinstance(data, dict) else ()
        if absent:
            raise ValueError(f"{', '.join(sorted(absent))}: missing - at `table`")
        if isinstance(data, dict) and isinstance(data["columns"], list):
            data = data | {"columns": [_own_fields(column) for column in data["columns"]]}
        return read_as(cls, data, "table")


def _scaled_bounds(target):
    return [(bound - target.mean) / target.scale for bound in (target.low, target.high)]


def _without(later, data):
    """Return JSON without the fields of later versions that have their defaults."""
    is_default = {name for name, value in later.items() if data.get(name, ...) == value}
    return {name: value for name, value in data.items() if name not in is_default}


def _own_fields(column):
    """Return the JSON of a column without the defaults of fields, which its kind may not have."""
    if not isinstance(column, dict):
        return column

    def is_default(name, value):
        default = _FORMAT_2.get(name, ...)
        return type(value) is type(default) and value == default

    return {name: value for name, value in column.items() if not is_default(name, value)}
