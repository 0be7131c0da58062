"""Networks as PyTorch modules, and back; importing this module needs PyTorch."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from ..components.layers import Dropout
from ..kernels.formulas.activations import ACTIVATIONS
from ..network import Network
from ..quoted import quoted
from .torch_parts import Activation, Parts, linear_of
from .trace import UFUNCS, formula_of

_OPERATIONS = {
    **{name: getattr(torch, name) for name in (*UFUNCS, "erf", "maximum", "minimum")},
    "select": torch.where,
    "broadcast": lambda like, number: number.expand_as(like),
}


class Ascending(nn.Module):
    """The activation "ascending", whose outputs cannot cross."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return the number in the middle of each row, and those at gaps of softplus(z)."""
        below, middle, above = z.tensor_split([z.shape[-1] // 2, z.shape[-1] // 2 + 1], -1)
        below, above = (nn.functional.softplus(each, threshold=40) for each in (below, above))
        below = middle - below.flip(-1).cumsum(-1).flip(-1)
        return torch.cat([below, middle, middle + above.cumsum(-1)], -1)


# PyTorch's classes of activations, and the settings with which they are fastbp's
_MODULES: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    "identity": (nn.Identity, {}),
    "logistic": (nn.Sigmoid, {}),
    "tanh": (nn.Tanh, {}),
    "relu": (nn.ReLU, {}),
    "leaky_relu": (nn.LeakyReLU, {}),
    "elu": (nn.ELU, {}),
    "selu": (nn.SELU, {}),
    "gelu": (nn.GELU, {"approximate": "none"}),
    "gelu_tanh": (nn.GELU, {"approximate": "tanh"}),
    "silu": (nn.SiLU, {}),
    # beyond the threshold it returns z; at 40, the difference rounds to 0 in float64
    "softplus": (nn.Softplus, {"beta": 1, "threshold": 40}),
    "mish": (nn.Mish, {}),
    "hard_sigmoid": (nn.Hardsigmoid, {}),
    "hard_tanh": (nn.Hardtanh, {"min_val": -1, "max_val": 1}),
    "hard_swish": (nn.Hardswish, {}),
    "softmax": (nn.Softmax, {"dim": 1}),
    "ascending": (Ascending, {}),
}
_ALPHAS = {"leaky_relu": "negative_slope", "elu": "alpha"}


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
        return self.formula.evaluate(_OPERATIONS, z, self.alpha, z.new_tensor)

    def extra_repr(self) -> str:
        """Return the arguments as text."""
        return f"{self.activation!r}, {self.alpha}"


def modules_of(net: Network) -> list[nn.Module]:
    """Return the modules of a network, with weights that are not set; draw no random numbers."""
    dtype = getattr(torch, net.dtype.name)
    modules: list[nn.Module] = [nn.Dropout(net.input_dropout)] if net.input_dropout else []
    for layer in net.layers:
        sizes = layer.n_in, layer.n_out
        modules.append(nn.utils.skip_init(nn.Linear, *sizes, bias=layer.bias, dtype=dtype))
        if layer.activation in _MODULES:
            kind, settings = _MODULES[layer.activation]
            if layer.activation in _ALPHAS:
                settings = {_ALPHAS[layer.activation]: layer.alpha}
            if kind is not nn.Identity:
                modules.append(kind(**settings))
        else:
            modules.append(Elementwise(layer.activation, layer.alpha))
        if layer.dropout:
            modules.append(nn.Dropout(layer.dropout))
    return modules


def parts_of_module(module: nn.Module) -> Parts:
    """Return the parts of a module; refuse others than Linear, Dropout and activations."""
    parts: Parts = []
    for name, child in _flattened(module):
        if type(child) is nn.Linear:
            parts.append(linear_of(name, child.weight, child.bias))
        elif type(child) is nn.Dropout:
            parts.append(Dropout(child.p))
        else:
            parts.append(_activation_of(name, child))
    return parts


def _activation_of(name: str, module: nn.Module) -> Activation:
    if isinstance(module, Elementwise):
        has_alpha = ACTIVATIONS[module.activation].alpha is not None
        return Activation(name, module.activation, module.alpha if has_alpha else None)
    for activation, (kind, settings) in _MODULES.items():
        if type(module) is kind and _suits(module, settings):
            alpha = _ALPHAS.get(activation)
            return Activation(name, activation, getattr(module, alpha) if alpha else None)
    raise ValueError(
        f"fastbp.from_torch: fastbp has nothing for module {name}, {quoted(module)}: expected "
        "nn.Linear, nn.Dropout and activations that fastbp has too, in an "
        "nn.Sequential; of another class made of these, give the state dict and "
        "activation="
    )


def _suits(module: Any, settings: dict[str, Any]) -> bool:
    """Return whether a module computes the same as one with these settings."""
    if type(module) is nn.Softplus:  # at a threshold of 20, log(1 + exp(z)) - z is 2e-9
        return module.beta == 1 and module.threshold >= 20
    if type(module) is nn.Softmax:
        return module.dim in (1, -1)
    return all(getattr(module, name) == value for name, value in settings.items())


def _flattened(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the names and modules of a Sequential, those of nested Sequentials included."""
    if type(module) is not nn.Sequential:
        yield name or "0", module
        return
    for key, child in module._modules.items():  # named_children skips repeated modules
        yield from _flattened(child, f"{name}.{key}" if name else key)
