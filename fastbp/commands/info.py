"""``fastbp info``: the contents of a model file."""

from msgspec import to_builtins

from .. import __version__
from ..durations import duration
from ..tables.wording import counted, named
from ..training.stopped import Stopped
from .describe import folds_lines, members_lines, metrics_line, search_lines, temperature_lines
from .exits import guarded
from .models import load_model
from .values import LogOption, ModelArgument

_MOST_COLUMNS = 100


def info(model: ModelArgument, log: LogOption = "text"):
    """Print the contents of a model file.

    Network, columns, training, scores and versions.
    """
    with guarded(log) as out:
        from .. import model_file
        from ..ensemble import members_of

        loaded = load_model(model)
        network = getattr(loaded, "network", loaded)
        fields, lines = {}, []
        if network is not loaded:
            fields, lines = _table(loaded), _table_lines(loaded)
        content = network.to_model()
        fields |= {"format": content.version, "network": model_file.description(content)}
        fields |= {"epochs": content.epochs, "steps": content.steps}
        if content.more:
            members = [{"epochs": each.epochs, "steps": each.steps} for each in members_of(network)]
            fields["members"] = members
        out.event("model", **fields)
        out.text(
            f"{model}: format {content.version}, read by fastbp {__version__}",
            *lines,
            "",
            network.summary(**_batch_of(loaded)),
            _trained(members_of(network)),
        )


def _trained(members):
    """Return a line on the training of one network, or of all together."""
    epochs, steps = (sum(getattr(each, name) for each in members) for name in ("epochs", "steps"))
    which = "" if len(members) == 1 else ", all together"
    return f"trained for {counted(epochs, 'epoch')}, {counted(steps, 'step')}{which}"


def _batch_of(model):
    """Return the batch size of a model's training, if it is known, as an argument."""
    size = getattr(model, "record", {}).get("batch_size")
    return {"batch_size": size} if size else {}


def _table(model):
    return {
        "schema": model.schema.to_data(),
        "reading": to_builtins(model.reading),
        "record": model.record,
        "history": model.history,
        "fingerprint": model.fingerprint,
    }


def _table_lines(model):
    """Return lines about a model's table and training."""
    schema, record = model.schema, model.record
    target, data = schema.target, record.get("data", {})
    names = ", ".join(map(named, schema.target_names))
    lines = [f"fingerprint {model.fingerprint}"]
    if "fastbp" in record:
        versions = ", ".join(f"{name} {v}" for name, v in record.get("versions", {}).items())
        lines.append(f"made by fastbp {record['fastbp']}, {versions}")
    if data:
        ended = Stopped.text_of(record["stopped"])
        lines.append(
            f"from {data['name']}, {data['rows']:,} rows, in {duration(record['seconds'])}; {ended}"
        )
    if not model.reading.header:
        lines.append("its table had no header: neither have those that it predicts")
    lines += ["", f"predicts {names}: {target.task}"]
    if target.classes and not schema.more_targets:
        lines.append(f"  classes: {_short(target.classes)}")
    columns = [f"  {_column(column)}" for column in schema.columns]
    columns += [f"  {named(c.name)}: not used, {c.reason}" for c in schema.dropped]
    lines += columns[:_MOST_COLUMNS]
    if len(columns) > _MOST_COLUMNS:
        lines.append(f"  and {len(columns) - _MOST_COLUMNS:,} more columns: --log json has them")
    if any((record.get("metrics") or {}).values()):
        lines += ["", metrics_line(model), *temperature_lines(model)]
    lines += [*folds_lines(model)[-1:], *search_lines(model)]
    if members := members_lines(model):
        lines += ["", *members]
    return lines


def _column(column):
    phrases = column.describe("{:.4g}".format)
    fitted = [f", {named(text) if is_name else text}" for text, is_name in phrases]
    missing = ", may be missing" if column.missing else ""
    return f"{named(column.name)}: a {column.kind}{''.join(fitted)}{missing}"


def _short(names, most=8):
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(named, names[:most])) + more
