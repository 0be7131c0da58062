"""The data scored after every epoch: rows held back for early stopping, or an `eval_set`."""

from typing import Any

import numpy as np
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing

from .build import loss_share


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


class Validation:
    """The data that an estimator is scored on while it is fitted to `data`.

    These are the rows ``split[1]``, or the `eval_set`: its samples, and the caller's set itself.
    `given` holds the caller's X and y, for the caller's scorer; `score_outputs` is scikit-learn's
    score.
    """

    def __init__(self, estimator, network, data, split, given, eval_set, score_outputs):
        self._estimator = estimator
        self._engine = network.engine
        self._score_outputs = score_outputs
        self._share = loss_share(network)
        self.notes_losses = eval_set is not None
        self._data: Any = None
        self._given: Any = None
        if eval_set is not None:
            self._data, self._given = eval_set
        elif split is not None:
            self._data = data.take(split[1])
            if estimator.scoring is not None:
                self._given = [_safe_indexing(values, split[1]) for values in given]
        self._scorer = None
        if estimator.scoring is not None:
            self._scorer = check_scoring(estimator, scoring=estimator.scoring)

    def score(self):
        """Return the current score; NaN if an output is not finite."""
        if self._scorer is not None:
            return float(self._scorer(self._estimator, *self._given))
        outputs = self._engine.forward(self._data, self._estimator.n_threads)
        return self._score_outputs(outputs, self._data) if np.isfinite(outputs).all() else np.nan

    def note_loss(self):
        """Append the mean loss of the `eval_set`, without penalties."""
        if self.notes_losses:
            estimator = self._estimator
            _, loss = self._engine.evaluate(self._data, estimator.n_threads)
            estimator.validation_loss_curve_.append(loss * self._share)
