"""The windows of an epoch: samples in memory with the order in which they are trained on."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..kernels.random import BLOCKS, SHUFFLE, WINDOWS, fill_permutation
from ..samples import Samples


@dataclass(frozen=True)
class Window:
    """Samples that are in memory together.

    Attributes
    ----------
    data : Samples
        They.
    order : numpy.ndarray or None
        (n,) int64: in what order; None for that of the data.
    first : int
        How many batches of the epoch come before.
    """

    data: Samples
    order: np.ndarray | None
    first: int


class Whole:
    """Samples in memory: an epoch is one window.

    Attributes
    ----------
    rows, batch : int
        Samples, and samples a step.
    head : Samples
        Some of them, to compile with.
    key : dict
        What the order depends on beside the seed and the epoch.
    """

    def __init__(self, data, batch_size, shuffle, seed):
        self.head, self.rows, self.batch = data, len(data), min(batch_size, len(data))
        self._seed, self._order = seed, np.arange(len(data)) if shuffle else None
        self.key = {"rows": self.rows, "batch_size": batch_size, "shuffle": shuffle}

    @property
    def order(self):
        """An order as windows have it, to compile with."""
        return self._order

    def batches(self, epoch):
        """Return how many batches an epoch has."""
        return -(-self.rows // self.batch)

    def windows(self, epoch, done=0):
        """Yield the windows of an epoch that hold batches from number `done` on."""
        if self._order is not None:
            fill_permutation.serial(self._seed, SHUFFLE, epoch, self._order)
        yield Window(self.head, self._order, 0)


class Streamed:
    """Samples of a `Source`: the next window is read while one is trained on.

    Parameters
    ----------
    source : Source
        Where they are read from.
    check : callable
        ``check(X, y, sample_weight) -> Samples``.
    dtype : numpy.dtype
        Of X in memory.
    batch_size, shuffle, seed
        As for `Whole`.
    """

    def __init__(self, source, check: Callable, dtype, batch_size, shuffle, seed):
        self._source, self._check, self._dtype = source, check, dtype
        self._shuffle, self._seed = shuffle, seed
        self.rows = len(source)
        self.batch = min(batch_size, self.rows)
        self._window_rows = max(source.window_rows, self.batch)
        self.head = check(*source.read(int(np.argmax(source.blocks))))
        self.key = {
            "rows": self.rows,
            "batch_size": batch_size,
            "shuffle": shuffle,
            "window_rows": source.window_rows,
            "blocks": len(source.blocks),
        }

    @property
    def order(self):
        """An order as windows have it, to compile with."""
        return np.arange(len(self.head)) if self._shuffle else None

    def batches(self, epoch):
        """Return how many batches an epoch has: each window's last may be short."""
        return sum(self._batches_of(group) for group in self._groups(epoch))

    def windows(self, epoch, done=0):
        """Yield the windows of an epoch that hold batches from number `done` on."""
        todo, first = [], 0
        for number, group in enumerate(self._groups(epoch)):
            count = self._batches_of(group)
            if first + count > done:
                todo.append((number, group, first))
            first += count
        reader = ThreadPoolExecutor(1, "fastbp-reader")
        try:
            coming = reader.submit(self._read, epoch, *todo[0])
            for place in range(len(todo)):
                window = coming.result()
                if place + 1 < len(todo):
                    coming = reader.submit(self._read, epoch, *todo[place + 1])
                yield window
        finally:
            # whoever ends an epoch early does not wait for a read that is under way
            reader.shutdown(wait=False, cancel_futures=True)

    def _groups(self, epoch):
        """Return the blocks of each window."""
        blocks = np.arange(len(self._source.blocks))
        if self._shuffle:
            fill_permutation.serial(self._seed, BLOCKS, epoch, blocks)
        groups: list[list[int]] = [[]]
        rows = 0
        for block in blocks.tolist():
            count = self._source.blocks[block]
            if groups[-1] and rows + count > self._window_rows:
                groups.append([])
                rows = 0
            groups[-1].append(block)
            rows += count
        return groups

    def _batches_of(self, group):
        return -(-sum(self._source.blocks[block] for block in group) // self.batch)

    def _read(self, epoch, number, group, first):
        """Return the window of a group of blocks."""
        rows = sum(self._source.blocks[block] for block in group)
        X, others, place = np.empty((rows, self._source.columns), self._dtype), [], 0
        for block in group:
            part, *rest = self._source.read(block)
            count = self._source.blocks[block]
            if len(part) != count:
                raise ValueError(
                    f"block {block} of {self._source!r} has {len(part)} rows, expected {count}: "
                    "the data changed while they were read"
                )
            with np.errstate(over="ignore"):  # the check says so in better words
                X[place : place + count] = part
            others.append(rest)
            place += count
        y, weight = (
            None if column[0] is None else np.concatenate(column)
            for column in zip(*others, strict=True)
        )
        order = None
        if self._shuffle:
            order, place = np.arange(rows), epoch * len(self._source.blocks) + number
            fill_permutation.serial(self._seed, WINDOWS, place, order)
        return Window(self._check(X, y, weight), order, first)
