"""From the parts of a PyTorch net, of a module or of a state dict, to a network."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..checks import all_finite
from ..components.layers import Dense, Dropout
from ..kernels.formulas.activations import ACTIVATIONS
from ..network import Network

# what a rate of dropout may stand before as well as behind: they commute with it
_COMMUTE = {"identity", "relu", "leaky_relu"}
# the loss that suits a last activation; the squared error suits all others
_LOSSES = {"softmax": "cross_entropy", "logistic": "binary_cross_entropy", "exp": "poisson"}


@dataclass(frozen=True)
class Linear:
    """A matrix (n_out, n_in), as PyTorch has it, and a bias (n_out,) or None; float32 or 64."""

    weight: np.ndarray
    bias: np.ndarray | None


@dataclass(frozen=True)
class Activation:
    """The name in ``fastbp.ACTIVATIONS``, and its parameter or None."""

    name: str
    alpha: float | None = None


def parts_of_module(module):
    """Return the parts of a module by their names: Linear, Activation and Dropout.

    Raises
    ------
    ValueError
        If one of its modules is none of these.
    """
    from .torch_modules import activation_of, flattened, is_dropout, is_linear

    parts = []
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


def parts_of_state(state, activation):
    """Return the parts of a state dict by their names, with the activations between layers.

    Raises
    ------
    ValueError, TypeError
        If it has other tensors than of linear layers, or `activation` is not one for each.
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
    parts: list = []
    for stem in _in_order(layers):
        if "weight" not in layers[stem]:
            raise ValueError(f"fastbp.from_torch: state dict has a bias {stem!r} but no weight")
        parts.append((stem, _linear(stem, layers[stem]["weight"], layers[stem].get("bias"))))
        if names:
            parts.append((f"behind {stem}", Activation(names.pop(0))))
    return parts


def network_of(parts, *, output_activation, loss, optimizer, dtype, seed):
    """Return the network that named parts make.

    Raises
    ------
    ValueError, TypeError
        If they make none, or one that the loss does not suit.
    """
    layers, linears = _layers(parts)
    given = output_activation or getattr(layers[-1], "activation", None) or "identity"
    suits = _LOSSES.get(ACTIVATIONS.find(given).name, "squared_error")
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
    """Return the long form's layers, and the `Linear` parts by their names."""
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
    """Give the last dense layer its activation."""
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
    """Return a tensor or an array of floats as an array of float32, or float64 if it is that."""
    if hasattr(tensor, "detach"):  # by way of float64, for NumPy has no bfloat16
        floats, wide = tensor.is_floating_point(), str(tensor.dtype) == "torch.float64"
        array = tensor.detach().cpu().double().numpy() if floats else np.empty(0)
    else:
        array = np.asarray(tensor)
        floats, wide = array.dtype.kind == "f", array.dtype.itemsize > 4
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
    """Return a list of names, one for each hidden layer."""
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
            f"fastbp.from_torch: activation={activation!r}: expected a name, or one a hidden layer"
        )
    names = list(activation)
    if len(names) != hidden:
        raise ValueError(
            f"fastbp.from_torch: activation={activation!r}: expected one name, or {hidden}"
        )
    return names


def _in_order(stems):
    """Return names of layers in the order of their numbers, if that is all in which they differ."""
    split = [stem.rpartition(".") for stem in stems]
    if len({head for head, _, _ in split}) == 1 and all(tail.isdecimal() for _, _, tail in split):
        return sorted(stems, key=lambda stem: int(stem.rpartition(".")[2]))
    return list(stems)
