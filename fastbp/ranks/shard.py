"""The rows that one rank holds of a table: which of them are in a batch of the whole table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..annotations import Array
from ..data.feed import is_stream
from ..data.samples import Samples, samples
from ..data.windows import Feed, MustEnd, Window
from ..engine.engine import Engine
from ..kernels.random import SHUFFLE, fill_permutation


@dataclass(frozen=True)
class ShardWindow(Window):
    """The rows of this rank in an epoch, in the order of the whole table's batches."""

    starts: list[int]  # of each batch, the first position in the order; and the end of the last
    places: Array  # of each row of the order, its place in its batch
    scales: list[float]  # of each batch, 1 / sum of its weights, those of all ranks; 0 for 0
    whole_weight: float  # of all rows of all ranks

    @property
    def weight(self) -> float:
        """Sum of the weights of the samples of all ranks."""
        return self.whole_weight

    def batches(self, batch: int) -> int:
        """Return the number of batches."""
        return len(self.scales)

    def rows_of(self, number: int, batch: int) -> slice:
        """Return where this rank's rows of a batch lie in the order; it may have none."""
        return slice(self.starts[number], self.starts[number + 1])


class Shard(Feed):
    """The samples of a rank: each batch is of the whole table, in the order that one process has.

    The `data` are the rows from number `first` on of `rows` in all, whose `weights` are (rows,)
    float64, or None.
    """

    def __init__(
        self,
        data: Samples,
        first: int,
        rows: int,
        weights: Array | None,
        batch_size: int,
        shuffle: bool,
        seed: int,
    ) -> None:
        self.rows = rows
        self.head = data
        self._whole_batch = min(batch_size, self.rows)
        self.batch = min(batch_size, len(data))  # the most rows of a step that are of this rank
        self.order = np.arange(len(data))
        self.key = {"rows": self.rows, "batch_size": batch_size, "shuffle": shuffle}
        self._first = first
        self._shuffle, self._seed = shuffle, seed
        self._permutation = np.arange(self.rows)
        self._weights = weights
        self._weight = float(self.rows if self._weights is None else self._weights.sum())

    def batches(self, epoch: int) -> int:
        """Return the number of batches in an epoch."""
        return -(-self.rows // self._whole_batch)

    def windows(
        self, epoch: int, done: int = 0, more: bool = False, must_end: MustEnd | None = None
    ) -> Iterator[Window]:
        """Yield the one window of an epoch."""
        if self._shuffle:
            fill_permutation.serial(self._seed, SHUFFLE, epoch, self._permutation)
        rows = self._permutation - self._first
        positions = np.flatnonzero((rows >= 0) & (rows < len(self.head)))
        firsts = np.arange(0, self.rows, self._whole_batch)
        weights = np.diff(firsts, append=self.rows).astype(np.float64)
        if self._weights is not None:
            weights = np.add.reduceat(self._weights[self._permutation], firsts)
        scales = np.divide(1, weights, out=np.zeros(len(weights)), where=weights > 0)
        starts: Any = np.searchsorted(positions, [*firsts, self.rows])
        yield ShardWindow(
            self.head,
            rows[positions],
            0,
            starts.tolist(),
            positions % self._whole_batch,
            scales.tolist(),
            self._weight,
        )


def shard_samples(engine: Engine, X: Any, y: Any, weight: Any, steps: int | None) -> Samples:
    """Return the checked samples of a rank; the weights of its rows may all be 0.

    It raises TypeError or ValueError if they are invalid, or a stream.
    """
    if steps is not None or is_stream(X, y, weight):
        raise TypeError("X: a source or an iterator is for one process; with comm, expected arrays")
    plan, loss = engine.plan, engine.loss
    if weight is None or np.any(weight):
        return samples(X, y, plan, loss, weight)
    data = samples(X, y, plan, loss, np.ones_like(weight))
    return replace(data, weight=np.zeros(len(data), plan.dtype))
