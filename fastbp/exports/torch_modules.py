"""Activations as modules of PyTorch, and back; to import it takes PyTorch."""

import torch
from torch import nn


class Exp(nn.Module):
    """The activation ``exp(z)``, for which PyTorch has no module."""

    def forward(self, z):
        """Return exp(z)."""
        return torch.exp(z)


# PyTorch leaves softplus's logarithm out beyond 20; beyond 40, float64 does not show it
_SOFTPLUS_THRESHOLD = 40

# name: alpha -> module; the identity needs none
MODULES = {
    "logistic": lambda alpha: nn.Sigmoid(),
    "tanh": lambda alpha: nn.Tanh(),
    "relu": lambda alpha: nn.ReLU(),
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": lambda alpha: nn.SELU(),
    "gelu": lambda alpha: nn.GELU(),
    "gelu_tanh": lambda alpha: nn.GELU(approximate="tanh"),
    "silu": lambda alpha: nn.SiLU(),
    "softplus": lambda alpha: nn.Softplus(threshold=_SOFTPLUS_THRESHOLD),
    "mish": lambda alpha: nn.Mish(),
    "hard_sigmoid": lambda alpha: nn.Hardsigmoid(),
    "hard_tanh": lambda alpha: nn.Hardtanh(),
    "hard_swish": lambda alpha: nn.Hardswish(),
    "exp": lambda alpha: Exp(),
    "softmax": lambda alpha: nn.Softmax(dim=1),
}


def _hard_tanh(module):
    return ("hard_tanh", None) if (module.min_val, module.max_val) == (-1, 1) else None


def _softplus(module):
    # beyond the threshold it is z, which log(1 + exp(z)) is to 1e-10 beyond PyTorch's default of 20
    return ("softplus", None) if module.beta == 1 and module.threshold >= 20 else None


# module: itself -> (name, alpha), or None where fastbp has none with its settings
_NAMES = {
    nn.Identity: lambda module: ("identity", None),
    nn.Sigmoid: lambda module: ("logistic", None),
    nn.Tanh: lambda module: ("tanh", None),
    nn.ReLU: lambda module: ("relu", None),
    nn.LeakyReLU: lambda module: ("leaky_relu", module.negative_slope),
    nn.ELU: lambda module: ("elu", module.alpha),
    nn.SELU: lambda module: ("selu", None),
    nn.GELU: lambda module: ("gelu" if module.approximate == "none" else "gelu_tanh", None),
    nn.SiLU: lambda module: ("silu", None),
    nn.Softplus: _softplus,
    nn.Mish: lambda module: ("mish", None),
    nn.Hardsigmoid: lambda module: ("hard_sigmoid", None),
    nn.Hardtanh: _hard_tanh,
    nn.Hardswish: lambda module: ("hard_swish", None),
    Exp: lambda module: ("exp", None),
    nn.Softmax: lambda module: ("softmax", None) if module.dim in (1, -1) else None,
}


def activation_of(module):
    """Return the name and alpha of a module's activation, or None if fastbp has none such."""
    name_of = _NAMES.get(type(module))
    return None if name_of is None else name_of(module)


def linear(weights, biases):
    """Return an nn.Linear that holds copies of W (n_in, n_out) and b, or no b.

    No random numbers are drawn.
    """
    n_in, n_out = weights.shape
    W = torch.from_numpy(weights)
    module = nn.utils.skip_init(nn.Linear, n_in, n_out, bias=biases is not None, dtype=W.dtype)
    with torch.no_grad():
        module.weight.copy_(W.T)
        if biases is not None:
            module.bias.copy_(torch.from_numpy(biases))
    return module


def is_linear(module):
    """Return whether a module is an nn.Linear, and not one that computes its weights."""
    return type(module) is nn.Linear


def is_dropout(module):
    """Return whether a module is an nn.Dropout, and none of its variants."""
    return type(module) is nn.Dropout


def flattened(module, name=""):
    """Yield by their names the modules that a Sequential runs, and those of ones within it."""
    if type(module) is not nn.Sequential:
        yield name or "0", module
        return
    for key, child in module._modules.items():  # named_children leaves out what is there twice
        yield from flattened(child, f"{name}.{key}" if name else key)
