"""The report of a model: its contents in page.html."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from .. import model_file
from ..annotations import FilePath
from ..durations import duration
from ..ensemble import Ensemble, members_of
from ..kernels.support.files import write_whole
from ..network import Network
from ..tables.model import TableModel
from ..tables.wording import counted
from . import words
from .results import curves_of, headline, results
from .sections import columns, explained, facts, history_of, members, training


def build_report(
    model: TableModel | Network | Ensemble, explanation: Sequence[Mapping[str, Any]] = ()
) -> str:
    """Return the report of a model: one page of HTML, and of XML, that loads and runs nothing.

    A network without a table has no sections about columns and predictions. `explanation` has the
    rows of the frame that `TableModel.explain` returns, ``frame.to_dicts()``.
    ModuleNotFoundError without Jinja, ModelFileError if the model's record does not fit its
    classes.
    """
    network = model if isinstance(model, (Network, Ensemble)) else model.network
    schema = getattr(model, "schema", None)
    history, record = history_of(model)
    batch_size = record.get("batch_size") or record.get("options", {}).get("batch_size") or 128
    context = {
        "schema": schema,
        "headline": headline(network, schema, record, history),
        "charts": curves_of(history, record.get("best_epoch"), len(members_of(network))),
        "results": results(schema, record),
        "explanation": explained(explanation),
        "columns": None if schema is None else columns(schema),
        "members": members(record),
        "training": training(history, record),
        "facts": facts(record),
        "summary": network.summary(batch_size).splitlines(),
        "fingerprint": _fingerprint(model),
    }
    return _page().render(context)


def write_report(
    model: TableModel | Network | Ensemble,
    path: FilePath,
    explanation: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write the report of a model to a file, atomically; see `build_report`."""
    write_whole(Path(path), build_report(model, explanation).encode())


def _page():
    try:
        from jinja2 import Environment, FunctionLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the report needs Jinja: python -m pip install 'fastbp[plot]'"
        ) from error
    environment = Environment(
        loader=FunctionLoader(lambda name: files(__package__).joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("amount", "clean", "number", "percent", "setting", "whole")
    environment.filters |= {name: getattr(words, name) for name in names}
    environment.filters["duration"] = duration
    environment.globals["counted"] = counted
    return environment.get_template("page.html")


def _fingerprint(model):
    """Return the fingerprint of a `TableModel`, or the SHA-256 of a network."""
    if getattr(model, "schema", None) is not None:
        return model.fingerprint
    digest = hashlib.sha256()
    for member in members_of(getattr(model, "network", model)):
        state = member.to_model()
        layers = model_file.description(state)["layers"]
        digest.update(json.dumps(layers, sort_keys=True).encode())
        little_endian = state.params.dtype.newbyteorder("<")
        digest.update(state.params.astype(little_endian, copy=False).tobytes())
    return digest.hexdigest()
