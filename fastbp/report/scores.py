"""Scores of a confusion matrix: of each class, their averages, and the worst confusions."""

from dataclasses import dataclass

import numpy as np

from ..errors import ModelFileError
from ..tables.wording import counted
from .words import clean

MOST_CLASSES = 20
_MOST_CONFUSIONS = 5


@dataclass(frozen=True)
class ClassScore:
    """Scores of one class, or of an average; None where 0 is divided by 0.

    With hits the rows predicted rightly: precision = hits / predicted rows, recall = hits /
    actual rows (the support), f1 = 2 hits / (predicted rows + actual rows).
    """

    name: str
    support: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Cell:
    """A number of rows, its share of their actual class, and "hit", "miss" or, of both, "mixed"."""

    count: int
    share: float
    kind: str


@dataclass(frozen=True)
class Confusions:
    """A confusion matrix, made ready to show.

    Attributes
    ----------
    names : tuple of str
        The classes shown; the last is "others" where many were put together.
    rows : tuple of (str, tuple of Cell, int)
        For each actual class its name, a cell for each predicted class, and its sum.
    others : int
        How many classes were put together.
    others_right : int
        Rows among them that were predicted rightly.
    worst : tuple of (str, str, int)
        The most frequent confusions: actual, predicted, rows.
    """

    names: tuple
    rows: tuple
    others: int
    others_right: int
    worst: tuple


def matrix_of(confusion, classes):
    """Return a confusion matrix (n, n), actual by predicted, as integers.

    Raises
    ------
    ModelFileError
        If it does not fit the classes.
    """
    rows = list(confusion)
    shape = {len(row) for row in rows}
    if len(rows) != len(classes) or shape != {len(classes)}:
        raise ModelFileError(
            f"the model's confusion matrix has {len(rows)} rows of {sorted(shape)} numbers "
            f"for {len(classes)} classes; train it again"
        )
    return np.array(rows, dtype=np.int64)


def most_frequent(counts, most=MOST_CLASSES):
    """Return the places of the largest counts, in their order, and those of the others."""
    counts = np.asarray(counts)
    if len(counts) <= most:
        return np.arange(len(counts)), np.arange(0)
    order = np.argsort(-counts, kind="stable")
    return np.sort(order[:most]), np.sort(order[most:])


def class_scores(matrix, classes):
    """Return a list of the scores of each class, and one of their averages.

    The averages are of classes that are actual or predicted somewhere, and count an undefined
    score as 0, as scikit-learn's classification_report does.
    """
    hits, predicted, support = matrix.diagonal(), matrix.sum(axis=0), matrix.sum(axis=1)
    # (n, 3): precision, recall, f1
    table = np.stack(
        [_ratio(hits, predicted), _ratio(hits, support), _ratio(2 * hits, predicted + support)],
        axis=1,
    )
    scores = [
        ClassScore(
            clean(label), int(rows), *(None if np.isnan(value) else float(value) for value in line)
        )
        for label, rows, line in zip(classes, support, table, strict=True)
    ]
    occurs, total = predicted + support > 0, int(support.sum())
    zeroed = np.nan_to_num(table[occurs])
    weighted = support[occurs] @ zeroed / max(total, 1)
    return scores, [
        ClassScore("mean of classes", total, *zeroed.mean(axis=0).tolist()),
        ClassScore("weighted by rows", total, *weighted.tolist()),
    ]


def _ratio(part, of):
    return np.where(of > 0, part / np.maximum(of, 1), np.nan)


def confusions(matrix, classes):
    """Return the `Confusions` of a matrix: the most frequent classes, the rest summed."""
    kept, rest = most_frequent(matrix.sum(axis=1))
    names = [clean(classes[n]) for n in kept]
    shown = matrix[np.ix_(kept, kept)]
    if len(rest):
        names.append(f"{counted(len(rest), 'other')}")
        shown = np.block(
            [
                [shown, matrix[np.ix_(kept, rest)].sum(axis=1, keepdims=True)],
                [
                    matrix[np.ix_(rest, kept)].sum(axis=0, keepdims=True),
                    matrix[np.ix_(rest, rest)].sum(keepdims=True),
                ],
            ]
        )
    sums = shown.sum(axis=1)
    rows = tuple(
        (
            names[i],
            tuple(
                Cell(int(count), float(count / max(sums[i], 1)), _kind(i, j, len(kept)))
                for j, count in enumerate(row)
            ),
            int(sums[i]),
        )
        for i, row in enumerate(shown)
    )
    right = int(matrix.diagonal()[rest].sum())
    return Confusions(tuple(names), rows, len(rest), right, _worst(matrix, classes))


def _kind(actual, predicted, kept):
    if actual != predicted:
        return "miss"
    return "hit" if actual < kept else "mixed"


def _worst(matrix, classes):
    wrong = matrix - np.diag(matrix.diagonal())
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_CONFUSIONS]
    places = [divmod(int(place), len(classes)) for place in order]
    return tuple(
        (clean(classes[i]), clean(classes[j]), int(wrong[i, j])) for i, j in places if wrong[i, j]
    )
