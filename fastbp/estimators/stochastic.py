"""The solvers "sgd" and "adam": epochs of mini-batches with scikit-learn's order and stopping.

The order of an epoch is a permutation of the order before it, drawn from the caller's
generator, draw for draw as scikit-learn does; so is the split for early stopping.
"""

import time
import warnings
from dataclasses import dataclass
from functools import cached_property
from operator import is_
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..training.epochs import Epochs
from ..training.interrupt import Interrupt

_AUTO_BATCH = 200


@dataclass
class Run:
    """What a solver carries from epoch to epoch, and from call to call where it goes on.

    Attributes
    ----------
    network : Network
        Parameters, moments and the count of steps.
    rates : Rates
        The learning rate.
    key : tuple
        What the layers and the loss were made from.
    stochastic : bool
        Whether its solver takes mini-batches.
    split : tuple or None
        The rows to train and to score on, where early stopping has split the data.
    order : numpy.ndarray or None
        The last epoch's order of the rows to train on.
    random_state : numpy.random.RandomState or None
        What the next permutation is drawn from.
    last : numpy.ndarray or None
        The last epoch's parameters, where early stopping gave the best back.
    stopped : str
        Why the last call ended; see `Stochastic.fit`.
    """

    network: Any
    rates: Any
    key: tuple
    stochastic: bool = True
    random_state: Any = None
    split: Any = None
    order: Any = None
    last: Any = None
    stopped: str = "epochs"

    @cached_property
    def views(self):
        """The weights, and behind them the biases, of the network."""
        return (*self.network.weights, *self.network.biases)

    @property
    def shown(self):
        """Lists of the views by the names under which an estimator shows them."""
        layers = len(self.views) // 2
        return {"coefs_": list(self.views[:layers]), "intercepts_": list(self.views[layers:])}

    def is_shown_by(self, estimator):
        """Return whether an estimator's arrays are the network's own."""
        shown = [*estimator.coefs_, *estimator.intercepts_]
        return len(shown) == len(self.views) and all(map(is_, shown, self.views))

    def __getstate__(self):
        """Leave out the views, which are of this process's memory."""
        return {name: value for name, value in vars(self).items() if name != "views"}


def batch_size_of(batch_size, rows):
    """Return how many samples a step takes."""
    if batch_size == "auto":
        return min(_AUTO_BATCH, rows)
    if batch_size > rows:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            stacklevel=2,
        )
    return min(batch_size, rows)


class Stochastic:
    """One call of fit or partial_fit of an estimator by mini-batches.

    Parameters
    ----------
    estimator : BaseMLP
        Gives its parameters, and is given the fitted attributes as they come.
    run : Run
        What is carried on; written.
    data : Samples
        All checked data, those to score on included.
    score : callable or None
        ``score() -> float`` on the rows held back, for early stopping.
    share : float
        What the losses of the samples are multiplied with, the penalty not.
    """

    def __init__(self, estimator, run, data, score, share):
        self._estimator, self._run, self._data = estimator, run, data
        self._score, self._share = score, share
        self._engine = run.network._engine
        self._rows = np.arange(len(data)) if run.split is None else run.split[0]
        batch = batch_size_of(estimator.batch_size, len(self._rows))
        self._epochs = Epochs(self._engine, data, len(self._rows), batch, estimator.n_threads)
        self._interrupt, self._deadline = Interrupt(), np.inf
        if run.order is None or len(run.order) != len(self._rows):
            run.order = np.arange(len(self._rows))

    def fit(self, most, before_epoch, after_epoch):
        """Train `most` epochs at most; return why it ended.

        `before_epoch` and `after_epoch` are called around each; True of the latter stops.

        Returns
        -------
        str
            "epochs", "converged", "callback", "time", "interrupted" or "diverged".
        """
        estimator = self._estimator
        estimator.n_iter_ = 0
        self._epochs.compile(self._rows)
        if estimator.max_time is not None:
            self._deadline = time.perf_counter() + estimator.max_time
        with self._interrupt.watching():
            while estimator.n_iter_ < most:
                before_epoch()
                if self._epoch() < self._epochs.batches:
                    return "diverged" if not self._must_end() else self._reason()
                self._record()
                converged = self._converged()
                if after_epoch():
                    return "callback"
                if converged:
                    return "converged"
                if self._must_end():
                    return self._reason()
        return "epochs"

    def _must_end(self):
        return self._interrupt.seen or time.perf_counter() > self._deadline

    def _reason(self):
        return "interrupted" if self._interrupt.seen else "time"

    def _epoch(self):
        """Train one epoch; return how many steps were made."""
        run, order = self._run, None
        if self._estimator.shuffle:
            places = np.arange(len(self._rows))
            run.random_state.shuffle(places)
            run.order = run.order[places]
            order = run.order if run.split is None else self._rows[run.order]
        elif run.split is not None:
            order = self._rows
        self._order = order
        rates = run.rates.of_epoch(self._engine.epochs, self._epochs.batches)
        return self._epochs.run(order, rates, lambda done: self._must_end())

    def _record(self):
        """Give the estimator what an epoch has shown."""
        estimator = self._estimator
        self._engine.epochs += 1
        estimator.n_iter_ += 1
        estimator.loss_ = self._loss()
        estimator.t_ += len(self._rows)
        estimator.loss_curve_.append(estimator.loss_)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")
        if self._score is not None:
            self._note_score()
        else:
            self._note_loss()
        self._run.rates.epoch_ended(estimator.t_)

    def _loss(self):
        """Return the mean over the batches of their losses, each by its number of samples."""
        epochs, rows = self._epochs, len(self._rows)
        losses = epochs.losses * self._share + epochs.penalties
        if self._data.weight is not None:
            order = slice(None) if self._order is None else self._order
            weight = self._data.weight[order].astype(np.float64)
            starts = np.arange(0, rows, epochs.batch)
            total = np.add.reduceat(weight, starts)
            count = np.diff(np.append(starts, rows))
            losses = np.divide(losses * count, total, where=total != 0, out=np.zeros_like(losses))
        return float(losses.sum() / rows)

    def _note_score(self):
        estimator = self._estimator
        score = self._score()
        estimator.validation_scores_.append(score)
        if estimator.verbose:
            print(f"Validation score: {score:f}")
        worse = score < estimator.best_validation_score_ + estimator.tol
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if worse else 0
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            estimator._best_parameters = self._engine.params.copy()

    def _note_loss(self):
        estimator, loss = self._estimator, self._estimator.loss_
        worse = loss > estimator.best_loss_ - estimator.tol
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if worse else 0
        estimator.best_loss_ = min(estimator.best_loss_, loss)

    def _converged(self):
        """Return whether nothing has improved for so long that training ends."""
        estimator = self._estimator
        if estimator._no_improvement_count <= estimator.n_iter_no_change:
            return False
        goes_on, outlook = self._run.rates.goes_on()
        if estimator.verbose:
            what = "Training loss" if self._score is None else "Validation score"
            print(
                f"{what} did not improve more than tol={estimator.tol:f} "
                f"for {estimator.n_iter_no_change} consecutive epochs.{outlook}"
            )
        if goes_on:
            estimator._no_improvement_count = 0
        return not goes_on


def warn_of_the_end(reason, estimator):
    """Warn the caller where training ended before it had converged."""
    if reason == "epochs":
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the "
            "optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=2,
        )
    elif reason == "time":
        warnings.warn(
            f"Stochastic Optimizer: Maximum time ({estimator.max_time} s) reached and the "
            "optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=2,
        )
    elif reason == "interrupted":
        warnings.warn("Training interrupted by user.", stacklevel=2)
