"""The solvers "sgd" and "adam": epochs of mini-batches with scikit-learn's order and stopping.

The order of an epoch is a permutation of the order before it, drawn from the caller's
generator, draw for draw as scikit-learn does; so is the split for early stopping.
"""

import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from operator import is_
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..data.windows import Feed, Window
from ..kernels.support.once import cached_property
from ..kernels.tuning import SLICE_SECONDS
from ..training.history import History
from ..training.interrupt import Interrupt
from ..training.loop import Epoch, Loop, Policy
from ..training.needs import require_training
from ..training.overflow import may_overflow, overflows
from ..training.state import State
from ..training.stopped import Stopped
from .build import are_same_steps
from .stream import Span

_AUTO_BATCH = 200
# scikit-learn divides the rate of "adaptive" until it is as small
_ADAPTIVE_FACTOR = 5.0
_ADAPTIVE_LEAST = 1e-6


class Rates:
    """The rate of a solver: `value` is that of the next epoch, before the optimizer's schedule.

    `policy` is scikit-learn's parameter `learning_rate`; `power_t` belongs to "invscaling".
    """

    _constant = np.zeros(0)  # the rates of the last span, which the next mostly has too

    def __init__(self, optimizer, policy="constant", power_t=0.5):
        self._optimizer = optimizer
        self._policy = policy
        self._power_t = power_t
        self.value = optimizer.hyper_parameters["learning_rate"]

    def of(self, optimizer):
        """Return the rate of a network that may have another optimizer by now."""
        if optimizer is self._optimizer:
            return self
        return Rates(optimizer, self._policy, self._power_t)

    def of_span(self, span, batches):
        """Return the rates (batches,) of the steps of a `Span`; they are not to be written to."""
        if span.begin is None or not self._optimizer.is_scheduled:
            if len(self._constant) != batches or self._constant[0] != self.value:
                self._constant = np.full(batches, self.value)
            return self._constant
        times = span.begin + span.length * np.arange(batches) / batches
        return self.value * self._optimizer.factors(times)

    def epoch_ended(self, seen):
        """Set the next epoch's rate: `seen` samples have been trained on in all."""
        if self._policy == "invscaling":
            initial = self._optimizer.hyper_parameters["learning_rate"]
            self.value = initial / (seen + 1) ** self._power_t

    def goes_on(self):
        """Return whether a rate that is still to come may help, and what to tell of it."""
        if self._policy != "adaptive":
            return False, " Stopping."
        if self.value <= _ADAPTIVE_LEAST:
            return False, " Learning rate too small. Stopping."
        self.value /= _ADAPTIVE_FACTOR
        return True, f" Setting learning rate to {self.value:f}"


@dataclass
class Run:
    """The state that a solver keeps between epochs, and between calls that continue."""

    network: Any
    rates: Any
    key: tuple  # the parameters that layers and loss were built from
    asked: Any  # the parameters that the optimizer and its rates were made of
    stochastic: bool = True  # whether the solver uses mini-batches
    random_state: Any = None  # the next permutation is drawn from it
    split: Any = None  # rows to train and to score on, where early stopping split the data
    order: Any = None  # the last epoch's order of the rows to train on
    last: Any = None  # the last epoch's parameters, where early stopping gave the best back
    stopped: Stopped = Stopped.EPOCHS  # why the last call ended

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

    def take_over(self, kept, seen):
        """Go on from the state of another run, though parameters of the estimator have changed.

        `seen` samples have been trained on in all. The moments stay, unless another kind of
        optimizer would read them.
        """
        params, *moments, epochs = kept.network.engine.progress()
        is_alike = kept.network.optimizer.name == self.network.optimizer.name
        state = moments if is_alike else ()
        self.network.engine.set_progress(params, *state, epochs=epochs)
        if are_same_steps(kept.asked, self.asked):
            self.rates = kept.rates
        else:
            self.rates.epoch_ended(seen)

    def __getstate__(self):
        """Leave out the views, which are of this process's memory."""
        return {name: value for name, value in vars(self).items() if name != "views"}


def batch_size_of(batch_size, rows):
    """Return the number of samples per step."""
    if batch_size == "auto":
        return min(_AUTO_BATCH, rows)
    if batch_size > rows:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            stacklevel=2,
        )
    return min(batch_size, rows)


class Order(Feed):
    """Samples in scikit-learn's order: each epoch permutes the order of the epoch before.

    `head` holds all samples, including those held back for scoring.
    """

    def __init__(self, run, data, batch_size, shuffle):
        self.head = data
        self._run = run
        self._shuffle = shuffle
        self._rows = np.arange(len(data)) if run.split is None else run.split[0]
        self.rows = len(self._rows)
        self.batch = batch_size_of(batch_size, self.rows)
        self.order = self._rows
        if run.order is None or len(run.order) != self.rows:
            run.order = np.arange(self.rows)

    def windows(self, epoch, done=0, more=False, must_end=None):
        """Yield the one window of an epoch, in an order drawn from the caller's generator."""
        run = self._run
        if self._shuffle:
            run.order = run.order.copy()  # the last epoch's may still be read
            run.random_state.shuffle(run.order)
            self.order = run.order if run.split is None else self._rows[run.order]
        else:
            self.order = None if run.split is None else self._rows
        yield Window(self.head, self.order, 0)

    def last_batch(self):
        """Return a copy of the samples of the last batch."""
        rows = np.arange(self.rows) if self.order is None else self.order
        return self.head.take(rows[(self.rows - 1) // self.batch * self.batch :])

    @contextmanager
    def shuffling(self):
        """Yield the order, to be shuffled in place, and the state of the generator to shuffle by.

        The state is None without shuffling; what is left of it is given back to the generator.
        """
        run = self._run
        run.order = run.order.copy()  # the last epoch's may still be read
        if not self._shuffle:
            yield run.order, None
            return
        state = run.random_state.get_state(legacy=False)
        words, place = state["state"]["key"].copy(), np.array([state["state"]["pos"]])
        yield run.order, (words, place)
        own = {"key": words, "pos": int(place[0])}
        run.random_state.set_state({**state, "state": own})
        self.order = run.order


class Stochastic(Policy):
    """One call of fit or partial_fit by mini-batches; it sets the estimator's fitted attributes.

    `score` returns a score of the rows held back, for early stopping. `share` is a factor of the
    samples' losses where they are shown; the penalty has none. `callbacks`, if any, are called
    before and after each epoch; True of the latter stops. `score` and the latter are given what
    tells whether scoring goes on. `span` is that of a partial_fit. `diverged` says where a loss
    was not finite, and `overflown` where outputs are not, of which scikit-learn tells nothing.
    """

    def __init__(self, estimator, run, data, score, share, callbacks, span=None):
        self._estimator = estimator
        self._run = run
        self._data = data
        self._score = score
        self._share = share
        around: Any = callbacks or (_nothing, _nothing)
        self._before_epoch, self._after_epoch = around
        self._span = span
        self.diverged = self.overflown = None
        self._order = Order(run, data, estimator.batch_size, estimator.shuffle)
        # nothing to do between epochs but to count, and a generator of its own that NumPy seeded
        self._is_plain = (
            not (callbacks or score or span or estimator.verbose)
            and data.weight is None
            and estimator.learning_rate != "invscaling"
            and not run.network.optimizer.is_scheduled
            and isinstance(estimator.random_state, Integral)
            and not estimator.warm_start  # whose generator may be of another kind
        )

    def fit(self, most):
        """Train `most` epochs at most; return why training ended, as `Stopped`."""
        estimator = self._estimator
        engine = self._run.network.engine
        estimator.n_iter_ = 0
        require_training(engine, self._order)
        state = State(History(engine.plan.dtype.name), engine.params)
        max_time = estimator.max_time if self._span is None else self._span.seconds
        limits = (most, estimator.n_threads, max_time)
        loop = Loop(engine, self._order, self, state, Interrupt(), *limits)
        loop.compile()
        epochs = engine.epochs
        reason = loop.run()
        if self._span is not None:  # a call of partial_fit need not be an epoch
            engine.epochs = epochs
        if reason is Stopped.DIVERGED:
            place = f"epoch {estimator.n_iter_ + 1}, batch {state.done + 1} of {len(state.losses)}"
            self.diverged = f"the loss became {state.losses[state.done]} in {place}"
            estimator.t_ += state.done * self._order.batch
        elif may_overflow(engine) and overflows(engine, self._order.last_batch(), limits[1]):
            self.overflown = f"the outputs became infinite in epoch {estimator.n_iter_}"
        return reason

    def rates(self, epoch, batches):
        """Return the learning rates (batches,) for the steps of an epoch."""
        return self._run.rates.of_span(self._span or Span(epoch, 1.0), batches)

    def train_ahead(self, epoch, most):
        """Train the epochs before which training cannot have converged, within a slice."""
        if not self._is_plain:
            return ()
        estimator, run, order = self._estimator, self._run, self._order
        left = estimator.n_iter_no_change + 1 - estimator._no_improvement_count
        count = int(min(most, left, SLICE_SECONDS / max(epoch.seconds, 1e-9)))
        if count < 2:
            return ()
        engine, batches = run.network.engine, order.batches(0)
        losses, penalties = np.zeros((2, count, batches))
        rates = run.rates.of_span(Span(engine.epochs, 1.0), batches)
        begin = time.perf_counter()
        engine.start_training(self._data, order.batch, 1)
        with order.shuffling() as shuffled:
            given = (rates, order.batch, losses, penalties)
            done, steps = engine.train_epochs(self._data, *shuffled, *given)
        seconds = (time.perf_counter() - begin) / count
        made = [batches] * done + [steps] * (done < count)
        each = zip(losses, penalties, made, strict=False)
        return [(Epoch(rates, own, of_w, self._data, seconds), n) for own, of_w, n in each]

    def epoch_begins(self):
        """Tell the callbacks."""
        self._before_epoch()

    def score(self, epoch, goes_on):
        """Update the estimator's fitted attributes."""
        self._goes_on = goes_on
        estimator = self._estimator
        estimator.n_iter_ += 1
        estimator.loss_ = self._loss(epoch)
        estimator.t_ += self._order.rows
        estimator.loss_curve_.append(estimator.loss_)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")
        if self._score is not None:
            self._note_score()
        else:
            self._note_loss()
        self._run.rates.epoch_ended(estimator.t_)
        return True

    def verdict(self, epoch):
        """Return the reason to stop after an epoch: a callback, or no improvement."""
        converged = self._converged()
        if self._after_epoch(self._goes_on):
            return Stopped.CALLBACK
        return Stopped.CONVERGED if converged else None

    def _loss(self, epoch):
        """Return the mean loss of the batches, weighted by their numbers of samples."""
        rows = self._order.rows
        order = self._order.order
        losses = epoch.losses * self._share
        losses += epoch.penalties
        if self._data.weight is not None:
            weight = self._data.weight[slice(None) if order is None else order].astype(np.float64)
            starts = np.arange(0, rows, self._order.batch)
            total = np.add.reduceat(weight, starts)
            count = np.diff(np.append(starts, rows))
            losses = np.divide(losses * count, total, where=total != 0, out=np.zeros_like(losses))
        return float(np.add.reduce(losses) / rows)

    def _note_score(self):
        estimator = self._estimator
        score = self._score(self._goes_on)
        estimator.validation_scores_.append(score)
        if estimator.verbose:
            print(f"Validation score: {score:f}")
        self._count_epochs(worse=score < estimator.best_validation_score_ + estimator.tol)
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            estimator._best_parameters = self._run.network.parameters.copy()

    def _note_loss(self):
        estimator = self._estimator
        self._count_epochs(worse=estimator.loss_ > estimator.best_loss_ - estimator.tol)
        estimator.best_loss_ = min(estimator.best_loss_, estimator.loss_)

    def _count_epochs(self, worse):
        """Count the epochs without improvement."""
        count = self._estimator._no_improvement_count
        self._estimator._no_improvement_count = count + 1 if worse else 0

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


def _nothing(*_):
    return None


def warn_of_the_end(reason, estimator):
    """Warn the caller where training ended before it had converged."""
    limits = {
        Stopped.EPOCHS: f"Maximum iterations ({estimator.max_iter})",
        Stopped.TIME: f"Maximum time ({estimator.max_time} s)",
    }
    if reason in limits:
        warnings.warn(
            f"Stochastic Optimizer: {limits[reason]} reached and the optimization hasn't "
            "converged yet.",
            ConvergenceWarning,
            stacklevel=2,
        )
    elif reason is Stopped.INTERRUPTED:
        warnings.warn("Training interrupted by user.", stacklevel=2)


def note_divergence(estimator, validation):
    """Record the epoch in which the loss became infinite, for an estimator that stops early."""
    estimator.n_iter_ += 1
    estimator.loss_ = np.nan
    estimator.loss_curve_.append(np.nan)
    estimator.validation_scores_.append(np.nan)
    validation.note_loss()


def warn_of_divergence(where, estimator):
    """Warn the caller that training ended because numbers were no longer finite."""
    kept = ""
    if estimator.early_stopping:
        best = estimator.best_validation_score_
        kept = f"of the best validation score, {best:g}" if np.isfinite(best) else "it began with"
        kept = f"; the network has the weights {kept}"
    warnings.warn(
        f"Stochastic Optimizer: {where}{kept}. Scale X, or reduce "
        f"the learning rate (learning_rate_init={estimator.learning_rate_init:g}).",
        ConvergenceWarning,
        stacklevel=2,
    )
