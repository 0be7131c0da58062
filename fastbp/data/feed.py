"""From arrays, a source or an iterator to the feed of `fit`, or the parts of `partial_fit`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .samples import Samples, samples
from .source import Source, as_block, joined, read_block, windows_of
from .spool import spooled
from .windows import Streamed, Whole

if TYPE_CHECKING:
    from ..engine.engine import Engine

_END: Any = object()


def is_stream(X: Any, y: Any, sample_weight: Any) -> bool:
    """Return whether `X` is a stream of blocks that include the targets.

    Streams are sources and iterators, and, without `y`, all iterables that are not arrays, such
    as a list of blocks or a loader. It raises TypeError if there are no targets, or a stream and
    separate targets or weights.
    """
    is_array = hasattr(X, "__array__") or hasattr(X, "shape") or not isinstance(X, Iterable)
    has_blocks = isinstance(X, (Source, Iterator)) or not (is_array or y is not None)
    if not has_blocks:
        if y is None:
            raise TypeError("y=None: expected targets; only a source or an iterator includes them")
        return False
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise TypeError(f"{name}: a source or an iterator includes its own; expected None")
    return True


def feed_of(
    engine: Engine, X: Any, y: Any, sample_weight: Any, batch_size: int, shuffle: bool, epochs: int
) -> Whole | Streamed:
    """Return the feed of a training: `Whole` for arrays, `Streamed` for everything else.

    It raises TypeError or ValueError if the data are invalid, or do not match the network.
    """
    plan = engine.plan
    loss = engine.loss
    order = (batch_size, shuffle, engine.seed)
    if not is_stream(X, y, sample_weight):
        return Whole(samples(X, y, plan, loss, sample_weight), *order)
    source = X if isinstance(X, Source) else spooled(X)
    n_in = plan.specs[0].n_in
    if source.columns != n_in:
        raise ValueError(f"X has {source.columns} columns but the network has {n_in} inputs")
    source = source.for_epochs(epochs)

    def check(X: Any, y: Any, weight: Any) -> Samples:
        if weight is None or np.any(weight):
            return samples(X, y, plan, loss, weight)
        # the weights of one window may all be 0 if those of another are not
        return replace(samples(X, y, plan, loss), weight=np.zeros(len(X), plan.dtype))

    return Streamed(source, check, plan.dtype, *order)


def parts_of(X: Any, y: Any = None, sample_weight: Any = None) -> Iterator[tuple[Any, Any, Any]]:
    """Yield the parts of a stream in order, as ``(X, y, sample_weight)``; arrays are one part.

    The parts of a source are its windows, which join consecutive blocks; the parts of an
    iterator are its blocks. A thread reads one part ahead. It raises TypeError or ValueError if a
    block is invalid, or there is none.
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
