"""The model file: safetensors with JSON metadata, one file, a format version.

Tensors: ``parameters`` (n,) and ``moments`` (2, n), flat, in the order W(1), b(1),
W(2), ...; W(l) is (n_in, n_out) by rows; ``digest`` (32,) of bytes, by `_digest`.
Metadata ``fastbp``: the JSON of `to_bytes`. Its ``sections``, and tensors named
``section.name``, belong to other modules: a table's schema, the state of a training.
A file of several networks, an ensemble, has format 3: its tensors are those of the networks
one after another, and ``members`` says what differs. Reading executes nothing from the file.
``custom`` lists the names of formulas of the user's own, if there are any: a reader must be given
them. An older fastbp refuses such a file, as it knows no formula of that name.
"""

import hashlib
import itertools
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as deserialize
from safetensors.numpy import save as serialize

from .components import schedules
from .components.optimizers import Optimizer
from .components.second_order import WHOLE_BATCH
from .engine.architecture import check, check_levels
from .engine.monotonic import require_signs
from .engine.plan import Layer, Plan
from .errors import ModelFileError
from .kernels.formulas.custom import CustomFormula
from .kernels.formulas.losses import LOSSES
from .kernels.support.files import write_whole
from .kernels.support.scalars import a_number, a_whole_number
from .quoted import quoted, shortened

FORMAT_VERSION, OF_SEVERAL = 2, 3
_OWN_TENSORS = {"parameters", "moments", "digest"}
_COUNTS = ("seed", "steps", "epochs")
_COUNT = {"least": 0, "below": 2**63}
# errors of a wrong description: OverflowError of a number too large for a float, RecursionError
# of schedules after schedules
_MISTAKES = (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True)
class Model:
    """The content of a model file; `moments` are the first and then the second, flat or two rows.

    `sections` holds JSON data of other modules by name, `tensors` their arrays, named
    ``section.name``. `more` are the networks after the first, if there are several.
    """

    specs: tuple
    input_drop: float
    dtype: str
    loss: str
    loss_parameter: float | tuple[float, ...]
    optimizer: Optimizer
    seed: int
    steps: int
    epochs: int
    params: np.ndarray
    moments: np.ndarray
    sections: dict = field(default_factory=dict)
    tensors: dict = field(default_factory=dict)
    more: "tuple[Model, ...]" = ()

    @property
    def version(self):
        """The version of the format of its file."""
        return OF_SEVERAL if self.more else FORMAT_VERSION


def save(path, model):
    """Write `model` to `path` atomically, synced to the disk; see `to_bytes`."""
    write_whole(Path(path), to_bytes(model), sync=True)


def to_bytes(model):
    """Return the content of the file that holds `model`.

    It raises ModelFileError if its schedule is the caller's own object.
    """
    networks = (model, *model.more)
    tensors = {
        "parameters": np.concatenate([each.params for each in networks]),
        "moments": np.concatenate([each.moments.reshape(2, -1) for each in networks], axis=1),
    }
    tensors |= model.tensors
    own = _data_of(model)
    data = {"version": model.version, **own, "sections": model.sections}
    custom = formulas_by_name([name for each in networks for name in custom_formulas(each)])
    if custom:
        data["custom"] = sorted(custom)
    if model.more:
        data["members"] = [_differing(_data_of(each), own) for each in networks]
    header = json.dumps(data, allow_nan=False)
    return serialize({**tensors, "digest": _digest(header, tensors)}, {"fastbp": header})


def custom_formulas(model):
    """Return the formulas of the user's own in a network, or in its `Model`."""
    layers = model.specs if isinstance(model, Model) else model.layers
    names = dict.fromkeys([*(layer.activation for layer in layers), model.loss])
    return [name for name in names if isinstance(name, CustomFormula)]


def _data_of(model):
    """Return a network without its parameters, and its place in training, as JSON data."""
    return {**_description(model), "steps": model.steps, "epochs": model.epochs}


def _differing(data, other):
    return {name: value for name, value in data.items() if value != other[name]}


def description(model):
    """Return a network without its parameters as JSON data: layers, loss, optimizer and seed.

    Of several networks it has what differs from the first, ``members``.
    """
    first = _description(model)
    if not model.more:
        return first
    networks = (model, *model.more)
    return first | {"members": [_differing(_description(each), first) for each in networks]}


def _description(model):
    optimizer = model.optimizer
    return {
        "layers": [_layer_to_data(spec) for spec in model.specs],
        "input_drop": model.input_drop,
        "dtype": model.dtype,
        "loss": model.loss,
        "loss_parameter": model.loss_parameter,
        "optimizer": {
            "name": optimizer.name,
            "hyper_parameters": dict(optimizer.hyper_parameters),
            "clip_norm": optimizer.clip_norm,
            **({"clip_sample_norm": most} if (most := optimizer.clip_sample_norm) else {}),
            "schedule": _schedule_to_data(optimizer.schedule),
        },
        "seed": model.seed,
    }


def _digest(header, tensors):
    """Return the SHA-256 of the description, and of each tensor's type, shape and bytes.

    Tensors are hashed in the order of their names.
    """
    digest = hashlib.sha256(header.encode())
    for name in sorted(tensors.keys() - {"digest"}):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
        digest.update(np.ascontiguousarray(tensor).reshape(-1).view(np.uint8).data)  # no copy
    return np.frombuffer(digest.digest(), np.uint8)


def _layer_to_data(layer):
    data = dict(vars(layer))
    data["drop"] = data.pop("dropout")
    if data["trainable"]:  # as files had no such word before
        del data["trainable"]
    if not data["signs"]:
        del data["signs"]
    return data


def _schedule_to_data(schedule):
    if getattr(schedule, "name", None) not in schedules.SCHEDULES:
        raise ModelFileError(
            f"schedule={quoted(schedule)}: only fastbp's own schedules can be saved"
        )
    data = {"name": schedule.name, **vars(schedule)}
    if "after" in data:
        data["after"] = _schedule_to_data(data["after"])
    return data


def _schedule_from_data(data):
    data = dict(data)
    kind = schedules.SCHEDULES.find(data.pop("name"))
    if "after" in data:
        data["after"] = _schedule_from_data(data["after"])
    return kind(**data)


def load(path, custom=()):
    """Return the `Model` in the file at `path`; `custom` are formulas that it may name.

    It raises ModelFileError if that is no model file, or truncated, altered or of another
    version, and FileNotFoundError if there is no file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model file at {path}")
    return from_bytes(path.read_bytes(), path, custom)


def load_one(path, custom=()):
    """Return the `Model` of the one network in a file, as `load`; ModelFileError of several."""
    model = load(path, custom)
    if model.more:
        raise ModelFileError(
            f"{path} holds an ensemble of {1 + len(model.more)} networks: load it with "
            "fastbp.Ensemble.load, or the model of a table with fastbp.TableModel.load"
        )
    return model


def from_bytes(content, source="the content", custom=()):
    """Return the `Model` in the content of a file; `source` names it in errors."""
    custom = formulas_by_name(custom)
    try:
        tensors = deserialize(content)
        metadata = _metadata(content)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelFileError(
            f"{source} is truncated or not a safetensors file: {shortened(error)}"
        ) from error
    foreign = {name for name in tensors if "." not in name} != _OWN_TENSORS
    if "fastbp" not in metadata or foreign:
        raise ModelFileError(f"{source} is a safetensors file, but not one that fastbp wrote")
    header = _parse(source, metadata["fastbp"])
    if not np.array_equal(tensors["digest"], _digest(metadata["fastbp"], tensors)):
        raise ModelFileError(f"{source} was altered: its content does not match its digest")
    names = header.get("custom", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ModelFileError(f"{source} was altered: custom={quoted(names)}, expected names")
    if missing := [name for name in names if name not in custom]:
        raise ModelFileError(
            f"{source} needs formulas of its user's own, {quoted(missing)}: give them in Python, "
            "as load(..., custom=[...]) with what custom_activation and custom_loss return"
        )
    return _model(source, header, tensors, {name: custom[name] for name in names})


def formulas_by_name(custom):
    """Return formulas of the user's own by name.

    It raises TypeError if one is none, and ValueError if two that differ have one name.
    """
    if isinstance(custom, str) or not isinstance(custom, Iterable):
        raise TypeError(f"custom={quoted(custom)}: expected a list of formulas")
    found: dict[str, CustomFormula] = {}
    for place, formula in enumerate(custom):
        if not isinstance(formula, CustomFormula):
            raise TypeError(
                f"custom[{place}]={quoted(formula)}: expected what custom_activation or "
                "custom_loss returns"
            )
        name = str(formula)
        if found.setdefault(name, formula) != formula:
            raise ValueError(f"custom: two formulas that differ are called {name!r}")
    return found


def _metadata(content):
    """Return the metadata of safetensors: the length of its JSON, 8 bytes, and the JSON."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]).get("__metadata__") or {}  # null is allowed


def _parse(source, text):
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        # not JSON, or JSON that Python refuses: too deep, or a number of thousands of digits
        raise ModelFileError(f"{source} was altered: its description cannot be read") from error
    version = header.get("version") if isinstance(header, dict) else None
    if version not in (FORMAT_VERSION, OF_SEVERAL):
        raise ModelFileError(
            f"{source} is of format version {quoted(version)}; this fastbp reads versions "
            f"{FORMAT_VERSION} and {OF_SEVERAL}"
        )
    return header


def _parameter(loss, value, outputs):
    if not isinstance(value, list):
        return a_number("loss_parameter", value, low=0)
    parameter = loss.parameter_of("loss_parameter", value)
    loss.levels_of("loss_parameter", parameter, outputs, np.float64)
    return parameter


def _model(source, header, tensors, custom):
    try:
        members = _members(header, tensors["parameters"].size)
        networks = list(_networks(members, tensors, custom))
        model = replace(
            networks[0],
            sections=header["sections"],
            tensors={name: tensor for name, tensor in tensors.items() if "." in name},
            more=tuple(networks[1:]),
        )
        if not isinstance(model.sections, dict):
            raise TypeError(f"sections={quoted(model.sections)}: expected a dict")
    except _MISTAKES as error:
        raise ModelFileError(
            f"{source} describes a network that cannot be built: {shortened(error)}"
        ) from error
    return model


def _members(header, numbers):
    """Return the JSON data of each network; those of several are the first's, but for their own.

    There are no more than the `numbers` that all parameters are.
    """
    if header["version"] == FORMAT_VERSION:
        return [header]
    members = header["members"]
    if not isinstance(members, list) or len(members) < 2:
        raise ValueError(f"members={quoted(members)}: expected a list of two or more")
    if len(members) > numbers:
        raise ValueError(f"members: {len(members):,} networks of {numbers:,} parameters together")
    return [{**header, **own} for own in members]


def _networks(members, tensors, custom):
    """Yield the `Model` of each network, with its part of the tensors."""
    described = [_described(data, custom) for data in members]
    plans = [Plan(d["specs"], d["input_drop"], d["dtype"]) for d in described]
    sizes = [plan.size for plan in plans]
    both, count = {name: tensors[name] for name in ("parameters", "moments")}, sum(sizes)
    for (name, tensor), shape in zip(both.items(), ((count,), (2, count)), strict=True):
        dtypes = {d["dtype"] for d in described}
        if dtypes != {tensor.dtype.name} or tensor.shape != shape:
            raise ValueError(
                f"{name} holds {tensor.size} numbers of {tensor.dtype}; the layers need "
                f"{math.prod(shape)} of {' and '.join(sorted(dtypes))}"
            )
    ends = list(itertools.accumulate(sizes))
    for data, plan, end in zip(described, plans, ends, strict=True):
        part = slice(end - plan.size, end)
        params, moments = both["parameters"][part], both["moments"][:, part]
        require_signs(plan, params)
        yield Model(**data, params=params, moments=moments)


def _described(data, custom):
    """Return what the `Model` of one network has beside its arrays; an error if it is none."""
    layers = [dict(layer) for layer in data["layers"]]
    for layer in layers:
        layer["activation"] = custom.get(layer["activation"], layer["activation"])
        if "signs" in layer:
            layer["signs"] = tuple(layer["signs"])
    specs = tuple(Layer(dropout=layer.pop("drop"), **layer) for layer in layers)
    loss = LOSSES.find(custom.get(data["loss"], data["loss"]))
    check(specs, data["input_drop"], loss)
    if data["dtype"] not in ("float32", "float64"):
        raise ValueError(f"dtype={quoted(data['dtype'])}: expected float32 or float64")
    parameter = _parameter(loss, data["loss_parameter"], specs[-1].n_out)
    check_levels(specs, parameter)
    return {
        "specs": specs,
        "input_drop": data["input_drop"],
        "dtype": data["dtype"],
        "loss": loss.name,
        "loss_parameter": parameter,
        "optimizer": _optimizer(data["optimizer"]),
        **{name: a_whole_number(name, data[name], **_COUNT) for name in _COUNTS},
    }


def _optimizer(data):
    if kind := WHOLE_BATCH.get(data["name"]):
        return kind.of(data["hyper_parameters"])
    schedule = _schedule_from_data(data["schedule"])
    numbers = dict(data["hyper_parameters"])
    numbers["clip_sample_norm"] = data.get("clip_sample_norm")  # older files have none
    return Optimizer(data["name"], schedule=schedule, clip_norm=data["clip_norm"], **numbers)
