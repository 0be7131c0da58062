"""`MLPSearchCV`: scikit-learn's search over parameters, one fit on each core, in threads."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import joblib
import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, ParameterGrid, ParameterSampler, check_cv
from sklearn.model_selection._validation import (
    _insert_error_scores,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils import indexable
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import _check_method_params

from ..annotations import ArrayLike, Matrix, Threads
from ..checks import computed
from ..estimators import MLPClassifier, MLPRegressor
from ..estimators.missing import gaps_of
from ..kernels.compiler.processors import available_threads
from ..kernels.support.scalars import a_whole_number
from ..quoted import quoted
from .rungs import rungs_of
from .trials import Task, Trials

if TYPE_CHECKING:
    from typing_extensions import Self


class MLPSearchCV(GridSearchCV):
    """Search the best parameters of an estimator by cross-validation.

    It is scikit-learn's ``GridSearchCV``, given a `param_grid`, or its ``RandomizedSearchCV``,
    given `param_distributions`, with the same candidates, folds, scores and attributes. The fits
    run in threads of this process, one on each core: X is shared, and nothing is pickled.

    Parameters
    ----------
    estimator : estimator
        An MLPClassifier, an MLPRegressor, or a pipeline that ends in one.
    param_grid : dict or list of dict, optional
        Values to try, by the name of the parameter.
    param_distributions : dict or list of dict, optional
        Values or distributions to draw from; give this or `param_grid`.
    n_iter : int, default 10
        Candidates to draw from `param_distributions`.
    scoring, refit, cv, verbose, error_score, return_train_score
        As for ``GridSearchCV``.
    random_state : int, RandomState or None
        Seed of the draws.
    n_threads : int or "auto"
        Fits that run at once. The scores do not depend on it.
    pruning : {"halving", "median"} or None
        Compare the candidates while they train, and let the better ones go on from where they
        are, up to the estimator's `max_iter`. "halving" lets 1 / `factor` of them go on at each
        rung, after `factor` times as many epochs, as ``HalvingGridSearchCV(resource="max_iter")``
        does. "median" stops, every `min_epochs`, those whose best score so far is lower than the
        median of all mean scores so far (Google Vizier, KDD 2017). The scores are those of
        candidates that were trained alone for as many epochs.
    factor : float, default 3
        That of "halving".
    min_epochs : int, optional
        Epochs up to the first rung of "halving"; default: so many that the last rung comes close to
        `max_iter`. With "median", the epochs between two rungs; default ``max_iter // 10``.

    Attributes
    ----------
    cv_results_, best_estimator_, best_params_, best_score_, best_index_, refit_time_, scorer_
        As those of ``GridSearchCV``; with `pruning`, as those of ``HalvingGridSearchCV``: a row for
        each candidate and rung, named by ``iter`` and, the epochs, ``n_resources``.
    n_resources_, n_candidates_, n_remaining_candidates_, n_iterations_ and others
        With `pruning`: as those of ``HalvingGridSearchCV``.
    """

    estimator: Any
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **GridSearchCV._parameter_constraints,
        "param_grid": [dict, list, None],
        "param_distributions": [dict, list, None],
        "random_state": ["random_state"],
        "pruning": [StrOptions({"halving", "median"}), None],
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        *,
        param_distributions: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        n_iter: int = 10,
        scoring: str | Callable[..., Any] | Iterable[Any] | Mapping[str, Any] | None = None,
        refit: bool | str | Callable[..., int] = True,
        cv: Any = None,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
        n_threads: Threads = "auto",
        error_score: Any = np.nan,
        return_train_score: bool = False,
        pruning: Literal["halving", "median"] | None = None,
        factor: float = 3,
        min_epochs: int | None = None,
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.param_distributions = param_distributions
        self.n_iter = n_iter
        self.random_state = random_state
        self.n_threads = n_threads
        self.pruning = pruning
        self.factor = factor
        self.min_epochs = min_epochs

    def fit(self, X: Matrix, y: ArrayLike | None = None, **params: Any) -> "Self":
        """Search; then fit the best candidate to all data, unless `refit` is False.

        Ctrl-C ends the fits of the search within about 50 ms, and is raised.

        Raises
        ------
        ValueError
            If neither or both of `param_grid` and `param_distributions` are given, a parameter is
            unknown, or all fits fail.
        """
        if (self.param_grid is None) == (self.param_distributions is None):
            given = "neither is" if self.param_grid is None else "both are"
            raise ValueError(
                f"param_grid and param_distributions: {given} given; expected one of the two"
            )
        threads = available_threads()
        if self.n_threads != "auto":
            threads = a_whole_number("n_threads", self.n_threads, least=1)
        asked = self.estimator
        if not hasattr(asked, "fit") or isinstance(asked, type):
            raise TypeError(
                f"estimator={quoted(asked)}: expected an estimator, such as MLPClassifier()"
            )
        self._validate_params()
        # callbacks of a search follow scikit-learn's own loop
        if getattr(self, "_skl_callbacks", None) and self.pruning is None:
            with joblib.parallel_config("threading", n_jobs=threads):
                return super().fit(X, y, **params)
        own = [name for name in asked.get_params() if name.rpartition("__")[2] == "n_threads"]
        # each fit on one thread, and the scores are the same
        alone = clone(asked).set_params(**dict.fromkeys(own, 1))
        X, y = indexable(computed(X), computed(y))
        params = _check_method_params(X, params)
        routed = self._get_routed_params_for_fit(params)
        scorers, metric = self._get_scorers()
        options = {
            "scorer": scorers,
            "fit_params": routed.estimator.fit,
            "score_params": routed.scorer.score,
            "return_train_score": self.return_train_score,
            "error_score": self.error_score,
            "verbose": self.verbose,
        }
        splits = self._splits(X, y, routed.splitter.split)
        task = Task(alone, X, y, splits, options, default=self.scoring is None)
        self.cv_results_ = self._choose(task, metric, threads)
        self.scorer_ = getattr(scorers, "_scorers", scorers)
        if self.refit:
            self._fit_best(X, y, routed.estimator.fit)
        return self

    def _splits(self, X, y, options):
        """Return the folds, as ``GridSearchCV`` makes them; missing targets are as others to it."""
        asked = self.estimator.get_params()
        if any(v is True and n.rpartition("__")[2] == "missing_targets" for n, v in asked.items()):
            y, _ = gaps_of(y, None)
        cv = self._checked_cv_orig = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        self.n_splits_ = cv.get_n_splits(X, y, **options)
        splits = list(cv.split(X, y, **options))
        if len(splits) != self.n_splits_:
            raise ValueError(
                "cv.split and cv.get_n_splits return inconsistent results. Expected "
                f"{self.n_splits_} splits, got {len(splits)}"
            )
        return splits

    def _choose(self, task, metric, threads):
        """Fit and score all candidates, and choose the best; return the results."""
        candidates = self._candidates()
        rungs = self._rungs(candidates)
        trials = Trials(task, candidates)
        rows: list[dict[str, Any]] = []
        told: list[dict[str, Any]] = []
        more: dict[str, list[int]] = {"iter": [], "n_resources": []}
        curves: dict[int, list[float]] = {number: [] for number in range(len(candidates))}
        left = [list(curves)]
        for place, epochs in enumerate(rungs.epochs):
            if place:
                left.append(rungs.going_on(left[-1], curves))
            said = self._told(trials, left[-1], epochs, threads)
            if not place:
                metric = self._metric(said[0]["test_scores"], metric)
            means = self._means(said, metric)
            for number, mean in zip(left[-1], means, strict=True):
                curves[number].append(mean)
            seen = {} if epochs is None else {"max_iter": epochs}
            rows += [{**candidates[number], **seen} for number in left[-1]]
            told += said
            more["iter"] += [place] * len(left[-1])
            more["n_resources"] += [epochs or 0] * len(left[-1])
        self.__dict__.update(rungs.attributes(left))
        results = self._format_results(rows, self.n_splits_, told, self.pruning and more)
        if self.refit or not self.multimetric_:
            self._note_best(results, metric, len(left[-1]))
        return results

    def _rungs(self, candidates):
        """Return when candidates are compared; ValueError if this search cannot prune."""
        if self.pruning is None:
            return rungs_of(None, None, None, 0, 0)
        if type(self.estimator) not in (MLPClassifier, MLPRegressor):
            raise ValueError(
                f"pruning={quoted(self.pruning)}: estimator={quoted(self.estimator)} cannot go "
                "on training; give an MLPClassifier or MLPRegressor of fastbp"
            )
        if any("max_iter" in candidate for candidate in candidates):
            raise ValueError(
                f"pruning={quoted(self.pruning)} sets max_iter, which is searched too: leave one "
                "out"
            )
        most = a_whole_number("max_iter", self.estimator.max_iter, least=1)
        return rungs_of(self.pruning, self.factor, self.min_epochs, most, len(candidates))

    def _told(self, trials, numbers, epochs, threads):
        """Return what is said of the fits of some candidates, and warn of those that failed."""
        if self.verbose:
            print(
                f"Fitting {self.n_splits_} folds for each of {len(numbers)} candidates, "
                f"totalling {self.n_splits_ * len(numbers)} fits"
            )
        said = trials.run(numbers, epochs, threads)
        if not said:
            raise ValueError(
                "No fits were performed. Was the CV iterator empty? Were there no candidates?"
            )
        _warn_or_raise_about_fit_failures(said, self.error_score)
        if callable(self.scoring):
            _insert_error_scores(said, self.error_score)
        return said

    def _metric(self, scores, metric):
        """Return the name of the score that candidates are compared by."""
        self.multimetric_ = isinstance(scores, dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(scores)
            metric = self.refit
        if self.pruning is not None and self.multimetric_ and not isinstance(metric, str):
            raise ValueError(
                f"refit={quoted(self.refit)}: with pruning and several scores, give the name of one"
            )
        return metric

    def _means(self, said, metric):
        """Return the mean score of each candidate over its folds."""
        if self.pruning is None:  # which compares them at the end
            return [np.nan] * (len(said) // self.n_splits_)
        scores = [each["test_scores"] for each in said]
        if self.multimetric_:
            scores = [each[metric] for each in scores]
        return np.average(np.reshape(scores, (-1, self.n_splits_)), axis=1)

    def _note_best(self, results, metric, last):
        """Set the attributes of the best candidate, one of the `last` rows where others stopped."""
        if self.pruning is None or callable(self.refit):
            self.best_index_ = self._select_best_index(self.refit, metric, results)
        else:
            scores = results[f"mean_test_{metric}"]
            kept = np.nan_to_num(scores[-last:], nan=-np.inf)
            self.best_index_ = len(scores) - last + np.argmax(kept)
        if not callable(self.refit):
            self.best_score_ = results[f"mean_test_{metric}"][self.best_index_]
        self.best_params_ = results["params"][self.best_index_]

    def _fit_best(self, X, y, params):
        """Fit the best candidate to all data, on all threads that the estimator asks for."""
        best = clone(self.best_params_, safe=False)
        self.best_estimator_ = clone(self.estimator).set_params(**best)
        begin = time.perf_counter()
        targets = () if y is None else (y,)
        self.best_estimator_.fit(X, *targets, **params)
        self.refit_time_ = time.perf_counter() - begin
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_

    def _candidates(self):
        """Return the parameters of all candidates."""
        if self.param_grid is not None:
            return list(ParameterGrid(self.param_grid))
        n_iter = a_whole_number("n_iter", self.n_iter, least=1)
        return list(
            ParameterSampler(self.param_distributions, n_iter, random_state=self.random_state)
        )

    def _run_search(self, evaluate_candidates):
        evaluate_candidates(self._candidates())
