"""Samples that are trained on as they arrive: an epoch is a number of steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np

from ..annotations import Block
from ..kernels.random import WINDOWS, fill_permutation
from .ahead import END, LATE, Ahead, TooLate
from .samples import Samples, joined_samples
from .source import as_block
from .windows import Check, Feed, MustEnd, Window


class Arriving(Feed):
    """Samples of an iterator, which may be endless; an epoch is `steps` batches.

    A window is the whole batches of the blocks that have arrived; the rows behind them begin the
    next window. Where the iterator ends, the last batch may be short, and so is the epoch. An
    iterable that is no iterator, such as a loader, begins anew where it ends.

    `check(X, y, sample_weight)` returns `Samples`. It raises ValueError if there are no blocks, and
    TooLate if ``must_end()`` before the first batch has arrived.
    """

    def __init__(
        self,
        blocks: Iterable[Block],
        check: Check,
        batch_size: int,
        shuffle: bool,
        seed: int,
        steps: int,
        must_end: MustEnd,
    ) -> None:
        self.batch = batch_size
        self._seed = seed
        self._steps = steps
        self._blocks = Ahead(_checked(_endlessly(blocks), check))
        self._rest: Samples | None = None
        with ExitStack() as failed:
            failed.callback(self._blocks.close)
            if not self._has_batch(must_end):
                raise TooLate("no batch of X has arrived yet")
            if self._rest is None:
                raise ValueError("the data have no blocks: expected at least one row")
            failed.pop_all()
        self.rows = steps * batch_size
        self.head = self._rest.head(batch_size)
        self.order = np.arange(len(self.head)) if shuffle else None
        self.key = {"batch_size": batch_size, "shuffle": shuffle, "steps_per_epoch": steps}

    def skip(self, epochs: int) -> None:
        """Read past the samples of so many epochs."""
        for _ in range(epochs):
            for _ in self.windows(0, self._steps):
                pass

    def windows(
        self, epoch: int, done: int = 0, more: bool = False, must_end: MustEnd | None = None
    ) -> Iterator[Window]:
        """Yield the windows as they arrive; see `Feed`."""
        first = rows = 0
        while first < self._steps:
            if not self._has_batch(must_end):
                return
            if self._rest is None:  # the data have ended
                self.rows = rows
                return
            batches = min(max(1, len(self._rest) // self.batch), self._steps - first)
            data, self._rest = self._rest.parted(batches * self.batch)
            if first + batches > done:
                yield Window(data, self._order_of(data, epoch, first), first)
            first += batches
            rows += len(data)

    def is_reading(self) -> bool:
        """Return whether the thread is reading."""
        return self._blocks.is_reading()

    def close(self) -> None:
        """Stop reading, after the block in progress."""
        super().close()
        self._blocks.close()

    def _has_batch(self, must_end):
        """Read blocks until there is a batch, or they end; return False if it must end before."""
        while self._rest is None or len(self._rest) < self.batch:
            block = self._blocks.take(must_end)
            if block is LATE:
                return False
            if block is END:
                break
            self._rest = block if self._rest is None else joined_samples(self._rest, block)
        return True

    def _order_of(self, data, epoch, first):
        if self.order is None:
            return None
        order = np.arange(len(data))
        fill_permutation.serial(self._seed, WINDOWS, epoch * self._steps + first, order)
        return order


def _endlessly(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield blocks; those of an iterable that can be read again, again and again."""
    if isinstance(blocks, Iterator):
        yield from blocks
        return
    is_empty = False
    while not is_empty:
        is_empty = True
        for block in blocks:
            is_empty = False
            yield block


def _checked(blocks: Iterable[Any], check: Check) -> Iterator[Samples]:
    """Yield the samples of blocks, copied: a generator may use its arrays again."""
    for number, block in enumerate(blocks):
        try:
            samples = check(*as_block(block))
        except (TypeError, ValueError) as error:
            raise type(error)(f"block {number} of X: {error}") from error
        yield samples.take(np.arange(len(samples)))
