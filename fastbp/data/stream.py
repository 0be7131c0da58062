"""The parts of a stream, for training on one after the other while the next is read."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .feed import is_stream
from .source import Source, as_block, joined, read_block, windows_of

_END: Any = object()


def parts_of(X: Any, y: Any = None, sample_weight: Any = None) -> Iterator[tuple[Any, Any, Any]]:
    """Yield the parts of a stream in order, as ``(X, y, sample_weight)``; arrays are one part.

    The parts of a source are its windows, which join consecutive blocks; the parts of an
    iterator are its blocks. A thread reads one part ahead.

    Raises
    ------
    TypeError, ValueError
        If a block is invalid, or there is none.
    """
    if not is_stream(X, y, sample_weight):
        yield X, y, sample_weight
        return
    parts: Iterator[Any] = _windows(X) if isinstance(X, Source) else map(as_block, X)
    reader = ThreadPoolExecutor(1, "fastbp-reader")
    try:
        part = reader.submit(next, parts, _END).result()
        if part is _END:
            raise ValueError("X has no blocks: expected at least one")
        while part is not _END:
            coming = reader.submit(next, parts, _END)
            yield part
            part = coming.result()
    finally:
        # a caller that stops early does not wait for the read in progress
        reader.shutdown(wait=False, cancel_futures=True)


def _windows(source):
    for group in windows_of(source, range(len(source.blocks)), source.window_rows):
        columns = zip(*(read_block(source, block) for block in group), strict=True)
        yield tuple(map(joined, columns))
