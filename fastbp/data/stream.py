"""The parts of a stream for a caller who trains on one after the other: one is read ahead."""

from concurrent.futures import ThreadPoolExecutor

from .feed import is_stream
from .source import Source, as_block, joined, read_block, windows_of

_END = object()


def parts_of(X, y=None, sample_weight=None):
    """Yield ``(X, y, sample_weight)`` of each part of a stream, in order; of arrays, they.

    The parts of a source are its windows, blocks that follow one another; those of an iterator
    are the blocks that it gives. A thread reads one part ahead.

    Raises
    ------
    TypeError, ValueError
        If a block is not of this form, or there is none.
    """
    if not is_stream(X, y, sample_weight):
        yield X, y, sample_weight
        return
    parts = _windows(X) if isinstance(X, Source) else map(as_block, X)
    reader = ThreadPoolExecutor(1, "fastbp-reader")
    try:
        part = reader.submit(next, parts, _END).result()
        if part is _END:
            raise ValueError("X holds no block: expected at least one")
        while part is not _END:
            coming = reader.submit(next, parts, _END)
            yield part
            part = coming.result()
    finally:
        # whoever ends early does not wait for a read that is under way
        reader.shutdown(wait=False, cancel_futures=True)


def _windows(source):
    for group in windows_of(source, range(len(source.blocks)), source.window_rows):
        columns = zip(*(read_block(source, block) for block in group), strict=True)
        yield tuple(map(joined, columns))
