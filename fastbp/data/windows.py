"""The windows of an epoch: samples in memory with the order in which they are trained on."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from ..kernels.random import BLOCKS, SHUFFLE, WINDOWS, fill_permutation
from .samples import Samples
from .source import joined, read_block, windows_of

_PATIENCE_SECONDS = 0.05  # as long as a slice of training


@dataclass(frozen=True)
class Window:
    """Samples that are in memory together.

    Attributes
    ----------
    data : Samples
        They; of a stream, until the next window is asked for.
    order : numpy.ndarray or None
        (n,) int64: in what order; None for that of the data.
    first : int
        How many batches of the epoch come before.
    """

    data: Samples
    order: np.ndarray | None
    first: int

    @property
    def rows(self):
        """How many samples are trained on."""
        return len(self.data) if self.order is None else len(self.order)


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

    def windows(self, epoch, done=0, more=False, must_end=None):
        """Yield the windows of an epoch that hold batches from number `done` on."""
        if self._order is not None:
            fill_permutation.serial(self._seed, SHUFFLE, epoch, self._order)
        yield Window(self.head, self._order, 0)

    def is_reading(self):
        """Return whether a thread reads at the moment."""
        return False

    def close(self):
        """Read no more: nothing is read."""


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
        self._source, self._check = source, check
        self._shuffle, self._seed = shuffle, seed
        self.rows = len(source)
        self.batch = min(batch_size, self.rows)
        self._window_rows = max(source.window_rows, self.batch)
        longest = int(np.argmax(source.blocks))
        head = self._checked(longest, read_block(source, longest))
        self.head = head.take(np.arange(min(len(head), self.batch)))  # the rest is not kept
        self.key = {
            "rows": self.rows,
            "batch_size": batch_size,
            "shuffle": shuffle,
            "window_rows": source.window_rows,
            "blocks": f"{len(source.blocks)}, {crc32(np.array(source.blocks, '<i8').data):08x}",
        }
        # X of the window that is trained on, and of the next: memory that is there already
        most = min(max(self._window_rows, *source.blocks), self.rows)
        self._buffers = [np.empty((most, source.columns), dtype) for _ in range(2)]
        self._reader = ThreadPoolExecutor(1, "fastbp-reader")
        self._coming: dict[tuple[int, int], Future[Window | None]] = {}
        self._closed = False

    @property
    def order(self):
        """An order as windows have it, to compile with."""
        return np.arange(len(self.head)) if self._shuffle else None

    def batches(self, epoch):
        """Return how many batches an epoch has: each window's last may be short."""
        return sum(map(self._batches_of, self._groups(epoch)))

    def windows(self, epoch, done=0, more=False, must_end=lambda: False):
        """Yield the windows of an epoch that hold batches from number `done` on.

        Where there are `more` epochs, the first window of the next is read during the last.
        While a window is waited for, ``must_end()`` is asked now and then whether it still is.
        """
        todo, first = [], 0
        for number, group in enumerate(self._groups(epoch)):
            count = self._batches_of(group)
            if first + count > done:
                todo.append((epoch, number, group, first))
            first += count
        after = [(epoch + 1, 0, self._groups(epoch + 1)[0], 0)] if more else []
        for one, following in zip(todo, [*todo[1:], *after, None], strict=False):
            coming = self._submit(*one)
            while not wait([coming], _PATIENCE_SECONDS).done:
                if must_end():
                    return
            del self._coming[one[:2]]
            if following:
                self._submit(*following)
            yield coming.result()

    def is_reading(self):
        """Return whether the reader reads at the moment."""
        return not all(read.done() for read in self._coming.values())

    def close(self):
        """Read no more; the process does not end before the block that is being read."""
        self._closed = True
        self._reader.shutdown(wait=False, cancel_futures=True)

    def _submit(self, epoch, number, group, first):
        """Return the future window of a group, which the reader reads unless it has done so."""
        place = epoch, number
        if place not in self._coming:
            self._buffers.reverse()
            read = self._reader.submit(self._read, self._buffers[0], place, group, first)
            self._coming[place] = read
        return self._coming[place]

    def _groups(self, epoch):
        """Return the blocks of each window."""
        blocks = np.arange(len(self._source.blocks))
        if self._shuffle:
            fill_permutation.serial(self._seed, BLOCKS, epoch, blocks)
        return windows_of(self._source, blocks.tolist(), self._window_rows)

    def _rows_of(self, group):
        return sum(self._source.blocks[block] for block in group)

    def _batches_of(self, group):
        return -(-self._rows_of(group) // self.batch)

    def _read(self, buffer, place, group, first):
        """Return the window of a group of blocks, None if nobody wants it any more."""
        data = self._gathered(buffer, group)
        if data is None:
            return None
        order = None
        if self._shuffle:
            order, (epoch, number) = np.arange(len(data)), place
            key = epoch * len(self._source.blocks) + number
            fill_permutation.serial(self._seed, WINDOWS, key, order)
        return Window(data, order, first)

    def _gathered(self, buffer, group):
        """Return the samples of a group of blocks, X in a buffer."""
        X, others, place = buffer[: self._rows_of(group)], [], 0
        for block in group:
            if self._closed:
                return None
            part, *rest = read_block(self._source, block)
            with np.errstate(over="ignore"):  # the check says so in better words
                X[place : place + len(part)] = part
            others.append(rest)
            place += len(part)
        y, weight = (joined(column) for column in zip(*others, strict=True))
        try:
            return self._check(X, y, weight)
        except (TypeError, ValueError):
            for block in group:  # the error of one of them says more
                self._checked(block, read_block(self._source, block))
            raise

    def _checked(self, block, arrays):
        """Return the samples of one block; errors name it."""
        try:
            return self._check(*arrays)
        except (TypeError, ValueError) as error:
            begin = sum(self._source.blocks[:block])
            raise type(error)(
                f"block {block} of {self._source!r}, which begins with row {begin}: {error}"
            ) from error
