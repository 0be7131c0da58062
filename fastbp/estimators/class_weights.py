"""The weights of samples by their class: scikit-learn's `class_weight`."""

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import compute_class_weight

from ..kernels.support.scalars import a_number
from ..quoted import quoted

_BITS = np.array([0, 1])


def weigh_classes(class_weight, y, classes, sample_weight):
    """Return the weights (n,) of samples, by those of their classes and `sample_weight`.

    `y` holds labels (n,) of `classes`, or an indicator matrix, of which each column has a dict of
    weights of 0 and 1; the weights of its columns are multiplied. "balanced" weights are inversely
    proportional to the sums of `sample_weight`, so that a weight counts as repeated rows do.
    """
    y = y.toarray() if issparse(y) else y
    weight = np.ones(len(y)) if sample_weight is None else sample_weight
    if y.ndim == 1:
        return weight * _of_labels(class_weight, y, classes, weight)
    outputs = y.shape[1]
    if isinstance(class_weight, dict):
        raise ValueError(
            "For multi-output, class_weight should be a list of dicts, or the string 'balanced'."
        )
    if isinstance(class_weight, list) and len(class_weight) != outputs:
        raise ValueError(
            "For multi-output, number of elements in class_weight should match number of outputs. "
            f"Got {len(class_weight)} element(s) while having {outputs} outputs."
        )
    each = [class_weight] * outputs if isinstance(class_weight, str) else class_weight
    factors = [
        _of_labels(one, column, _BITS, weight) for one, column in zip(each, y.T, strict=True)
    ]
    return weight * np.prod(factors, axis=0)


def _of_labels(class_weight, y, classes, weight):
    """Return the factor (n,) of each sample, the weight of its class."""
    places = np.searchsorted(classes, y)
    if isinstance(class_weight, str):
        return _balanced(np.bincount(places, weight, minlength=len(classes)))[places]
    if not isinstance(class_weight, dict):
        raise ValueError(
            f"class_weight={quoted(class_weight)}: expected a dict of weights by class, or "
            "'balanced'; a list of dicts belongs to multilabel targets"
        )
    for label, value in class_weight.items():
        a_number(f"class_weight[{quoted(label)}]", value, low=0)
    # by all classes, whether this batch has them or not
    return compute_class_weight(class_weight, classes=classes, y=y)[places]


def _balanced(sums):
    """Return the weights of classes in inverse proportion to their sums of sample weights."""
    present = sums > 0
    balanced = np.ones_like(sums)
    np.divide(sums.sum(), present.sum() * sums, out=balanced, where=present)
    return balanced
