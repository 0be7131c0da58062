"""Networks from the parts of PyTorch modules and state dicts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..annotations import Array, FloatType
from ..checks import all_finite
from ..components.layers import Dense, Dropout
from ..components.optimizers import Optimizer
from ..kernels.formulas.activations import ACTIVATIONS
from ..network import Network
from .network import LOSS_OF_OUTPUT

# activations that commute with dropout, which may stand before or behind them
_COMMUTE = {"identity", "relu", "leaky_relu"}

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Linear:
    """A matrix (n_out, n_in), PyTorch's layout, and a bias (n_out,) or None; float32 or 64."""

    weight: Array
    bias: Array | None


@dataclass(frozen=True)
class Activation:
    """A name in ``fastbp.ACTIVATIONS``, and the parameter or None."""

    name: str
    alpha: float | None = None


Parts: TypeAlias = list[tuple[str, Linear | Activation | Dropout]]


def parts_of_module(module: "nn.Module") -> Parts:
    """Return the parts of a module with their names.

    Raises
    ------
    ValueError
        If the module contains others than Linear, Dropout and activations.
    """
    from .torch_modules import activation_of, flattened, is_dropout, is_linear

    parts: Parts = []
    for name, child in flattened(module):
        if is_linear(child):
            parts.append((name, _linear(name, child.weight, child.bias)))
        elif is_dropout(child):
            parts.append((name, Dropout(child.p)))
        else:
            found = activation_of(child)
            if found is None:
                raise ValueError(
                    f"fastbp.from_torch: fastbp has nothing for module {name}, {child!r}: expected "
                    "nn.Linear, nn.Dropout and activations that fastbp has too, in an "
                    "nn.Sequential; of another class made of these, give the state dict and "
                    "activation="
                )
            parts.append((name, Activation(*found)))
    return parts


def parts_of_state(state: Mapping[str, Any], activation: str | Sequence[str] | None) -> Parts:
    """Return the parts of a state dict with their names, with activations between layers.

    Raises
    ------
    ValueError, TypeError
        If it has tensors that are not of linear layers, or `activation` does not name one for
        each hidden layer.
    """
    layers: dict = {}
    for key, value in state.items():
        stem, _, kind = str(key).rpartition(".")
        if kind not in ("weight", "bias"):
            raise ValueError(
                f"fastbp.from_torch: state dict has {key!r}: expected names that end in "
                '"weight" or "bias", of linear layers alone'
            )
        layers.setdefault(stem, {})[kind] = value
    if not layers:
        raise ValueError("fastbp.from_torch: the state dict is empty")
    names = _one_each(activation, len(layers) - 1)
    parts: Parts = []
    for stem in _in_order(layers):
        if "weight" not in layers[stem]:
            raise ValueError(f"fastbp.from_torch: state dict has a bias {stem!r} but no weight")
        parts.append((stem, _linear(stem, layers[stem]["weight"], layers[stem].get("bias"))))
        if names:
            parts.append((f"behind {stem}", Activation(names.pop(0))))
    return parts


def network_of(
    parts: Parts,
    *,
    output_activation: str | None,
    loss: str | None,
    optimizer: str | Optimizer,
    dtype: FloatType | None,
    seed: int,
) -> Network:
    """Return the network of named parts.

    Raises
    ------
    ValueError, TypeError
        If they are not those of a network, or the loss does not suit its outputs.
    """
    layers, linears = _layers(parts)
    given = output_activation or getattr(layers[-1], "activation", None) or "identity"
    suits = LOSS_OF_OUTPUT.get(ACTIVATIONS.find(given).name, "squared_error")
    dense = [part for _, part in linears]
    if dtype is None:
        dtype = "float64" if any(d.weight.dtype == np.float64 for d in dense) else "float32"
    network = Network(
        inputs=dense[0].weight.shape[1],
        layers=layers,
        output_activation=output_activation,
        loss=suits if loss is None else loss,
        optimizer=optimizer,
        dtype=dtype,
        seed=seed,
    )
    for part, weights, biases in zip(dense, network.weights, network.biases, strict=True):
        weights[:] = part.weight.T
        if part.bias is not None:
            biases[:] = part.bias
    if not all_finite(network.parameters):
        raise ValueError(
            f"fastbp.from_torch: the tensors hold NaN or infinity in {network.dtype}: "
            "expected finite numbers"
        )
    return network


def _layers(parts):
    """Return the layers for `Network`, and the `Linear` parts with their names."""
    layers: list = []
    linears: list = []
    for name, part in parts:
        if isinstance(part, Linear):
            n_in = part.weight.shape[1]
            if linears and n_in != len(linears[-1][1].weight):
                before, other = linears[-1]
                raise ValueError(
                    f"fastbp.from_torch: layer {name} has {n_in} inputs, layer {before} before it "
                    f"{len(other.weight)} outputs"
                )
            linears.append((name, part))
            layers.append(Dense(len(part.weight), bias=part.bias is not None))
        elif isinstance(part, Dropout):
            layers.append(part)
        elif part.name != "identity":
            _activate(layers, name, part)
    if not linears:
        raise ValueError("fastbp.from_torch: there is no nn.Linear; expected at least one")
    return layers, linears


def _activate(layers, name, part):
    """Set the activation of the last dense layer."""
    place = len(layers) - 1
    while place >= 0 and isinstance(layers[place], Dropout) and part.name in _COMMUTE:
        place -= 1
    if place < 0 or not isinstance(layers[place], Dense) or layers[place].activation:
        raise ValueError(
            f"fastbp.from_torch: {part.name}, module {name}, does not follow an nn.Linear: "
            "fastbp has one activation behind each, and dropout behind that"
        )
    layers[place] = replace(layers[place], activation=part.name, alpha=part.alpha)


def _linear(name, weight, bias):
    weight = _floats(f"{name}.weight", weight, 2)
    bias = None if bias is None else _floats(f"{name}.bias", bias, 1)
    if bias is not None and len(bias) != len(weight):
        raise ValueError(
            f"fastbp.from_torch: {name}.bias has {len(bias)} elements: expected {len(weight)}, "
            "the rows of the weight"
        )
    return Linear(weight, bias)


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
            f"fastbp.from_torch: activation={activation!r}: expected a name, or one per hidden "
            "layer"
        )
    names = list(activation)
    if len(names) != hidden:
        raise ValueError(
            f"fastbp.from_torch: activation={activation!r}: expected one name, or {hidden}"
        )
    return names


def _in_order(stems):
    """Sort the names of layers by their numbers if they differ in these only."""
    split = [stem.rpartition(".") for stem in stems]
    if len({head for head, _, _ in split}) == 1 and all(tail.isdecimal() for _, _, tail in split):
        return sorted(stems, key=lambda stem: int(stem.rpartition(".")[2]))
    return list(stems)
