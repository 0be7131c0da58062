"""What both estimators share: a table of samples and targets, its training, its predictions."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from ..annotations import Array, Weights
from ..quoted import quoted
from ..tables.job import Job
from ..tables.model import TableModel
from ..tables.options import TrainOptions
from ..tables.read.frames import as_known
from ..tables.read.readers import from_arrays
from ..tables.result.outputs import free_name
from ..tables.roles import tell_left_out
from ..training.stopped import Stopped
from .importance import Importances, unseen_by
from .parameters import options_of
from .rows import told_by_rows_of_x
from .samples import Samples, samples_of
from .targets import are_missing_in_a_table, names_of_groups

if TYPE_CHECKING:
    from typing_extensions import Self

# one is held back, or there is nothing to learn
_FEWEST_SAMPLES = 2


class TabularEstimator(BaseEstimator, Importances):
    """The part of an estimator over tables that does not depend on what its targets are."""

    missing: Any
    n_threads: Any
    model_: TableModel
    n_outputs_: int
    _task: ClassVar[str]
    _names: list[str]

    @abstractmethod
    def _targets(self, y, kept, words) -> dict[str, Any]:
        """Return targets at the places `kept` by name, and keep what predictions are made of.

        A table takes `words` for missing values.
        """

    def _parameters(self) -> dict[str, Any]:
        """Return the parameters as options of a training."""
        return self.get_params(deep=False)

    def fit(
        self, X: Any, y: ArrayLike, sample_weight: Weights = None, groups: ArrayLike | None = None
    ) -> Self:
        """Train on samples; each network stops early on those that it does not train on.

        By default these are a fold of its own; of one network, a share that is held back. After an
        error the estimator is as it was before.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Samples: a frame of pandas, polars or pyarrow with numbers, booleans, categories, text
            and dates, each with missing values; or an array, NaN and None are missing. Columns of
            numbers in an array are all inputs. Those of a frame are read as `fastbp.train` reads
            them: ids and constant columns are left out with a warning. A column whose type is that
            of categories holds categories, also where these are numbers.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            A classifier's labels, or an indicator matrix of several; a regressor's numbers, or
            durations, which are seconds.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples, in losses and scores. Samples of weight 0 are left out.
        groups : array-like of shape (n_samples,), optional
            Groups, such as patients: none has samples both in training and in validation. The
            parameter `group` names a column of X for it instead.

        Returns
        -------
        self : TabularClassifier or TabularRegressor

        Raises
        ------
        ValueError, TypeError
            If an argument is invalid, also as `DataError` if the samples cannot be learned from.
        DivergenceError
            If a loss is not finite.
        """
        if y is None:  # in the words of scikit-learn
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                "is None."
            )
        # a twin, so that an error leaves nothing behind
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._fit(X, y, sample_weight, groups)
        self.__dict__ = twin.__dict__
        return self

    def _fit(self, X, y, sample_weight, groups):
        samples = samples_of(self, X)
        y = as_known(y)
        check_consistent_length(samples.frame, y)
        weight, kept = self._weights(sample_weight, samples.frame)
        words = TrainOptions("y", missing=self.missing).missing
        table = _Table(samples, kept, words)
        targets = self._targets(y, kept, words)
        roles: dict[str, Any] = {"target": [table.add(*each) for each in targets.items()]}
        parameters = self._parameters()
        if weight is not None:
            roles["weight"] = table.add("sample_weight", weight)
        if groups is not None:
            if parameters["group"] is not None:
                raise ValueError(
                    f"group={quoted(parameters['group'])}: fit has `groups` too; leave one of "
                    "them out"
                )
            check_consistent_length(samples.frame, groups)
            parameters["group"] = table.add("groups", names_of_groups(groups, kept))
        options = options_of(parameters, samples.names, task=self._task, **roles)
        with told_by_rows_of_x(kept):
            self._train(table.frame, _with_kinds(options, samples))
        self._names = samples.names
        self.n_outputs_ = len(targets)

    def _weights(self, given, frame):
        """Return the weights of samples above 0, or None, and the places of these samples."""
        weights = _check_sample_weight(given, frame, dtype=np.float64, ensure_non_negative=True)
        kept = np.flatnonzero(weights)
        if len(kept) < _FEWEST_SAMPLES:
            raise ValueError(
                f"Found array with {len(kept)} sample(s){'' if given is None else ' of weight'} "
                f"while a minimum of {_FEWEST_SAMPLES} is required by {type(self).__name__}."
            )
        return None if given is None else weights[kept], kept

    def _train(self, frame, options):
        job = Job(frame, options)
        tell_left_out(job.schema, job.table)
        self.model_ = job.run()
        if Stopped(self.model_.record["stopped"]) is Stopped.INTERRUPTED:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        self._measure_on(unseen_by(job, self.model_, frame))

    def _predictions(self, X, **asked) -> pl.DataFrame:
        """Return the predictions of `TableModel.predict`, without the ids of samples."""
        check_is_fitted(self)
        frame = samples_of(self, X, self._names).frame
        inputs = frame.drop(self.model_.schema.ids, strict=False)
        return self.model_.predict(inputs, n_threads=self.n_threads, **asked)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


class _Table:
    """The columns of samples, with others under names that are free."""

    def __init__(self, samples: Samples, kept: Array, words: tuple[str, ...]) -> None:
        frame = samples.frame
        self.frame = frame if len(kept) == len(frame) else frame[kept]
        self._taken = set(samples.names)
        self._words = words

    def add(self, name, values):
        """Add a column of as many values as there are samples; return its name.

        ValueError if the words that mean a missing value would leave one of them out.
        """
        lost = are_missing_in_a_table(values, self._words).nonzero()[0]
        if len(lost):
            raise ValueError(
                f"missing={quoted(self._words)}: {values[lost[0]]} of {quoted(name)} is one of "
                "these; give X with None in their place instead"
            )
        name = free_name(name, self._taken)
        self._taken.add(name)
        self.frame = self.frame.hstack(from_arrays("fit", {name: values}).frame)
        return name


def _with_kinds(options, samples):
    """Return options with the kinds that columns are of by their types, unless they say another."""
    taken = {*options.ids, *options.drop, *options.categorical, *options.numeric, options.group}
    numeric, categorical = (
        [name for name in names if name not in taken]
        for names in (samples.numeric, samples.categorical)
    )
    return replace(
        options,
        numeric=(*options.numeric, *numeric),
        categorical=(*options.categorical, *categorical),
    )
