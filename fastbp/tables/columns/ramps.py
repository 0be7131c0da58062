"""Ramps of a number: features that rise from 0 to 0.5 between two edges, and are flat elsewhere.

Beside the scaled number they let one layer learn a function of it that bends at each edge.

Reference: the piecewise linear encoding of Gorishniy, Rubachev and Babenko, On Embeddings for
Numerical Features in Tabular Deep Learning, NeurIPS 2022, section 3.2, with all ramps clipped.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ...quoted import quoted
from .values import Floats

# as high as the deviation of a scaled number or less, so that many ramps do not rule the network
HEIGHT = 0.5
FORMULA = f"{HEIGHT} * clip((value - A) / (B - A), 0, 1)"
# a leaf of the tree has at least these training rows, and this part of them
_FEWEST_ROWS, _PART = 8, 256
# fewer edges make one ramp, which says what the scaled number says
_FEWEST_EDGES = 3


def ramp_names(name: str, edges: Sequence[float]) -> list[str]:
    """Return the names of the features between the edges of a column."""
    return [f"{name} ramp {low!r} to {high!r}" for low, high in pairwise(edges)]


def write_ramps(values: Floats, edges: Sequence[float], features: npt.NDArray) -> None:
    """Write the ramps of values (n,) to (n, ramps): ``0.5 clip((value - a) / (b - a), 0, 1)``."""
    with np.errstate(over="ignore"):
        for place, (low, high) in enumerate(pairwise(edges)):
            x = values - low
            x /= high - low
            features[:, place] = HEIGHT * np.clip(x, 0, 1, out=x)


def check_edges(name: str, edges: Sequence[float]) -> None:
    """Raise ValueError unless there are no edges, or several that ascend by finite steps."""
    with np.errstate(over="ignore"):
        steps = np.diff(edges)
    if len(edges) == 1 or not ((steps > 0) & np.isfinite(steps)).all():
        raise ValueError(
            f"the edges of {quoted(name)} do not ascend by finite steps, or there is one"
        )


def edges_by_quantiles(values: Floats, bins: int, weights: Floats | None) -> tuple[float, ...]:
    """Return the distinct quantiles k / `bins` of values (n,), the least and the largest too.

    Each is a value: the least that, with those below it, has k / `bins` of the weights (n,), all
    above 0, or of the values. There are none if these make fewer than two ramps.
    """
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    total = np.arange(1.0, len(values) + 1) if weights is None else np.cumsum(weights[order])
    at = np.searchsorted(total, total[-1] * np.arange(bins + 1) / bins)
    return _enough(np.unique(ascending[np.minimum(at, len(values) - 1)]))


def edges_by_tree(
    values: Floats, targets: npt.NDArray, bins: int, weights: Floats | None, classes: bool
) -> tuple[float, ...]:
    """Return the least and the largest of values (n,), and the thresholds of a tree on them.

    The tree learns the targets, (n,) labels if these are `classes`, or (n,) or (n, n_targets)
    numbers, with at most `bins` leaves, each of at least 8 rows and of a 256th of all. Its
    thresholds are halfway between two values. There are no edges of two values, or if they make
    fewer than two ramps.
    """
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    # of ranks, for scikit-learn's trees round numbers to float32, and take those 1e-7 apart for
    # equal: seconds of dates, and small numbers, would be
    distinct, ranks = np.unique(values, return_inverse=True)
    if len(distinct) < _FEWEST_EDGES:
        return ()
    kind = DecisionTreeClassifier if classes else DecisionTreeRegressor
    fewest = max(_FEWEST_ROWS, len(values) // _PART)
    tree = kind(max_leaf_nodes=bins, min_samples_leaf=fewest, random_state=0)
    found = tree.fit(ranks.reshape(-1, 1), targets, weights).tree_
    below = found.threshold[found.children_left >= 0].astype(np.intp)
    halfway = distinct[below] + (distinct[below + 1] - distinct[below]) / 2
    return _enough(np.unique([distinct[0], *halfway, distinct[-1]]))


def _enough(edges):
    return tuple(edges.tolist()) if len(edges) >= _FEWEST_EDGES else ()
