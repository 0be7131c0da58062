"""What a model file says of its training, checked: whoever shows it takes it as it is."""

from ...kernels.support.scalars import a_number, a_whole_number


def check_history(history):
    """Raise unless `history` is lists of numbers by name, of one length; None is no number.

    Raises
    ------
    TypeError, ValueError
        If it is something else.
    """
    lengths = {len(_numbers(name, values)) for name, values in _by_name("history", history)}
    if len(lengths) > 1:
        raise ValueError("the lists of the history are not of one length")


def check_record(record, history, classes):
    """Raise unless what `record` holds of what is known is of its form; other things may be there.

    Parameters
    ----------
    record, history : dict
        What says how a model came about; the history was checked.
    classes : sequence of str
        Those of the target, none of a regression.

    Raises
    ------
    KeyError, TypeError, ValueError
        If something is of another form.
    """
    _by_name("record", record)
    for name, check in _FORMS.items():
        if record.get(name) is not None:
            check(name, record[name])
    if record.get("data"):
        a_number("seconds", record["seconds"])
        _text("stopped", record["stopped"])
    epochs = max(map(len, history.values()), default=None)
    if record.get("best_epoch") is not None and epochs is not None:
        a_whole_number("best_epoch", record["best_epoch"], least=0, below=epochs)
    if record.get("confusion") and {len(classes)} != {
        len(record["confusion"]),
        *map(len, record["confusion"]),
    }:
        raise ValueError(f"confusion: expected {len(classes)} rows of as many numbers")


def _by_name(name, value):
    if not isinstance(value, dict):
        raise TypeError(f"{name}={value!r}: expected values by name")
    return value.items()


def _text(name, value):
    if not isinstance(value, str):
        raise TypeError(f"{name}={value!r}: expected text")


def _count(name, value):
    a_whole_number(name, value, least=0)


def _numbers(name, values):
    if not isinstance(values, list):
        raise TypeError(f"{name}={values!r}: expected a list")
    for value in values:
        if value is not None:
            a_number(name, value)
    return values


def _data(name, value):
    _by_name(name, value)
    if value:
        _text("name", value["name"])
        _count("rows", value["rows"])
        for part in ("train", "valid"):
            _count(part, value.get(part) or 0)


def _versions(name, value):
    for package, version in _by_name(name, value):
        _text(package, version)


def _metrics(name, value):
    for part, scores in _by_name(name, value):
        for score, number in _by_name(part, scores):
            a_number(score, number)
        if scores:
            _count("rows", scores["rows"])


def _confusion(name, value):
    for row in value if isinstance(value, list) else [value]:
        for count in _numbers(name, row):
            _count(name, count)


def _residuals(name, value):
    _by_name(name, value)
    pairs = [_numbers(part, value.get(part) or []) for part in ("actual", "predicted")]
    histogram = value.get("histogram") or {}
    _by_name("histogram", histogram)
    edges, counts = (_numbers(part, histogram.get(part) or []) for part in ("edges", "counts"))
    if len(pairs[0]) != len(pairs[1]) or len(edges) != len(counts) + bool(counts):
        raise ValueError(f"{name}: its lists are not of one length")
    for part in ("mean", "std"):
        a_number(part, value.get(part) or 0)


_FORMS = {
    "fastbp": _text,
    "versions": _versions,
    "data": _data,
    "options": _by_name,
    "batch_size": _count,
    "seconds": a_number,
    "threads": _count,
    "peak": a_number,
    "stopped": _text,
    "best_epoch": _count,
    "metrics": _metrics,
    "confusion": _confusion,
    "residuals": _residuals,
}
