"""The members of an ensemble: the rows that each trains on, and their training."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone

from ..annotations import Array, Threads
from ..training.interrupt import Interrupt
from ..training.stopped import Stopped
from .bags import bag_of
from .fitting import fit_many
from .shared import Rows, Shared, folds_of


def bags_of(seeds: Sequence[int], count: int, weight: Array | None) -> list[Rows]:
    """Return the rows of a bag for each seed: as many as there are, drawn with replacement.

    Rows of weight 0 are as good as absent: they are not drawn, nor do they count.
    """
    rows = np.arange(count) if weight is None else np.flatnonzero(weight)
    if not rows.size:
        raise ValueError("sample_weight: all weights are zero; expected one that is not")
    return [rows[bag_of(len(rows), seed)] for seed in seeds]


def training_rows_of(cv: Any, n_members: int, X: Any, y: Array, classifies: bool) -> list[Rows]:
    """Return the rows that train, of each fold of `cv`, or else of `n_members` folds."""
    folds, name = (n_members, "n_members") if cv is None else (cv, "cv")
    return [fold.trains for fold in folds_of(folds, Shared(X, y, None), classifies, name)]


def train(
    estimator: Any,
    seeds: Sequence[int],
    samples: Sequence[Rows] | None,
    data: tuple[Any, Array, Array | None],
    n_threads: Threads,
) -> list[Any]:
    """Return a clone of an estimator for each seed, trained on its samples of X, y and weights.

    A row that is drawn several times is one row with that weight, so that early stopping holds no
    copies back of what it trains on.

    Raises
    ------
    Exception
        That of the first member whose training fails, with the member named; the others end.
    KeyboardInterrupt
        After Ctrl-C: all end at their next slice.
    """
    X, y, weight = data
    members = [{"estimator": clone(estimator).set_params(random_state=seed)} for seed in seeds]
    for member, drawn in zip(members, samples or (), strict=False):
        times = np.bincount(drawn, minlength=X.shape[0])
        member["rows"] = np.flatnonzero(times)
        if times.max() > 1:
            member["sample_weight"] = times
    results, interrupt = None, Interrupt()
    try:
        with interrupt.watching():  # a Ctrl-C here would leave members to train on
            results = fit_many(members, X, y, sample_weight=weight, n_threads=n_threads)
        if interrupt.seen:
            raise KeyboardInterrupt
        for result in results:
            if result.error is not None:
                raise _naming(result.job, result.error) from result.error
        ended = results.wait()
    finally:
        if results is not None:
            results.stop()
    if any(result.stopped is Stopped.INTERRUPTED for result in ended):
        raise KeyboardInterrupt
    return [result.estimator for result in ended]


def _naming(number, error):
    """Return an error, of the type of that of a member, which names the member."""
    if not isinstance(error, Exception):  # such as KeyboardInterrupt
        return error
    message = f"estimators_[{number}]: {error}"
    try:
        return type(error)(message)
    except TypeError:  # its type takes more than a message
        return RuntimeError(message)
