"""The descriptions in a report: columns, training, data, options and versions."""

from collections.abc import Callable
from functools import partial

from .. import __version__
from ..durations import duration
from ..tables.wording import counted
from ..training.stopped import Stopped
from .words import clean, number, percent, setting, three_digits, whole

_MOST_COLUMNS = 30
_MOST_MORE = 500
_MOST_EPOCHS = 20
_MOST_SCORES = 5
_EPOCH_COLUMNS = {
    "loss": ("training loss", number),
    "val_loss": ("validation loss", number),
    "val_accuracy": ("accuracy", percent),
    "val_r2": ("R²", number),
    "learning_rate": ("learning rate", number),
    "seconds": ("time", duration),
    "gflops": ("GFLOP/s", three_digits),
}


def history_of(model):
    """Return the history, a dict of lists, and the record of a model or of a network alone."""
    history = getattr(model, "history", None)  # an ensemble without a table has none
    if history is None or isinstance(history, dict):
        return history or {}, getattr(model, "record", None) or {}
    names = history.epochs[0] if history.epochs else ()
    record = {
        "best_epoch": history.best_epoch,
        "stopped": history.stopped,
        "threads": history.n_threads,
        "seconds": history.seconds,
        "peak": history.peak,
    }
    return {name: history[name] for name in names}, record


def columns(schema):
    """Return the columns of a schema as rows of text: those shown, those folded, and the rest."""
    rows = [
        {
            "name": column.name,
            "kind": column.kind,
            "width": column.width,
            "about": [
                (clean(text, 24) if is_name else text, is_name)
                for text, is_name in column.describe(number)
            ],
            "missing": column.missing,
        }
        for column in schema.columns[: _MOST_COLUMNS + _MOST_MORE]
    ]
    dropped = schema.dropped[: _MOST_COLUMNS + _MOST_MORE]
    return {
        "shown": rows[:_MOST_COLUMNS],
        "folded": rows[_MOST_COLUMNS:],
        "left_out": len(schema.columns) - len(rows),
        "dropped": dropped,
        "dropped_left_out": len(schema.dropped) - len(dropped),
        "ids": [clean(name) for name in schema.ids],
        "missing_words": [clean(word) for word in schema.missing_words if word],
    }


def explained(rows):
    """Return what predictions depend on, as rows of text with the share of the longest bar."""
    shown = rows[:_MOST_COLUMNS]
    most = max([each["importance"] for each in shown] + [0.0])
    return {
        "rows": [
            {
                "name": each["column"],
                "importance": number(each["importance"]),
                "deviation": number(each["deviation"], 2),
                "gradient": number(each["gradient"]),
                "part": f"{max(each['importance'], 0) / most if most else 0:.3f}",
            }
            for each in shown
        ],
        "left_out": len(rows) - len(shown),
    }


def training(history, record):
    """Return the facts of the training as pairs of words, and its epochs as a table."""
    seconds = sum(value for value in history.get("seconds", ()) if value)
    epochs = len(history.get("loss", ()))
    rows = record.get("data", {}).get("train")
    best = record.get("best_epoch")
    rate, share = share_of_peak(history, record)
    peak = number((record.get("peak") or 0) / 1e9, 3)
    pairs = [
        ("Epochs", epochs, whole),
        ("Best epoch", None if best is None else best + 1, whole),
        ("Ended", record.get("stopped"), _ended),
        ("Time", record.get("seconds"), duration),
        ("Samples per second", epochs * rows / seconds if rows and seconds else None, three_digits),
        ("Computing", rate, lambda value: f"{three_digits(value)} GFLOP/s"),
        ("Share of peak", share, lambda value: f"{percent(value)} of {peak} GFLOP/s measured"),
        ("Samples per step", record.get("batch_size"), whole),
        ("Threads", record.get("threads"), whole),
    ]
    return {
        "pairs": [(name, show(value)) for name, value, show in pairs if value],
        "epochs": _epochs(history, best),
    }


def members(record):
    """Return the members of an ensemble as rows of text, and those left out; None without any."""
    ensemble = record.get("ensemble")
    if not ensemble:
        return None
    scored = [each["metrics"] for each in ensemble["members"] if each["metrics"]]
    names = [name for name in (scored[0] if scored else ()) if name != "rows"][:_MOST_SCORES]
    rows = [
        (
            whole(each["number"]),
            str(each["seed"]),
            whole(each["epochs"]),
            "" if each["best_epoch"] is None else whole(each["best_epoch"] + 1),
            _ended(each["stopped"]) if each["stopped"] else "not begun",
            duration(each["seconds"]),
            [number(each["metrics"].get(name)) for name in names],
        )
        for each in ensemble["members"]
    ]
    return {
        "by": clean(ensemble["by"]),
        "heads": [clean(name).replace("_", " ") for name in names],
        "rows": rows,
        "left_out": [
            (whole(each["number"]), clean(each["why"], 300)) for each in ensemble["left_out"]
        ],
    }


def _ended(stopped):
    return clean(Stopped.text_of(stopped))  # a record may be of another version


def share_of_peak(history, record):
    """Return GFLOP/s over all epochs, and their share of the peak; None where unknown."""
    epochs = zip(history.get("seconds", ()), history.get("gflops", ()), strict=False)
    known = [epoch for epoch in epochs if None not in epoch]
    total = sum(seconds for seconds, _ in known)
    if not total:
        return None, None
    rate = sum(gflops * seconds for seconds, gflops in known) / total
    peak = record.get("peak")
    return rate, rate * 1e9 / peak if peak else None


def _epochs(history, best):
    """Return the table of the epochs: its heads, and rows (epoch, is the best, texts)."""
    count = len(history.get("loss", ()))
    step = max(1, -(-count // _MOST_EPOCHS))
    places = {0, *range(step - 1, count, step), count - 1, *([] if best is None else [best])}
    known = {name: values for name, values in history.items() if name in _EPOCH_COLUMNS and values}
    rows = []
    for place in sorted(place for place in places if 0 <= place < count):
        values = [(known[name][place], _EPOCH_COLUMNS[name][1]) for name in known]
        texts = ["" if value is None else show(value) for value, show in values]
        rows.append((whole(place + 1), place == best, texts))
    return {"heads": [_EPOCH_COLUMNS[name][0] for name in known], "rows": rows, "count": count}


def facts(record):
    """Return the source of the data, the options of the training, and versions, as pairs."""
    data = record.get("data", {})
    rows = partial(counted, one="row")
    source: list[tuple[str, str, Callable]] = [
        ("Data", "name", partial(clean, most=200)),
        ("Rows", "rows", whole),
        ("Trained on", "train", rows),
        ("Validated on", "valid", rows),
        ("Without a target", "no_target", rows),
        ("Digest of the data", "digest", partial(clean, most=100)),
    ]
    options = [
        (clean(name).replace("_", " "), clean(setting(value), 200))
        for name, value in record.get("options", {}).items()
        if value is not None and value != [] and value != ""
    ]
    versions = {"fastbp": record.get("fastbp", __version__), **record.get("versions", {})}
    return {
        "source": [(words, show(data[name])) for words, name, show in source if data.get(name)],
        "options": options,
        "versions": [(clean(name), clean(version)) for name, version in versions.items()],
    }
