"""The history and the record in a model file, checked before anything shows them."""

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from ...json_data import Amount, Count, Finite, Positive, read_as

Numbers = list[Finite | None]


class _Data(Struct):
    name: str
    rows: Count
    train: Count | None = None
    valid: Count | None = None
    no_target: Count | None = None
    digest: str | None = None


class _Histogram(Struct):
    edges: Numbers = []
    counts: Numbers = []


class _Residuals(Struct):
    actual: Numbers | None = None
    predicted: Numbers | None = None
    histogram: _Histogram | None = None
    mean: Finite | None = None
    std: Finite | None = None

    def __post_init__(self):
        if len(self.actual or ()) != len(self.predicted or ()):
            raise ValueError("actual and predicted differ in length")
        bars = self.histogram or _Histogram()
        if len(bars.edges) != len(bars.counts) + bool(bars.counts):
            raise ValueError("a histogram has one edge more than it has counts")


class _Folds(Struct):
    by: str
    asked: Count
    scores: list[dict[str, Finite | None]]
    stopped: str | None = None

    def __post_init__(self):
        for each in self.scores:
            _check_rows(each)


class _Member(Struct):
    number: Count
    seed: Count
    epochs: Count
    seconds: Finite
    stopped: str | None
    best_epoch: Count | None
    metrics: dict[str, Finite | None]
    history: dict[str, Numbers]

    def __post_init__(self):
        _check_rows(self.metrics)
        _check_lengths(self.history, self.best_epoch)


class _Tried(Struct):
    options: dict[str, Any]
    loss: Finite | None
    epochs: Count
    seconds: Finite
    error: str | None


class _Shard(Struct):
    number: Count
    count: Count
    given: dict[str, Any]


class _Search(Struct):
    asked: Count
    by: str
    chosen: Count
    stopped: str | None
    tried: list[_Tried]
    shard: _Shard | UnsetType = UNSET

    def __post_init__(self):
        if self.shard:
            number, count = self.shard.number, self.shard.count
            is_one = 1 <= number <= count <= self.asked
            if not is_one or len(self.tried) != (self.asked - number) // count + 1:
                raise ValueError(f"shard={number}/{count}: it has other options")
        if self.chosen >= len(self.tried):
            raise ValueError(f"chosen={self.chosen} of {len(self.tried)} that were tried")


class _LeftOut(Struct):
    number: Count
    seed: Count
    why: str


class _Ensemble(Struct):
    by: str
    members: list[_Member]
    left_out: list[_LeftOut]


class _Record(Struct):
    """The entries that commands and reports read; all may be absent, and others be there."""

    fastbp: str | None = None
    versions: dict[str, str] = {}
    data: _Data | UnsetType = UNSET
    options: dict = {}
    batch_size: Count | None = None
    seconds: Finite | None = None
    threads: Count | None = None
    peak: Finite | None = None
    stopped: str | None = None
    best_epoch: Count | None = None
    temperature: Positive | list[Positive] | None = None
    metrics: dict[str, dict[str, Finite | None]] | None = None
    folds: _Folds | None = None
    search: _Search | None = None
    ensemble: _Ensemble | None = None
    confusion: list[list[Amount]] | None = None
    residuals: _Residuals | None = None

    def __post_init__(self):
        if self.data and (self.seconds is None or self.stopped is None):
            raise ValueError("data need seconds and stopped beside them")
        for scores in (self.metrics or {}).values():
            _check_rows(scores)


def _check_rows(scores):
    rows = scores.get("rows", -1)
    if scores and not (rows is not None and rows >= 0 and rows.is_integer()):
        raise ValueError("scores need the number of their rows")


def _check_lengths(lists, best_epoch=None):
    lengths = {len(values) for values in lists.values()}
    if len(lengths) > 1:
        raise ValueError("the lists of the history differ in length")
    if best_epoch is not None and lengths and best_epoch >= max(lengths):
        raise ValueError(f"best_epoch={best_epoch}: expected less than {max(lengths)}")


def check_history(history: object) -> None:
    """Check that a history holds lists of numbers or None by name, of one length."""
    _check_lengths(read_as(dict[str, Numbers], history, "history"))


def check_record(
    record: object, history: dict[str, Numbers], classes: Sequence[str], networks: int
) -> None:
    """Check the known entries of a record beside its checked history; it may hold others."""
    known = read_as(_Record, record, "record")
    _check_lengths(history, known.best_epoch)
    if known.ensemble and len(known.ensemble.members) != networks:
        raise ValueError(f"ensemble: {len(known.ensemble.members)} members, {networks} networks")
    if known.confusion and {len(classes)} != {len(known.confusion), *map(len, known.confusion)}:
        raise ValueError(f"confusion: expected {len(classes)} rows of {len(classes)} numbers")
