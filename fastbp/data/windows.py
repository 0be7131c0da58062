"""The windows of an epoch: samples in memory, and the order in which they are trained on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeAlias
from zlib import crc32

import numpy as np

from ..annotations import Array
from ..kernels.random import BLOCKS, SHUFFLE, WINDOWS, fill_permutation
from ..kernels.tuning import SLICE_SECONDS
from ..memory import require_memory
from ..quoted import quoted
from .samples import Samples
from .source import Source, joined, read_block, windows_of

Check: TypeAlias = Callable[..., Samples]
DType: TypeAlias = np.dtype[Any]
MustEnd: TypeAlias = Callable[[], bool]


@dataclass(frozen=True)
class Window:
    """Samples that are in memory together."""

    data: Samples  # those of a stream are valid until the next window is requested
    order: Array | None  # (n,) int64, the order of training; None: the order of the data
    first: int  # number of the window's first batch within the epoch

    @property
    def rows(self) -> int:
        """Number of samples in the order."""
        return len(self.data) if self.order is None else len(self.order)

    @property
    def weight(self) -> float:
        """Sum of the weights of its samples."""
        return self.data.total_weight

    def batches(self, batch: int) -> int:
        """Return its number of batches of so many rows."""
        return -(-self.rows // batch)

    def rows_of(self, number: int, batch: int) -> slice:
        """Return where the rows of its batch of a number lie in the order."""
        return slice(number * batch, (number + 1) * batch)


class Feed(ABC):
    """The samples of a training, window by window."""

    rows: int  # samples per epoch
    batch: int  # samples per step
    head: Samples  # some of the samples, to compile with
    order: Array | None  # an order like that of the windows, to compile with
    key: dict[str, Any]  # all that determines the order besides seed and epoch
    _closed = False

    def batches(self, epoch: int) -> int:
        """Return the number of batches in an epoch."""
        return -(-self.rows // self.batch)

    @abstractmethod
    def windows(
        self, epoch: int, done: int = 0, more: bool = False, must_end: MustEnd | None = None
    ) -> Iterator[Window]:
        """Yield the windows of an epoch that contain batches from number `done` on.

        If `more` epochs follow, the first window of the next is read during the last window.
        Waiting for a window ends early when ``must_end()`` returns True.
        """

    def skip(self, epochs: int) -> None:
        """Read past the samples of so many epochs, where an epoch cannot be read by its number."""
        return

    def is_reading(self) -> bool:
        """Return whether a thread is reading."""
        return False

    def close(self) -> None:
        """Stop reading, after the block in progress."""
        self._closed = True


class Whole(Feed):
    """Samples in memory: an epoch is one window."""

    def __init__(self, data: Samples, batch_size: int, shuffle: bool, seed: int) -> None:
        self.head = data
        self.rows = len(data)
        self.batch = min(batch_size, self.rows)
        self.order = np.arange(self.rows) if shuffle else None
        self.key = {"rows": self.rows, "batch_size": batch_size, "shuffle": shuffle}
        self._seed = seed

    def windows(
        self, epoch: int, done: int = 0, more: bool = False, must_end: MustEnd | None = None
    ) -> Iterator[Window]:
        """Yield the one window of an epoch."""
        if self.order is not None:
            fill_permutation.serial(self._seed, SHUFFLE, epoch, self.order)
        yield Window(self.head, self.order, 0)


class Streamed(Feed):
    """Samples of a source: while one window is trained on, a thread reads the next.

    `check(X, y, sample_weight)` returns `Samples`; `dtype` is that of X in memory.
    """

    def __init__(
        self, source: Source, check: Check, dtype: DType, batch_size: int, shuffle: bool, seed: int
    ) -> None:
        self._source = source
        self._check = check
        self._shuffle = shuffle
        self._seed = seed
        self.rows = len(source)
        self.batch = min(batch_size, self.rows)
        self._window_rows = max(source.window_rows, self.batch)
        longest = int(np.argmax(source.blocks))
        head = self._checked(longest, read_block(source, longest))
        self.head = head.take(np.arange(min(len(head), self.batch)))  # frees the other rows
        self.order = np.arange(len(self.head)) if shuffle else None
        self.key = {
            "rows": self.rows,
            "batch_size": batch_size,
            "shuffle": shuffle,
            "window_rows": source.window_rows,
            "blocks": f"{len(source.blocks)}, {crc32(np.array(source.blocks, '<i8').data):08x}",
        }
        # X of the current window and of the next, allocated once
        most = min(max(self._window_rows, *source.blocks), self.rows)
        needed = 2 * most * source.columns * np.dtype(dtype).itemsize
        require_memory(needed, f"two windows of {most:,} rows", "a smaller window_rows takes less")
        self._buffers = [np.empty((most, source.columns), dtype) for _ in range(2)]
        self._reader = ThreadPoolExecutor(1, "fastbp-reader")
        self._coming: dict[tuple[int, int], Future[Window | None]] = {}

    def batches(self, epoch: int) -> int:
        """Return the number of batches; the last batch of each window may be short."""
        return sum(map(self._batches_of, self._groups(epoch)))

    def windows(
        self, epoch: int, done: int = 0, more: bool = False, must_end: MustEnd | None = None
    ) -> Iterator[Window]:
        """Yield the windows; see `Feed`."""
        todo = []
        first = 0
        for number, group in enumerate(self._groups(epoch)):
            count = self._batches_of(group)
            if first + count > done:
                todo.append((epoch, number, group, first))
            first += count
        after = [(epoch + 1, 0, self._groups(epoch + 1)[0], 0)] if more else []
        for one, following in zip(todo, [*todo[1:], *after, None], strict=False):
            coming = self._submit(*one)
            while not wait([coming], SLICE_SECONDS).done:
                if must_end and must_end():
                    return
            del self._coming[one[:2]]
            if following:
                self._submit(*following)
            window = coming.result()
            if window is not None:
                yield window

    def is_reading(self) -> bool:
        """Return whether the thread is reading."""
        return not all(read.done() for read in self._coming.values())

    def close(self) -> None:
        """Stop reading, after the block in progress."""
        super().close()
        self._reader.shutdown(wait=False, cancel_futures=True)

    def _submit(self, epoch, number, group, first):
        """Return the future window of a group of blocks; submit it unless that was done before."""
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
        """Return the window of a group of blocks; None after `close`."""
        data = self._gathered(buffer, group)
        if data is None:
            return None
        order = None
        if self._shuffle:
            order = np.arange(len(data))
            epoch, number = place
            key = epoch * len(self._source.blocks) + number
            fill_permutation.serial(self._seed, WINDOWS, key, order)
        return Window(data, order, first)

    def _gathered(self, buffer, group):
        """Return the samples of a group of blocks, with X in a buffer; None after `close`."""
        X = buffer[: self._rows_of(group)]
        others = []
        place = 0
        for block in group:
            if self._closed:
                return None
            part, *rest = read_block(self._source, block)
            with np.errstate(over="ignore"):  # the check reports it
                X[place : place + len(part)] = part
            others.append(rest)
            place += len(part)
        y, weight = (joined(column) for column in zip(*others, strict=True))
        try:
            return self._check(X, y, weight)
        except (TypeError, ValueError):
            for block in group:  # the error of a single block names it
                self._checked(block, read_block(self._source, block))
            raise

    def _checked(self, block, arrays):
        """Return the samples of one block; errors name the block."""
        try:
            return self._check(*arrays)
        except (TypeError, ValueError) as error:
            begin = sum(self._source.blocks[:block])
            raise type(error)(
                f"block {block} of {quoted(self._source)}, which starts at row {begin}: {error}"
            ) from error
