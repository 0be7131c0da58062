"""One method on one split of a table, what is kept of it, and the file that keeps it."""

import json
import time
import warnings
from dataclasses import asdict, dataclass

import numpy as np

BINS = 15
# a probability of 0 for what comes true costs this much of a log loss, with every method
LEAST = 1e-7


@dataclass(frozen=True)
class Run:
    """What came of a method on a split of a table.

    Attributes
    ----------
    rows : int
        The most rows to train on; `trained` is how many there were.
    error : float
        Log loss, or the root of the mean squared error.
    score : float
        Accuracy, or R2.
    calibration : float or None
        Expected calibration error of classes.
    fit_s, predict_s : float
        Seconds of the processor.
    """

    table: str
    method: str
    seed: int
    rows: int
    task: str
    origin: str
    version: str
    trained: int
    tested: int
    columns: int
    error: float
    score: float
    calibration: float | None
    fit_s: float
    predict_s: float

    @property
    def has_classes(self):
        """Whether the target has classes, not numbers."""
        return self.task == "classification"

    @property
    def key(self):
        """What tells it from other runs."""
        return self.table, self.method, self.seed, self.rows


def calibration_error(P, y, bins=BINS):
    """Return the expected calibration error of the most probable class.

    sum_b n_b / n |accuracy_b - mean confidence_b| over bins of equal width of the confidence (Guo,
    Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017).
    """
    confidence, right = P.max(axis=1), P.argmax(axis=1) == y
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(place, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(y))


def scores_of(found, y, classes):
    """Return the error, the score and the calibration error of predictions."""
    if not classes:
        error = np.sqrt(np.mean((found - y) ** 2))
        return float(error), float(1 - error**2 / np.var(y)), None
    P = np.full((len(y), classes), LEAST)
    P[:, : found.shape[1]] = found.clip(LEAST)
    P /= P.sum(axis=1, keepdims=True)
    log_loss = -np.log(P[np.arange(len(y)), y]).mean()
    return float(log_loss), float(np.mean(P.argmax(axis=1) == y)), calibration_error(P, y)


def predictions(method, task, seed, fitting, testing):
    """Fit a method on (frame, y) and predict a frame.

    Returns
    -------
    array, float, float
        The predictions, and the seconds of the processor of both.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a solver did not converge, above all
        begin = time.process_time()
        model = method.new(task, seed).fit(*fitting)
        fitted = time.process_time()
        found = model.predict(testing)
        return found, fitted - begin, time.process_time() - fitted


def measure(source, table, method, seed, rows):
    """Return the run of a method on a split of a table."""
    train, test = table.split(seed, rows)
    fitting, testing = (table.frame.iloc[train], table.y[train]), table.frame.iloc[test]
    found, fit_s, predict_s = predictions(method, table.task, seed, fitting, testing)
    error, score, calibration = scores_of(found, table.y[test], table.classes)
    return Run(
        table=table.name,
        method=method.name,
        seed=seed,
        rows=rows,
        task=table.task,
        origin=source.origin,
        version=method.version,
        trained=len(train),
        tested=len(test),
        columns=table.frame.shape[1],
        error=error,
        score=score,
        calibration=calibration,
        fit_s=fit_s,
        predict_s=predict_s,
    )


def read_runs(path):
    """Return the runs in a file by their keys; the last of a key counts.

    A line that was cut short, as when the program was killed, is cut off.
    """
    if not path.exists():
        return {}
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        path.write_bytes(whole)
    runs = [Run(**json.loads(line)) for line in whole.decode("utf-8").splitlines()]
    return {run.key: run for run in runs}


def keep(path, run):
    """Append a run to a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(run)) + "\n")
