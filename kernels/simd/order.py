"""Rows of the data in the order of an epoch, and their weights."""

from ..compiler.jit import inner
from .intrinsics import integers_at, pointer_at


@inner
def source_row(order, place):
    """Return the row of the data at position `place` of an order: an address, or 0 for none."""
    return place if order == 0 else integers_at(order)[place]


@inner
def sample_weight(like, weights, source):
    """Return the weight of row `source` of the data; 1 if `weights`, an address, is 0."""
    return 1.0 if weights == 0 else float(pointer_at(like, weights)[source])
