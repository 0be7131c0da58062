"""What `fit` is given, arrays, a source or an iterator, as the feed that training reads."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from .samples import samples
from .source import Source
from .spool import spooled
from .windows import Streamed, Whole


def is_stream(X, y, sample_weight):
    """Return whether `X` brings its targets along, block by block.

    A source or an iterator does; and whatever else can be iterated, such as a list of blocks
    or a loader, where it is no array and there is no `y`.

    Raises
    ------
    TypeError
        If there are none, or they come twice.
    """
    is_array = hasattr(X, "__array__") or hasattr(X, "shape") or not isinstance(X, Iterable)
    has_blocks = isinstance(X, (Source, Iterator)) or not (is_array or y is not None)
    if not has_blocks:
        if y is None:
            raise TypeError("y=None: expected targets, which only a source or an iterator bring")
        return False
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise TypeError(f"{name}: a source or an iterator brings its own; expected None")
    return True


def feed_of(X, y, sample_weight, plan, loss, batch_size, shuffle, seed, epochs):
    """Return the feed of a training: `Whole` for arrays, `Streamed` for all else.

    Raises
    ------
    TypeError, ValueError
        If the data are not of this form, or not what the network expects.
    """
    if not is_stream(X, y, sample_weight):
        return Whole(samples(X, y, plan, loss, sample_weight), batch_size, shuffle, seed)
    source = X if isinstance(X, Source) else spooled(X)
    n_in = plan.specs[0].n_in
    if source.columns != n_in:
        raise ValueError(f"X has {source.columns} columns but the network has {n_in} inputs")
    source = source.for_epochs(epochs)

    def check(X, y, weight):
        if weight is None or np.any(weight):
            return samples(X, y, plan, loss, weight)
        # weights may all be 0 in one window, if they are not in another
        return replace(samples(X, y, plan, loss), weight=np.zeros(len(X), plan.dtype))

    return Streamed(source, check, plan.dtype, batch_size, shuffle, seed)
