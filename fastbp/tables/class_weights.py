"""The weights of classes: those that were given, or those with which all count the same."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from .columns.encoding import Encoder
from .columns.schema import Target
from .read.table import Table


def weights_of(
    class_weight: str | Mapping[str, float] | None,
    table: Table,
    encoder: Encoder,
    trains: npt.NDArray[np.bool_],
) -> npt.NDArray | None:
    """Return the weights (n_classes,) of an option: None, given by name, or "balanced"."""
    if class_weight is None:
        return None
    target = encoder.schema.target
    if isinstance(class_weight, Mapping):
        return _named(class_weight, target)
    counts = np.array(target.counts, float)
    if encoder.schema.weight:
        counts = _weighted_counts(table, encoder, encoder.schema.weight, trains)
    return np.divide(counts.mean(), counts, where=counts > 0, out=np.zeros_like(counts))


def _named(weights, target: Target):
    """Return the weights of all classes: 1 for those without a name."""
    found = np.ones(len(target.classes))
    for name, weight in weights.items():
        found[target.class_named(name)] = weight
    return found


def _weighted_counts(table, encoder, weight, trains):
    """Return the sum of the weights of the training rows of each class."""
    target = encoder.schema.target
    counts = np.zeros(len(target.classes))
    first = 0
    for frame in table.frames([target.name, weight.name]):
        labels, kept = encoder.encode_target(frame, first)
        among = kept & trains[first : first + len(frame)]
        weights = encoder.weights(frame, weight, first)[among]
        counts += np.bincount(labels[among], weights, len(counts))
        first += len(frame)
    return counts
