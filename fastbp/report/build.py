"""The report as a page: what a model holds, put into page.html."""

import hashlib
import json
from importlib.resources import files
from pathlib import Path

from .. import model_file
from ..kernels.support.files import write_whole
from ..network import Network
from ..tables.wording import counted, duration
from . import words
from .results import curves_of, headline, results
from .sections import columns, facts, history_of, training


def build_report(model):
    """Return the report of a model: one page of HTML that loads nothing and runs nothing.

    Parameters
    ----------
    model : TableModel or Network
        Of a network that knows no table the page has what there is.

    Returns
    -------
    str
        The page; it begins with its doctype, and is well-formed XML too.

    Raises
    ------
    ModuleNotFoundError
        If Jinja is missing.
    ModelFileError
        If the model's record does not fit its classes.
    """
    network = model if isinstance(model, Network) else model.network
    schema = getattr(model, "schema", None)
    history, record = history_of(model)
    context = {
        "schema": schema,
        "headline": headline(network, schema, record, history),
        "charts": curves_of(history, record.get("best_epoch")),
        "results": results(schema, record),
        "columns": None if schema is None else columns(schema),
        "training": training(history, record),
        "facts": facts(record),
        "summary": network.summary(_batch_size(record)).splitlines(),
        "fingerprint": _fingerprint(network) if schema is None else model.fingerprint,
    }
    return _page().render(context)


def write_report(model, path):
    """Write the report of `model` to `path`, the whole of it or nothing.

    Raises
    ------
    ModuleNotFoundError, ModelFileError
        As for `build_report`.
    OSError
        If `path` cannot be written.
    """
    write_whole(Path(path), build_report(model).encode())


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
    environment.filters |= {
        "clean": words.clean,
        "duration": duration,
        "number": words.number,
        "percent": words.percent,
        "setting": words.setting,
        "whole": words.whole,
    }
    environment.globals["counted"] = counted
    return environment.get_template("page.html")


def _batch_size(record):
    return record.get("batch_size") or record.get("options", {}).get("batch_size") or 128


def _fingerprint(network):
    """Return the SHA-256 of layers and weights, in hexadecimal digits."""
    state = network.to_model()
    layers = model_file.description(state)["layers"]
    digest = hashlib.sha256(json.dumps(layers, sort_keys=True).encode())
    little_endian = state.params.dtype.newbyteorder("<")
    digest.update(state.params.astype(little_endian, copy=False).tobytes())
    return digest.hexdigest()
