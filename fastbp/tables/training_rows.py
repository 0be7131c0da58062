"""The rows of a table, encoded: in memory if they fit, else in a scratch file."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import Spool
from ..errors import DataError
from ..machine import free_memory
from .wording import bytes_shown


class Budget:
    """Decides where encoded rows are kept.

    Parameters
    ----------
    schema : Schema
        Says how long a row is.
    dtype : numpy.dtype
        Of its features.
    rows, held : int
        How many there are to train on, and to validate on; these are always in memory.
    memory : int or None
        Bytes that they may take; default: half of what is free.
    streamed : bool, optional
        What was decided when the training began, which holds.

    Attributes
    ----------
    bytes, held_bytes : int
        What the rows take that are trained on, and those that are validated on.
    streamed : bool
        Whether the former are kept in a file.

    Raises
    ------
    MemoryError
        If the rows to validate on take more than they may.
    """

    def __init__(self, schema, dtype, rows, held, memory, streamed=None):
        self.rows, self.held = rows, held
        a_row = schema.n_features * np.dtype(dtype).itemsize + 8
        self.bytes, self.held_bytes = rows * a_row, held * a_row
        free = free_memory()
        limit = memory or (np.inf if free is None else free // 2)
        if self.held_bytes > limit:
            raise MemoryError(
                f"the {held:,} rows to validate on take {bytes_shown(self.held_bytes)}, and "
                f"encoded rows may take {bytes_shown(limit)}: give fewer of them, or more memory"
            )
        if streamed is None:
            streamed = self.bytes + self.held_bytes > limit
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
    store = _Scratch() if budget.streamed else _Memory(budget.rows)
    held, no_target, first = _Memory(budget.held), 0, 0
    digest = hashlib.blake2b(digest_size=16)
    weights = _balanced(target) if class_weight else None
    for X, y, kept in encoder.encoded(table):
        rows = slice(first, first + len(kept))
        trains = kept if is_training is None else kept & is_training[rows]
        no_target += len(kept) - int(kept.sum())
        X_train, y_train = X[trains], y[trains]
        digest.update(X_train.data)
        digest.update(y_train.data)
        store.add(X_train, y_train, None if weights is None else weights[y_train])
        if is_training is not None:
            validates = kept & ~is_training[rows]
            held.add(X[validates], y[validates])
        first += len(kept)
    if not store.count and not held.count:
        raise DataError(f"{table.name} has no row with a value of {target.name!r}: give some")
    valid = _valid_of(held, digest)
    train, weight = store.end() if store.count else ((), None)
    return Rows(train, weight, valid, store.count, no_target, digest.hexdigest())


def load_valid(table, encoder, rows):
    """Encode a table of `rows` rows to validate on; return ``(X, y)`` and a hash of them.

    Raises
    ------
    DataError
        If a value cannot be encoded, or no row has a target.
    """
    held, digest = _Memory(rows), hashlib.blake2b(digest_size=16)
    for X, y, kept in encoder.encoded(table):
        held.add(X[kept], y[kept])
    if not held.count:
        name = encoder.schema.target.name
        raise DataError(f"{table.name} has no row with a value of {name!r}: give some")
    return _valid_of(held, digest), digest.hexdigest()


def _valid_of(held, digest):
    """Return ``(X, y)`` of the rows that are held, None if there are none; update the hash."""
    if not held.count:
        return None
    (X, y), _ = held.end()
    digest.update(X.data)
    digest.update(y.data)
    return X, y


def _balanced(target):
    """Return a weight for each class: the mean count over its count, 0 where there is none."""
    counts = np.array(target.counts, float)
    return np.divide(counts.mean(), counts, where=counts > 0, out=np.zeros_like(counts))


class _Memory:
    """Rows in arrays that are as large as all of them."""

    def __init__(self, rows):
        self._rows, self.count = rows, 0
        self._arrays: Any = None

    def add(self, X, y, weight=None):
        parts = [X, y, weight]
        if self._arrays is None:
            self._arrays = [
                None if part is None else np.empty((self._rows, *part.shape[1:]), part.dtype)
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
