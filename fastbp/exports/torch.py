"""Networks as PyTorch's modules and state dicts, and theirs as networks."""

import sys
from collections.abc import Mapping

import numpy as np

from ..kernels.support.scalars import a_flag
from .network import input_drop_of, layers_of
from .torch_parts import network_of, parts_of_module, parts_of_state


def to_torch(net, *, logits=False):
    """Return a network as an ``nn.Sequential`` of PyTorch that gives the same outputs.

    It consists of Linear, activation and Dropout modules, in eval mode (``.train()`` lets
    Dropout act). The identity has no module; an activation that PyTorch has no module for, such
    as exp, becomes a ``fastbp.exports.torch_modules.Elementwise``. Tensors are copies, of the
    network's dtype. No random numbers of PyTorch are drawn.

    Parameters
    ----------
    net : Network
        What to convert; it is not changed.
    logits : bool, default False
        Whether to leave out the last layer's activation, so that the module gives Z(L): what
        ``nn.CrossEntropyLoss`` takes in place of softmax's probabilities,
        ``nn.BCEWithLogitsLoss`` in place of the logistic's, and
        ``nn.PoissonNLLLoss`` in place of exp's.

    Raises
    ------
    TypeError, ValueError
        If `net` is no network, its weights are not finite, or `logits` is no bool.
    ModuleNotFoundError
        If PyTorch is not installed; `state_dict` needs none.
    """
    layers = layers_of("to_torch", net)
    logits = a_flag("logits", logits)
    nn, modules = _torch("to_torch").nn, []
    from .torch_modules import linear, module_of

    for kind, value in _modules(layers, input_drop_of(net)):
        if kind == "dropout":
            modules.append(nn.Dropout(value))
        elif kind == "linear":
            modules.append(linear(value.weights, value.biases))
        else:
            modules.append(module_of(value.activation, value.alpha))
    if logits and layers[-1].activation != "identity":
        modules.pop()
    return nn.Sequential(*modules).eval()


def state_dict(net):
    """Return a network's parameters under the names that they have in `to_torch`'s module.

    "0.weight" (n_out, n_in), "0.bias" (n_out,) and so on: copies, as NumPy arrays of the
    network's dtype; a layer without a bias has none. The numbers count modules, activations and
    dropout among them; `logits` makes no difference. PyTorch need not be installed; there,
    ``{k: torch.from_numpy(v) for k, v in state.items()}`` is what `load_state_dict` takes.

    Raises
    ------
    TypeError, ValueError
        If `net` is no network, or its weights are not finite.

    Examples
    --------
    >>> import fastbp
    >>> state = fastbp.state_dict(fastbp.Network([4, 8, 3], loss="cross_entropy"))
    >>> {name: array.shape for name, array in state.items()}
    {'0.weight': (8, 4), '0.bias': (8,), '2.weight': (3, 8), '2.bias': (3,)}
    """
    layers, state = layers_of("state_dict", net), {}
    for n, (kind, layer) in enumerate(_modules(layers, input_drop_of(net))):
        if kind == "linear":
            state[f"{n}.weight"] = np.ascontiguousarray(layer.weights.T)
            if layer.biases is not None:
                state[f"{n}.bias"] = layer.biases
    return state


def from_torch(
    source,
    *,
    activation=None,
    output_activation=None,
    loss=None,
    optimizer="adam",
    dtype=None,
    seed=0,
):
    """Return a `Network` with the parameters of a PyTorch module, or of a state dict.

    Parameters
    ----------
    source : nn.Sequential, nn.Linear or mapping
        Linear layers, each with an activation and Dropout behind it or not, Sequentials within
        the Sequential included; or a state dict of such layers, of tensors or NumPy arrays, with
        names that end in "weight" and "bias": PyTorch need not be installed then. Its layers are
        taken in the order of their numbers, as in "0.weight" and "2.weight", or else as they come.
    activation : str or sequence of str, optional
        For a state dict, which does not say: the hidden layers' activation, or one for each.
    output_activation : str, optional
        The last layer's, where `source` has none there. Default: the loss's partner, such as
        softmax for "cross_entropy", as behind logits that ``nn.CrossEntropyLoss`` takes.
    loss : str, optional
        A name in ``fastbp.LOSSES``. Default: what suits the last activation: "cross_entropy" for
        softmax, "binary_cross_entropy" for the logistic, "poisson" for exp, or else
        "squared_error", by which a module that ends with a Linear gives the same outputs.
    optimizer : str or Optimizer, default "adam"
        As for `Network`.
    dtype : {"float32", "float64"}, optional
        What the network computes in; default: float64 if a tensor is, else float32.
    seed : int, default 0
        Keys shuffles and dropout.

    Returns
    -------
    Network
        With copies of the parameters, dropout where the module has it, and new moments.

    Raises
    ------
    ValueError
        If there is a module or a tensor that fastbp has none for, which the message names, or
        the layers do not follow each other.
    TypeError
        If an argument is not of this form.
    """
    torch = sys.modules.get("torch")  # where there is a module, it has been imported
    if isinstance(source, Mapping):
        parts = parts_of_state(source, activation)
    elif torch is not None and isinstance(source, torch.nn.Module):
        if activation is not None:
            raise TypeError(
                f"fastbp.from_torch: activation={activation!r}: a module has its own; it is for "
                "state dicts"
            )
        parts = parts_of_module(source)
    else:
        raise TypeError(
            f"fastbp.from_torch: source is a {type(source).__name__}: expected an nn.Sequential, "
            "an nn.Linear or a state dict"
        )
    return network_of(
        parts,
        output_activation=output_activation,
        loss=loss,
        optimizer=optimizer,
        dtype=dtype,
        seed=seed,
    )


def _torch(function):
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ModuleNotFoundError(
            f"fastbp.{function} needs PyTorch: https://pytorch.org/get-started/locally/ "
            "(python -m pip install torch)",
            name="torch",
        ) from error
    return torch


def _modules(layers, input_drop):
    """Yield the modules of a net, as pairs of a kind and a `Layer` or a rate, in order."""
    if input_drop:
        yield "dropout", input_drop
    for layer in layers:
        yield "linear", layer
        if layer.activation != "identity":
            yield "activation", layer
        if layer.drop:
            yield "dropout", layer.drop
