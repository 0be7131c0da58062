"""Tables, plans and scores in words."""

import math
from collections import Counter

from ..durations import duration
from ..memory import bytes_shown
from ..report.words import percent
from ..tables.result.folds import spread_of
from ..tables.wording import counted, named
from ..training.stopped import Stopped

_MOST_CLASSES = 4
# the rows of the scores in a record
_SCORED = {"valid": "validation", "out_of_fold": "out of fold"}
# what the members of an ensemble differ by
_MEMBERS = {
    "seeds": "which differ by their seeds",
    "bags": "each of rows drawn with replacement",
    "folds": "each of all folds but the one that it stops early on",
}


def summary_lines(summary, job):
    """Return lines about the data of a training; see ``planning.summary_of``."""
    task, names = summary["task"], job.schema.target_names
    kinds = Counter((column.kind, column.plural) for column in job.schema.columns)
    inputs = ", ".join(counted(n, kind, plural) for (kind, plural), n in kinds.items())
    validating = f"{summary['valid']:,} for validation"
    if job.options.ensemble_by == "folds":
        validating = f"each validates one of the {job.options.ensemble} networks"
    both = "two folds" if job.options.ensemble_by == "folds" else "both"
    lines = [
        f"{summary['rows']:,} rows: {summary['train']:,} for training, "
        f"{validating}{_split(summary['split_by'], both)}",
        f"target{'s' * (len(names) > 1)} {', '.join(map(named, names))}: {task}"
        f"{_classes(summary['classes'], job.options)}",
        f"inputs: {inputs}, as {counted(job.schema.n_features, 'feature')}",
    ]
    for reason, names in _by_reason(summary["dropped"]).items():
        lines.append(f"dropped, {reason}: {', '.join(map(named, names))}")
    lines.append(f"preset {job.options.preset}: {_networks(job.options)}")
    if summary["streamed"]:
        lines.append("the rows exceed --memory: they go through a scratch file, window by window")
    if summary["resumes"]:
        lines.append("resumes from a checkpoint")
    return lines


def _networks(options):
    if options.ensemble == 1:
        return "one network"
    return f"an ensemble of {options.ensemble} networks, {_MEMBERS[options.ensemble_by]}"


def plan_lines(plan):
    """Return lines about the work of a training; see ``planning.plan_of``."""
    memory = plan["memory"]
    lines = [
        f"{plan['parameters']:,} parameters, batches of {plan['batch_size']}, "
        f"{counted(plan['steps_an_epoch'], 'step')} per epoch, at most "
        f"{counted(plan['epochs'], 'epoch')}",
        f"{plan['flops_an_epoch'] / 1e9:,.3g} GFLOP per epoch",
        f"memory: {bytes_shown(memory['rows'])} of rows, "
        f"{bytes_shown(memory['network'])} of network",
        f"expected: {duration(plan['seconds_an_epoch'])} per epoch, at most "
        f"{duration(plan['expected_seconds'])}, and the time to read the table",
    ]
    if memory["scratch_file"]:
        lines.insert(3, f"scratch file: {bytes_shown(memory['scratch_file'])}")
    return lines


def metrics_line(model):
    """Return the scores of a model on its validation rows, as a line."""
    lines = [
        f"{words}: {scores_text(metrics)}"
        for name, words in _SCORED.items()
        if (metrics := (model.record.get("metrics") or {}).get(name))
    ]
    if (model.record.get("search") or {}).get("by") == "validation loss":
        lines = [line.replace(":", ", which chose the options:", 1) for line in lines]
    return "\n".join(lines) or "no rows for validation"


def temperature_lines(model):
    """Return a line on the temperature of a classifier, if it is not 1."""
    found = model.record.get("temperature") or 1
    values = found if isinstance(found, list) else [found]
    if all(value == 1 for value in values):
        return []
    shown = ", ".join(f"{value:.3g}" for value in values)
    return [f"calibrated on these rows: the logits are divided by a temperature of {shown}"]


def members_lines(model):
    """Return lines about the members of an ensemble: of each, and of their scores."""
    ensemble = model.record.get("ensemble")
    if not ensemble:
        return []
    members = ensemble["members"]
    lines = [_member_line(each) for each in members]
    lines += [
        f"network {each['number']} is left out: {each['why']}" for each in ensemble["left_out"]
    ]
    scores = [each["metrics"] for each in members if each["metrics"]]
    if scores:
        spreads = (f"{name} {text}" for name, text in spread_of(scores).items())
        lines.append(f"{counted(len(scores), 'network')} by {ensemble['by']}: {', '.join(spreads)}")
    return lines


def _member_line(member):
    best = member["best_epoch"]
    parts = [
        f"network {member['number']}, seed {member['seed']}: {counted(member['epochs'], 'epoch')}",
        Stopped.text_of(member["stopped"]) if member["stopped"] else "not begun",
        *([] if best is None else [f"best epoch {best + 1}"]),
        *([scores_text(member["metrics"])] if member["metrics"] else []),
    ]
    return ", ".join(parts)


def folds_lines(model):
    """Return lines about the scores of a model by cross-validation: of each fold, and all."""
    folds = model.record.get("folds")
    if not folds or not folds["scores"]:
        return []
    scores = folds["scores"]
    lines = [f"fold {n}: {scores_text(each)}" for n, each in enumerate(scores, 1)]
    spreads = (f"{name} {text}" for name, text in spread_of(scores).items())
    lines.append(f"{counted(len(scores), 'fold')} by {folds['by']}: {', '.join(spreads)}")
    return lines


def search_lines(model):
    """Return lines about a search: the best options, and the scores of rows that chose nothing."""
    search = model.record.get("search")
    if not search:
        return []
    tried = [each for each in search["tried"] if each["loss"] is not None]
    tried.sort(key=lambda each: each["loss"])
    shard = search.get("shard")
    part = f" in shard {shard['number']}/{shard['count']}" if shard else ""
    lines = [f"{len(tried)} of {search['asked']} options{part} by {search['by']}, the best:"]
    lines += [f"  {each['loss']:.4g}: {_options_text(each['options'])}" for each in tried[:5]]
    test = (model.record.get("metrics") or {}).get("test")
    return [*lines, *([f"test, rows that chose nothing: {scores_text(test)}"] if test else [])]


def _options_text(options):
    """Return options as they are written on the command line."""
    shown = {n: ",".join(map(str, v)) if isinstance(v, list) else v for n, v in options.items()}
    parts = (f"--{name.replace('_', '-')} {value}" for name, value in shown.items())
    return " ".join(parts) or "the options as given"


def scores_text(metrics):
    """Return scores by name as text."""
    if not metrics:
        return "no scores"
    shown = (_score_text(name, value) for name, value in metrics.items() if name != "rows")
    return f"{', '.join(shown)} ({counted(metrics['rows'], 'row')})"


def _score_text(name, value):
    if value is None or math.isnan(value):
        return f"{name} is not defined" + ": all rows are of one class" * (name == "roc_auc")
    return f"{name} {value:.2%}" if name == "accuracy" else f"{name} {value:.4g}"


def _split(by, both):
    if "group" in by:
        return f", no group of {named(by['group'])} in {both}"
    return f", the last by {named(by['time'])}" if "time" in by else ""


def _classes(counts, options):
    if not counts:
        return ""
    total, ordered = sum(counts.values()), sorted(counts.items(), key=lambda item: -item[1])
    (_, most), (_, fewest) = ordered[0], ordered[-1]
    shares = [f"{named(name)} {count:,} ({percent(count / total)})" for name, count in ordered]
    if len(shares) > _MOST_CLASSES:
        shares[1:-1] = ["..."]
    text = f", {counted(len(counts), 'class', 'classes')}: {', '.join(shares)}"
    if fewest and most >= 10 * fewest and options.class_weight is None:
        text += "; unbalanced: --class-weight balanced makes them count the same"
    return text


def _by_reason(dropped):
    reasons: dict[str, list[str]] = {}
    for name, reason in dropped.items():
        reasons.setdefault(reason, []).append(name)
    return reasons
