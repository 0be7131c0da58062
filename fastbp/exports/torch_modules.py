"""Activations as PyTorch modules, and back; importing this module needs PyTorch."""

from collections.abc import Iterator

import torch
from torch import nn

from ..annotations import Array
from ..kernels.formulas.activations import ACTIVATIONS
from .trace import formula_of

_OPERATIONS = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "neg": torch.neg,
    "lt": torch.lt,
    "le": torch.le,
    "gt": torch.gt,
    "ge": torch.ge,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "log": torch.log,
    "log1p": torch.log1p,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "sqrt": torch.sqrt,
    "absolute": torch.abs,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "select": torch.where,
    "broadcast": lambda like, number: number.expand_as(like),
    "relu": torch.relu,
    "logistic": torch.sigmoid,
}


class Elementwise(nn.Module):
    """An activation for which PyTorch has no module, from the formula of the kernels.

    Parameters
    ----------
    activation : str
        A name in ``fastbp.ACTIVATIONS``.
    alpha : float
        Its parameter; not read if it has none.

    Raises
    ------
    ValueError
        If the formula cannot be exported; the message names the activation.
    """

    def __init__(self, activation: str, alpha: float) -> None:
        super().__init__()
        self.activation = activation
        self.alpha = float(alpha)
        self.formula = formula_of("to_torch", activation)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return the activation of z."""
        inputs = {"z": z, "alpha": self.alpha}
        return self.formula.evaluate(_OPERATIONS, inputs, z.new_tensor)

    def extra_repr(self) -> str:
        """Return the arguments as text."""
        return f"{self.activation!r}, {self.alpha}"


# beyond its threshold, nn.Softplus returns z; at 40, the difference rounds to 0 in float64
_SOFTPLUS_THRESHOLD = 40

# makers of modules from alpha, for the activations that PyTorch has
_MODULES = {
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
    "softmax": lambda alpha: nn.Softmax(dim=1),
}


def module_of(activation: str, alpha: float) -> nn.Module:
    """Return the module of an activation: PyTorch's own, or else an `Elementwise`.

    Raises
    ------
    ValueError
        If there is none, and its formula cannot be exported.
    """
    if activation in _MODULES:
        return _MODULES[activation](alpha)
    return Elementwise(activation, alpha)


def _hard_tanh(module):
    return ("hard_tanh", None) if (module.min_val, module.max_val) == (-1, 1) else None


def _elementwise(module):
    has_alpha = ACTIVATIONS[module.activation].alpha is not None
    return module.activation, module.alpha if has_alpha else None


def _softplus(module):
    # beyond the threshold it is z; at PyTorch's default of 20, log(1 + exp(z)) - z is 2e-9
    return ("softplus", None) if module.beta == 1 and module.threshold >= 20 else None


# functions from a module to (name, alpha), or None if fastbp has none with its settings
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
    Elementwise: _elementwise,
    nn.Softmax: lambda module: ("softmax", None) if module.dim in (1, -1) else None,
}


def activation_of(module: nn.Module) -> tuple[str, float | None] | None:
    """Return the name and alpha of a module's activation, or None if fastbp has no such one."""
    name_of = _NAMES.get(type(module))
    return None if name_of is None else name_of(module)


def linear(weights: Array, biases: Array | None) -> nn.Linear:
    """Return an nn.Linear with copies of W (n_in, n_out) and b (n_out,), or without b.

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


def is_linear(module: nn.Module) -> bool:
    """Return whether a module is an nn.Linear whose weights are its own parameters."""
    return type(module) is nn.Linear


def is_dropout(module: nn.Module) -> bool:
    """Return whether a module is an nn.Dropout, not one of its variants."""
    return type(module) is nn.Dropout


def flattened(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the names and modules of a Sequential, those of nested Sequentials included."""
    if type(module) is not nn.Sequential:
        yield name or "0", module
        return
    for key, child in module._modules.items():  # named_children skips repeated modules
        yield from flattened(child, f"{name}.{key}" if name else key)
