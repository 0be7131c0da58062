"""From the data of `fit`, arrays, a source or an iterator, to the feed that training reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .samples import Samples, samples
from .source import Source
from .spool import spooled
from .windows import Streamed, Whole

if TYPE_CHECKING:
    from ..engine.plan import Plan


def is_stream(X: Any, y: Any, sample_weight: Any) -> bool:
    """Return whether `X` is a stream of blocks that include the targets.

    Streams are sources and iterators, and, without `y`, all iterables that are not arrays, such
    as a list of blocks or a loader.

    Raises
    ------
    TypeError
        If there are no targets, or a stream and separate targets or weights.
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
    X: Any,
    y: Any,
    sample_weight: Any,
    plan: Plan,
    loss: str,
    batch_size: int,
    shuffle: bool,
    seed: int,
    epochs: int,
) -> Whole | Streamed:
    """Return the feed of a training: `Whole` for arrays, `Streamed` for everything else.

    Raises
    ------
    TypeError, ValueError
        If the data are invalid, or do not match the network.
    """
    if not is_stream(X, y, sample_weight):
        return Whole(samples(X, y, plan, loss, sample_weight), batch_size, shuffle, seed)
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

    return Streamed(source, check, plan.dtype, batch_size, shuffle, seed)
