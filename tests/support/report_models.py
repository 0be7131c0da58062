"""Models to report on, and a page as a tree: what the tests of the report share."""

import xml.etree.ElementTree as ElementTree

import numpy as np
from sklearn.datasets import load_diabetes, load_wine
from sklearn.metrics import confusion_matrix

from fastbp import Adam, Cosine, Network
from fastbp.report.build import build_report
from fastbp.tables.columns.kinds import Number
from fastbp.tables.columns.schema import Schema, Target
from fastbp.tables.model import TableModel

DASH = "\u2013"  # what a report shows where there is no number
HOSTILE = (
    "<script>alert(1)</script>",
    "\"quoted\" & 'single' </td></table>",
    "new\nline\tand\x00nul\u2028",
    "\u05e2\u05d1\u05e8\u05d9\u05ea \u202e reversed",
    "lone \ud800 surrogate",
    "{{ schema }} {% raw %}",
    "long " * 2000,
)


def lists(history):
    """Return a History as a model file holds it: no epoch numbers, None where not finite."""
    names = [name for name in history.epochs[0] if name != "epoch"]
    return {name: [v if np.isfinite(v) else None for v in history[name]] for name in names}


def record_of(history, train, valid, **more):
    """Return the record of a training."""
    return {
        "fastbp": "0.1.0",
        "versions": {"python": "3.10.0", "numpy": "1.24.0"},
        "data": {
            "name": "wine.csv",
            "rows": train + valid,
            "train": train,
            "valid": valid,
            "digest": "d1ge57",
        },
        "options": {"hidden": [16], "epochs": 12, "learning_rate": 0.01},
        "batch_size": 16,
        "seconds": 2.5,
        "threads": history.n_threads,
        "peak": 50e9,
        "stopped": history.stopped,
        "best_epoch": history.best_epoch,
        **more,
    }


def classifier(names=("barolo", "grignolino", "barbera"), columns=None, **table):
    """Return a model of three kinds of wine, the labels and the predictions it is judged by."""
    X, y = load_wine(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    order = np.random.default_rng(0).permutation(len(y))
    train, valid = order[:118], order[118:]
    columns = columns or [f"column {n}" for n in range(13)]
    network = Network(
        [13, 16, 3], loss="cross_entropy", optimizer=Adam(1e-2, schedule=Cosine(12)), seed=1
    )
    history = network.fit(
        X[train], y[train], 12, 16, validation_data=(X[valid], y[valid]), early_stopping=3
    )
    target = Target(
        table.pop("target", "grape"),
        "classification",
        "text",
        tuple(names),
        tuple(np.bincount(y[train]).tolist()),
    )
    schema = Schema(tuple(Number(name, False, 1.0, 2.0) for name in columns), target, **table)
    predicted = network.predict(X[valid])
    record = record_of(
        history,
        118,
        60,
        metrics={"valid": {"rows": 60, "accuracy": float((predicted == y[valid]).mean())}},
        confusion=confusion_matrix(y[valid], predicted, labels=range(3)).tolist(),
        residuals=None,
    )
    return TableModel(network, schema, lists(history), record), y[valid], predicted


def regressor():
    """Return a model of the progression of diabetes, what is so and what it predicts."""
    X, y = load_diabetes(return_X_y=True)
    X, mean, scale = X * 20, y[:342].mean(), y[:342].std()
    z = (y - mean) / scale
    network = Network([10, 8, 1], optimizer=Adam(1e-2), seed=1)
    history = network.fit(X[:342], z[:342], 8, 32, validation_data=(X[342:], z[342:]))
    actual, predicted = y[342:], network.predict(X[342:]) * scale + mean
    error = predicted - actual
    counts, edges = np.histogram(error, 12)
    residuals = {
        "actual": actual.tolist(),
        "predicted": predicted.tolist(),
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
        "mean": float(error.mean()),
        "std": float(error.std()),
    }
    columns = tuple(Number(f"x{n}", False) for n in range(10))
    target = Target("progression", "regression", "number", mean=float(mean), scale=float(scale))
    r2 = float(1 - (error**2).sum() / ((actual - actual.mean()) ** 2).sum())
    record = record_of(
        history, 342, 100, metrics={"valid": {"r2": r2}}, confusion=None, residuals=residuals
    )
    model = TableModel(network, Schema(columns, target), lists(history), record)
    return model, actual, predicted


def many(count=60, rows=400):
    """Return a model of many classes, its labels and predictions."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, count, rows) ** 2 // count
    predicted = np.where(rng.random(rows) < 0.6, labels, rng.integers(0, count, rows))
    names = tuple(f"class {n:02}" for n in range(count))
    counts = tuple(np.bincount(labels, minlength=count).tolist())
    schema = Schema((Number("x", False),), Target("y", "classification", "text", names, counts))
    matrix = confusion_matrix(labels, predicted, labels=range(count))
    record = {"confusion": matrix.tolist(), "data": {"train": rows, "valid": rows}}
    network = Network([1, count], loss="cross_entropy")
    return TableModel(network, schema, {}, record), labels, predicted


class Page:
    """A report as a tree of elements; parsing it shows that it is well-formed."""

    def __init__(self, model):
        self.html = build_report(model)
        self.root = ElementTree.fromstring(self.html)

    def all(self, path):
        """Return the elements at a path, in order."""
        return self.root.findall(f".//{path}")

    def one(self, path):
        """Return the only element at a path."""
        (element,) = self.all(path)
        return element

    def table(self, name):
        """Return the rows of the table that the heading `name` labels, as lists of text."""
        table = self.one(f"table[@aria-labelledby='{name}']")
        return [[text_of(cell) for cell in row] for row in table.iter("tr")]

    def section(self, name):
        """Return the section that the heading `name` labels."""
        return self.one(f"section[@aria-labelledby='{name}']")

    @property
    def text(self):
        """All that can be read, on one line."""
        return text_of(self.root.find("body"))


def text_of(element):
    """Return the text in an element, on one line."""
    return " ".join("".join(element.itertext()).split())
