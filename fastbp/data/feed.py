"""From arrays, a source or an iterator to the feed of `fit`, or the parts of `partial_fit`."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..quoted import quoted
from .ahead import END, LATE, Ahead, TooLate
from .arriving import Arriving
from .samples import Samples, samples
from .source import Source, as_block, joined, read_block, windows_of
from .spool import spooled
from .weights import Allowed
from .windows import MustEnd, Streamed, Whole

if TYPE_CHECKING:
    from ..engine.engine import Engine

# seconds to read an iterator without a word
_PATIENCE = 10.0
_log = logging.getLogger("fastbp")


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
    engine: Engine,
    X: Any,
    y: Any,
    sample_weight: Any,
    order: tuple[int, bool, int],
    epochs: int,
    steps: int | None,
    must_end: MustEnd,
    allowed: Allowed,
) -> Whole | Streamed | Arriving:
    """Return the feed of a training: `Whole` for arrays, `Streamed` or `Arriving` for the others.

    `order` is the batch size, whether to shuffle, and the seed; `steps` those of an epoch of an
    iterator; `allowed` what is no error. It raises TypeError or ValueError if the data are invalid,
    or do not match the network, and TooLate if ``must_end()`` while an iterator is read.
    """
    plan = engine.plan
    loss = engine.loss
    streams = is_stream(X, y, sample_weight)
    if steps is not None and (isinstance(X, Source) or not streams):
        raise ValueError(
            f"steps_per_epoch={quoted(steps)}: expected None, for an epoch is a pass over all "
            "rows of X; it is for iterators and loaders of blocks (X, y)"
        )
    if not streams:
        return Whole(samples(X, y, plan, loss, sample_weight, allowed=allowed), *order)

    in_parts = replace(allowed, zeros=True)

    def check(X: Any, y: Any, weight: Any) -> Samples:
        return samples(X, y, plan, loss, weight, allowed=in_parts)

    if steps is not None:
        return Arriving(X, check, *order, steps, must_end)
    source = X if isinstance(X, Source) else spooled(_until(X, must_end))
    n_in = plan.specs[0].n_in
    if source.columns != n_in:
        raise ValueError(f"X has {source.columns} columns but the network has {n_in} inputs")
    return Streamed(source.for_epochs(epochs), check, plan.dtype, *order)


def _until(blocks: Iterable[Any], must_end: MustEnd) -> Iterator[Any]:
    """Yield blocks; raise TooLate if it must end before they do, and say so where it takes long."""
    remark = "X has not ended; give steps_per_epoch= to train on it as it arrives"
    patience = time.perf_counter() + _PATIENCE
    ahead, number = Ahead(blocks, early=False), 0
    with closing(ahead):
        while (block := ahead.take(must_end)) is not END:
            if block is LATE:
                raise TooLate(remark)
            if time.perf_counter() > patience:
                patience = math.inf
                _log.warning("after %d blocks: %s", number, remark)
            yield block
            number += 1


def parts_of(
    X: Any, y: Any = None, sample_weight: Any = None, must_end: MustEnd | None = None
) -> Iterator[tuple[Any, Any, Any] | None]:
    """Yield the parts of a stream in order, as ``(X, y, sample_weight)``; arrays are one part.

    The parts of a source are its windows, which join consecutive blocks; the parts of an
    iterator are its blocks. A thread reads one part ahead; None stands for all parts that come
    after ``must_end()``. It raises TypeError or ValueError if a block is invalid, or there is none.
    """
    if not is_stream(X, y, sample_weight):
        yield X, y, sample_weight
        return
    parts: Iterator[Any] = _windows(X) if isinstance(X, Source) else map(as_block, X)
    with closing(Ahead(parts)) as ahead:
        part = ahead.take(must_end)
        if part is END:
            raise ValueError("X has no blocks: expected at least one")
        while part is not END:
            yield None if part is LATE else part
            part = END if part is LATE else ahead.take(must_end)


def _windows(source):
    for group in windows_of(source, range(len(source.blocks)), source.window_rows):
        columns = zip(*(read_block(source, block) for block in group), strict=True)
        yield tuple(map(joined, columns))
