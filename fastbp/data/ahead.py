"""Reading ahead: a thread reads the next block of an iterator while one is trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from ..kernels.tuning import SLICE_SECONDS

# what `Ahead.take` returns at the end, and where the caller must end before the next item is there
END: Any = object()
LATE: Any = object()


class TooLate(Exception):
    """Training must end while its data are still read."""


class Ahead:
    """The items of an iterable, which a thread reads one ahead of the caller."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = iter(items)
        self._reader = ThreadPoolExecutor(1, "fastbp-reader")
        self._coming: Future[Any] | None = None

    def take(self, must_end: Callable[[], bool] | None = None) -> Any:
        """Return the next item, and begin to read the one after it.

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
            self._coming = self._read()
        return item

    def is_reading(self) -> bool:
        """Return whether the thread is reading."""
        return self._coming is not None and not self._coming.done()

    def close(self) -> None:
        """Stop reading, after the item in progress, which nobody waits for."""
        self._reader.shutdown(wait=False, cancel_futures=True)

    def _read(self) -> Future[Any]:
        return self._reader.submit(next, self._items, END)
