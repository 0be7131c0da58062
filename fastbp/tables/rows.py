"""The rows of a table, encoded: in memory if they fit, else in a scratch file."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import Spool
from ..errors import DataError
from ..machine import free_memory


class Budget:
    """Decides where encoded rows are kept.

    Parameters
    ----------
    schema : Schema
        Says how long a row is.
    dtype : numpy.dtype
        Of its features.
    rows : int
        How many there are.
    memory : int or None
        Bytes that they may take; default: half of what is free.
    streamed : bool, optional
        What was decided when the training began, which holds.

    Attributes
    ----------
    bytes_a_row, bytes : int
        What a row takes, and all of them.
    streamed : bool
        Whether they are kept in a file.
    """

    def __init__(self, schema, dtype, rows, memory, streamed=None):
        self.dtype, self.columns, self.rows = np.dtype(dtype), schema.n_features, rows
        self.bytes_a_row = schema.n_features * self.dtype.itemsize + 8
        self.bytes = rows * self.bytes_a_row
        if streamed is None:
            free = free_memory()
            limit = memory or (None if free is None else free // 2)
            streamed = limit is not None and self.bytes > limit
        self.streamed = bool(streamed)


@dataclass(frozen=True)
class Rows:
    """Encoded rows.

    Attributes
    ----------
    train : tuple
        What ``Network.fit`` takes: ``(X, y)``, or a source alone.
    weight : numpy.ndarray or None
        Weights of the training rows in memory.
    valid : tuple of numpy.ndarray or None
        ``(X, y)`` that were held back.
    count, no_target : int
        Training rows, and rows that were left out because their target is missing.
    digest : str
        A hash of it all.
    """

    train: tuple
    weight: np.ndarray | None
    valid: tuple | None
    count: int
    no_target: int
    digest: str


def load_rows(table, encoder, is_training, budget, class_weight):
    """Encode the rows of a table; return `Rows`.

    Parameters
    ----------
    table : Table
        What is read.
    encoder : Encoder
        How.
    is_training : numpy.ndarray or None
        (rows,) bool, which rows are trained on; None for all.
    budget : Budget
        Where they are kept.
    class_weight : {"balanced"} or None
        Whether training rows get weights by their class.

    Raises
    ------
    DataError
        If a value cannot be encoded, or no row is left.
    """
    target = encoder.schema.target
    store = _Scratch() if budget.streamed else _Memory(budget)
    held, no_target, first = [], 0, 0
    digest = hashlib.blake2b(digest_size=16)
    weights = _balanced(target) if class_weight else None
    for frame in table.batches([*encoder.columns, target.name]):
        y, kept = encoder.encode_target(frame, first)
        X, rows = encoder.encode(frame, first), slice(first, first + len(frame))
        trains = kept if is_training is None else kept & is_training[rows]
        no_target += len(frame) - int(kept.sum())
        X_train, y_train = X[trains], y[trains]
        digest.update(X_train.data)
        digest.update(y_train.data)
        store.add(X_train, y_train, None if weights is None else weights[y_train])
        if is_training is not None:
            validates = kept & ~is_training[rows]
            held.append((X[validates], y[validates]))
        first += len(frame)
    valid = tuple(map(np.concatenate, zip(*held, strict=True))) if held else None
    if valid is not None:
        digest.update(valid[0].data)
        digest.update(valid[1].data)
        valid = valid if len(valid[0]) else None
    if not store.count and valid is None:
        raise DataError(f"{table.name} has no row with a value of {target.name!r}: give some")
    train, weight = store.end() if store.count else ((), None)
    return Rows(train, weight, valid, store.count, no_target, digest.hexdigest())


def _balanced(target):
    """Return a weight for each class: the mean count over its count, 0 where there is none."""
    counts = np.array(target.counts, float)
    return np.divide(counts.mean(), counts, where=counts > 0, out=np.zeros_like(counts))


class _Memory:
    """Rows in arrays that are as large as all of them."""

    def __init__(self, budget):
        self._budget, self.count = budget, 0
        self._arrays: Any = None

    def add(self, X, y, weight):
        parts = [X, y, weight]
        if self._arrays is None:
            rows = self._budget.rows
            self._arrays = [
                None if part is None else np.empty((rows, *part.shape[1:]), part.dtype)
                for part in parts
            ]
        for array, part in zip(self._arrays, parts, strict=True):
            if array is not None:
                array[self.count : self.count + len(part)] = part
        self.count += len(X)

    def end(self):
        X, y, weight = (None if a is None else a[: self.count] for a in self._arrays)
        return (X, y), weight


class _Scratch:
    """Rows in a scratch file."""

    def __init__(self):
        self._spool = Spool()

    @property
    def count(self):
        return self._spool.rows

    def add(self, X, y, weight):
        self._spool.append(X, y, weight)

    def end(self):
        return (self._spool.source(),), None
