"""All that a model knows of its table: fitted columns, the target, the dropped columns."""

import itertools
import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from ...json_data import Count, Finite, Positive, read_as
from .kinds import AnyColumn

# what model files of format 2 hold for a column of any kind, in this order
_FORMAT_2: dict[str, Any] = {
    "name": None,
    "kind": None,
    "missing": None,
    "mean": 0.0,
    "scale": 1.0,
    "categories": [],
    "other": False,
    "clock": False,
}

Task: TypeAlias = Literal["classification", "regression"]


class Target(Struct, frozen=True, forbid_unknown_fields=True):
    """The column that is learned.

    Attributes
    ----------
    name : str
        Its name in the table.
    task : str
        "classification" or "regression".
    kind : str
        How classes are written back: "text", "integer" or "boolean"; "number" for regression.
    classes : tuple of str
        As text: sorted, integers by their value, booleans as ("false", "true").
    counts : tuple of int
        The number of training rows of each class.
    mean, scale : float
        Regression: the network learns (y - mean) / scale.
    """

    name: str
    task: Task
    kind: Literal["text", "integer", "boolean", "number"]
    classes: tuple[str, ...] = ()
    counts: tuple[Count, ...] = ()
    mean: Finite = 0.0
    scale: Positive = 1.0

    def __post_init__(self) -> None:
        classes, classifies = self.classes, self.task == "classification"
        if classifies == (self.kind == "number"):
            raise ValueError(f"kind={self.kind!r}: not one of a {self.task}")
        if len(set(classes)) < len(classes):
            raise ValueError(f"classes={classes!r}: one is there twice")
        if classifies != (len(classes) > 1) or len(self.counts) != len(classes):
            raise ValueError(
                f"a {self.task} of {len(classes)} classes and {len(self.counts)} counts"
            )
        if self.kind == "integer":
            numbers = sorted({int(text) for text in classes})
            if list(classes) != [str(number) for number in numbers]:
                raise ValueError(f"classes={classes!r}: expected ascending whole numbers")
        if self.kind == "boolean" and classes != ("false", "true"):
            raise ValueError(f"classes={classes!r}: booleans have ('false', 'true')")


class Dropped(Struct, frozen=True, forbid_unknown_fields=True):
    """A column that is no input, and why."""

    name: str
    reason: str


class Schema(Struct, frozen=True, forbid_unknown_fields=True):
    """All that predicting needs to know of the table that was learned from.

    Attributes
    ----------
    columns : tuple of Column
        The inputs, in the order of their features.
    target : Target
        The column that is learned.
    dropped : tuple of Dropped
        Columns that are not inputs.
    ids : tuple of str
        Columns that are kept beside predictions; none of them is an input.
    missing_words : tuple of str
        The text that counts as missing.
    """

    columns: Annotated[tuple[AnyColumn, ...], Meta(min_length=1)]
    target: Target
    dropped: tuple[Dropped, ...] = ()
    ids: tuple[str, ...] = ()
    missing_words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        inputs = [column.name for column in self.columns]
        _check_distinct("columns", [*inputs, self.target.name])
        _check_distinct("dropped", [*inputs, *(column.name for column in self.dropped)])
        _check_distinct("ids", [*inputs, *self.ids])
        _check_distinct("missing_words", self.missing_words)

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
        data = json.loads(json.dumps(msgspec.to_builtins(self)))
        return data | {"columns": [_FORMAT_2 | column for column in data["columns"]]}

    @classmethod
    def from_data(cls, data: Any) -> "Schema":
        """Return the schema that `to_data` describes.

        Raises
        ------
        ValueError
            If `data` does not describe one; the message names the path within it.
        """
        absent = set(cls.__struct_fields__) - set(data) if isinstance(data, dict) else ()
        if absent:
            raise ValueError(f"{', '.join(sorted(absent))}: missing - at `table`")
        if isinstance(data, dict) and isinstance(data["columns"], list):
            data = data | {"columns": [_own_fields(column) for column in data["columns"]]}
        return read_as(cls, data, "table")


def _own_fields(column):
    """Return the JSON of a column without the defaults of fields, which its kind may not have."""
    if not isinstance(column, dict):
        return column

    def is_default(name, value):
        default = _FORMAT_2.get(name, ...)
        return type(value) is type(default) and value == default

    return {name: value for name, value in column.items() if not is_default(name, value)}


def _check_distinct(field: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{field} names {name!r} twice")
        seen.add(name)
