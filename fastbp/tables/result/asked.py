"""Metrics of scikit-learn by their names, of the predictions of a table's model."""

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import DataError
from ...quoted import quoted
from ..columns.schema import Schema
from ..wording import listed, one_line, unknown
from .outputs import class_values

_steps = logging.getLogger("fastbp.steps")
Scorer = Callable[..., float]
# how the names of functions end that return one number
_OF_SCORES = ("_score", "_loss", "_error", "_deviance", "_coef")


def scorers_of(names: Sequence[str]) -> dict[str, Scorer]:
    """Return scikit-learn's scorers by name; ValueError, with the nearest name, for others.

    A name is that of a scorer, such as ``f1`` or ``neg_log_loss``, or of a function of
    ``sklearn.metrics`` that takes predictions, such as ``cohen_kappa_score`` or
    ``mean_absolute_error``.
    """
    names = [names] if isinstance(names, str) else list(names)
    return {name: _scorer(name) for name in names}


def _scorer(name):
    _steps.info("loading scikit-learn")
    from sklearn import metrics

    known = metrics.get_scorer_names()
    if name in known:
        return metrics.get_scorer(name)
    for other in (f"neg_{name}", f"neg_{str(name).removesuffix('_loss')}"):
        if other in known:
            return _negated(metrics.get_scorer(other))
    if str(name).removesuffix("_score") in known:
        return metrics.get_scorer(name.removesuffix("_score"))
    functions = [each for each in metrics.__all__ if _takes_predictions(getattr(metrics, each))]
    if name in functions:
        return metrics.make_scorer(getattr(metrics, name))
    raise ValueError(unknown("metric", name, [*known, *functions]))


def _negated(scorer):
    return lambda *arguments, **weights: -scorer(*arguments, **weights)


def _takes_predictions(function):
    """Return whether a member of ``sklearn.metrics`` scores predictions, and needs no more."""
    if not inspect.isfunction(function) or not function.__name__.endswith(_OF_SCORES):
        return False
    parameters = inspect.signature(function).parameters.values()
    required = [p.name for p in parameters if p.default is p.empty]
    return required in (["y_true", "y_pred"], ["y1", "y2"])


class AskedScores:
    """Gathers the outputs of all rows, for the metrics that need them at once."""

    def __init__(self, schema: Schema, scorers: Mapping[str, Scorer]) -> None:
        self._schema = schema
        self._scorers = scorers
        self._outputs: list[npt.NDArray] = []
        self._truth: list[npt.NDArray] = []
        self._weights: list[npt.NDArray] = []

    def add(
        self, outputs: npt.NDArray, truth: npt.NDArray, weight: npt.NDArray | None = None
    ) -> None:
        """Add outputs (n, n_out), labels or standardized numbers (n,), and weights (n,)."""
        self._outputs.append(outputs)
        self._truth.append(truth)
        if weight is not None:
            self._weights.append(weight)

    def metrics(self) -> dict[str, float]:
        """Return the scores by name; DataError if a metric does not suit the target."""
        if not self._scorers:
            return {}
        outputs = self._schema.uncrossed(np.concatenate(self._outputs))
        truth = np.concatenate(self._truth)
        model = model_of(self._schema)
        weights = {"sample_weight": np.concatenate(self._weights)} if self._weights else {}

        def score(name, scorer):
            try:
                return float(scorer(model, outputs, model.named(truth), **weights))
            except (ValueError, TypeError, AttributeError) as error:  # of a metric of another task
                raise DataError(
                    f"metric {quoted(name)} of the target {listed(self._schema.target_names)}: "
                    f"{one_line(error)}"
                ) from error

        return {name: score(name, scorer) for name, scorer in self._scorers.items()}


def model_of(schema: Schema, outputs_of: Callable[[npt.NDArray], npt.NDArray] = lambda X: X) -> Any:
    """Return a model, as scikit-learn has them, of samples X with the outputs ``outputs_of(X)``.

    They are those of a network; by default they are the samples themselves. Classes of two are 0
    and 1, so that the second is the positive one; whole numbers are themselves, and others are
    text. Several targets are columns of numbers, or of 0 and 1.
    """
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

    class Fitted(BaseEstimator):
        def fit(self, X, y):
            return self

    targets = schema.targets
    scales = np.array([target.scale for target in targets])
    means = np.array([target.mean for target in targets])

    class Numbers(RegressorMixin, Fitted):
        def named(self, truth):
            return truth * scales + means if schema.more_targets else truth * scales[0] + means[0]

        def predict(self, X):
            outputs = outputs_of(X).astype(np.float64)
            return self.named(outputs if schema.more_targets else outputs[:, 0])

    class Labels(ClassifierMixin, Fitted):
        classes_ = np.arange(2)

        def named(self, truth):
            return truth.astype(np.int64)

        def predict(self, X):
            return (outputs_of(X) > 0.5).astype(np.int64)

    class Classes(ClassifierMixin, Fitted):
        def __init__(self):
            names = class_values(schema.target).to_numpy()
            self.classes_ = np.arange(2) if len(names) == 2 else names.astype(_plain(names))

        def named(self, truth):
            return self.classes_[truth]

        def predict(self, X):
            return self.named(outputs_of(X).argmax(axis=1))

        def predict_proba(self, X):
            return outputs_of(X).astype(np.float64)

    if schema.target.task == "regression":
        return Numbers()
    return Labels() if schema.more_targets else Classes()


def _plain(names):
    """Return the NumPy type of text, which polars gives as objects."""
    return str if names.dtype == object else names.dtype
