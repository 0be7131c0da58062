"""The checks of an estimator: parameters and data, once for a fit or once for many alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import column_or_1d
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..data.samples import Samples
from ..network import Network
from .fitted import FittedMLP, samples_of
from .missing import gaps_of, name_switch
from .parameters import is_stochastic

_SPARSE = ["csr", "csc"]
# of these types a value is never written to, so that estimators may share it
_CONSTANTS = (int, float, str, bool, type(None))


@dataclass(frozen=True)
class Known:
    """Data of a fit, checked.

    `learned` holds the attributes that an estimator sets before it trains; `samples` are the data
    as kernels read them, if they are known; `given` are X and y before the checks.
    """

    X: Any
    targets: dict[str, Any]
    weight: Any
    learned: dict[str, Any] = field(default_factory=dict)
    samples: Samples | None = None
    given: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Held:
    """Rows that fitted estimators are scored on; `dtype` is that of the caller's X."""

    samples: Samples
    dtype: Any


class CheckingMLP(FittedMLP, ABC):
    """The part of both estimators that checks what it is given."""

    _numeric_targets: ClassVar[bool]

    @abstractmethod
    def _encode(self, y):
        """Return targets as a dict of `Samples`: y (n, n_out), or labels (n,)."""

    @abstractmethod
    def _score_outputs(self, outputs, data):
        """Return scikit-learn's score of outputs against the targets of `data`."""

    def _meet(self, y, incremental):
        """Learn what there is to know of the targets, or check them against what is known."""

    def _check_known(self, y):
        """Raise ValueError if targets to score on are not such as the net can have learned."""

    def _weights(self, y, weight, incremental):
        """Return the weights of the samples, or None."""
        return weight

    def _read(self, y):
        """Return targets as they are given, or checked already."""
        return y

    def _to_learn(self, targets, dtype):
        """Return encoded targets, or others to train on in their place."""
        return targets

    def _as_labels(self, y):
        """Return what scikit-learn's scores take in place of targets that are given."""
        return y

    def _known_of(self, X, y, sample_weight, goes_on, incremental):
        """Check data of a fit, and learn of them all but the weights; return them as `Known`."""
        X, y = self._check_data(X, y, reset=not goes_on)
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        self._meet(y, incremental)
        weight = self._weights(y, weight, incremental)
        targets = self._to_learn(self._encode(y), X.dtype)
        self.n_outputs_ = self._count(targets)
        return Known(X, targets, weight)

    def _may_have_gaps(self, y):
        """Return whether some of such targets may be missing, where it is allowed."""
        return y is not None

    def _check_data(self, X, y, reset):
        y = self._read(y)
        if not self._may_have_gaps(y):
            return self._checked(X, y, reset)
        if not self.missing_targets:
            try:
                return self._checked(X, y, reset)
            except ValueError as error:
                name_switch(error)
                raise
        there, gaps = gaps_of(y, self.scoring)
        X, y = self._checked(X, there, reset)
        return X, np.where(gaps.reshape(y.shape), np.nan, y)

    def _checked(self, X, y, reset):
        if not reset and self._are_plain(X, y):
            return X, y
        floats = (np.float64, np.float32) if self.dtype is None else np.dtype(self.dtype).type
        of_y = {"multi_output": True, "y_numeric": self._numeric_targets}
        X, y = validate_data(self, X, y, accept_sparse=_SPARSE, dtype=floats, reset=reset, **of_y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _are_plain(self, X, y):
        """Return whether more data are arrays as `validate_data` returns them, in a tenth of it."""
        dtypes = (np.float64, np.float32) if self.dtype is None else (np.dtype(self.dtype),)
        return (
            type(X) is np.ndarray
            and type(y) is np.ndarray
            and X.dtype in dtypes
            and y.dtype.kind in ("f" if self._numeric_targets else "biuf")
            and (X.ndim, y.ndim) == (2, 1)
            and X.shape == (len(y), self.n_features_in_)
            and len(y) > 0
            and not hasattr(self, "feature_names_in_")
            and bool(np.isfinite(X).all() and np.isfinite(y).all())
        )

    def _check_held_out(self, X, y, weight, name):
        X, y = self._check_data(X, y, reset=False)
        self._check_known(y)
        targets = self._encode(y)
        if self._count(targets) != self.n_outputs_:
            raise ValueError(
                f"{name}: y has {self._count(targets)} outputs, expected {self.n_outputs_}"
            )
        return X, targets, None if weight is None else _check_sample_weight(weight, X)

    def _score_present(self, X, y, weight):
        """Return the score of predictions on the targets that are not missing."""
        check_is_fitted(self)
        data = self._samples(*self._check_held_out(X, y, weight, "score"))
        return float(self._score_outputs(self._outputs(X), data))

    def _count(self, targets):
        """Return how many outputs encoded targets ask for."""
        return len(self.classes_) if "labels" in targets else targets["y"].shape[1]

    def _parameters(self):
        """Check the parameters; return them by name."""
        self._validate_params()
        return self.get_params(deep=False)

    def _shared(self, X, y, sample_weight):
        """Return data as `Known`, for all fits that begin anew and read them as this one would."""
        names = set(vars(self))
        known = self._known_of(X, y, sample_weight, False, False)
        learned = {name: value for name, value in vars(self).items() if name not in names}
        targets = known.targets, known.weight
        samples = samples_of(known.X, *targets, known.X.dtype, self.missing_targets)
        return Known(known.X, known.targets, known.weight, learned, samples, (X, y))

    def _held(self, learned, X, y, weight, dtype):
        """Return rows to score on as `Held`; ValueError if their targets are of another kind."""
        self.__dict__.update(learned)
        if self.missing_targets:
            X, targets, weight = self._check_held_out(X, y, weight, "score")
            return Held(samples_of(X, targets, weight, dtype, missing=True), X.dtype)
        y = self._read(y)
        X = validate_data(self, X, accept_sparse=_SPARSE, reset=False)
        targets = {"y": y}
        if not self._numeric_targets:
            self._check_known(y)
            targets = self._encode(y)
        x = samples_of(X, {}, None, dtype).x
        return Held(Samples(x, weight=weight, **targets), X.dtype)

    def _score_held(self, held):
        outputs = self._run.network.engine.forward(held.samples, self.n_threads)
        dtype = np.result_type(held.dtype, outputs.dtype)
        return self._score_outputs(outputs.astype(dtype, copy=False), held.samples)


# parameters by which the targets are read
_READ = [
    "dtype",
    "loss",
    "loss_parameter",
    "class_weight",
    "label_smoothing",
    "soft_labels",
    "missing_targets",
]


class Recipe:
    """The parameters of an estimator, checked once, to make estimators with.

    It raises ValueError or TypeError if one is wrong. Recipes of one `key` read data alike. The
    networks of estimators that are needed no more are kept for the next.
    """

    def __init__(self, estimator: CheckingMLP) -> None:
        self._kind = type(estimator)
        parameters = estimator._parameters()
        self._shared = {n: v for n, v in parameters.items() if isinstance(v, _CONSTANTS)}
        self._own = {n: v for n, v in parameters.items() if n not in self._shared}
        self.key = repr([parameters.get(name) for name in _READ])
        #: Whether a fit that is continued has the bits of one that was not interrupted.
        self.goes_on = is_stochastic(estimator)
        self._spares: list[Network] = []

    def made(self, **changes: Any) -> Any:
        """Return a new estimator, as scikit-learn's ``clone`` does, with some parameters set."""
        return self._kind(**{**self._shared, **deepcopy(self._own), **changes})

    def spare(self) -> Network | None:
        """Take a network that is needed no more, if there is one."""
        try:
            return self._spares.pop()
        except IndexError:  # not asked for before: another thread may take the last one
            return None

    def give_back(self, estimator: CheckingMLP) -> None:
        """Keep the network of an estimator that is needed no more."""
        self._spares.append(estimator.network_)

    def clear(self) -> None:
        """Keep no network any longer."""
        self._spares.clear()


class SharedRows:
    """Rows to fit to, and parts of rows to score on, for all estimators that read them alike.

    Each is X, y and the weights of the samples, or None. Threads share it: what is read is checked
    when it is first needed, and once.
    """

    def __init__(self, fitted: tuple[Any, Any, Any], scored: Sequence[tuple[Any, Any, Any]]):
        self._fitted = fitted
        self._scored = scored
        self._known: dict[str, Known] = {}
        self._held: dict[tuple[str, int], Held] = {}
        self._lock = Lock()

    def known(self, recipe: Recipe) -> Known:
        """Return the rows to fit to."""
        with self._lock:
            if recipe.key not in self._known:
                self._known[recipe.key] = recipe.made()._shared(*self._fitted)
            return self._known[recipe.key]

    def score(self, estimator: CheckingMLP, recipe: Recipe, part: int) -> float:
        """Return the estimator's own score of a part of the rows to score on."""
        known = self.known(recipe)
        key = recipe.key, part
        with self._lock:
            if key not in self._held:
                rows = self._scored[part]
                self._held[key] = recipe.made()._held(known.learned, *rows, known.X.dtype)
        return float(estimator._score_held(self._held[key]))
