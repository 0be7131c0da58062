"""Scores of a confusion matrix: of each class, their averages, and the worst confusions."""

import numpy as np

from ..errors import ModelFileError
from ..tables.wording import counted
from .words import clean

_MOST_CLASSES = 20
_MOST_CONFUSIONS = 5


def matrix_of(confusion, classes):
    """Return a confusion matrix (n, n), actual by predicted; ModelFileError for other shapes."""
    lengths = {len(row) for row in confusion}
    if len(confusion) != len(classes) or lengths != {len(classes)}:
        raise ModelFileError(
            f"the model's confusion matrix has {len(confusion)} rows of {sorted(lengths)} numbers "
            f"for {len(classes)} classes; train it again"
        )
    return np.array(confusion, dtype=np.float64)


def most_frequent(counts):
    """Return the places of the largest counts, in their order, and those of the others."""
    counts = np.asarray(counts)
    if len(counts) <= _MOST_CLASSES:
        return np.arange(len(counts)), np.arange(0)
    order = np.argsort(-counts, kind="stable")
    return np.sort(order[:_MOST_CLASSES]), np.sort(order[_MOST_CLASSES:])


def class_scores(matrix, classes):
    """Return rows (name, precision, recall, f1, support): of the most frequent classes, averages.

    With hits the rows predicted rightly: precision = hits / predicted rows, recall = hits /
    actual rows (the support), f1 = 2 hits / (predicted rows + actual rows); None for 0 / 0. The
    averages are of classes that are actual or predicted somewhere, and count None as 0, as
    scikit-learn's classification_report does.
    """
    hits = matrix.diagonal()
    predicted = matrix.sum(axis=0)
    support = matrix.sum(axis=1)
    # (n, 3): precision, recall, f1
    both = predicted + support
    table = np.stack([_ratio(hits, predicted), _ratio(hits, support), _ratio(2 * hits, both)], 1)
    kept, rest = most_frequent(support)
    known = [[None if np.isnan(x) else float(x) for x in row] for row in table]
    scores = [(clean(classes[n]), *known[n], float(support[n])) for n in kept]
    total = float(support.sum())
    zeroed = np.nan_to_num(table[both > 0])
    weighted = support[both > 0] @ zeroed / (total or 1)
    averages = [
        ("mean of classes", *zeroed.mean(axis=0).tolist(), total),
        ("weighted by rows", *weighted.tolist(), total),
    ]
    return {"scores": scores, "averages": averages, "left_out": len(rest)}


def _ratio(part, of):
    return np.where(of > 0, part / np.where(of > 0, of, 1), np.nan)


def confusions(matrix, classes):
    """Return a confusion matrix for the page: the most frequent classes, the others summed.

    A row is (name, cells, sum). A cell has its count, its share of the row and its kind: "hit",
    "miss", or, of both, "mixed". `worst` are confusions (actual, predicted, rows).
    """
    kept, rest = most_frequent(matrix.sum(axis=1))
    groups = [[n] for n in kept] + ([rest] if len(rest) else [])
    names = [clean(classes[n]) for n in kept] + [counted(len(rest), "other")] * bool(len(rest))
    shown = np.array([[matrix[np.ix_(i, j)].sum() for j in groups] for i in groups])
    rows = []
    for i, row in enumerate(shown):
        total = float(row.sum())
        cells = [
            {"count": float(n), "share": float(n / (total or 1)), "kind": _kind(i, j, len(kept))}
            for j, n in enumerate(row)
        ]
        rows.append((names[i], cells, total))
    return {
        "names": names,
        "rows": rows,
        "others": len(rest),
        "others_right": float(matrix.diagonal()[rest].sum()),
        "worst": _worst(matrix, classes),
    }


def _kind(actual, predicted, kept):
    if actual != predicted:
        return "miss"
    return "hit" if actual < kept else "mixed"


def _worst(matrix, classes):
    wrong = matrix - np.diag(matrix.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_CONFUSIONS]
    places = [divmod(int(place), len(classes)) for place in order]
    return [
        (clean(classes[i]), clean(classes[j]), float(wrong[i, j])) for i, j in places if wrong[i, j]
    ]
