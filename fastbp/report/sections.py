"""The parts of a report that describe: columns, training, the network and where it was made."""

import datetime

from .. import __version__
from ..tables.wording import counted, duration
from .words import clean, number, percent, setting, whole

_MOST_COLUMNS, _MOST_MORE = 30, 500
_MOST_CATEGORIES = 6
_MOST_EPOCHS = 20
_DAY = 86_400
_EPOCH_COLUMNS = {
    "loss": ("training loss", number),
    "val_loss": ("validation loss", number),
    "val_accuracy": ("accuracy", percent),
    "val_r2": ("R²", number),
    "learning_rate": ("learning rate", number),
    "seconds": ("time", duration),
    "gflops": ("GFLOP/s", lambda value: number(value, 3)),
}


def history_of(model):
    """Return a model's history as a dict of lists, and its record; of a network what it knows."""
    history = model.history
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
    """Return the schema's columns as rows of text: those shown, those folded away, the rest."""
    rows = [
        {
            "name": column.name,
            "kind": column.kind,
            "width": column.width,
            "about": _about(column),
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


def _about(column):
    """Return what was fitted: a list of (words, is a category's name)."""
    if column.kind == "number":
        return [(f"mean {number(column.mean)}, deviation {number(column.scale)}", False)]
    if column.kind == "date":
        days = number(column.scale / _DAY, 3)
        clock = ", with the time of day" if column.clock else ""
        return [(f"around {_date(column.mean)}, deviation {days} days{clock}", False)]
    if column.kind == "boolean":
        return []
    shown = [(clean(name, 24), True) for name in column.categories[:_MOST_CATEGORIES]]
    more = len(column.categories) - len(shown)
    if more:
        shown.append((f"{whole(more)} more", False))
    if column.other:
        shown.append(("all others", False))
    return shown


def _date(seconds):
    """Return the day of seconds since 1970 as text, or the number where there is no such day."""
    try:
        day = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    except OverflowError:
        return f"{number(seconds)} s from 1970"
    return day.date().isoformat()


def training(history, record):
    """Return how training went, as pairs of words, and its epochs as a table."""
    seconds = sum(value for value in history.get("seconds", ()) if value)
    epochs, rows = len(history.get("loss", ())), record.get("data", {}).get("train")
    best = record.get("best_epoch")
    pairs = []
    if epochs:
        pairs.append(("Epochs", whole(epochs)))
    if best is not None:
        pairs.append(("Best epoch", whole(best + 1)))
    if record.get("stopped"):
        pairs.append(("Stopped by", clean(record["stopped"])))
    if record.get("seconds"):
        pairs.append(("Time", duration(record["seconds"])))
    if epochs and rows and seconds:
        pairs.append(("Samples a second", number(epochs * rows / seconds, 3)))
    pairs += _speed(history, record, seconds)
    if record.get("batch_size"):
        pairs.append(("Samples a step", whole(record["batch_size"])))
    if record.get("threads"):
        pairs.append(("Threads", whole(record["threads"])))
    return {"pairs": pairs, "epochs": _epochs(history, best)}


def share_of_peak(history, record):
    """Return GFLOP/s over all epochs, and their share of the peak; None where unknown."""
    times, rates = history.get("seconds"), history.get("gflops")
    if not times or not rates or not sum(times):
        return None, None
    rate = sum(g * s for g, s in zip(rates, times, strict=True)) / sum(times)
    peak = record.get("peak")
    return rate, rate * 1e9 / peak if peak else None


def _speed(history, record, seconds):
    rate, share = share_of_peak(history, record) if seconds else (None, None)
    if rate is None:
        return []
    pairs = [("Computing", f"{number(rate, 3)} GFLOP/s")]
    if share is not None:
        peak = f"of {number(record['peak'] / 1e9, 3)} GFLOP/s measured"
        pairs.append(("Share of peak", f"{percent(share)} {peak}"))
    return pairs


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
    """Return where the data are from, the options of the training and versions, as pairs."""
    data = record.get("data", {})
    source = [
        ("Data", clean(data["name"], 200) if data.get("name") else None),
        ("Rows", whole(data["rows"]) if data.get("rows") else None),
        ("Trained on", counted(data["train"], "row") if data.get("train") else None),
        ("Validated on", counted(data["valid"], "row") if data.get("valid") else None),
        ("Without a target", counted(data["no_target"], "row") if data.get("no_target") else None),
        ("Digest of the data", clean(data["digest"], 100) if data.get("digest") else None),
    ]
    options = [
        (clean(name).replace("_", " "), clean(setting(value), 200))
        for name, value in record.get("options", {}).items()
        if value is not None and value != [] and value != ""
    ]
    versions = {"fastbp": record.get("fastbp", __version__), **record.get("versions", {})}
    return {
        "source": [pair for pair in source if pair[1] is not None],
        "options": options,
        "versions": [(clean(name), clean(version)) for name, version in versions.items()],
    }
