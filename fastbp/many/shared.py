"""The data of all jobs: checked once, converted once for each dtype, shared by all threads."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..checks import as_array, computed, float_array
from ..data.samples import Samples, samples, validation_samples
from ..engine.engine import Engine
from ..kernels.support.ramp_rows import RampRows
from ..quoted import quoted

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Fold:
    """One split of the rows: its number, and which rows train and which are scored."""

    number: int
    trains: Rows
    tests: Rows


@dataclass(frozen=True)
class Shared:
    """`X`, `y` and `weight` as the caller gave them, and what was made of them for the jobs.

    A part is made when the first job asks for it, and kept: the parts of k folds take k - 1 times
    the memory of X, whatever the number of jobs.
    """

    X: Any
    y: npt.NDArray
    weight: npt.NDArray | None
    _parts: dict[Any, Any] = field(default_factory=dict)
    _samples: dict[Any, Samples] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.RLock)

    @property
    def count(self) -> int:
        """The number of rows."""
        return int(self.X.shape[0])

    def arrays(self) -> list[npt.NDArray]:
        """Return the arrays that the data are."""
        return [*arrays_of(self.X), self.y, *([] if self.weight is None else [self.weight])]

    def rows(self, dtype: np.dtype | None, fold: Fold | None, tests: bool = False) -> Any:
        """Return X of the rows of a fold that train, or are scored; all without a fold.

        What `is_dense` are arrays of `dtype`, if one is given, as networks need them.
        """
        which = None if fold is None else (fold.tests if tests else fold.trains)
        number = None if fold is None else fold.number
        with self._lock:
            key = (dtype, number, tests)
            if key not in self._parts:
                self._parts[key] = self._made(dtype, which)
            return self._parts[key]

    def validation(self, engine: Engine, given: Any) -> Samples:
        """Return validation data checked for an engine's network; errors as for `samples`."""
        plan = engine.plan
        # by its identity: the jobs that it belongs to hold it
        key = (plan.dtype, plan.specs[-1].n_out, engine.loss, "validation", id(given))
        with self._lock:
            if key not in self._samples:
                self._samples[key] = validation_samples(given, plan, engine.loss)
            return self._samples[key]

    @property
    def is_dense(self) -> bool:
        """Whether X is neither a sparse matrix nor rows with ramps."""
        return not (hasattr(self.X, "tocsr") or isinstance(self.X, RampRows))

    @property
    def is_plain(self) -> bool:
        """Whether X is dense, and outputs have no weights of their own."""
        return self.is_dense and (self.weight is None or self.weight.ndim == 1)

    def samples(self, engine: Engine, fold: Fold | None) -> Samples:
        """Return all rows, or those that a fold scores, checked for an engine's network.

        TypeError or ValueError if they do not suit.
        """
        plan = engine.plan
        number = None if fold is None else fold.number
        key = (plan.dtype, plan.specs[-1].n_out, engine.loss, number)
        with self._lock:
            if key not in self._samples:
                X, y, weight = self.rows(plan.dtype, fold, fold is not None), self.y, self.weight
                if fold is not None:
                    y, weight = y[fold.tests], None if weight is None else weight[fold.tests]
                self._samples[key] = samples(X, y, plan, engine.loss, weight)
            return self._samples[key]

    def _made(self, dtype, which):
        if which is not None:
            key = (dtype, None, False)
            if key not in self._parts:
                self._parts[key] = self._made(dtype, None)
            return taken(self._parts[key], which)
        if dtype is None or not self.is_dense:
            return self.X
        return float_array("X", self.X, dtype, rank=2)


def arrays_of(data: Any) -> list[npt.NDArray]:
    """Return the arrays that a matrix consists of, which may be sparse or have ramps."""
    if isinstance(data, RampRows):
        return [data.values, data.starts]
    X = data.tocsr() if hasattr(data, "tocsr") else np.asarray(data)
    return [X] if isinstance(X, np.ndarray) else [X.data, X.indices, X.indptr]


def taken(array: Any, rows: Rows | Sequence[int]) -> Any:
    """Return some rows of an array, a sparse matrix, rows with ramps, or a frame."""
    if isinstance(array, (np.ndarray, RampRows)) or hasattr(array, "tocsr"):
        return array[rows]
    from sklearn.utils import _safe_indexing

    return _safe_indexing(array, rows)


def shared_of(X: Any, y: Any, weight: Any) -> Shared:
    """Return the data of all jobs; ValueError if their rows do not fit."""
    X = computed(X)  # its blocks may not know how many rows they have
    X = as_array("X", X) if not hasattr(X, "shape") else X
    X = X.tocsr() if hasattr(X, "tocsr") else X
    if len(X.shape) != 2:
        raise ValueError(f"X has shape {tuple(X.shape)}: expected (n, n_in)")
    shared = Shared(X, np.asarray(y), None if weight is None else np.asarray(weight))
    for name, values in (("y", shared.y), ("sample_weight", shared.weight)):
        if values is not None and (not values.ndim or len(values) != shared.count):
            raise ValueError(f"{name} has shape {values.shape}, and X {shared.count:,} rows")
    return shared


def folds_of(folds: Any, shared: Shared, classifies: bool, name: str = "folds") -> list[Fold]:
    """Return the folds that scikit-learn makes of `folds`; ValueError if they do not fit."""
    from sklearn.model_selection import check_cv

    try:
        splitter = check_cv(folds, shared.y, classifier=classifies)
        parts = [tuple(part) for part in splitter.split(np.zeros((shared.count, 1)), shared.y)]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}={quoted(folds)}: {error}") from error
    if not parts:
        raise ValueError(f"{name}={quoted(folds)}: there are none")
    found = []
    for number, part in enumerate(parts):
        rows = [np.asarray(each) for each in part]
        if len(rows) != 2 or any(not _are_rows(each, shared.count) for each in rows):
            raise ValueError(
                f"{name}={quoted(folds)}: fold {number} is not the numbers of rows that train "
                f"and of rows that are scored, of {shared.count:,}"
            )
        found.append(Fold(number, *(each.astype(np.intp) for each in rows)))
    return found


def _are_rows(rows, count):
    is_known = rows.ndim == 1 and rows.size > 0 and rows.dtype.kind in "ui"
    return is_known and rows.min() >= 0 and rows.max() < count
