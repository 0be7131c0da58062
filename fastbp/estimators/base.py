"""The shared part of both estimators: fitting checked data, and computing outputs."""

from __future__ import annotations

from abc import abstractmethod
from copy import copy, deepcopy
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils.optimize import _check_optimize_result

from ..annotations import EvalSet, Matrix, Weights
from ..checks import all_finite
from ..data.source import Source
from ..engine.monotonic import require_signs
from ..network import Network
from ..training.stopped import Stopped
from .build import (
    an_optimizer,
    are_same_steps,
    build_network,
    check_combination,
    check_shapes,
    check_signs,
    draw_weights,
    hidden_sizes,
    loss_share,
    objective_of,
    steps_asked_of,
)
from .callbacks import Callbacks, check_callbacks
from .checked import CheckingMLP, Known
from .lbfgs import STOPPED, minimize_loss
from .marquardt import minimize_squares
from .parameters import CONSTRAINTS, fitting, is_stochastic
from .stochastic import Rates, Run, Stochastic, note_divergence, warn_of_divergence, warn_of_the_end
from .stream import begin_of, parts_in_time, warn_of_no_time
from .validation import Validation, held_out, split_rows

if TYPE_CHECKING:
    from typing_extensions import Self

_NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)


class BaseMLP(CheckingMLP):
    """The part of a multilayer perceptron that does not depend on what its targets are."""

    _parameter_constraints: ClassVar = CONSTRAINTS
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    best_loss_: float | None
    _best_parameters: Any
    _run: Any

    @abstractmethod
    def _output(self):
        """Return the names of the output activation, and of the loss in ``LOSSES``."""

    def _fit(
        self,
        X,
        y,
        sample_weight=None,
        span=None,
        validation_data=(),
        known=None,
        spare=None,
        is_part=False,
    ):
        """Fit to data, which `known` holds if they are checked already.

        `span` is that of a partial_fit; for `validation_data` see `held_out`. A `spare` network
        is begun anew, if it has the right shape. A fit that is a part of a longer one, as those
        of a `span` are, does not warn of too few epochs.
        """
        given = (X, y)
        incremental = span is not None
        sizes = hidden_sizes(self)
        check_combination(self, incremental)
        goes_on = hasattr(self, "coefs_") and (incremental or bool(self.warm_start))
        if known is None:
            known = self._known_of(X, y, sample_weight, goes_on, incremental)
        self.__dict__.update(known.learned)
        own: Any = held_out(*validation_data) if validation_data else None
        checked: Any = None if own is None else self._check_held_out(*own)
        plain, protocol = check_callbacks(self.callbacks)
        self._random_state = check_random_state(self.random_state)
        sizes = [known.X.shape[1], *sizes, self.n_outputs_]
        run = self._run_of(known.X.dtype, sizes, goes_on, incremental, spare)
        data = known.samples
        if data is None:
            data = self._samples(known.X, known.targets, known.weight)
        held = None if own is None else (self._samples(*checked), own[:2])
        if held is None:
            self.__dict__.pop("validation_loss_curve_", None)
        elif not (self.warm_start and hasattr(self, "validation_loss_curve_")):
            self.validation_loss_curve_ = []
        validation = self._validation(run, data, given, held)
        shown = {"X": given[0], "y": given[1]}
        if sample_weight is not None:
            shown["metadata"] = {"sample_weight": sample_weight}
        callbacks = self._callbacks(plain, protocol, shown)
        engine = run.network.engine
        require_signs(engine.plan, engine.params)
        with engine.gate.in_use, objective_of(self, run.network):
            callbacks.fit_begins()
            if not is_stochastic(self):
                fit = self._fit_lm if self.solver == "lm" else self._fit_lbfgs
                finite = fit(run, data, validation, callbacks)
            else:
                part = is_part or span is not None
                finite = self._fit_stochastic(run, data, validation, callbacks, span, part)
            callbacks.fit_ended()
        if not (finite and all_finite(engine.params)):
            raise ValueError(_NOT_FINITE)
        return self

    @fitting
    def fit(
        self,
        X: Matrix,
        y: ArrayLike,
        sample_weight: Weights = None,
        eval_set: EvalSet = None,
        *,
        X_val: Matrix | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: Weights = None,
    ) -> Self:
        """Fit the network to data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples; float32 is trained in float32, everything else in float64, unless `dtype`
            is set.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            A classifier's labels, or an indicator matrix of several, or soft labels; a regressor's
            numbers.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples.
        eval_set : tuple (X, y) or (X, y, sample_weight), or a list of one, optional
            Short for `X_val`, `y_val` and `sample_weight_val`. A Pipeline does not transform it.
        X_val, y_val : of shape (n_val, n_features), and as y, optional
            Data whose loss is recorded in `validation_loss_curve_` after every epoch. With
            `early_stopping` they are scored in place of held-back samples. A Pipeline transforms
            them like X with ``transform_input=["X_val"]``.
        sample_weight_val : array-like of shape (n_val,), optional
            Weights of these samples in the loss and the score; `class_weight` is none of them.

        Returns
        -------
        self : MLPClassifier or MLPRegressor

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid, or the weights became infinite; with `early_stopping` the
            best weights come back instead, with a warning.
        """
        validation_data = (eval_set, X_val, y_val, sample_weight_val)
        return self._fit(X, y, sample_weight, validation_data=validation_data)

    def _parts(self, X, y, sample_weight, epoch):
        """Yield the parts of a stream, and their spans, until a signal or the time limit."""
        is_first = not hasattr(self, "_run")
        begin = begin_of(X, epoch, 0 if is_first else self._run.network.epochs)
        if is_first and begin is None and (optimizer := an_optimizer(self)).is_scheduled:
            warn_of_no_time(optimizer.schedule)
        for part, span in parts_in_time(X, y, sample_weight, begin, self.max_time):
            if part is None:
                warn_of_the_end(Stopped.TIME, self)
                return
            yield part, span
            if self._run.stopped in (Stopped.INTERRUPTED, Stopped.TIME):
                return
        if begin is not None:
            self._run.network.engine.epochs = int(begin) + isinstance(X, Source)

    def _run_of(self, dtype, sizes, goes_on, incremental, spare):
        """Return what the solver carries on, or begin anew; the fitted attributes show its net."""
        shapes = list(pairwise(sizes))
        if goes_on:
            check_shapes(self, shapes)
        dtype = self.coefs_[0].dtype if goes_on else dtype
        activation, loss = self._output()
        kept: Any = self._run if goes_on else None
        shown = [repr(each) for each in (self.activation, self.dropout, self.monotonic_cst)]
        key = (sizes, *shown, loss, self.loss_parameter, dtype)
        if goes_on:
            self._keep_coefs()
        asked = steps_asked_of(self)
        is_same = goes_on and kept.key == key and are_same_steps(kept.asked, asked)
        if incremental and is_same and kept.stochastic:
            # every call begins its order anew
            rates = kept.rates.of(kept.network.optimizer)
            run = Run(kept.network, rates, key, asked, random_state=self._random_state)
        else:
            # a fit that goes on exactly must not draw from the caller's generator
            exact = goes_on and self.warm_start == "exact"
            generator = deepcopy(self._random_state) if exact else self._random_state
            of_network = (self, sizes, activation, loss, dtype, generator)
            network = build_network(*of_network, spare)
            is_sgd = self.solver == "sgd" and self.optimizer is None
            policy = self.learning_rate if is_sgd else "constant"
            rates = Rates(network.optimizer, policy, self.power_t)
            run = Run(network, rates, key, asked, is_stochastic(self), self._random_state)
            if goes_on:
                run = self._gone_on(kept, run, incremental)
            else:
                self._begin(network, activation, sizes)
        self._random_state = run.random_state
        self.__dict__.update(_run=run, **run.shown)  # at once: another thread may copy
        return run

    def _gone_on(self, kept, run, incremental):
        """Return the run that continues from the network of `kept`: `run`, or `kept` itself."""
        check_signs(self, kept.network.monotonic, run.network.monotonic)
        run.network.engine.set_parameters(kept.network.parameters)
        if not (kept.stochastic and run.stochastic):
            return run
        if incremental:
            run.take_over(kept, self.t_)
        same = kept.key == run.key and repr(kept.network.optimizer) == repr(run.network.optimizer)
        if incremental or self.warm_start != "exact" or not same:
            return run
        parameters = kept.network.parameters
        if kept.last is not None and np.array_equal(parameters, self._best_parameters):
            kept.network.engine.set_parameters(kept.last)
        kept.asked = run.asked
        return kept

    def _begin(self, network, activation, sizes):
        """Set the attributes of a net that has seen no data, and draw its weights."""
        draw_weights(self, network, self._random_state)
        self.n_iter_ = self.t_ = 0
        self.n_layers_ = len(sizes)
        self.out_activation_ = activation
        if is_stochastic(self):
            self.loss_curve_ = []
            self._begin_stopping(network)

    def _begin_stopping(self, network):
        """Set the attributes of the stopping rule to nothing seen so far."""
        self._no_improvement_count = 0
        self._best_parameters = network.parameters.copy() if self.early_stopping else None
        self.validation_scores_ = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None
        self.best_loss_ = None if self.early_stopping else np.inf

    def _validation(self, run, data, given, held):
        """Return the data scored after every epoch, splitting off rows where necessary."""
        splits = self.early_stopping and is_stochastic(self) and held is None
        if not splits or (run.split and sum(map(len, run.split)) != len(data)):
            run.split = None
        if splits and run.split is None:
            classes = None
            # rows of probabilities have no class
            if self.n_outputs_ == 1 and not (self._numeric_targets or self._is_soft):
                # both parts keep the shares; scikit-learn's messages name truth values
                classes = np.where(data.y[:, 0] > 0.5, "True", "False")
            rows = len(data)
            run.split = split_rows(rows, classes, self.validation_fraction, self._random_state)
        scored = self._score_outputs, self._as_labels
        return Validation(self, run.network, data, run.split, given, held, *scored)

    def _fit_stochastic(self, run, data, validation, callbacks, span, is_part):
        """Train by mini-batches; return whether the net stayed finite."""
        if not hasattr(self, "loss_curve_"):  # the net comes from L-BFGS
            self.loss_curve_ = []
        stops_early = getattr(self, "validation_scores_", None) is not None
        if not hasattr(self, "best_loss_") or stops_early != self.early_stopping:
            self._begin_stopping(run.network)

        score = validation.score if self.early_stopping else None
        around = None  # nothing to do between epochs
        if callbacks or validation.notes_losses:
            ended = partial(self._epoch_ended, validation, callbacks)
            around = callbacks.epoch_begins, ended
        solver = Stochastic(self, run, data, score, loss_share(run.network), around, span)
        reason = run.stopped = solver.fit(self.max_iter if span is None else 1)
        lost = solver.diverged
        if self.early_stopping:
            if lost:
                note_divergence(self, validation)
            elif validation.is_lost:
                lost = f"the outputs became infinite in epoch {self.n_iter_}"
            self._back_to_the_best(run, lost or solver.overflown)
        elif solver.overflown:
            warn_of_divergence(solver.overflown, self)
        if not ((is_part and reason is Stopped.EPOCHS) or lost or solver.overflown):
            warn_of_the_end(reason, self)
        return self.early_stopping or not lost

    def _back_to_the_best(self, run, lost):
        """Give the network the weights of the best score, and warn if the last ones are lost."""
        network = run.network
        run.last = network.parameters.copy() if self.warm_start == "exact" and not lost else None
        if lost:  # moments and their bias corrections start anew together
            network.engine.set_progress(self._best_parameters)
            warn_of_divergence(lost, self)
        else:
            network.engine.set_parameters(self._best_parameters)

    def _counting(self, validation, callbacks):
        """Return what notes an iteration on all samples, of which there were none yet."""
        self.n_iter_ = 0

        def after_iteration(loss):
            self.n_iter_ += 1
            self.loss_ = loss
            return self._epoch_ended(validation, callbacks)

        return after_iteration

    def _fit_lbfgs(self, run, data, validation, callbacks):
        """Train by L-BFGS-B; return whether the net stayed finite."""
        after_iteration = self._counting(validation, callbacks)
        needed = bool(callbacks) or validation.notes_losses
        around = (callbacks.epoch_begins, after_iteration if needed else None)
        share = loss_share(run.network)
        result = minimize_loss(self, run.network.engine, data, share, *around)
        self.loss_ = result.fun
        if result.status == STOPPED:
            self.n_iter_ = result.nit
            if result.late:
                warn_of_the_end(Stopped.TIME, self)
        else:
            self.n_iter_ = _check_optimize_result("lbfgs", result, self.max_iter)
        return True

    def _fit_lm(self, run, data, validation, callbacks):
        """Train by Levenberg and Marquardt; return whether the net stayed finite."""
        around = callbacks.epoch_begins, self._counting(validation, callbacks)
        return minimize_squares(self, run.network.engine, data, loss_share(run.network), *around)

    def _epoch_ended(self, validation, callbacks, goes_on=None):
        """Note the validation loss, and call the callbacks; return whether one stops."""
        validation.note_loss(goes_on)
        if not callbacks:
            return False
        entry = {"epoch": self.n_iter_ - 1, "loss": self.loss_}
        if is_stochastic(self) and self.validation_scores_:
            entry["validation_score"] = self.validation_scores_[-1]
        if hasattr(self, "validation_loss_curve_"):
            entry["validation_loss"] = self.validation_loss_curve_[-1]
        return callbacks.epoch_ended(entry)

    def _callbacks(self, plain, protocol, given):
        own = getattr(self, "_skl_callbacks", [])
        context = None
        if own or protocol:
            # those of the constructor are followed in this fit alone
            self.set_callbacks(*(c for c in own if c not in protocol), *protocol)
            try:
                context = self._init_callback_context(max_subtasks=None)
            finally:
                self.set_callbacks(*own)
        return Callbacks(self, context, plain, given, self._snapshot)

    def _snapshot(self):
        """Return the attributes of an estimator as if the fit had ended now."""
        network = deepcopy(self._run.network)
        if is_stochastic(self) and self.early_stopping:
            network.parameters[:] = self._best_parameters
        curves = ("loss_curve_", "validation_scores_", "validation_loss_curve_")
        kept = {name: getattr(self, name, None) for name in curves}
        lists = {name: list(values) for name, values in kept.items() if values is not None}
        kept = self._run
        run = Run(network, copy(kept.rates), kept.key, kept.asked, kept.stochastic)
        return {"_run": run, **run.shown, **lists}


def fit_known(
    estimator: Any, known: Known, spare: Network | None = None, is_part: bool = False
) -> Any:
    """Fit an estimator, whose parameters are checked, to data that are; return it.

    A `spare` network is that of an estimator with the same parameters, which is needed no more.
    One that `is_part` of a longer fit does not warn of too few epochs.
    """
    return estimator._fit(*known.given, known=known, spare=spare, is_part=is_part)


def stopped_of(estimator: Any) -> Stopped:
    """Return why the last fit of an estimator ended."""
    return estimator._run.stopped
