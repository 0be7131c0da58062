"""Networks as PyTorch modules and state dicts, and these as networks."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..annotations import Array, FloatType
from ..checks import all_finite
from ..components.optimizers import Optimizer
from ..kernels.formulas.activations import ACTIVATIONS
from ..kernels.support.scalars import a_flag
from ..network import Network
from ..quoted import quoted
from .network import LOSS_OF_OUTPUT, as_network, needing
from .torch_parts import layers_of, parts_of_state

if TYPE_CHECKING:
    from torch import nn


def to_torch(net: Network, *, logits: bool = False) -> "nn.Sequential":
    """Return a network as an ``nn.Sequential`` of PyTorch that computes the same outputs.

    It consists of Linear, activation and Dropout modules, in eval mode (``.train()`` lets
    Dropout act). The identity has no module; an activation that PyTorch has no module for, such
    as exp, becomes a ``fastbp.exports.torch_modules.Elementwise``. Tensors are copies, of the
    network's dtype. No random numbers of PyTorch are drawn.

    Parameters
    ----------
    net : Network
        The network; it is not changed.
    logits : bool, default False
        Whether to leave out the last layer's activation, so that the module returns Z(L):
        ``nn.CrossEntropyLoss`` takes it in place of softmax's probabilities,
        ``nn.BCEWithLogitsLoss`` in place of the logistic's, and ``nn.PoissonNLLLoss`` in place
        of exp's.

    Returns
    -------
    torch.nn.Sequential

    Raises
    ------
    TypeError, ValueError
        If `net` is not a network, its weights are not finite, `logits` is not a bool, or an
        activation cannot be written in PyTorch.
    ModuleNotFoundError
        If PyTorch is not installed; `state_dict` does not need it.
    """
    net = as_network("to_torch", net)
    logits = a_flag("logits", logits)
    message = (
        "to_torch needs PyTorch: https://pytorch.org/get-started/locally/ "
        "(python -m pip install torch)"
    )
    with needing(("torch",), message):
        import torch
    from .torch_modules import modules_of

    modules = modules_of(net)
    if logits and net.layers[-1].activation != "identity":
        modules.pop()
    module = torch.nn.Sequential(*modules)
    module.load_state_dict({k: torch.from_numpy(v) for k, v in state_dict(net).items()})
    return module.eval()


def state_dict(net: Network) -> dict[str, Array]:
    """Return a network's parameters under their names in the module of `to_torch`.

    "0.weight" (n_out, n_in), "0.bias" (n_out,) and so on: copies, as NumPy arrays of the
    network's dtype; a layer without a bias has none. The numbers count modules, activations and
    dropout among them; `logits` makes no difference. PyTorch need not be installed; there,
    ``{k: torch.from_numpy(v) for k, v in state.items()}`` is what `load_state_dict` takes.

    Raises
    ------
    TypeError, ValueError
        If `net` is not a network, or its weights are not finite.

    Examples
    --------
    >>> import fastbp
    >>> state = fastbp.state_dict(fastbp.Network([4, 8, 3], loss="cross_entropy"))
    >>> {name: array.shape for name, array in state.items()}
    {'0.weight': (8, 4), '0.bias': (8,), '2.weight': (3, 8), '2.bias': (3,)}
    """
    net = as_network("state_dict", net)
    state = {}
    place = 1 if net.input_dropout else 0
    for layer, W, b in zip(net.layers, net.weights, net.biases, strict=True):
        state[f"{place}.weight"] = W.T.copy()
        if layer.bias:
            state[f"{place}.bias"] = b.copy()
        place += 1 + (layer.activation != "identity") + (layer.dropout > 0)
    return state


def from_torch(
    source: "nn.Module | Mapping[str, Any]",
    *,
    activation: str | Sequence[str] | None = None,
    output_activation: str | None = None,
    loss: str | None = None,
    optimizer: str | Optimizer = "adam",
    dtype: FloatType | None = None,
    seed: int = 0,
) -> Network:
    """Return a `Network` with the parameters of a PyTorch module, or of a state dict.

    Parameters
    ----------
    source : nn.Sequential, nn.Linear or mapping
        Linear layers, each optionally followed by an activation and Dropout, also in Sequentials
        within the Sequential; or a state dict of such layers, of tensors or NumPy arrays, with
        names that end in "weight" and "bias", for which PyTorch need not be installed. Layers
        with names such as "0.weight" and "2.weight" are sorted by their numbers; others keep
        their order.
    activation : str or sequence of str, optional
        The hidden layers' activation, or one for each; for a state dict, which has none.
    output_activation : str, optional
        The last layer's activation if `source` has none there. Default: the loss's partner, such
        as softmax for "cross_entropy", for logits that ``nn.CrossEntropyLoss`` takes.
    loss : str, optional
        A name in ``fastbp.LOSSES``. Default: the loss that suits the last activation:
        "cross_entropy" for softmax, "binary_cross_entropy" for the logistic, "poisson" for exp,
        else "squared_error", with which a module that ends in a Linear has the same outputs.
    optimizer : str or Optimizer, default "adam"
        As for `Network`.
    dtype : {"float32", "float64"}, optional
        The network's dtype; default: float64 if a tensor is, else float32.
    seed : int, default 0
        Seed for shuffling and dropout.

    Returns
    -------
    Network
        With copies of the parameters, the module's dropout, and new moments.

    Raises
    ------
    ValueError
        If fastbp has no counterpart of a module or tensor, which the message names, or the
        layers do not fit each other.
    TypeError
        If an argument has another type.
    """
    torch = sys.modules.get("torch")  # imported if `source` is a module
    if isinstance(source, Mapping):
        parts = parts_of_state(source, activation)
    elif torch is not None and isinstance(source, torch.nn.Module):
        if activation is not None:
            raise TypeError(
                f"fastbp.from_torch: activation={quoted(activation)}: a module has its own; it "
                "is for state dicts"
            )
        from .torch_modules import parts_of_module

        parts = parts_of_module(source)
    else:
        raise TypeError(
            f"fastbp.from_torch: source is a {type(source).__name__}: expected an nn.Sequential, "
            "an nn.Linear or a state dict"
        )
    layers, linears = layers_of(parts)
    if loss is None:
        output = output_activation or getattr(layers[-1], "activation", None) or "identity"
        loss = LOSS_OF_OUTPUT.get(ACTIVATIONS.find(output).name, "squared_error")
    if dtype is None:
        wide = any(linear.weight.dtype == np.float64 for linear in linears)
        dtype = "float64" if wide else "float32"
    network = Network(
        inputs=linears[0].weight.shape[1],
        layers=layers,
        output_activation=output_activation,
        loss=loss,
        optimizer=optimizer,
        dtype=dtype,
        seed=seed,
    )
    for linear, W, b in zip(linears, network.weights, network.biases, strict=True):
        W[:] = linear.weight.T
        if linear.bias is not None:
            b[:] = linear.bias
    if not all_finite(network.parameters):
        raise ValueError(
            f"fastbp.from_torch: the tensors hold NaN or infinity in {network.dtype}: "
            "expected finite numbers"
        )
    return network
