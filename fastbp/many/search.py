"""`MLPSearchCV`: scikit-learn's search over parameters, one fit on each core, in threads."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, ParameterGrid, ParameterSampler

from ..annotations import ArrayLike, Matrix, Threads
from ..kernels.compiler.threads import available_threads
from ..kernels.support.scalars import a_whole_number

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

    Attributes
    ----------
    cv_results_, best_estimator_, best_params_, best_score_, best_index_, refit_time_, scorer_
        As those of ``GridSearchCV``.
    """

    estimator: Any
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **GridSearchCV._parameter_constraints,
        "param_grid": [dict, list, None],
        "param_distributions": [dict, list, None],
        "random_state": ["random_state"],
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

    def fit(self, X: Matrix, y: ArrayLike | None = None, **params: Any) -> "Self":
        """Search; then fit the best candidate to all data, unless `refit` is False.

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
            raise TypeError(f"estimator={asked!r}: expected an estimator, such as MLPClassifier()")
        own = {name: value for name, value in asked.get_params().items() if _is_threads(name)}
        try:  # each fit on one thread, and the scores are the same
            self.estimator = clone(asked).set_params(**dict.fromkeys(own, 1))
            with joblib.parallel_config("threading", n_jobs=threads):
                super().fit(X, y, **params)
        finally:
            self.estimator = asked
        if self.refit:
            chosen = {name: n for name, n in own.items() if name not in self.best_params_}
            self.best_estimator_.set_params(**chosen)
        return self

    def _run_search(self, evaluate_candidates):
        if self.param_grid is not None:
            evaluate_candidates(ParameterGrid(self.param_grid))
            return
        n_iter = a_whole_number("n_iter", self.n_iter, least=1)
        drawn = ParameterSampler(self.param_distributions, n_iter, random_state=self.random_state)
        evaluate_candidates(drawn)


def _is_threads(name):
    return name.rpartition("__")[2] == "n_threads"
