"""The training loop: epochs of compiled slices, with everything that must happen between.

Between slices (`pace`) Python looks for Ctrl-C and the time budget, between epochs for
early stopping, validation, callbacks and progress. Validation runs in slices too.
"""

import time
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from tqdm.auto import tqdm

from ..checks import all_finite, settle
from ..errors import DivergenceError
from ..kernels.support.scalars import a_flag, a_number, a_whole_number
from .epochs import Epochs
from .history import History
from .interrupt import Interrupt
from .metrics import metric_of
from .progress import GOES_ON, Progress


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the monitored loss has not improved for `patience` epochs.

    The validation loss is monitored if there is validation data, else the
    training loss.

    Parameters
    ----------
    patience : int, default 10
        Epochs without improvement before training stops.
    min_delta : float, default 0
        How much lower a loss must be to count as an improvement.
    restore_best : bool, default True
        Whether the network gets back the weights of the best epoch.
    """

    patience: int = 10
    min_delta: float = 0.0
    restore_best: bool = True

    def __post_init__(self):
        settle(
            self,
            patience=a_whole_number("patience", self.patience, least=1),
            min_delta=a_number("min_delta", self.min_delta, low=0),
            restore_best=a_flag("restore_best", self.restore_best),
        )


def as_stopping(early_stopping):
    """Return what a caller said of early stopping as an `EarlyStopping`, or None."""
    if early_stopping is None or early_stopping is False:
        return None
    if early_stopping is True:
        return EarlyStopping()
    if isinstance(early_stopping, EarlyStopping):
        return early_stopping
    return EarlyStopping(a_whole_number("early_stopping", early_stopping, least=1))


@dataclass(frozen=True)
class Options:
    """What `fit` was asked, checked; see `Network.fit`."""

    epochs: int
    stopping: EarlyStopping | None
    n_threads: object
    progress: bool
    callbacks: tuple
    max_time: float | None


class Training:
    """One call of `fit`: its data, its options, and where it stands.

    Parameters
    ----------
    engine : Engine
        The net, trained in place.
    feed : Whole or Streamed
        Where the samples of an epoch come from.
    validation : Samples or None
        Checked data.
    options : Options
        What was asked.
    keep : callable, optional
        ``keep(progress, stopped)``, called after every slice, and with True at the end, so
        that it can write a checkpoint; SIGTERM then ends training too.
    progress : Progress, optional
        Where an earlier training stopped; the engine holds its net.
    """

    def __init__(self, engine, feed, validation, options, keep=None, progress=None):
        self.engine, self.feed, self.validation, self.options = engine, feed, validation, options
        self.epochs = Epochs(engine, feed.head, feed.rows, feed.batch, options.n_threads)
        if validation is not None:
            self._validation_threads = engine.threads_of_rows(options.n_threads, len(validation))
        self.history = History(engine.plan.dtype.name, self.epochs.threads)
        self.metric = metric_of(engine.loss)
        self._keep, self._last = keep, feed.head
        self._interrupt = Interrupt(terminable=keep is not None)
        self._progress = progress or Progress(engine.params.copy())
        self.history.epochs, self.history.best_epoch = (
            self._progress.entries, self._progress.best_epoch
        )  # fmt: skip
        stopped = self._progress.stopped
        if stopped not in GOES_ON and not self._may_wait_longer(stopped):
            self.history.stopped = stopped

    def run(self):
        """Train; return the `History`.

        Raises
        ------
        DivergenceError
            If a loss is not finite; the engine then holds the best weights.
        ValueError
            If a weight is not finite before the first step.
        """
        if not all_finite(self.engine.params):
            raise ValueError("parameters: the network holds NaN or infinity; expected finite ones")
        options, progress = self.options, self._progress
        try:
            self._compile()
        except KeyboardInterrupt:
            self.history.stopped = "interrupted"
            return self.history
        self._deadline = np.inf
        if options.max_time is not None:
            self._deadline = time.perf_counter() + options.max_time
        bar = tqdm(
            total=options.epochs, initial=progress.epoch, unit="epoch", disable=not options.progress
        )
        with self._interrupt.watching(), bar, closing(self.feed):
            while progress.epoch < options.epochs and self.history.stopped == "epochs":
                if not self._epoch(progress.epoch):
                    break
                entry = self.history.epochs[-1]
                self._check_end(progress.epoch, entry)
                bar.set_postfix_str(_progress(entry))
                bar.update()
                for callback in options.callbacks:
                    answer = callback(dict(entry))
                    if isinstance(answer, (bool, np.bool_)) and answer:
                        self.history.stopped = "callback"
                self._early_stopping(progress.epoch)
                if self._interrupt.seen and self.history.stopped in GOES_ON:
                    self.history.stopped = self._interrupt.stopped
                progress.epoch += 1
                progress.done, progress.weight, progress.seconds = 0, 0.0, 0.0
            if self._keep is not None:
                progress.stopped = self.history.stopped
                self._keep(progress, True)
        if (
            options.stopping
            and options.stopping.restore_best
            and self.history.best_epoch is not None
        ):
            self.engine.params[:] = progress.best
        return self.history

    def _compile(self):
        """Compile or load what training runs, so that Ctrl-C need not wait for a compiler."""
        self.epochs.compile(self.feed.order)
        if self.validation is not None:
            self.engine.evaluate(self.validation.head(1), self._validation_threads)

    def _check_end(self, epoch, entry):
        """Raise `DivergenceError` if an epoch of finite losses left the net without use."""
        if not all_finite(self.engine.params):
            # a loss is of the weights before an update: here the last one failed
            self._diverged(epoch, self.epochs.batches - 1, "weights", entry["learning_rate"])
        loss = entry.get("val_loss", 0.0)
        if not (np.isfinite(loss) or self._interrupt.seen):
            what = f"validation loss ({loss})"
            self._diverged(epoch, self.epochs.batches - 1, what, entry["learning_rate"])

    def _epoch(self, epoch):
        """Train one epoch, or what is left of it, and record it; return whether it is complete."""
        engine, progress = self.engine, self._progress
        batches = self.feed.batches(engine.epochs)
        self._started = time.perf_counter() - progress.seconds
        self.epochs.begin(batches)
        self.epochs.losses[: progress.done] = progress.losses[: progress.done]
        progress.losses = self.epochs.losses
        rates = engine.optimizer.rates(engine.epochs + np.arange(batches) / batches)
        done = progress.done
        more = epoch + 1 < self.options.epochs
        for window in self.feed.windows(engine.epochs, done, more, self._must_end):
            done, complete = self._window(window, rates, done)
            if not complete or self.history.stopped != "epochs":
                break
        if done < batches:
            if self.history.stopped == "epochs":
                self._diverged(epoch, done, f"loss ({self.epochs.losses[done]})", rates[done])
            return False
        if not progress.weight:
            raise ValueError("sample_weight: all are 0, expected some above")
        seconds = time.perf_counter() - self._started
        loss = self.epochs.losses.sum() / progress.weight
        if not self._record(epoch, loss, float(rates[-1]), seconds):
            return False
        engine.epochs += 1
        return True

    def _window(self, window, rates, done):
        """Train on one window; return the batches that are done, and whether it is complete."""
        progress, self._last = self._progress, window.data
        before, weight = progress.weight, window.data.total_weight
        last = window.first - (-len(window.data) // self.feed.batch)

        def must_end(done):
            progress.done = done
            progress.weight = before + (weight if done == last else 0.0)
            return self._must_end()

        done = self.epochs.run(
            window.order, rates, must_end, window.data, window.first, done, self.feed.is_reading
        )
        return done, done == last

    def _must_end(self):
        """Say whether no other slice is to begin, and note why."""
        now = time.perf_counter()
        self._progress.seconds = now - self._started
        if self._interrupt.seen:
            self.history.stopped = self._interrupt.stopped
        elif now > self._deadline:
            self.history.stopped = "time"
        elif self._keep is not None:
            self._keep(self._progress, False)
        return self.history.stopped != "epochs"

    def _record(self, epoch, loss, rate, seconds):
        """Record an epoch; return whether it is complete, with its validation."""
        rows = self.feed.rows
        entry = {
            "epoch": epoch,
            "loss": float(loss),
            "learning_rate": rate,
            "seconds": seconds,
            "samples_per_second": rows / seconds,
            "gflops": rows * self.engine.plan.flops_per_row / seconds / 1e9,
        }
        if self.validation is not None:
            scored = self.engine.evaluate(
                self.validation, self._validation_threads, lambda: not self._interrupt.seen
            )
            entry["val_loss"] = entry[f"val_{self.metric.name}"] = np.nan
            if scored is not None:
                entry["val_loss"] = scored[1]
                entry[f"val_{self.metric.name}"] = self.metric.score(scored[0], self.validation)
            elif self._keep is not None:  # the epoch ends when the training is resumed
                self.history.stopped = self._interrupt.stopped
                return False
        self.history.epochs.append(entry)
        return True

    def _early_stopping(self, epoch):
        """Keep the best weights, and stop when they have been the best for too long."""
        entry, stopping, progress = self.history.epochs[-1], self.options.stopping, self._progress
        loss = entry.get("val_loss", entry["loss"])
        if loss < progress.best_loss - (stopping.min_delta if stopping else 0.0):
            progress.best_loss = loss
            progress.best_epoch = self.history.best_epoch = epoch
            progress.best[:] = self.engine.params
        elif (
            stopping
            and self.history.stopped in GOES_ON  # as one that nobody stopped would end here
            and np.isfinite(loss)
            and self._has_waited(epoch)
        ):
            self.history.stopped = "early stopping"

    def _has_waited(self, epoch):
        """Return whether the best epoch is as far back as the patience reaches."""
        return epoch - (self.history.best_epoch or 0) >= self.options.stopping.patience

    def _may_wait_longer(self, stopped):
        """Return whether an earlier training stopped early, by less patience than there is now."""
        if stopped != "early stopping":
            return False
        return self.options.stopping is None or not self._has_waited(self._progress.epoch - 1)

    def _diverged(self, epoch, step, what, rate):
        self.engine.params[:], self.engine.moments[:] = self._progress.best, 0
        self.engine.steps = 0  # moments and their bias corrections start anew together
        self.history.stopped = "diverged"
        raise DivergenceError(
            f"the {what} became not finite in epoch {epoch + 1}, batch {step + 1} of "
            f"{self.epochs.batches}, at learning rate {rate:g}. Likely cause: "
            f"{self._likely_cause(rate)}. The network holds its best weights so far.",
            epoch,
            step,
            self.history,
        )

    def _likely_cause(self, rate):
        for name, array in (("X", self._last.x), ("y", self._last.y)):
            largest = 0.0 if array is None else float(max(array.max(), -array.min()))
            if largest > 1e3:
                return f"{name} reaches {largest:.3g}; scale it to about [-1, 1]"
        return f"the learning rate is too high; try {rate / 10:g}, or clip_norm=1.0"


def _progress(entry):
    shown = {k: v for k, v in entry.items() if k == "loss" or k.startswith("val_")}
    return ", ".join(f"{name} {value:.4f}" for name, value in shown.items())
