"""The fits of a search: one for each candidate and fold, in threads, scored as scikit-learn does.

A plain MLPClassifier or MLPRegressor is fitted directly: its parameters are checked once for each
candidate, its data once for each fold. All else, and whatever fails, goes through scikit-learn's
own function, so that scores and errors are the same.
"""

import itertools
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any

from sklearn import get_config, set_config
from sklearn.base import clone
from sklearn.model_selection._validation import _fit_and_score, _score
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params

from ..components.schedules import is_own
from ..estimators import MLPClassifier, MLPRegressor
from ..estimators.base import fit_known, stopped_of
from ..estimators.checked import Recipe, SharedRows
from ..training.interrupt import Stop
from ..training.stopped import Stopped
from .pool import threads_of

Said = dict[str, Any]  # what scikit-learn's `_fit_and_score` says of a fit


@dataclass(frozen=True)
class Task:
    """What a search fits: the estimator, all data, the folds, and how each fit is scored.

    `options` are arguments of scikit-learn's ``_fit_and_score``; without `direct` all goes through
    it. `default` says that the scorer is the estimator's own score.
    """

    estimator: Any
    X: Any
    y: Any
    splits: Sequence[tuple[Any, Any]]
    options: dict[str, Any]
    default: bool

    def recipe_of(self, parameters: dict[str, Any]) -> Recipe | None:
        """Return how to make the estimators of a candidate; None if scikit-learn must fit them."""
        is_ours = type(self.estimator) in (MLPClassifier, MLPRegressor)
        of_weights = not self.options["fit_params"].keys() - {"sample_weight"}
        if not is_ours or not of_weights or self.y is None or self.options["verbose"]:
            return None
        try:
            estimator = clone(self.estimator).set_params(**clone(parameters, safe=False))
            return Recipe(estimator) if _is_plain(estimator) else None
        except (TypeError, ValueError):  # which scikit-learn tells of as it does
            return None

    def fold(self, number: int) -> "Fold":
        """Return the rows of a fold, sliced."""
        X, y, options = self.X, self.y, self.options
        train, test = self.splits[number]
        trained = _safe_split(self.estimator, X, y, train)
        tested = _safe_split(self.estimator, X, y, test, train)
        weights = _check_method_params(X, options["fit_params"], train).get("sample_weight")
        params = [_check_method_params(X, options["score_params"], rows) for rows in (test, train)]
        parts = [
            (*rows, of.get("sample_weight"))
            for rows, of in zip((tested, trained), params, strict=True)
        ]
        return Fold(self, len(test), parts, params, SharedRows((*trained, weights), parts))

    def as_scikit_learn(self, parameters: dict[str, Any], progress: Any, number: int) -> Said:
        """Let scikit-learn fit and score a candidate on a fold."""
        train, test = self.splits[number]
        return _fit_and_score(
            clone(self.estimator),
            self.X,
            self.y,
            train=train,
            test=test,
            parameters=parameters,
            return_n_test_samples=True,
            return_times=True,
            split_progress=(number, len(self.splits)),
            candidate_progress=progress,
            **self.options,
        )


def _is_plain(estimator):
    """Return whether a fit runs no code of the caller's, which may raise anything."""
    given = (estimator.schedule, getattr(estimator.optimizer, "schedule", None))
    schedules = [each for each in given if each is not None and not isinstance(each, str)]
    is_ours = estimator.callbacks is None and not callable(estimator.scoring)
    return is_ours and all(map(is_own, schedules))


@dataclass
class Going:
    """A fit that goes on from rung to rung: its estimator, the epochs seen, what was said last."""

    estimator: Any = None
    epochs: int = 0
    said: Said = field(default_factory=dict)


@dataclass
class Fold:
    """The rows of a fold: `parts` are those to score on, held back and, second, trained on.

    Each part is X, y and weights; `params` are the arguments of its scorer.
    """

    task: Task
    count: int
    parts: Any
    params: Any
    rows: SharedRows

    def fitted(self, recipe: Recipe) -> Said:
        """Fit and score an estimator."""
        begin = time.perf_counter()
        estimator = fit_known(recipe.made(), self.rows.known(recipe), recipe.spare())
        said = self._said(estimator, recipe, begin)
        if self.task.default:  # else the scorer may have kept the estimator
            recipe.give_back(estimator)
        return said

    def gone_on(self, recipe: Recipe, going: "Going", epochs: int) -> Said:
        """Train until an estimator has seen so many epochs, and score it."""
        begin = time.perf_counter()
        if going.estimator is None:
            going.estimator = recipe.made(warm_start="exact", max_iter=epochs)
        elif stopped_of(going.estimator) is not Stopped.EPOCHS:
            return {**going.said, "fit_time": 0.0, "score_time": 0.0}  # it trains no further
        else:
            going.estimator.max_iter = epochs - going.epochs
        fit_known(going.estimator, self.rows.known(recipe), is_part=True)
        going.epochs = epochs
        going.said = self._said(going.estimator, recipe, begin)
        going.estimator.network_.engine.release()
        return going.said

    def _said(self, estimator, recipe, begin):
        """Score a fitted estimator."""
        fitted = time.perf_counter()
        said: Said = {"fit_error": None, "test_scores": self._scores(estimator, recipe, 0)}
        scored = time.perf_counter()
        if self.task.options["return_train_score"]:
            said["train_scores"] = self._scores(estimator, recipe, 1)
        times = {"fit_time": fitted - begin, "score_time": scored - fitted}
        return {**said, **times, "n_test_samples": self.count}

    def _scores(self, estimator, recipe, part):
        if self.task.default:
            return self.rows.score(estimator, recipe, part)
        X, y, _ = self.parts[part]
        options = self.task.options
        return _score(estimator, X, y, options["scorer"], self.params[part], options["error_score"])


class Trials:
    """The fits of candidates on all folds of a `Task`.

    The rows of k folds take k times the memory of X, whatever the number of candidates; fits that
    go on keep their estimators.
    """

    def __init__(self, task: Task, candidates: Sequence[dict[str, Any]]) -> None:
        self._task = task
        self._candidates = candidates
        self._recipes: dict[int, Recipe | None] = {}
        self._folds: dict[int, Fold] = {}
        self._going: dict[tuple[int, int], Going] = {}
        self._left = [len(task.splits)] * len(candidates)
        self._lock = Lock()

    def run(self, numbers: Sequence[int], epochs: int | None, threads: int) -> list[Said]:
        """Return what is said of the candidates of some numbers, the folds of each together.

        They are fitted on so many threads, to the end or, at a rung, until they have seen so many
        `epochs`. Ctrl-C ends all fits at their next slice, and is raised.
        """
        config, stop = get_config(), Stop()
        begin = partial(set_config, **config)
        with threads_of(threads, "fastbp-search", stop, begin) as pool:
            places = itertools.product(numbers, range(len(self._task.splits)))
            futures = [pool.submit(self._trial, *place, epochs, stop) for place in places]
            return [future.result() for future in futures]

    def _recipe(self, candidate):
        """Return the recipe of a candidate, made when the first thread asks for it."""
        with self._lock:
            if candidate not in self._recipes:
                self._recipes[candidate] = self._task.recipe_of(self._candidates[candidate])
            return self._recipes[candidate]

    def _trial(self, candidate, number, epochs, stop):
        parameters, recipe = self._candidates[candidate], self._recipe(candidate)
        with stop.applies():
            # a fit that fails here fails in scikit-learn's function too, which tells of it
            with suppress(TypeError, ValueError, Warning):
                if recipe is not None and epochs is None:
                    return self._fitted(recipe, candidate, number)
                if recipe is not None and recipe.goes_on:
                    going = self._going.setdefault((candidate, number), Going())
                    return self._fold(number).gone_on(recipe, going, epochs)
            if epochs is not None:
                parameters = {**parameters, "max_iter": epochs}
            progress = (candidate, len(self._candidates))
            return self._task.as_scikit_learn(parameters, progress, number)

    def _fold(self, number):
        with self._lock:
            if number not in self._folds:
                self._folds[number] = self._task.fold(number)
            return self._folds[number]

    def _fitted(self, recipe, candidate, number):
        said = self._fold(number).fitted(recipe)
        with self._lock:
            self._left[candidate] -= 1
            if not self._left[candidate]:
                recipe.clear()
        return said
