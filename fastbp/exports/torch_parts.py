"""The layers of a network from the parts of a PyTorch module or a state dict."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..annotations import Array
from ..components.layers import Dense, Dropout
from ..quoted import quoted

# activations that commute with dropout, which may stand before or behind them
_COMMUTE = {"identity", "relu", "leaky_relu"}


class Linear(NamedTuple):
    """The name of a layer, a matrix (n_out, n_in) and a bias (n_out,) or None; float32 or 64."""

    name: str
    weight: Array
    bias: Array | None


class Activation(NamedTuple):
    """The name of a module, a name in ``fastbp.ACTIVATIONS``, and the parameter or None."""

    module: str
    name: str
    alpha: float | None = None


Parts: TypeAlias = list[Linear | Activation | Dropout]


def parts_of_state(state: Mapping[str, Any], activation: str | Sequence[str] | None) -> Parts:
    """Return the parts of a state dict, with activations between its linear layers."""
    layers: dict = {}
    for key, value in state.items():
        stem, _, kind = str(key).rpartition(".")
        if kind not in ("weight", "bias"):
            raise ValueError(
                f"fastbp.from_torch: state dict has {quoted(key)}: expected names that end in "
                '"weight" or "bias", of linear layers alone'
            )
        layers.setdefault(stem, {})[kind] = value
    if not layers:
        raise ValueError("fastbp.from_torch: the state dict is empty")
    names = _one_each(activation, len(layers) - 1)
    parts: Parts = []
    for stem in _in_order(layers):
        if "weight" not in layers[stem]:
            raise ValueError(
                f"fastbp.from_torch: state dict has a bias {quoted(stem)} but no weight"
            )
        parts.append(linear_of(stem, layers[stem]["weight"], layers[stem].get("bias")))
        if names:
            parts.append(Activation(f"behind {stem}", names.pop(0)))
    return parts


def layers_of(parts: Parts) -> tuple[list[Dense | Dropout], list[Linear]]:
    """Return the layers for `Network`, and the linear parts; refuse what makes no network."""
    layers: list = []
    linears: list[Linear] = []
    for part in parts:
        if isinstance(part, Linear):
            n_in = part.weight.shape[1]
            if linears and n_in != len(linears[-1].weight):
                raise ValueError(
                    f"fastbp.from_torch: layer {part.name} has {n_in} inputs, layer "
                    f"{linears[-1].name} before it {len(linears[-1].weight)} outputs"
                )
            linears.append(part)
            layers.append(Dense(len(part.weight), bias=part.bias is not None))
        elif isinstance(part, Dropout):
            layers.append(part)
        elif part.name != "identity":
            _activate(layers, part)
    if not linears:
        raise ValueError("fastbp.from_torch: there is no nn.Linear; expected at least one")
    return layers, linears


def _activate(layers, part):
    """Set the activation of the last dense layer."""
    place = len(layers) - 1
    while place >= 0 and isinstance(layers[place], Dropout) and part.name in _COMMUTE:
        place -= 1
    if place < 0 or not isinstance(layers[place], Dense) or layers[place].activation:
        raise ValueError(
            f"fastbp.from_torch: {part.name}, module {part.module}, does not follow an nn.Linear: "
            "fastbp has one activation behind each, and dropout behind that"
        )
    layers[place] = replace(layers[place], activation=part.name, alpha=part.alpha)


def linear_of(name: str, weight: Any, bias: Any) -> Linear:
    """Return a linear layer of tensors or arrays, after checks of their shapes."""
    weight = _floats(f"{name}.weight", weight, 2)
    bias = None if bias is None else _floats(f"{name}.bias", bias, 1)
    if bias is not None and len(bias) != len(weight):
        raise ValueError(
            f"fastbp.from_torch: {name}.bias has {len(bias)} elements: expected {len(weight)}, "
            "the rows of the weight"
        )
    return Linear(name, weight, bias)


def _floats(name, tensor, rank):
    """Return a tensor or an array of floats as an array: float64 if it is that, else float32."""
    if hasattr(tensor, "detach"):  # through float64, since NumPy has no bfloat16
        floats = tensor.is_floating_point()
        wide = str(tensor.dtype) == "torch.float64"
        array = tensor.detach().cpu().double().numpy() if floats else np.empty(0)
    else:
        array = np.asarray(tensor)
        floats = array.dtype.kind == "f"
        wide = array.dtype.itemsize > 4
    if not floats:
        kind = getattr(tensor, "dtype", type(tensor).__name__)
        raise TypeError(f"fastbp.from_torch: {name} is of {kind}: expected floating-point numbers")
    if array.ndim != rank or array.size == 0:
        raise ValueError(
            f"fastbp.from_torch: {name} has shape {array.shape}: expected that of a linear layer, "
            f"{'(n_out, n_in)' if rank == 2 else '(n_out,)'}"
        )
    return array.astype(np.float64 if wide else np.float32)


def _one_each(activation, hidden):
    """Return the names of activations, one for each hidden layer."""
    if activation is None:
        if hidden:
            raise TypeError(
                f"fastbp.from_torch: activation: a state dict does not say it; give one name, or "
                f"{hidden}, for the hidden layers"
            )
        return []
    if isinstance(activation, str):
        return [activation] * hidden
    if not isinstance(activation, Iterable):
        raise TypeError(
            f"fastbp.from_torch: activation={quoted(activation)}: expected a name, or one per "
            "hidden layer"
        )
    names = list(activation)
    if len(names) != hidden:
        raise ValueError(
            f"fastbp.from_torch: activation={quoted(activation)}: expected one name, or {hidden}"
        )
    return names


def _in_order(stems):
    """Sort the names of layers by their numbers if they differ in these only."""
    split = [stem.rpartition(".") for stem in stems]
    if len({head for head, _, _ in split}) == 1 and all(tail.isdecimal() for _, _, tail in split):
        return sorted(stems, key=lambda stem: int(stem.rpartition(".")[2]))
    return list(stems)
