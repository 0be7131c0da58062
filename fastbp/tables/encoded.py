"""The encoded rows of a table: in memory if they fit, else in a scratch file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..data import Spool
from ..data.source import rows_of_window
from ..errors import DataError
from ..memory import bytes_shown, free_memory
from .begun import DIGEST_BYTES
from .columns.encoding import Encoder
from .columns.schema import Schema
from .read.table import Table
from .short_rows import ShortRows
from .split import Split
from .wording import listed

# a window of rows in a file takes so much, though less memory is left
_LEAST_WINDOW = 1 << 22


class Kept(Protocol):
    """How the rows of a training were kept that goes on."""

    streamed: bool
    window_rows: int | None


class Budget:
    """Decides where the training rows, `rows`, are kept: in a file if `streamed`, else in memory.

    The validation rows, `held`, are always in memory: MemoryError if they alone take more than
    `memory` bytes, by default half of what is free beside so many bytes of `networks`. `begun`
    says how rows were kept where a training is resumed. `bytes` and `held_bytes` are the sizes of
    both, and `limit` is what they may take. Of rows in a file, windows of `window_rows` are in
    memory, by default those of `Source`.
    """

    def __init__(
        self,
        schema: Schema,
        dtype: npt.DTypeLike,
        rows: int,
        held: int,
        memory: int | None = None,
        begun: Kept | None = None,
        networks: int = 0,
    ):
        self._given: Any = (schema, dtype, memory, begun, networks)
        numbers = len(schema.targets) + bool(schema.weight)
        item = np.dtype(dtype).itemsize
        bytes_per_row = ShortRows(schema).columns * item + 8 * numbers
        self.rows = rows
        self.held = held
        self.bytes = rows * bytes_per_row
        self.held_bytes = held * bytes_per_row
        free = free_memory()
        beside = np.inf if free is None else max(0, free - networks) // 2
        self.limit = limit = memory or beside
        if self.held_bytes > limit:
            raise MemoryError(
                f"the {held:,} validation rows take {bytes_shown(self.held_bytes)}, and encoded "
                f"rows may take {bytes_shown(limit)}: hold fewer back, or give more memory"
            )
        is_over = self.bytes + self.held_bytes > limit
        self.streamed = is_over if begun is None else begun.streamed
        self.window_rows = None if begun is None else begun.window_rows
        if self.streamed:  # a file holds all features
            bytes_per_row = schema.n_features * item + 8 * numbers
            self.bytes = rows * bytes_per_row
            if begun is None:
                fitting = self._window_bytes() // (bytes_per_row + 8)  # of the order too
                usual = rows_of_window(None, schema.n_features)
                self.window_rows = None if fitting >= usual else int(max(1, fitting))

    def of_rows(self, rows: int, held: int) -> Budget:
        """Return the budget of other rows."""
        schema, dtype, *others = self._given
        return Budget(schema, dtype, rows, held, *others)

    def _window_bytes(self):
        """Return what a window may take: two are in memory beside the validation rows."""
        return max(_LEAST_WINDOW, (self.limit - self.held_bytes) // 2)


@dataclass(frozen=True)
class Encoded:
    """Encoded rows: `count` to train on, `valid` to validate on, and a hash of both, `digest`.

    A source in a scratch file, `X`, has targets and weights too; rows in memory are an array or,
    of numbers with ramps, `RampRows`. `valid` is (X, y), or (X, y, weights). `no_target` rows are
    left out. `own_weight` are the weights of the training rows in memory without those of their
    classes. `sums` is a hash that any number of ranks finds, empty where none was asked for.
    """

    X: Any
    y: npt.NDArray | None
    weight: npt.NDArray | None
    valid: tuple[Any, ...] | None
    count: int
    no_target: int
    digest: str
    own_weight: npt.NDArray | None = None
    sums: str = ""

    def check_weights(self, table_name: str) -> None:
        """Raise DataError if all rows that train, or all that validate, have a weight of 0."""
        held = self.valid[2] if self.valid is not None and len(self.valid) > 2 else None
        for what, weights in (("training", self.weight), ("validation", held)):
            if weights is not None and len(weights) and not np.any(weights):
                raise DataError(
                    f"{table_name}: all {what} rows have a weight of 0: give weights above it, or "
                    "hold other rows back"
                )


class Digest:
    """Hashes the encoded rows of a table."""

    def __init__(self) -> None:
        # one for each array, so that they do not depend on where frames end
        self._hashes = [hashlib.blake2b(digest_size=DIGEST_BYTES) for _ in range(4)]

    def add(self, places: npt.NDArray[np.intp], *arrays: npt.NDArray | None) -> None:
        """Add X, y and the weights of rows that train, which have these places in the table."""
        for hashed, array in zip(self._hashes, arrays, strict=False):
            if array is not None:
                hashed.update(array.data)

    def hold(self, places: npt.NDArray[np.intp], *arrays: npt.NDArray | None) -> None:
        """Add those of rows that validate, which `end` sees again together."""

    def end(self, held: tuple[npt.NDArray, ...]) -> str:
        """Return the hash of all, with the arrays of the rows that validate."""
        for array in held:
            self._hashes[3].update(array.data)
        parts = b"".join(each.digest() for each in self._hashes)
        return hashlib.blake2b(parts, digest_size=DIGEST_BYTES).hexdigest()


def encode_table(
    table: Table,
    encoder: Encoder,
    split: Split,
    budget: Budget,
    class_weight: npt.NDArray | None = None,
    digest: Digest | None = None,
    sums: Digest | None = None,
) -> Encoded:
    """Encode the rows of a table that have a target; DataError if there are none.

    The weight of a row is that in the schema's column of weights, for training times
    the weight (n_classes,) of its class. Rows far from those that train or validate are not read
    where a `digest` hashes a share of the rows; by default it hashes all. `sums` hashes them too.
    """
    schema, weight = encoder.schema, encoder.schema.weight
    in_file = budget.streamed and bool(split.trains.any())
    short = ShortRows(schema)
    train: Any = Spool() if in_file else _Memory(budget.rows, short)
    held = _Memory(int(split.validates.sum()), short)
    own: list[npt.NDArray] = []
    among = split.trains | split.validates
    encoded = encoder.encoded(table, weight, None if digest is None else among)
    digest = digest or Digest()
    hashes = [digest] if sums is None else [digest, sums]
    no_target = 0
    for first, (X, y, kept, weights) in encoded:
        rows = slice(first, first + len(kept))
        no_target += int(among[rows][~kept].sum())
        trains = kept & split.trains[rows]
        y = schema.clipped(y)
        in_memory = short.kept(X)
        X_train, y_train = in_memory[trains], y[trains]
        weights_own = None if weights is None else weights[trains]
        weights_train = _weights(weights_own, y_train, class_weight)
        if weights_own is not None and not in_file:
            own.append(weights_own)
        for each in hashes:
            each.add(first + np.flatnonzero(trains), X_train, y_train, weights_train)
        train.append(X[trains] if in_file else X_train, y_train, weights_train)
        validates = kept & split.validates[rows]
        held_weights = None if weights is None else weights[validates]
        of_held = (in_memory[validates], y[validates], held_weights)
        for each in hashes:
            each.hold(first + np.flatnonzero(validates), *of_held)
        held.append(*of_held)
    if not train.rows and not held.rows:
        raise DataError(
            f"{table.name} has no row with a value of {listed(schema.target_names)}: give some"
        )
    told, *more = [each.end(held.arrays()) for each in hashes]
    valid = held.samples() if held.rows else None
    trained: tuple[Any, Any, Any] = (np.empty(0), None, None)
    if train.rows:
        trained = (
            (train.source(budget.window_rows), None, None)
            if in_file
            else (*train.samples(), None)[:3]
        )
    own_weight = np.concatenate(own) if own else None
    return Encoded(*trained, valid, train.rows, no_target, told, own_weight, *more)


def _weights(weights, labels, class_weight):
    """Return the weights of training rows: their own times those of their classes."""
    if class_weight is None:
        return weights
    of_class = class_weight[labels]
    return of_class if weights is None else weights * of_class


class _Memory:
    """Rows in arrays of their final size; those of a `Spool` are in a file."""

    def __init__(self, most_rows, short):
        self._most_rows = most_rows
        self._short = short
        self._arrays: Any = None
        self.rows = 0

    def append(self, X, y, weight=None):
        new = [X, y, weight]
        if not len(X):
            return
        if self._arrays is None:
            n = self._most_rows
            self._arrays = [a if a is None else np.empty((n, *a.shape[1:]), a.dtype) for a in new]
        for array, rows in zip(self._arrays, new, strict=True):
            if array is not None:
                array[self.rows : self.rows + len(rows)] = rows
        self.rows += len(X)

    def arrays(self):
        """Return what is kept of X, y, and the weights if there are some; nothing of no rows."""
        return tuple(a[: self.rows] for a in self._arrays or () if a is not None)

    def samples(self):
        """Return X as a network takes it, y, and the weights if there are some."""
        X, *others = self.arrays()
        return self._short.rows(X), *others
