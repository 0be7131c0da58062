"""The results in a report: the headline, the curves, and the errors of predictions."""

import math
from collections.abc import Callable
from typing import Any

from ..durations import duration
from ..ensemble import members_of
from ..tables.result.folds import spread_of
from ..tables.wording import counted
from .charts import curves, histogram, scatter
from .scores import class_scores, confusions, matrix_of, most_frequent
from .sections import share_of_peak
from .words import clean, number, percent, three_digits, whole

# for each metric its words, and the format of its numbers
_METRICS: dict[str, tuple[str, Callable[[float], str]]] = {
    "rows": ("rows", whole),
    "accuracy": ("accuracy", percent),
    "balanced_accuracy": ("balanced accuracy", percent),
    "r2": ("R²", three_digits),
    "rmse": ("root mean squared error", number),
    "mae": ("mean absolute error", number),
    "pinball_loss": ("pinball loss", number),
    "coverage": ("coverage", percent),
    "poisson_deviance": ("Poisson deviance", number),
    "roc_auc": ("area under the ROC curve", three_digits),
    "macro_f1": ("F1, mean of classes", three_digits),
    "loss": ("loss", number),
    "log_loss": ("log loss", number),
}
_VALIDATION = ("line-2",)
_LOWEST_R2 = -1.0  # an early epoch can be far below; it would hide the others


def headline(network, schema, record, history):
    """Return the head of the page: the key score, what it compares with, and the tiles."""
    scores = _scores(record, history)
    _, held = _held(record)
    data = record.get("data", {})
    key = next((name for name in ("accuracy", "r2") if name in scores), None)
    second = next((name for name in ("balanced_accuracy", "rmse", "loss") if name in scores), None)
    tiles = [
        (f"{'validation' if held == 'valid' else 'out-of-fold'} {words}", show)
        for words, show in _in_words({name: scores[name] for name in (key, second) if name})
    ]
    tiles.append(("parameters", whole(network.parameters.size)))
    if record.get("seconds"):
        tiles.append(("training time", duration(record["seconds"])))
    share = share_of_peak(history, record)[1]
    if share is not None:
        tiles.append(("of the measured peak", percent(share)))
    sizes = [network.layers[0].n_in, *(layer.n_out for layer in network.layers)]
    rows = data.get("valid")
    judged = counted(rows, "validation row") if rows else "the validation rows"
    if held != "valid":
        judged = f"{counted(scores['rows'], 'row')}, each by a network that has not seen it"
    return {
        "members": len(members_of(network)),
        "judged": judged,
        "sizes": "-".join(map(str, sizes)),
        "tiles": tiles,
        "score": None if key is None else _METRICS[key][1](scores[key]),
        "trained": data.get("train"),
        "source": data.get("name"),
        "baseline": None
        if schema is None or schema.more_targets or key is None
        else _baseline(schema, record, scores),
    }


def _scores(record, history):
    """Return the validation scores: the record's, or those of the best or last epoch."""
    scores, _ = _held(record)
    if not scores:
        best = record.get("best_epoch")
        place = -1 if best is None else best
        names = {"val_loss": "loss", "val_accuracy": "accuracy", "val_r2": "r2"}
        scores = {words: history[name][place] for name, words in names.items() if history.get(name)}
    return {
        name: value
        for name, value in scores.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


def _held(record):
    """Return the scores of rows that were held back, and which they are: valid, or out_of_fold."""
    metrics = record.get("metrics") or {}
    held = "out_of_fold" if metrics.get("out_of_fold") else "valid"
    return metrics.get(held) or {}, held


def _baseline(schema, record, scores):
    """Return the score of always predicting the most frequent class, or the mean."""
    target = schema.target
    if target.task == "regression":
        share = scores["r2"]
        return {"better": share > 0, "explains": percent(share)}
    counts = target.counts
    frequent = counts.index(max(counts))
    if record.get("confusion"):
        counts = matrix_of(record["confusion"], target.classes).sum(axis=1)
    share = float(counts[frequent] / max(sum(counts), 1))
    return {
        "better": scores["accuracy"] > share,
        "class": target.classes[frequent],
        "score": percent(share),
    }


def curves_of(history, best_epoch, members=1):
    """Return the charts of a history: loss, metric, and the learning rate where it changes.

    That of several members is their mean.
    """
    mean = f", mean of {members} networks" if members > 1 else ""
    pairs = {"loss": "training", "val_loss": "validation"}
    losses = {words: history[name] for name, words in pairs.items() if history.get(name)}
    shown = {"best_epoch": best_epoch, "styles": _VALIDATION}
    charts = [curves(f"Loss{mean}", losses, best_epoch=best_epoch)]
    if history.get("val_accuracy"):
        accuracy = {"validation": history["val_accuracy"]}
        charts.append(curves(f"Validation accuracy{mean}", accuracy, percents=True, **shown))
    if history.get("val_r2"):
        kept = [v if v is not None and v >= _LOWEST_R2 else None for v in history["val_r2"]]
        low = "" if kept == history["val_r2"] else f", where above {number(_LOWEST_R2)}"
        charts.append(curves(f"Validation R²{mean}{low}", {"validation": kept}, **shown))
    if len(set(history.get("learning_rate", ()))) > 1:
        charts.append(curves("Learning rate", {"rate": history["learning_rate"]}))
    return [chart for chart in charts if chart is not None]


def results(schema, record):
    """Return the sections about predictions of validation rows; those without data are None."""
    sections: dict[str, Any] = dict.fromkeys(
        ["balance", "classes", "confusions", "folds", "residuals", "test"]
    )
    scores, held = _held(record)
    sections["metrics"] = [*_in_words(scores), *_temperature(record.get("temperature"))]
    sections["title"] = "On validation rows"
    if held != "valid":
        sections["title"] = "On rows that a network has not seen, out of fold"
    sections["test"] = _in_words((record.get("metrics") or {}).get("test") or {})
    sections["folds"] = _folds(record.get("folds") or {})
    if schema is None or schema.more_targets:
        return sections
    target = schema.target
    if target.task == "classification":
        sections["balance"] = _balance(target)
        if record.get("confusion"):
            matrix = matrix_of(record["confusion"], target.classes)
            sections["confusions"] = confusions(matrix, target.classes)
            sections["classes"] = class_scores(matrix, target.classes)
    elif record.get("residuals"):
        sections["residuals"] = _residuals(record["residuals"])
    return sections


def _folds(folds):
    """Return how many folds were scored and by what, and their scores, mean and spread."""
    scores = folds.get("scores") or []
    if not scores:
        return None
    pairs = [
        (_METRICS.get(name, (clean(name).replace("_", " "), number))[0], text)
        for name, text in spread_of(scores).items()
    ]
    return {"count": len(scores), "by": clean(folds.get("by", "")), "pairs": pairs}


def _in_words(scores):
    """Return scores by name as pairs of words."""
    pairs = []
    for name, value in scores.items():
        words, show = _METRICS.get(name, (clean(name).replace("_", " "), number))
        if value is None:
            pairs.append((words, "not defined: all rows are of one class"))
        elif isinstance(value, (int, float)):
            pairs.append((words, show(value)))
    return pairs


def _temperature(found):
    """Return the temperature of calibrated probabilities as a pair of words, if it is not 1."""
    values = found if isinstance(found, list) else [found or 1]
    if all(value == 1 for value in values):
        return []
    return [("temperature of the probabilities", ", ".join(number(v, 3) for v in values))]


def _balance(target):
    """Return the training rows of each class, and the words that say how uneven they are."""
    total = max(sum(target.counts), 1)
    largest = max(*target.counts, 1)
    kept, rest = most_frequent(target.counts)
    rows = [(clean(target.classes[n]), target.counts[n]) for n in kept]
    if len(rest):
        rows.append((counted(len(rest), "other"), sum(target.counts[n] for n in rest)))
    seen = [n for n in target.counts if n]
    return {
        "rows": [
            (name, whole(n), percent(n / total), f"{min(n / largest, 1):.3f}") for name, n in rows
        ],
        "ratio": number(max(seen) / min(seen), 3) if len(seen) > 1 else None,
        "uneven": len(seen) > 1 and max(seen) >= 3 * min(seen),
        "absent": len(target.counts) - len(seen),
    }


def _residuals(residuals):
    """Return the charts of predictions against actual values, and the words beside them."""
    charts = []
    both = zip(residuals.get("actual") or (), residuals.get("predicted") or (), strict=True)
    pairs = [pair for pair in both if None not in pair and all(map(math.isfinite, pair))]
    if pairs:
        charts.append(scatter("Predicted against actual", *zip(*pairs, strict=True)))
    bars = residuals.get("histogram") or {}
    if bars.get("counts") and None not in [*bars["edges"], *bars["counts"]]:
        charts.append(histogram("Errors, predicted minus actual", bars["edges"], bars["counts"]))
    words = {name: number(residuals[name]) for name in ("mean", "std") if name in residuals}
    return {"charts": charts, "words": words}
