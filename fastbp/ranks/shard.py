"""The rows that one rank holds of a table: which of them are in a batch of the whole table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..annotations import Array
from ..data.feed import is_stream
from ..data.samples import Samples, samples
from ..data.weights import Allowed, for_one_process
from ..data.windows import Feed, MustEnd, Window
from ..engine.engine import Engine
from ..kernels.random import SHUFFLE, fill_permutation


@dataclass(frozen=True)
class Held:
    """What a rank holds: `data` are the rows from number `first` on of the `rows` of all ranks.

    `weights` are those of all rows, (rows,) float64, or None.
    """

    data: Samples
    first: int
    rows: int
    weights: Array | None

    @property
    def whole_weight(self) -> float:
        """Sum of the weights of the rows of all ranks."""
        return float(self.rows if self.weights is None else self.weights.sum())


@dataclass(frozen=True)
class PartWindow(Window):
    """The rows of one rank in an epoch."""

    whole_weight: float  # of the rows of all ranks
    places: Array  # of each row of the order, its place in the batch of all ranks: for dropout

    @property
    def weight(self) -> float:
        """Sum of the weights of the samples of all ranks."""
        return self.whole_weight


@dataclass(frozen=True)
class ShardWindow(PartWindow):
    """The rows of this rank in an epoch, in the order of the whole table's batches."""

    starts: list[int]  # of each batch, the first position in the order; and the end of the last
    scales: list[float]  # of each batch, 1 / sum of its weights, those of all ranks; 0 for 0

    def batches(self, batch: int) -> int:
        """Return the number of batches."""
        return len(self.scales)

    def rows_of(self, number: int, batch: int) -> slice:
        """Return where this rank's rows of a batch lie in the order; it may have none."""
        return slice(self.starts[number], self.starts[number + 1])


class Shard(Feed):
    """The samples of a rank; a batch is that of one process on the rows of all ranks."""

    def __init__(self, held: Held, batch_size: int, shuffle: bool, seed: int) -> None:
        self.rows = held.rows
        self.head = held.data
        self._whole_batch = min(batch_size, self.rows)
        self.batch = min(batch_size, len(held.data))  # the most rows of a step of this rank
        self.order = np.arange(len(held.data))
        self.key = {"rows": self.rows, "batch_size": batch_size, "shuffle": shuffle}
        self._held = held
        self._shuffle, self._seed = shuffle, seed
        self._permutation = np.arange(self.rows)

    def batches(self, epoch: int) -> int:
        """Return the number of batches in an epoch."""
        return -(-self.rows // self._whole_batch)

    def windows(
        self, epoch: int, done: int = 0, more: bool = False, must_end: MustEnd | None = None
    ) -> Iterator[Window]:
        """Yield the one window of an epoch."""
        if self._shuffle:
            fill_permutation.serial(self._seed, SHUFFLE, epoch, self._permutation)
        held = self._held
        rows = self._permutation - held.first
        positions = np.flatnonzero((rows >= 0) & (rows < len(self.head)))
        firsts = np.arange(0, self.rows, self._whole_batch)
        weights = np.diff(firsts, append=self.rows).astype(np.float64)
        if held.weights is not None:
            weights = np.add.reduceat(held.weights[self._permutation], firsts)
        scales = np.divide(1, weights, out=np.zeros(len(weights)), where=weights > 0)
        starts: Any = np.searchsorted(positions, [*firsts, self.rows])
        places = positions % self._whole_batch
        parts = (held.whole_weight, places, starts.tolist(), scales.tolist())
        yield ShardWindow(self.head, rows[positions], 0, *parts)


def shard_samples(engine: Engine, X: Any, y: Any, weight: Any, options: Any) -> Samples:
    """Return the checked samples of a rank; the weights of its rows may all be 0.

    It raises TypeError or ValueError if they are invalid, or a stream, or have weights of outputs.
    """
    if options.steps_per_epoch is not None or is_stream(X, y, weight):
        raise TypeError("X: a source or an iterator is for one process; with comm, expected arrays")
    data = samples(X, y, engine.plan, engine.loss, weight, allowed=Allowed(zeros=True))
    for_one_process(data.output_weight)
    return data
