"""The plan of a training: its data, network, FLOPs, memory and expected time."""

import copy
import logging
import time

import numpy as np

from ..memory import free_memory
from ..training.interrupt import unless_interrupted
from .columns.encoding import Encoder
from .members import bytes_of_rows, most_at_once
from .networks import network_bytes
from .presets import trainings
from .short_rows import ShortRows

_steps = logging.getLogger("fastbp.steps")
# rows and operations of the trial that measures an epoch, at most
_TRIAL_ROWS = 65_536
_TRIAL_FLOPS = 10_000_000_000


def plan_of(job):
    """Return the plan of a `Job` as JSON: data, columns, network, FLOPs, memory, expected time.

    The seconds of an epoch are measured: a copy of the network is trained on a few batches of
    the real rows. The expected time is that of all epochs, without early stopping.
    """
    budget = job.budget
    rows = budget.rows
    plan = job.network.engine.plan
    workspace = plan.workspace(job.batch, 1, training=True).bytes
    # the networks of an ensemble train at once, on one thread each
    ensemble = job.options.ensemble
    at_once = min(most_at_once(budget, job.options), ensemble)
    rounds = -(-ensemble // at_once)
    seconds = _seconds_per_epoch(job, job.options.n_threads if ensemble == 1 else 1)
    return {
        **summary_of(job),
        "parameters": plan.size,
        "steps_an_epoch": -(-rows // job.batch),
        "flops_an_epoch": rows * plan.flops_per_row,
        "memory": {
            "rows": budget.held_bytes if budget.streamed else bytes_of_rows(budget, job.options),
            "scratch_file": budget.bytes if budget.streamed else 0,
            "network": ensemble * (4 * job.network.parameters.nbytes + workspace),
        },
        "seconds_an_epoch": seconds,
        "expected_seconds": min(
            seconds * job.options.epochs * rounds * trainings(job.options), job.time_limit or np.inf
        ),
        "features": job.schema.n_features,
    }


def summary_of(job):
    """Return the columns, rows and target of a `Job` as JSON."""
    schema = job.schema
    target = schema.target
    is_one = not schema.more_targets
    return {
        "data": job.table.name,
        "rows": job.rows,
        "train": job.budget.rows,
        "valid": job.budget.held,
        "target": target.name if is_one else schema.target_names,
        "task": target.task,
        "classes": dict(zip(target.classes, target.counts, strict=True)) if is_one else {},
        "columns": {column.name: column.kind for column in schema.columns},
        "dropped": {column.name: column.reason for column in schema.dropped},
        "ids": list(schema.ids),
        "split_by": {name: column for name, column in _keys(job.options) if column is not None},
        "batch_size": job.batch,
        "epochs": job.options.epochs,
        "preset": job.options.preset,
        "ensemble": job.options.ensemble,
        "ensemble_by": job.options.ensemble_by,
        "streamed": job.budget.streamed,
        "resumes": job.resumes,
    }


def _keys(options):
    return ("group", options.group), ("time", options.time)


def first_rows(job):
    """Return some of the first rows of a `Job` and their targets, as training takes them."""
    flops = job.network.engine.plan.flops_per_row
    rows = min(_TRIAL_ROWS, max(job.batch, _TRIAL_FLOPS // flops))
    encoder = Encoder(job.schema, job.table.name, job.network.dtype)
    _, first = next(encoder.encoded(job.table))
    kept = first.kept[:rows]
    short = ShortRows(job.schema)
    return short.rows(short.kept(first.X[:rows][kept])), first.y[:rows][kept]


def _seconds_per_epoch(job, n_threads):
    """Return the seconds of an epoch, measured on some rows with a copy of the network.

    It is NaN if memory is too small for a copy, or none of the first rows has a target.
    """
    _steps.info("measuring an epoch")
    X, y = first_rows(job)
    free = free_memory()
    if not len(X) or (free is not None and network_bytes(job.options, job.schema) > free):
        return float("nan")
    trial = copy.deepcopy(job.network)
    options = {"epochs": 1, "batch_size": job.batch, "n_threads": n_threads}
    unless_interrupted(trial.fit(X, y, **options))  # compiles
    started = time.perf_counter()
    unless_interrupted(trial.fit(X, y, **options))
    return (time.perf_counter() - started) * job.budget.rows / len(X)
