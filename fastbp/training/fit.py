"""The training of a `Network`: the loop with its history, validation and checkpoints."""

import contextlib
import logging
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..checks import all_finite, as_callables
from ..components.second_order import WholeBatch
from ..data.weights import Allowed, allowed_of
from ..engine.inputs import numbers_of
from ..errors import DivergenceError
from ..kernels.support.scalars import a_flag, a_number, a_whole_number
from ..ranks.comm import Alone
from .history import History, entry_of
from .interrupt import Interrupt
from .loop import Loop, Policy
from .metrics import metric_of
from .needs import require_training
from .overflow import loss_of, may_overflow
from .plateau import Plateau, ReduceLROnPlateau
from .state import State
from .stopped import Stopped
from .stopping import EarlyStopping, as_stopping

_log = logging.getLogger("fastbp")


@dataclass(frozen=True)
class Options:
    """The checked arguments of `Network.fit`."""

    epochs: int
    stopping: EarlyStopping | None
    n_threads: object
    progress: bool
    callbacks: tuple
    max_time: float | None
    batch_size: int
    shuffle: bool
    steps_per_epoch: int | None
    resume: bool
    allowed: Allowed

    def same(self):
        """Return those that must be the same on all ranks."""
        names = ("epochs", "batch_size", "shuffle", "stopping", "resume")
        return {name: getattr(self, name) for name in names}


def options_of(epochs, early_stopping, n_threads, progress, callbacks, max_time, *more):
    """Return the arguments of `Network.fit`, checked, as `Options`."""
    batch_size, shuffle, steps, resume, *allowed = more
    return Options(
        a_whole_number("epochs", epochs, least=1),
        as_stopping(early_stopping),
        n_threads,
        a_flag("progress", progress),
        as_callables(callbacks),
        None if max_time is None else a_number("max_time", max_time, above=0),
        a_whole_number("batch_size", batch_size, least=1),
        a_flag("shuffle", shuffle),
        None if steps is None else a_whole_number("steps_per_epoch", steps, least=1),
        a_flag("resume", resume),
        allowed_of(*allowed),
    )


def history_of_no_epoch(dtype, max_time, reason):
    """Return the history of a training that ended while its data were read, and tell why."""
    history = History(dtype)
    history.stopped = Stopped.TIME
    _log.warning("nothing was trained within max_time=%g: %s", max_time, reason)
    return history


class Training:
    """One call of `Network.fit`: trains the network of `engine` in place.

    With a `keeper` it writes checkpoints, and SIGTERM ends it too. `state` is where an earlier
    training stopped, whose network the engine then holds. `ranks` train it together.
    """

    def __init__(
        self, engine, feed, validation, options, keeper=None, state=None, ranks=None, steps_of=None
    ):
        self._ranks = ranks = ranks or Alone()
        ranks.together(lambda: require_training(engine, feed, validation))
        self.engine = engine
        self.options = options
        self.state = state or State(History(engine.plan.dtype.name), engine.params.copy())
        self.history = self.state.history
        feed.skip(self.state.epoch)
        interrupt = Interrupt(terminable=keeper is not None)
        # of a network that has made steps, which a fit that comes to nothing leaves as it was
        before = engine.progress() if state is None and engine.steps else None
        given = (options, feed, validation, keeper, ranks, before)
        self._policy = FitPolicy(engine, self.state, *given)
        limits = (options.epochs, options.n_threads, options.max_time)
        self._loop = Loop(
            engine, feed, self._policy, self.state, interrupt, *limits, ranks, steps_of
        )
        self.history.n_threads = self._loop.threads

    def run(self):
        """Train; return the `History`.

        It raises DivergenceError if a loss is not finite, with the best weights in the engine,
        and ValueError if a weight is not finite before the first step.
        """
        if not all_finite(self.engine.params):
            error = "parameters: the network holds NaN or infinity; expected finite ones"
            raise self._ranks.known_to_all(ValueError(error))
        if self._ranks.largest(not self._is_compiled()):
            self.history.stopped = Stopped.INTERRUPTED
            return self.history
        with self._policy.show_progress():
            over = self.history.stopped if self._is_over() else None
            self.history.stopped = None
            if self._loop.run(over) is Stopped.DIVERGED:
                epoch = self._loop.epoch
                batch = self.state.done
                self._policy.diverged(epoch, f"loss ({epoch.losses[batch]})", batch)
        if self.history.stopped is Stopped.DATA:
            epochs = f"{len(self.history)} of {self.options.epochs} epochs"
            _log.warning("X ended before the training, in %s", epochs)
        stopping = self.options.stopping
        if stopping and stopping.restore_best and self.history.best_epoch is not None:
            self.engine.set_parameters(self.state.best)
        return self.history

    def _is_compiled(self):
        """Compile what will run, so that Ctrl-C need not wait later; return False after one."""
        try:
            self._loop.compile()
            self._policy.compile()
        except KeyboardInterrupt:
            return False
        return True

    def _is_over(self):
        """Return whether an earlier training ended for a reason that still holds."""
        stopped = self.history.stopped
        if stopped is Stopped.EARLY:  # unless the patience is longer now
            return self._policy.has_waited(self.state.epoch - 1)
        return stopped is not None and not stopped.continues


class FitPolicy(Policy):
    """Rates of the optimizer, scores of the validation data, early stopping and callbacks."""

    def __init__(self, engine, state, options, feed, validation, keeper, ranks, before):
        self.engine = engine
        self._ranks = ranks
        self.state = state
        self.options = options
        self._bar: Any = None
        self._feed = feed
        self._validation = validation
        self._keeper = keeper
        self._is_scored = True
        self._before = before
        self._metric = metric_of(engine.loss)
        rules = [each for each in options.callbacks if isinstance(each, ReduceLROnPlateau)]
        self._callbacks = [each for each in options.callbacks if each not in rules]
        self._plateaus = [Plateau(rule) for rule in rules]
        if rules and isinstance(engine.optimizer, WholeBatch):
            error = f"callbacks={rules[0]!r}: {engine.optimizer!r} has no learning rate to reduce"
            raise ranks.known_to_all(ValueError(error))
        for entry in state.history.epochs:
            self._see(entry)
        if validation is not None:
            threads = engine.threads_of_rows(options.n_threads, len(validation))
            is_free = options.n_threads == "auto"
            self._threads = min(threads, ranks.most_threads) if is_free else threads
            self._scores = ranks.scores(self._metric, validation)

    def show_progress(self):
        """Return a context manager that shows a progress bar if the caller asked for it."""
        if not (self.options.progress and self._ranks.leads):
            return contextlib.nullcontext()
        from tqdm.auto import tqdm  # imports asyncio, 10 ms

        self._bar = tqdm(total=self.options.epochs, initial=self.state.epoch, unit="epoch")
        return self._bar

    def compile(self):
        """Compile or load what validation runs."""
        if self._validation is not None:
            first = replace(self._validation.head(1), weight=None)  # which could be 0
            self.engine.evaluate(first, self._threads)

    def rates(self, epoch, batches):
        """Return the optimizer's learning rates (batches,) for the steps of an epoch."""
        factor = math.prod(plateau.factor for plateau in self._plateaus)
        return factor * self.engine.optimizer.rates(epoch + np.arange(batches) / batches)

    def _see(self, entry):
        """Let a plateau of the monitored loss lower the rates of the epochs to come."""
        for plateau in self._plateaus:
            plateau.see(_monitored(entry))

    def slice_ended(self):
        """Write a checkpoint if it is time."""
        if self._keeper is not None:
            self._keeper(self.state, ended=False)

    def training_ended(self, stopped, last):
        """Record the reason, and write the last checkpoint.

        It raises DivergenceError if the outputs for the last batch are not finite.
        """
        if last and may_overflow(self.engine) and self._overflows(last.samples):
            self.diverged(last.epoch, "outputs", last.number)
        history = self.state.history
        history.stopped = stopped
        if self._keeper is not None:
            self._ranks.together(lambda: self._keeper(self.state, ended=True))
        elif not self._is_scored and stopped is Stopped.TIME and self._ranks.leads:
            _log.warning("epoch %d has no score: its validation was cut short", len(history))

    def score(self, epoch, goes_on):
        """Add the epoch to the history, with its validation; return whether it is complete.

        Of one that is cut short there is no score, unless a checkpoint is written, from which
        training continues with it.
        """
        state = self.state
        if not state.weight:
            error = "sample_weight: all weights are 0; at least one must be positive"
            raise self._ranks.known_to_all(ValueError(error))
        loss, work = epoch.losses.sum() / state.weight, self.engine.plan.flops_per_row
        seconds = self._ranks.largest(epoch.seconds)
        last = (epoch.rates[-1], seconds, self._feed.rows, work)
        entry = entry_of(state.epoch, loss, *last)
        if self._validation is not None:
            metric = f"val_{self._metric.name}"
            entry["val_loss"] = entry[metric] = np.nan
            scored = self._scores.of(self.engine, self._threads, goes_on)
            self._is_scored = scored is not None
            if scored is not None:
                entry["val_loss"], entry[metric] = scored
            elif self._keeper is not None:
                return False
        state.history.epochs.append(entry)
        return True

    def verdict(self, epoch):
        """Return the reason to stop after an epoch: a callback, or the patience is over."""
        entry = self.state.history.epochs[-1]
        self._check_finite(epoch, entry)
        if self._bar is not None:
            shown = {k: v for k, v in entry.items() if k == "loss" or k.startswith("val_")}
            self._bar.set_postfix_str(", ".join(f"{name} {v:.4f}" for name, v in shown.items()))
            self._bar.update()
        self._see(entry)
        callbacks = self._callbacks
        answers = self._ranks.together(lambda: [callback(dict(entry)) for callback in callbacks])
        stops = self._ranks.largest(any(isinstance(a, (bool, np.bool_)) and a for a in answers))
        early = self._early_stopping(entry)
        return Stopped.CALLBACK if stops else early

    def _early_stopping(self, entry):
        """Keep the best weights; return `Stopped.EARLY` if they have been best for too long."""
        stopping = self.options.stopping
        state = self.state
        loss = _monitored(entry)
        if loss < state.best_loss - (stopping.min_delta if stopping else 0.0):
            state.best_loss = loss
            state.best[:] = self.engine.params
            state.history.best_epoch = state.epoch
        elif np.isfinite(loss) and self.has_waited(state.epoch):
            return Stopped.EARLY
        return None

    def has_waited(self, epoch):
        """Return whether the best epoch is as far back as the patience reaches."""
        stopping = self.options.stopping
        best = self.state.history.best_epoch or 0
        return stopping is not None and epoch - best >= stopping.patience

    def _check_finite(self, epoch, entry):
        """Raise `DivergenceError` if an epoch of finite losses left the network useless."""
        last = len(epoch.losses) - 1
        suspect = may_overflow(self.engine)
        # a loss is of the weights before an update: here the last update failed
        if suspect and not all_finite(self.engine.params):
            self.diverged(epoch, "weights", last)
        if self._is_scored and not np.isfinite(entry.get("val_loss", 0.0)):
            self.diverged(epoch, f"validation loss ({entry['val_loss']})", last)
        # weights that are of no use must not become the best
        if suspect and self._validation is None and self._overflows(self._last_rows(epoch)):
            self.diverged(epoch, "outputs", last)

    def _last_rows(self, epoch):
        """Return the last batch; a resumed training may have made no step of the epoch."""
        feed = self._feed
        return epoch.last.samples if epoch.last else feed.head.head(feed.batch)

    def _overflows(self, data):
        """Return whether outputs or the loss of rows, those of any rank, are not finite."""
        return not np.isfinite(self._loss_of(data))

    def _loss_of(self, data):
        """Return the largest loss of rows of the ranks; one may have none."""
        here = loss_of(self.engine, data, self.options.n_threads) if len(data) else 0.0
        return self._ranks.largest(here)

    def diverged(self, epoch, what, batch):
        """Restore the best weights and raise `DivergenceError`."""
        engine = self.engine
        state = self.state
        rate = epoch.rates[batch]
        if state.history.best_epoch is None and self._before is not None:
            engine.set_progress(*self._before)
        else:
            engine.set_progress(state.best)  # moments and their bias corrections begin anew
        state.history.stopped = Stopped.DIVERGED
        takes_all = isinstance(engine.optimizer, WholeBatch)
        cause = _likely_cause(epoch.data, None if takes_all else rate, self._ranks)
        at_rate = "" if takes_all else f", at learning rate {rate:g}"
        error = DivergenceError(
            f"the {what} became not finite in epoch {epoch.number + 1}, batch {batch + 1} of "
            f"{len(epoch.losses)}{at_rate}. Likely cause: "
            f"{cause}. The network holds {self._held(epoch)}.",
            epoch.number,
            batch,
            state.history,
        )
        raise self._ranks.known_to_all(error)

    def _held(self, epoch):
        """Say which weights the network holds after `diverged`.

        The loss of an epoch without validation is of the weights before its updates, and those
        after them are kept: they may be far worse.
        """
        history = self.state.history
        if self._validation is None and history.best_epoch is not None:
            loss, first = self._loss_of(self._last_rows(epoch)), history.epochs[0]["loss"]
            if loss > first + abs(first):
                best = f"the weights after epoch {history.best_epoch + 1}"
                return f"{best}, whose loss is {loss:.3g}: begin with new ones"
        if history.best_epoch is None:
            return "its best weights so far, those from before"
        return "its best weights so far, and its optimizer begins anew"


def _monitored(entry):
    """Return the loss that decides: of the validation data if there are any."""
    return entry.get("val_loss", entry["loss"])


def _likely_cause(data, rate, ranks):
    for name, array in (("X", numbers_of(data.x)), ("y", data.y)):
        empty = array is None or not array.size  # a sparse X may hold zeros alone
        largest = ranks.largest(0.0 if empty else float(max(array.max(), -array.min())))
        if largest > 1e3:
            return f"{name} reaches {largest:.3g}; scale it to about [-1, 1]"
    if rate is None:
        return "the weights are too large; begin with smaller ones"
    return f"the learning rate is too high; try {rate / 10:g}, or clip_norm=1.0"
