"""Threads that last as long as a block, and so does what they train."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from ..training.interrupt import Stop
from ..training.stopped import Stopped


@contextmanager
def threads_of(
    count: int, name: str, stop: Stop, begin: Callable[[], object] | None = None
) -> Iterator[ThreadPoolExecutor]:
    """Yield so many threads, each of which calls `begin` first.

    When the block ends, by an error too, `stop` ends what they train at the next slice, and what
    has not begun does not begin.
    """
    with ThreadPoolExecutor(count, name, begin) as pool:
        try:
            yield pool
        finally:
            stop.now(Stopped.INTERRUPTED)
            pool.shutdown(wait=False, cancel_futures=True)
