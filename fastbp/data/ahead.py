"""Reading ahead: a thread reads the next block of an iterator while one is trained on."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Any

from ..kernels.tuning import SLICE_SECONDS

# what `Ahead.take` returns at the end, and where the caller must end before the next item is there
END: Any = object()
LATE: Any = object()


class TooLate(Exception):
    """Training must end while its data are still read."""


class Ahead:
    """The items of an iterable, which a thread reads one ahead of the caller.

    If `early` is False it reads an item when it is asked for: arrays that the iterable uses again
    stay what they are meanwhile.
    """

    def __init__(self, items: Iterable[Any], early: bool = True) -> None:
        self._early = early
        self._asked: SimpleQueue[Future[Any] | None] = SimpleQueue()
        self._coming: Future[Any] | None = None
        # a daemon: a process ends though an iterator never yields
        arguments = (iter(items), self._asked)
        threading.Thread(None, _serve, "fastbp-reader", arguments, daemon=True).start()
        self._end = weakref.finalize(self, self._asked.put, None)

    def take(self, must_end: Callable[[], bool] | None = None) -> Any:
        """Return the next item, and begin to read the one after it, if `early`.

        That is `END` behind the last one, and `LATE` if ``must_end()`` before it is there. It
        raises what reading the item raised.
        """
        self._coming = coming = self._coming or self._read()
        while not wait([coming], SLICE_SECONDS).done:
            if must_end and must_end():
                return LATE
        item = coming.result()
        if item is not END:
            if must_end and must_end():
                return LATE
            self._coming = self._read() if self._early else None
        return item

    def is_reading(self) -> bool:
        """Return whether the thread is reading."""
        return self._coming is not None and not self._coming.done()

    def close(self) -> None:
        """Stop reading, after the item in progress, for which nothing waits."""
        self._end()

    def _read(self) -> Future[Any]:
        future: Future[Any] = Future()
        self._asked.put(future)
        return future


def _serve(items: Iterator[Any], asked: SimpleQueue[Future[Any] | None]) -> None:
    """Read an item for each future, until None is asked for."""
    while (future := asked.get()) is not None:
        _fulfil(future, items)
        del future  # it would keep what was read until the next is asked for


def _fulfil(future: Future[Any], items: Iterator[Any]) -> None:
    try:
        future.set_result(next(items, END))
    except BaseException as error:  # raised where the item is taken
        future.set_exception(error)
