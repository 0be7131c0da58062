"""What a model knows of its table: fitted columns, the target, what was dropped; all of it data."""

from dataclasses import asdict, dataclass

from ...checks import a_text, one_of
from ...kernels.support.scalars import a_flag, a_number, a_whole_number

# seconds of the phases of a date: a mean Gregorian year, a week, and a day where clocks vary
PERIODS = {"year": 31_556_952, "week": 604_800, "day": 86_400}
# standardised numbers and dates are clipped to this, so that float32 and a net stay finite
LARGEST = 1e6


@dataclass(frozen=True)
class Column:
    """One input column, fitted.

    A column gives `width` features, computed in float64: with t in seconds since the epoch,

    - number: (x - mean) / scale, within `LARGEST`; missing: 0
    - boolean: 1 or 0; missing: 0.5
    - category: one feature for each of `categories`, and one for all others if `other`
    - date: (t - mean) / scale, within `LARGEST`, then sin and cos of 2 pi t / P for the
      periods P of `PERIODS`, of a day only if `clock`; missing: all 0

    and, last, if `missing`: 1 where the value is missing, else 0.

    Attributes
    ----------
    name : str
        Its name in the table.
    kind : str
        "number", "boolean", "category" or "date".
    missing : bool
        Whether training rows had missing values.
    mean, scale : float
        Of training rows: numbers, or dates in seconds since 1970-01-01 UTC.
    categories : tuple of str
        Sorted; the most frequent ones in training rows.
    other : bool
        Whether training rows had categories beside `categories`.
    clock : bool
        Whether the time of day varies.
    """

    name: str
    kind: str
    missing: bool
    mean: float = 0.0
    scale: float = 1.0
    categories: tuple[str, ...] = ()
    other: bool = False
    clock: bool = False

    def __post_init__(self):
        """Check every field.

        Raises
        ------
        TypeError, ValueError
            If one is not what the class says.
        """
        a_text("column", self.name)
        one_of("kind", self.kind, ("number", "boolean", "category", "date"))
        a_flag("missing", self.missing)
        a_number("mean", self.mean)
        a_number("scale", self.scale, above=0)
        _texts("categories", self.categories)
        a_flag("other", self.other)
        a_flag("clock", self.clock)
        if self.kind != "category" and (self.categories or self.other):
            raise ValueError(f"column {self.name!r} is a {self.kind} but has categories")
        if list(self.categories) != sorted(self.categories):
            raise ValueError(f"column {self.name!r} has categories that are not sorted")
        if self.width == 0:
            raise ValueError(f"column {self.name!r} is a category without categories")

    @property
    def width(self):
        """The number of its features."""
        return len(self.feature_names)

    @property
    def feature_names(self):
        """The names of its features, in order."""
        name = self.name
        if self.kind == "category":
            names = [f"{name}={category}" for category in self.categories]
            names += [f"{name} is another"] * self.other
        elif self.kind == "date":
            names = [name]
            for period in self.periods:
                names += [f"{name} sin({period})", f"{name} cos({period})"]
        else:
            names = [name]
        return (*names, *[f"{name} is missing"] * self.missing)

    @property
    def periods(self):
        """The names of a date's periods, keys of `PERIODS`; none for other kinds."""
        if self.kind != "date":
            return ()
        return tuple(period for period in PERIODS if period != "day" or self.clock)


@dataclass(frozen=True)
class Target:
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
        The training rows of each class.
    mean, scale : float
        Regression: the net learns (y - mean) / scale.
    """

    name: str
    task: str
    kind: str
    classes: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    mean: float = 0.0
    scale: float = 1.0

    def __post_init__(self):
        """Check every field.

        Raises
        ------
        TypeError, ValueError
            If one is not what the class says.
        """
        a_text("target", self.name)
        one_of("task", self.task, ("classification", "regression"))
        classifies = self.task == "classification"
        one_of("kind", self.kind, ("text", "integer", "boolean") if classifies else ("number",))
        _texts("classes", self.classes)
        _tuple("counts", self.counts)
        for count in self.counts:
            a_whole_number("counts", count, least=0)
        a_number("mean", self.mean)
        a_number("scale", self.scale, above=0)
        if classifies and len(self.classes) < 2:
            raise ValueError(f"classes={self.classes!r}: expected at least two")
        if len(self.counts) != len(self.classes) or (self.classes and not classifies):
            raise ValueError(
                f"target {self.name!r}, a {self.task}, has {len(self.classes)} classes "
                f"and {len(self.counts)} counts"
            )
        if self.kind == "integer":
            _whole_texts(self.classes)
        if self.kind == "boolean" and self.classes != ("false", "true"):
            raise ValueError(f"classes={self.classes!r}: booleans have ('false', 'true')")


@dataclass(frozen=True)
class Dropped:
    """A column that is no input, and why."""

    name: str
    reason: str

    def __post_init__(self):
        """Check both; raise TypeError where one is no text."""
        a_text("dropped column", self.name)
        a_text("reason", self.reason)


@dataclass(frozen=True)
class Schema:
    """All that predicting needs to know of the table that was learned from.

    Attributes
    ----------
    columns : tuple of Column
        The inputs, in the order of their features.
    target : Target
        What is learned.
    dropped : tuple of Dropped
        Columns that are not inputs.
    ids : tuple of str
        Columns that are kept beside predictions; none of them is an input.
    missing_words : tuple of str
        What text counts as missing.
    """

    columns: tuple[Column, ...]
    target: Target
    dropped: tuple[Dropped, ...] = ()
    ids: tuple[str, ...] = ()
    missing_words: tuple[str, ...] = ()

    def __post_init__(self):
        """Check that names are used once.

        Raises
        ------
        TypeError, ValueError
            If a field is not what the class says, or a column has two parts to play.
        """
        _tuple("columns", self.columns)
        _tuple("dropped", self.dropped)
        _texts("ids", self.ids)
        _texts("missing_words", self.missing_words)
        if not self.columns:
            raise ValueError("columns is empty: expected at least one input column")
        inputs = [column.name for column in self.columns]
        _texts("columns", (*inputs, self.target.name))
        _texts("dropped", (*inputs, *[column.name for column in self.dropped]))
        _texts("ids", (*inputs, *self.ids))

    @property
    def n_features(self):
        """The number of features: the sum of the columns' widths."""
        return sum(column.width for column in self.columns)

    @property
    def feature_names(self):
        """The names of the features, in order."""
        return tuple(name for column in self.columns for name in column.feature_names)

    def to_data(self):
        """Return it as dicts, lists, text, numbers and flags: what JSON holds."""
        return _listed(asdict(self))

    @classmethod
    def from_data(cls, data):
        """Return the schema that `to_data` describes.

        Raises
        ------
        TypeError, ValueError, KeyError
            If `data` does not describe one.
        """
        data = dict(data)
        columns = tuple(_record(Column, column) for column in _a_list(data.pop("columns")))
        target = _record(Target, data.pop("target"))
        dropped = tuple(_record(Dropped, column) for column in _a_list(data.pop("dropped")))
        ids, words = (tuple(_a_list(data.pop(name))) for name in ("ids", "missing_words"))
        if data:
            raise ValueError(f"unknown parts of a schema: {', '.join(map(str, data))}")
        return cls(columns, target, dropped, ids, words)


def _record(kind, data):
    if not isinstance(data, dict):
        raise TypeError(f"{data!r} does not describe a {kind.__name__}")
    return kind(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    )


def _listed(value):
    if isinstance(value, dict):
        return {name: _listed(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_listed(item) for item in value]
    return value


def _a_list(value):
    if not isinstance(value, list):
        raise TypeError(f"{value!r}: expected a list")
    return value


def _tuple(name, value):
    if not isinstance(value, tuple):
        raise TypeError(f"{name}={value!r}: expected a tuple")


def _texts(name, values):
    _tuple(name, values)
    for value in values:
        a_text(name, value)
    if len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise ValueError(f"{name} names {twice!r} twice")


def _whole_texts(classes):
    numbers = [int(text) for text in classes]
    if numbers != sorted(set(numbers)) or [str(number) for number in numbers] != list(classes):
        raise ValueError(f"classes={classes!r}: expected whole numbers in ascending order")
