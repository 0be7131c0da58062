"""The methods whose predictions are compared, each with its defaults, on one thread.

A method is fitted on a frame of inputs and on codes of classes or numbers. It gets the frame as it
is where it takes categories and missing values; the others get one-hot columns and imputed numbers.
All that is learned of a table is learned from the rows that train.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec

import numpy as np

from benchmarks.quality_frames import Frames

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib


class Estimator:
    """An estimator with scikit-learn's methods, on the frames of `Frames`.

    ``make(task, seed)`` returns it; ``given(categories)`` the arguments of ``fit``.
    """

    def __init__(self, make, frames, given, task, seed):
        self.estimator, self.task = make(task, seed), task
        self.frames, self.given = frames, given

    def fit(self, frame, y):
        """Fit the estimator."""
        X = self.frames.fit(frame).transform(frame)
        self.estimator.fit(X, y, **self.given(self.frames.categories))
        return self

    def predict(self, frame):
        """Return probabilities by code of a class, or numbers."""
        X = self.frames.transform(frame)
        if self.task == "regression":
            return np.asarray(self.estimator.predict(X), np.float64).ravel()
        found = np.asarray(self.estimator.predict_proba(X), np.float64)
        return in_order(found, self.estimator.classes_)


def in_order(found, codes):
    """Return probabilities with a column for each code, 0 for classes that were not trained on."""
    codes = np.asarray(codes, np.int64)
    ordered = np.zeros((len(found), codes.max() + 1))
    ordered[:, codes] = found
    return ordered


class FastBP:
    """``fastbp.train`` with some options, which gets the frame as it is."""

    def __init__(self, options, task, seed):
        self.options, self.task, self.seed = options, task, seed

    def fit(self, frame, y):
        """Train the model."""
        import fastbp

        # no column of the table has this name
        self.target = "target_".ljust(1 + max(map(len, map(str, frame.columns)), default=0), "_")
        data = frame.assign(**{self.target: y})
        given = {"n_threads": 1, "seed": self.seed, "task": self.task, **self.options}
        self.model = fastbp.train(data, self.target, **given)
        return self

    def predict(self, frame):
        """Return probabilities by code of a class, or numbers."""
        found = self.model.predict(frame, n_threads=1)
        if self.task == "regression":
            return found["prediction"].to_numpy(np.float64)
        start = "probability of "
        names = [name for name in found if name.startswith(start)]
        return in_order(found[names].to_numpy(), [int(name[len(start) :]) for name in names])


def _boosting(task, seed):
    from sklearn import ensemble

    kind = "Classifier" if task == "classification" else "Regressor"
    return getattr(ensemble, f"HistGradientBoosting{kind}")(random_state=seed)


def _lightgbm(task, seed):
    import lightgbm

    kind = lightgbm.LGBMClassifier if task == "classification" else lightgbm.LGBMRegressor
    return kind(random_state=seed, n_jobs=1, verbosity=-1)


def _catboost(task, seed):
    import catboost

    classes = task == "classification"
    kind = catboost.CatBoostClassifier if classes else catboost.CatBoostRegressor
    return kind(random_seed=seed, thread_count=1, verbose=False, allow_writing_files=False)


def _mlp(task, seed):
    from sklearn.compose import TransformedTargetRegressor, make_column_selector
    from sklearn.compose import make_column_transformer as by_column
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore")
    encoding = by_column(
        (numbers, make_column_selector(dtype_include=np.number)),
        (words, make_column_selector(dtype_exclude=np.number)),
        sparse_threshold=0,
    )
    if task == "classification":
        return make_pipeline(encoding, MLPClassifier(random_state=seed))
    net = MLPRegressor(random_state=seed)
    return make_pipeline(encoding, TransformedTargetRegressor(net, transformer=StandardScaler()))


def _pytabkit(name, given, task, seed):
    import logging

    import pytabkit

    # importing it sets the level at which each fit names the processors
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    kind, given = ("Classifier", given) if task == "classification" else ("Regressor", {})
    make = getattr(pytabkit, f"{name}_{kind}")
    return make(device="cpu", random_state=seed, n_threads=1, n_cv=1, verbosity=0, **given)


@dataclass(frozen=True)
class Method:
    """A method: ``new(task, seed)`` returns what `fit`s a frame and `predict`s.

    Attributes
    ----------
    name : str
        Name in the results and on the command line.
    package : str
        The distribution that it comes from, which may not be installed.
    """

    name: str
    title: str
    package: str
    new: Callable

    @property
    def installed(self):
        """Whether its package is there."""
        return find_spec(IMPORTED.get(self.package, self.package)) is not None

    @property
    def version(self):
        """The version of its package."""
        return version(self.package)


IMPORTED = {"scikit-learn": "sklearn"}


def _estimator(name, title, package, make, given=lambda categories: {}, **frames):
    def new(task, seed):
        return Estimator(make, Frames(**frames), given, task, seed)

    return Method(name, title, package, new)


def _names(argument):
    return lambda categories: {argument: categories}


def _nets():
    """Yield pytabkit's nets, and as its documentation has them where the log loss counts."""
    loss = {"val_metric_name": "cross_entropy"}
    for name, title, kind, plain in (
        ("realmlp-td-s", "RealMLP-TD-S", "RealMLP_TD_S", {"use_ls": False}),
        ("realmlp-td", "RealMLP-TD", "RealMLP_TD", {"use_ls": False}),
        ("tabm", "TabM", "TabM_D", {}),
    ):
        takes = {"words": True, "median": True}
        for end, aim, given in (("", "", {}), ("-ce", ", for log loss", loss | plain)):
            make, columns = partial(_pytabkit, kind, given), _names("cat_col_names")
            yield _estimator(name + end, title + aim, "pytabkit", make, columns, **takes)


PEERS = {
    method.name: method
    for method in (
        _estimator("hist", "HistGradientBoosting", "scikit-learn", _boosting),
        _estimator("lightgbm", "LightGBM", "lightgbm", _lightgbm),
        _estimator(
            "catboost", "CatBoost", "catboost", _catboost, _names("cat_features"), words=True
        ),
        _estimator("mlp", "scikit-learn's MLP", "scikit-learn", _mlp, words=True),
        *_nets(),
    )
}


def options_of(text):
    """Return the options in a text such as ``hidden=[256] preset=accurate``, blanks between them.

    A value is as in a file of options; what TOML does not know is a text.

    Raises
    ------
    ValueError
        If a part has no name or no value.
    """
    options = {}
    for part in re.split(r"\s+(?=\w+=)", text.strip()):
        name, equals, value = part.partition("=")
        if not (name and equals and value):
            raise ValueError(f"{part!r}: expected NAME=VALUE")
        try:
            options[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            options[name] = value
    return options


def method_named(name):
    """Return a method: one of ``PEERS``, ``fastbp``, or ``fastbp:`` with options.

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    head, colon, text = name.partition(":")
    if head == "fastbp":
        options = options_of(text) if colon else {}
        title = f"fastbp, {text}" if text else "fastbp"
        return Method(name, title, "fastbp", partial(FastBP, options))
    if name not in PEERS:
        known = ", ".join(["fastbp", "fastbp:OPTION=VALUE", *PEERS])
        raise ValueError(f"{name!r}: expected {known}")
    return PEERS[name]
