"""Which rows of a table train and which validate: at random, by group, or by time."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..kernels.random import permutation
from ..quoted import quoted

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Split:
    """The rows that train and those that validate, (rows,) bool each; others are left out."""

    trains: Mask
    validates: Mask


@dataclass(frozen=True)
class Keys:
    """What keeps rows on one side: of each row its group, (n,) int64, or its time, (n,) float64.

    Both are None where rows are split at random. `name` is the column. A time is NaN where it is
    missing.
    """

    name: str = ""
    groups: npt.NDArray | None = None
    times: npt.NDArray | None = None


def hold_out(
    among: Mask,
    count: int,
    seed: int,
    keys: Keys,
    table_name: str,
    labels: npt.NDArray[np.int64] | None = None,
) -> Split:
    """Split the rows `among` all: about `count` validate, and the others train.

    At random they are `count`. If there are labels (rows,) of classes, -1 where a row has none,
    each class has its share of these, and a row that trains. Groups are drawn at random, and none
    is in both parts. By time, all that validate are later than all that train; rows without a time
    train.

    Raises
    ------
    DataError
        If no row, group or time is left to train on.
    """
    if not count:
        return Split(among, np.zeros_like(among))
    rows = np.flatnonzero(among)
    where = f"{table_name} has {len(rows):,} rows, and {count:,} are held back to validate on"
    if count >= len(rows):
        raise DataError(f"{where}: give more rows, or valid_share=0")
    if keys.groups is not None:
        held = _groups_of(keys.groups[rows], count, seed)
        lacking = "group"
    elif keys.times is not None:
        held = _last_of(keys.times[rows], count)
        lacking = "time"
    else:
        order = permutation(len(rows), seed)
        held = np.zeros(len(rows), bool)
        held[order[:count] if labels is None else _of_each_class(order, labels[rows], count)] = True
    if not held.any():
        raise DataError(f"{where}, but column {quoted(keys.name)} has only one {lacking}")
    validates = np.zeros_like(among)
    validates[rows[held]] = True
    return Split(among & ~validates, validates)


def folds_of_rows(
    rows: int,
    count: int,
    seed: int,
    labels: npt.NDArray | None = None,
    groups: npt.NDArray | None = None,
) -> npt.NDArray[np.int64]:
    """Return the fold (rows,) of each row, from 0 to ``count - 1``, drawn at random.

    Folds differ by one row at most, and by one row of each class if there are labels (rows,). With
    groups (rows,) no group is in two: the largest goes first, each to the fold of fewest rows.
    """
    found = np.empty(rows, np.int64)
    if groups is None:
        order = permutation(rows, seed)
        if labels is not None:
            order = order[np.argsort(labels[order], kind="stable")]
        found[order] = np.arange(rows) % count
        return found
    _, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = permutation(len(sizes), seed)
    of_group, filled = np.empty(len(sizes), np.int64), np.zeros(count, np.int64)
    for group in order[np.argsort(-sizes[order], kind="stable")]:
        of_group[group] = fold = filled.argmin()
        filled[fold] += sizes[group]
    return of_group[place]


def _of_each_class(order, labels, count):
    """Return `count` rows of those in an order, of each class its share, the first of the order.

    A class keeps one row, so that there may be fewer. The shares are rounded by the largest
    remainders. Where every class has one row, they are the first of all.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    exact = count * sizes / len(labels)
    shares = exact.astype(np.intp)
    shares[np.argsort(shares - exact, kind="stable")[: count - shares.sum()]] += 1
    shares = np.minimum(shares, sizes - (classes >= 0))
    drawn = [
        order[labels[order] == label][:share] for label, share in zip(classes, shares, strict=True)
    ]
    return np.concatenate(drawn) if shares.any() else order[:count]


def _groups_of(groups, count, seed):
    """Return which rows are of the groups that validate: drawn ones, that have about `count` rows.

    A group that would bring their number further from `count` is passed over. There is at least
    one, the smallest if all are passed over, and one is left.
    """
    _, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    total = 0
    drawn: list[int] = []
    for group in permutation(len(sizes), seed).tolist():
        size = int(sizes[group])
        if len(drawn) < len(sizes) - 1 and abs(total + size - count) < abs(total - count):
            drawn.append(group)
            total += size
    if not drawn and len(sizes) > 1:
        drawn.append(int(sizes.argmin()))
    return np.isin(place, drawn)


def _last_of(times, count):
    """Return which rows are later than the others, about `count` of them, none at the same time."""
    known = np.sort(times[~np.isnan(times)])[::-1]
    changes = np.flatnonzero(known[1:] < known[:-1]) + 1
    number = _nearest(changes, count)
    return times > known[changes[number - 1]] if number else np.zeros(len(times), bool)


def _nearest(sizes, count):
    """Return how many of ascending `sizes` to take, at least one, so that the last is near."""
    return int(np.argmin(np.abs(sizes - count))) + 1 if len(sizes) else 0
