"""The tables of the comparison of predictions: of packages, generated, or in a folder."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.model_selection import train_test_split

TASKS = ("classification", "regression")
# numbers of more distinct values are no classes, as in fastbp
MOST_CLASSES = 20
# rows of a rarer class are left out: a split could leave it none to train on, or to test on
FEWEST_OF_CLASS = 10
TEST_SHARE = 0.2
GENERATED_ROWS = 3_000


@dataclass(frozen=True)
class Table:
    """A table with its target.

    Attributes
    ----------
    frame : pandas.DataFrame
        The inputs.
    y : numpy.ndarray
        Codes of the classes from 0, or numbers.
    left_out : int
        Rows without a target, or of a class of less than ``FEWEST_OF_CLASS`` rows.
    """

    name: str
    task: str
    frame: pd.DataFrame
    y: np.ndarray
    left_out: int = 0

    @property
    def classes(self):
        """The number of classes; 0 for numbers."""
        return int(self.y.max()) + 1 if self.task == "classification" else 0

    def split(self, seed, rows):
        """Return the positions of the rows to train on, at most `rows`, and to test on."""
        strata = self.y if self.classes else None
        train, test = train_test_split(
            np.arange(len(self.y)), test_size=TEST_SHARE, random_state=seed, stratify=strata
        )
        if len(train) > rows:
            strata = self.y[train] if self.classes else None
            train, _ = train_test_split(train, train_size=rows, random_state=seed, stratify=strata)
        return train, test


@dataclass(frozen=True)
class Source:
    """Where a table comes from: ``read() -> (frame with the target, its name, task or None)``."""

    name: str
    origin: str
    read: Callable

    def table(self):
        """Read the table.

        Raises
        ------
        ValueError
            If the target is no column, or the task none of ``TASKS``.
        """
        frame, target, task = self.read()
        if target not in frame:
            raise ValueError(f"{self.name}: target {target!r} is no column; name one of the table")
        task = task or task_of(frame[target])
        if task not in TASKS:
            raise ValueError(f"{self.name}: task {task!r}; expected {' or '.join(TASKS)}")
        kept = frame[target].notna()
        if task == "classification":
            count = frame[target].map(frame[target].value_counts())
            kept &= count >= FEWEST_OF_CLASS
        rows = frame[kept].reset_index(drop=True)
        y = rows.pop(target)
        if task == "classification":
            y = np.unique(y.astype(str), return_inverse=True)[1]
        else:
            y = y.to_numpy(np.float64)
        return Table(self.name, task, rows, y, len(frame) - len(rows))


def task_of(target):
    """Return the task of a column: words, booleans and few whole numbers are classes."""
    if not pd.api.types.is_numeric_dtype(target) or pd.api.types.is_bool_dtype(target):
        return "classification"
    values = target.dropna()
    whole = bool((values == values.round()).all())
    return TASKS[not (whole and values.nunique() <= MOST_CLASSES)]


# ------------------------------------------------------------------ shipped with packages


def _sklearn(name, task):
    return getattr(datasets, f"load_{name}")(as_frame=True).frame, "target", task


def _statsmodels(name, target, task):
    from importlib import import_module

    frame = import_module(f"statsmodels.datasets.{name}").load_pandas().data
    return frame, target, task


# a row is a person or thing of its own: of statsmodels' modechoice and randhie the rows of one
# person would both train and test, and a model that knows the person again would look good
SHIPPED = {
    "sklearn": [
        ("breast_cancer", _sklearn, ("classification",)),
        ("digits", _sklearn, ("classification",)),
        ("wine", _sklearn, ("classification",)),
        ("diabetes", _sklearn, ("regression",)),
    ],
    "statsmodels": [
        ("anes96", _statsmodels, ("vote", "classification")),
        ("fair", _statsmodels, ("affairs", "regression")),
    ],
}


# ------------------------------------------------------------------ generated


def _arrays(X, y, task):
    frame = pd.DataFrame(X, columns=[f"x{n}" for n in range(X.shape[1])])
    return frame.assign(target=y), "target", task


def _friedman(number, noise):
    make = getattr(datasets, f"make_friedman{number}")
    return _arrays(*make(GENERATED_ROWS, noise=noise, random_state=0), "regression")


def _clusters():
    X, y = datasets.make_classification(
        GENERATED_ROWS, 20, n_informative=8, n_classes=3, flip_y=0.05, random_state=0
    )
    return _arrays(X, y, "classification")


def _hastie():
    X, y = datasets.make_hastie_10_2(GENERATED_ROWS, random_state=0)
    return _arrays(X, y > 0, "classification")


def _mixed():
    """Return numbers and two columns of categories, and both scores that their targets use.

    The first score has steps and the interactions of a number with a category, which trees find.
    The second is smooth, with another slope in each category. A tenth of a column is missing.
    """
    rng = np.random.default_rng(0)
    X = rng.random((GENERATED_ROWS, 6))
    kind, place = rng.integers(0, 5, GENERATED_ROWS), rng.integers(0, 30, GENERATED_ROWS)
    slopes, offsets = np.linspace(-2, 2, 5), rng.standard_normal(30)
    steps = np.where(X[:, 0] > 0.3 + 0.1 * kind, 2.0, -1.0) * np.sign(X[:, 1] - 0.5)
    steps += np.floor(4 * X[:, 2]) + (kind == 2) * (X[:, 3] > 0.7) * 3 + offsets[place]
    smooth = np.sin(6 * X[:, 0]) * slopes[kind] + 2 * X[:, 1] * X[:, 2] + offsets[place]
    frame = pd.DataFrame(X, columns=[f"x{n}" for n in range(6)])
    frame["x5"] = frame["x5"].mask(rng.random(GENERATED_ROWS) < 0.1)
    frame["kind"] = np.array(list("abcde"))[kind]
    frame["place"] = np.array([f"place {n}" for n in range(30)])[place]
    return frame, steps, smooth, rng


def _steps():
    frame, steps, _, rng = _mixed()
    return frame.assign(target=steps + 0.3 * rng.standard_normal(len(frame))), "target", None


def _crossed():
    frame, _, smooth, rng = _mixed()
    chance = 1 / (1 + np.exp(-2 * smooth))
    words = np.where(rng.random(len(frame)) < chance, "yes", "no")
    return frame.assign(target=words), "target", None


GENERATED = {
    "friedman1": partial(_friedman, 1, 1.0),
    "friedman2": partial(_friedman, 2, 50.0),
    "friedman3": partial(_friedman, 3, 0.1),
    "clusters": _clusters,
    "hastie": _hastie,
    "steps": _steps,
    "crossed": _crossed,
}


# ------------------------------------------------------------------ a folder

READERS = {".csv": pd.read_csv, ".parquet": pd.read_parquet}


def _file(path, entry):
    frame = READERS[path.suffix](path)
    return frame, entry.get("target", frame.columns[-1]), entry.get("task")


def folder_sources(folder):
    """Return the sources of a folder's CSV and Parquet files.

    ``tables.json`` in it may name the targets and tasks: ``{"file's stem": {"target": "column",
    "task": "regression"}}``. Without it the last column is the target.

    Raises
    ------
    ValueError
        If there is no table, or ``tables.json`` names one that there is not.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix in READERS)
    if not paths:
        raise ValueError(f"{folder}: no file ends in {' or '.join(READERS)}")
    about = folder / "tables.json"
    entries = json.loads(about.read_text(encoding="utf-8")) if about.exists() else {}
    if unknown := entries.keys() - {path.stem for path in paths}:
        raise ValueError(f"{about}: {min(unknown)!r} has no file in the folder")
    return [
        Source(path.stem, "folder", partial(_file, path, entries.get(path.stem, {})))
        for path in paths
    ]


def all_sources(folder=None):
    """Return the source of every table by its name; those of packages that are installed.

    Raises
    ------
    ValueError
        If two tables have one name, or as of `folder_sources`.
    """
    found = [
        Source(name, package, partial(read, name, *rest))
        for package, entries in SHIPPED.items()
        if find_spec(package)
        for name, read, rest in entries
    ]
    found += [Source(name, "generated", read) for name, read in GENERATED.items()]
    found += folder_sources(folder) if folder else []
    sources = {}
    for source in found:
        if source.name in sources:
            raise ValueError(f"{source.name!r} names two tables; rename the file in {folder}")
        sources[source.name] = source
    return sources
