"""A panel of random configurations that scikit-learn's estimators and fastbp's both fit.

A `Case` is one configuration with its data. `draw_cases` draws short ones, of 20 epochs at
most, and `draw_long_cases` some that run to their end. `fit` fits a case with the classes of
either library and `differences` says how far two fitted estimators are apart.
"""

import re
import warnings
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse
from sklearn.utils import check_random_state

import fastbp

TASKS = ("binary", "multiclass", "multilabel", "regression", "outputs", "poisson")
SOLVERS = ("adam", "sgd constant", "sgd invscaling", "sgd adaptive", "lbfgs")
ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
CALLS = ("fit", "refit", "warm_start", "partial_fit", "fit, partial_fit")
NAMES = {
    "integers": np.array([0, 1, 2]),
    "gaps": np.array([-7, 3, 40]),
    "floats": np.array([-1.0, 1.0, 2.0]),
    "strings": np.array(["low", "mid", "top"]),
}
HIDDEN = (
    7, 20, (12,), [1], (14, 8), [9, 13], (10, 9, 8), (8, 15, 6), np.array([11, 7]), np.int64(9), (),
)  # fmt: skip
PENALTIES = (0, 0.0001, 0.1)
EXACT = ("n_iter_", "t_", "n_layers_", "n_outputs_", "n_features_in_", "out_activation_")
CLOSE = ("loss_curve_", "loss_", "best_loss_", "validation_scores_", "best_validation_score_")
WEIGHTS = ("coefs_", "intercepts_")


@dataclass(frozen=True)
class Case:
    """One configuration: what the data are, and what is called with which parameters."""

    number: int
    task: str
    solver: str
    calls: str
    form: str
    weighted: bool
    rows: int
    columns: int
    labels: str
    is_column: bool
    draws: str
    options: dict
    then: dict

    def __str__(self):
        """Return the name of the test."""
        words = (self.solver, self.options["activation"], self.task, *self.features)
        return "-".join([f"{self.number:03d}", *words]).replace(" ", "_")

    @property
    def classifies(self):
        return self.task in ("binary", "multiclass", "multilabel")

    @property
    def stops_early(self):
        return self.options["early_stopping"]

    @property
    def features(self):
        """Return the names of all that is not plain."""
        size = self.options["batch_size"]
        found = {
            self.calls: self.calls != "fit",
            "early_stopping": self.stops_early,
            "sample_weight": self.weighted,
            self.form: self.form != "dense",
            "batch too large": size != "auto" and size > self.rows,
            "no shuffle": not self.options["shuffle"],
        }
        return [name for name, holds in found.items() if holds] or ["plain"]

    def data(self):
        """Return X, y and the weights, or None."""
        rng = np.random.default_rng(self.number)
        X = rng.normal(size=(self.rows, self.columns))
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        if self.form != "dense":
            X *= rng.random(X.shape) < 0.5
        signal = np.tanh(X @ rng.normal(size=(self.columns, 3)) / np.sqrt(self.columns))
        signal += rng.normal(scale=0.7, size=signal.shape)
        if self.task == "multilabel":
            y = (signal > 0).astype(int)
        elif self.task == "binary":
            y = NAMES[self.labels][(signal[:, 0] > 0.1).astype(int)]
        elif self.task == "multiclass":
            y = NAMES[self.labels][signal.argmax(axis=1)]
        elif self.task == "poisson":
            y = rng.poisson(np.exp(signal[:, : 1 + self.number % 2])).squeeze()
        else:
            y = (signal / signal.std(axis=0))[:, : 3 if self.task == "outputs" else 1].squeeze()
        weight = rng.uniform(0, 2, self.rows) if self.weighted else None
        if self.weighted and self.options["batch_size"] == "auto":
            weight[rng.random(self.rows) < 0.05] = 0
        X = {"csr": scipy.sparse.csr_array, "csc": scipy.sparse.csc_matrix}.get(self.form, list)(X)
        X = X if self.form != "dense" else np.array(X)
        return X, y[:, None] if self.is_column and y.ndim == 1 else y, weight

    def classes(self):
        """Return the classes for the first `partial_fit` of a classifier."""
        if self.task == "multilabel":
            return np.arange(3)
        return NAMES[self.labels][: 2 if self.task == "binary" else 3]


def _pick(rng, options):
    return options[rng.integers(len(options))]


def _short_batch(rng, rows):
    """Return a batch size that leaves a last batch of fewer rows, unless rows are held back."""
    return int(_pick(rng, [size for size in range(7, rows // 2 + 7) if rows % size]))


def _rate(rng, solver, task, momentum, batch):
    """Return a rate that training is stable with: small for single samples, or momentum."""
    share = (0.1 if batch == 1 else 1) * (0.25 if task == "poisson" else 1)
    if solver == "adam":
        return _pick(rng, (0.001, 0.003, 0.01)) * share
    rate = _pick(rng, (0.05, 0.1) if solver == "sgd invscaling" else (0.01, 0.03))
    return rate * (1.05 - momentum) * share


def _draw(rng, number, solver, activation, task):
    rows, columns, lbfgs = int(rng.integers(50, 201)), int(rng.integers(3, 11)), solver == "lbfgs"
    calls = "fit" if rng.random() < 0.5 else _pick(rng, CALLS[1 : 3 if lbfgs else 5])
    batch = _pick(rng, ("auto", "auto", "short", "short", "short", "larger", "one"))
    batch = {"auto": "auto", "one": 1, "larger": rows + 30, "short": _short_batch(rng, rows)}[batch]
    momentum = _pick(rng, (0.0, 0.5, 0.9, 0.9, 0.99, 1.0))
    options = {
        "activation": activation,
        "solver": solver.split()[0],
        "hidden_layer_sizes": _pick(rng, HIDDEN),
        "alpha": _pick(rng, PENALTIES),
        "batch_size": batch,
        "shuffle": bool(rng.random() < 0.75),
        "learning_rate": "constant",
        "learning_rate_init": _rate(rng, solver, task, momentum, batch),
        "max_iter": int(rng.integers(2, 4) if batch == 1 else rng.integers(5, 13 if lbfgs else 21)),
        "tol": _pick(rng, (0.0001, 0.0001, 0.0, 0.01)),
        "n_iter_no_change": _pick(rng, (10, 2, 1, np.inf)),
        "early_stopping": bool("partial" not in calls and rng.random() < 0.3),
        "validation_fraction": _pick(rng, (0.1, 0.2, 0.35)),
        "warm_start": calls == "warm_start",
    }
    if solver == "adam":
        options["beta_1"] = _pick(rng, (0.9, 0.9, 0.5, 0.0))
        options["beta_2"] = _pick(rng, (0.999, 0.999, 0.9))
        options["epsilon"] = _pick(rng, (1e-8, 1e-8, 0.001))
    elif lbfgs:
        options["max_fun"] = _pick(rng, (15000, 15000, 9))
    else:
        options["learning_rate"] = solver.split()[1]
        options["momentum"] = momentum
        options["nesterovs_momentum"] = bool(rng.random() < 0.5)
        options["power_t"] = _pick(rng, (0.5, 0.5, 0.25, 1.0, 0.0))
    if task == "poisson":
        options["loss"] = "poisson"
    slower = options["learning_rate_init"] / 2
    then = {"alpha": _pick(rng, PENALTIES), "learning_rate_init": slower, "max_iter": 4}
    return Case(
        number, task, solver, calls, _pick(rng, ("dense", "dense", "csr", "csc")),
        bool(rng.random() < 0.35), rows, columns, _pick(rng, list(NAMES)),
        bool(rng.random() < 0.1), _pick(rng, ("seed", "seed", "instance")), options,
        then if rng.random() < 0.5 else {},
    )  # fmt: skip


def draw_cases(seed, each):
    """Return `each` cases for every solver, activation and task."""
    rng = np.random.default_rng(seed)
    kinds = [(s, a, t) for s in SOLVERS for a in ACTIVATIONS for t in TASKS] * each
    return [_draw(rng, number, *kind) for number, kind in enumerate(kinds)]


def draw_long_cases(seed, count):
    """Return cases that run until they converge, or for hundreds of epochs."""
    rng, cases = np.random.default_rng(seed), []
    for number in range(count):
        solver, activation = SOLVERS[number % 5], ACTIVATIONS[number % 4]
        case = _draw(rng, number, solver, activation, TASKS[(number + number // 6) % 6])
        case.options.update(
            max_iter=int(rng.integers(300, 501)), tol=0.0001, n_iter_no_change=10,
            batch_size=_pick(rng, ("auto", 32)), warm_start=False,
        )  # fmt: skip
        # what magnifies roundings by itself, in scikit-learn as here: many iterations of L-BFGS,
        # and an Adam that forgets its second moment within some steps
        if solver == "lbfgs":
            case.options.update(alpha=0.1, tol=0.02, max_fun=15000)
        elif solver == "adam":
            case.options.update(beta_1=0.9, beta_2=0.999)
        cases.append(replace(case, calls="fit", number=1000 + number, rows=100))
    return cases


def fit(case, library, **more):
    """Return the estimator of a library, fitted, and the warnings it gave."""
    X, y, weight = case.data()
    seed = case.number if case.draws == "seed" else check_random_state(case.number)
    name = "MLPClassifier" if case.classifies else "MLPRegressor"
    estimator = getattr(library, name)(**case.options, random_state=seed, **more)

    def call(method, rows, **arguments):
        if weight is not None:
            arguments["sample_weight"] = weight[rows]
        getattr(estimator, method)(X[rows], y[rows], **arguments)

    everything = np.arange(case.rows)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if case.calls != "partial_fit":
            call("fit", everything)
        if case.calls == "refit":
            call("fit", everything[: case.rows * 4 // 5])
        elif case.calls == "warm_start":
            estimator.set_params(**case.then)
            call("fit", everything[: case.rows * 4 // 5])
        elif "partial" in case.calls:
            first = {"classes": case.classes()} if case.classifies else {}
            for part in (*np.array_split(everything, 3), everything):
                call("partial_fit", part, **first)
    return estimator, [(warning.category, str(warning.message)) for warning in caught]


def has_lost_its_best(estimator):
    """Return whether scikit-learn's best weights were overwritten by the second fit.

    They are the very arrays that a warm start trains on, until a score is better.
    """
    scores, last = estimator.validation_scores_, estimator.n_iter_
    return max(scores[-last:]) <= max(scores[:-last])


def distance(theirs, ours):
    """Return the largest difference relative to the largest entry; types must be the same."""
    theirs, ours = np.asarray(theirs), np.asarray(ours)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    if theirs.size == 0:
        return 0.0
    if theirs.dtype.kind != "f":
        assert np.array_equal(theirs, ours)
        return 0.0
    largest = float(np.abs(theirs).max())
    away = float(np.abs(theirs - ours).max())
    return away / largest if away > 0 and largest > 0 else away


def differences(case, theirs, ours):
    """Return the distance of every fitted attribute and prediction, by its name."""
    X, found = case.data()[0], {}
    for name in EXACT:
        assert getattr(ours, name) == getattr(theirs, name), name
        assert type(getattr(ours, name)) is type(getattr(theirs, name)), name
    if case.classifies:
        found["classes_"] = distance(theirs.classes_, ours.classes_)
    for name in CLOSE if case.solver != "lbfgs" else ("loss_",):
        expected, value = getattr(theirs, name), getattr(ours, name)
        assert (value is None) == (expected is None), name
        if expected is not None:
            found[name] = distance(expected, value)
    if case.draws == "instance":
        states = (estimator.random_state.get_state(legacy=False) for estimator in (theirs, ours))
        one, other = (state["state"] for state in states)
        assert one["pos"] == other["pos"] and np.array_equal(one["key"], other["key"]), "draws"
    scores_twice = case.solver != "lbfgs" and case.stops_early and case.calls == "warm_start"
    if scores_twice and has_lost_its_best(theirs):
        return found
    for name in WEIGHTS:
        pairs = zip(getattr(theirs, name), getattr(ours, name), strict=True)
        found[name] = max(distance(*pair) for pair in pairs)
    methods = ("predict", "predict_proba", "predict_log_proba") if case.classifies else ("predict",)
    for name in methods:
        found[name] = distance(getattr(theirs, name)(X), getattr(ours, name)(X))
    return found


def table(found):
    """Return the worst of many `differences`, for whatever the cases have in common."""
    rows = dict.fromkeys((*SOLVERS, *ACTIVATIONS, *TASKS), (0, 0.0, "nothing"))
    for case, distances in found:
        name = max(distances, key=distances.get)
        for key in (case.solver, case.options["activation"], case.task, *case.features):
            count, worst, where = rows.get(key, (0, 0.0, "nothing"))
            if distances[name] > worst:
                worst, where = distances[name], name
            rows[key] = (count + 1, worst, where)
    lines = [f"{'configurations':18}       worst relative difference"]
    lines += [f"{key:18}  {count:3}  {d:.1e}  {name}" for key, (count, d, name) in rows.items()]
    return "\n".join(lines)


# ---------------------------------------------------------------- one small data set, and errors

_rng = np.random.default_rng(11)
X = _rng.normal(size=(90, 4))
_NOISY = X[:, 0] + 0.5 * _rng.normal(size=90)
Y, LABELS, THREE = _NOISY / _NOISY.std(), (_NOISY > 0).astype(int), np.digitize(_NOISY, [-0.5, 0.5])


def classifier(library=fastbp, **options):
    options = {"hidden_layer_sizes": (6,), "max_iter": 4, "random_state": 0, **options}
    return library.MLPClassifier(**options)


def regressor(library=fastbp, **options):
    options = {"hidden_layer_sizes": (6,), "max_iter": 4, "random_state": 0, **options}
    return library.MLPRegressor(**options)


def error_of(action, *arguments):
    """Return the type and the text of the error, or None; words of a set have no order."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            action(*arguments)
    except Exception as error:
        return type(error), re.sub(r"{.*?}", lambda words: str(sorted(words[0])), str(error))
    return None


ERRORS = {
    "no units": lambda b: classifier(b, hidden_layer_sizes=(4, 0)).fit(X, LABELS),
    "negative units": lambda b: classifier(b, hidden_layer_sizes=[-1]).fit(X, LABELS),
    "a negative number of units": lambda b: regressor(b, hidden_layer_sizes=-1).fit(X, Y),
    "half a unit": lambda b: regressor(b, hidden_layer_sizes=(2.5,)).fit(X, Y),
    "partial_fit without classes": lambda b: classifier(b).partial_fit(X, LABELS),
    "partial_fit with early stopping": lambda b: classifier(b, early_stopping=True).partial_fit(
        X, LABELS, classes=[0, 1]
    ),
    "partial_fit of a regressor with early stopping": lambda b: regressor(
        b, early_stopping=True
    ).partial_fit(X, Y),
    "unknown classes": lambda b: classifier(b).partial_fit(X, THREE, classes=[0, 1]),
    "unknown classes later": lambda b: classifier(b).fit(X, LABELS).partial_fit(X, THREE),
    "other classes later": lambda b: (
        classifier(b).partial_fit(X, LABELS, classes=[0, 1]).partial_fit(X, LABELS, classes=[0, 2])
    ),
    "partial_fit by lbfgs": lambda b: classifier(b, solver="lbfgs").partial_fit(X, LABELS),
    "warm start with other classes": lambda b: (
        classifier(b, warm_start=True).fit(X, LABELS).fit(X, THREE)
    ),
    "warm start with fewer classes": lambda b: (
        classifier(b, warm_start=True).fit(X, THREE).fit(X, LABELS)
    ),
    "warm partial_fit with fewer classes": lambda b: (
        classifier(b, warm_start=True).fit(X, THREE).partial_fit(X, LABELS)
    ),
    "warm start with other columns": lambda b: (
        regressor(b, warm_start=True).fit(X, Y).fit(X[:, :3], Y)
    ),
    "partial_fit with other columns": lambda b: (
        regressor(b).partial_fit(X, Y).partial_fit(X[:, :3], Y)
    ),
    "one row to validate": lambda b: regressor(
        b, early_stopping=True, validation_fraction=0.01
    ).fit(X, Y),
    "fewer rows to validate than classes": lambda b: classifier(
        b, early_stopping=True, validation_fraction=0.01
    ).fit(X, LABELS),
    "no rows to validate": lambda b: classifier(
        b, early_stopping=True, validation_fraction=0.0
    ).fit(X, LABELS),
    "a class of one": lambda b: classifier(b, early_stopping=True).fit(X, np.arange(90) == 3),
    "not fitted": lambda b: classifier(b).predict(X),
    "no probabilities": lambda b: classifier(b).predict_proba(X),
    "no logarithms": lambda b: classifier(b).predict_log_proba(X),
    "a regressor not fitted": lambda b: regressor(b).predict(X),
    "columns of predict": lambda b: regressor(b).fit(X, Y).predict(X[:, :2]),
    "columns of predict_proba": lambda b: classifier(b).fit(X, LABELS).predict_proba(X[:, :2]),
    "one sample alone": lambda b: classifier(b).fit(X, LABELS).predict(X[0]),
    "NaN to predict": lambda b: regressor(b).fit(X, Y).predict(X * np.nan),
    "NaN to fit": lambda b: regressor(b).fit(X * np.nan, Y),
    "NaN as target": lambda b: regressor(b).fit(X, Y * np.nan),
    "complex samples": lambda b: regressor(b).fit(X * 1j, Y),
    "rows of y": lambda b: classifier(b).fit(X, LABELS[:-1]),
    "no rows": lambda b: classifier(b).fit(X[:0], LABELS[:0]),
    "numbers as classes": lambda b: classifier(b).fit(X, Y),
    "columns of classes": lambda b: classifier(b).fit(X, np.column_stack([THREE, THREE])),
    "rows of weights": lambda b: classifier(b).fit(X, LABELS, sample_weight=np.ones(3)),
}
