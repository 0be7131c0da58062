"""The data scored after every epoch: rows held back for early stopping, or the caller's own."""

from inspect import signature
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing

from ..quoted import quoted
from .build import loss_share


def held_out(eval_set, X_val, y_val, sample_weight_val):
    """Return the caller's own validation data as ``(X, y, sample_weight, name)``, or None.

    It raises ValueError if they are incomplete, or given twice.
    """
    named = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
    given = [name for name, value in named.items() if value is not None]
    if eval_set is not None:
        if given:
            raise ValueError(f"eval_set and {given[0]} were both provided: expected one of them")
        if isinstance(eval_set, list) and len(eval_set) == 1:  # as of gradient boosting
            eval_set = eval_set[0]
        is_one = isinstance(eval_set, (tuple, list)) and len(eval_set) in (2, 3)
        if not is_one or (isinstance(eval_set, list) and isinstance(eval_set[0], tuple)):
            raise ValueError(
                f"eval_set={quoted(type(eval_set))}: expected a tuple (X, y) or "
                "(X, y, sample_weight)"
            )
        X, y, *weight = eval_set
        return X, y, weight[0] if weight else None, "eval_set"
    for missing in ("X_val", "y_val"):
        if given and named[missing] is None:
            raise ValueError(f"{given[0]} is provided, but {missing} was not provided.")
    return (X_val, y_val, sample_weight_val, "y_val") if given else None


def split_rows(rows, y, fraction, random_state):
    """Return the rows to train and to score on; `y` to stratify by, or None."""
    train, valid = train_test_split(
        np.arange(rows), random_state=random_state, test_size=fraction, stratify=y
    )
    if len(valid) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' "
            "or the size of your dataset."
        )
    return train, valid


def _check_weights(weight, split):
    """Raise ValueError if all rows of a part have no weight: there is nothing to learn or score."""
    for rows, part in zip(split, ("left to train on", "held back to score"), strict=True):
        if weight is not None and not weight[rows].any():
            raise ValueError(
                f"early_stopping=True: the {len(rows)} rows {part} all have sample weight 0, or no "
                "target; leave such rows out, or give X_val and y_val"
            )


class Validation:
    """The data that an estimator is scored on while it is fitted to `data`.

    These are the rows ``split[1]``, or those held out by the caller: `held` is their samples, and
    the caller's X and y. `given` holds the caller's X and y to fit, for the caller's scorer;
    `score_outputs` is scikit-learn's score, and `as_labels` makes what its named scores take of y.
    """

    def __init__(self, estimator, network, data, split, given, held, score_outputs, as_labels):
        self._estimator = estimator
        self._engine = network.engine
        self._score_outputs = score_outputs
        self._share = loss_share(network)
        self.notes_losses = held is not None
        self.is_lost = False
        self._data: Any = None
        self._given: Any = None
        if held is not None:
            self._data, self._given = held
        elif split is not None:
            self._data = data.take(split[1])
            _check_weights(data.weight, split)
            if estimator.scoring is not None:
                self._given = [_safe_indexing(values, split[1]) for values in given]
        self._scorer = None
        self._weights = {}
        if estimator.scoring is not None:
            self._scorer = check_scoring(estimator, scoring=estimator.scoring)
            if isinstance(estimator.scoring, str) and self._given is not None:
                X, y = self._given
                self._given = X, as_labels(y)
            if getattr(self._data, "weight", None) is not None and _takes_weights(self._scorer):
                self._weights = {"sample_weight": self._data.weight}

    def score(self, goes_on):
        """Return the current score; NaN if an output is not finite, which `is_lost` then tells.

        It is NaN, too, if ``goes_on()`` returns False, which is asked between slices.
        """
        outputs = self._engine.forward(self._data, self._estimator.n_threads, goes_on)
        if outputs is None:
            return np.nan
        self.is_lost = not np.isfinite(outputs).all()
        if self.is_lost:
            return np.nan
        with np.errstate(over="ignore", invalid="ignore"):  # of huge outputs, which soon diverge
            if self._scorer is None:
                return self._score_outputs(outputs, self._data)
            return float(self._scorer(self._estimator, *self._given, **self._weights))

    def note_loss(self, goes_on=None):
        """Append the mean loss of the caller's own data, without penalties; NaN as of `score`."""
        if self.notes_losses:
            estimator = self._estimator
            scored = self._engine.evaluate(self._data, estimator.n_threads, goes_on)
            loss = np.nan if scored is None else scored[1] * self._share
            estimator.validation_loss_curve_.append(loss)


def _takes_weights(scorer):
    """Return whether a scorer takes the weights of samples, as scikit-learn's searches tell it."""
    if hasattr(scorer, "_accept_sample_weight"):
        return scorer._accept_sample_weight()
    return "sample_weight" in signature(scorer).parameters
