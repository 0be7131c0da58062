"""The attributes of a network, read from its engine."""

from typing import Any

import numpy as np

from ..annotations import Floats
from ..components.optimizers import Optimizer
from .engine import Engine
from .plan import Layer

# arguments of `Network` that are no attributes, and what other libraries call the learning rate
_RATES = ("learning_rate", "lr", "optimizer")
_OF_OPTIMIZERS = (
    "schedule",
    "clip_norm",
    "clip_sample_norm",
    "momentum",
    "weight_decay",
    "l1",
    "l2",
)
_OF_LAYERS = ("sizes", "activation", "output_activation", "inputs", "initializer", "dropout")
_SETTLED = {*_RATES, *_OF_OPTIMIZERS, *_OF_LAYERS, "trainable"}
_ADVICE = {
    **dict.fromkeys(_RATES, "set_learning_rate(x) changes the learning rate"),
    **dict.fromkeys(("weights", "biases"), "write into its arrays, as in weights[0][:] = W"),
    "parameters": "write into the array, as in parameters[:] = p",
    "trainable": "set_trainable(layer, x) changes it",
    "seed": "with_seed(x) returns a network with another",
}


class Described:
    """The documented attributes of a network; `engine` holds its parameters and its progress."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse what would change nothing."""
        if not (name in _SETTLED or isinstance(getattr(type(self), name, None), property)):
            object.__setattr__(self, name, value)
            return
        advice = _ADVICE.get(name, "it is settled when a network is made; make another")
        raise AttributeError(f"{name}: a network does not take it by assignment; {advice}")

    @property
    def engine(self) -> Engine:
        """The buffers and the calls into the kernels, for code that runs passes itself."""
        return self._engine

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The dense layers: sizes, activation and dropout of each; read-only."""
        return self._engine.plan.specs

    @property
    def input_dropout(self) -> float:
        """Dropout rate of the inputs."""
        return self._engine.plan.input_drop

    @property
    def weights(self) -> tuple[Floats, ...]:
        """The weight matrices W(l) (n_in, n_out), as writable views."""
        return self._engine.plan.weights(self._engine.params)

    @property
    def biases(self) -> tuple[Floats, ...]:
        """The bias vectors b(l) (n_out,), as writable views."""
        return self._engine.plan.biases(self._engine.params)

    @property
    def monotonic(self) -> tuple[int, ...]:
        """1 for each input in which the outputs rise, -1 in which they fall, else 0; or ()."""
        return self.layers[0].signs

    @property
    def parameters(self) -> Floats:
        """All parameters as one flat writable array: W(1), b(1), W(2), ..."""
        return self._engine.params

    @property
    def dtype(self) -> np.dtype[Any]:
        """The floating-point type of parameters and computation."""
        return self._engine.plan.dtype

    @property
    def loss(self) -> str:
        """The name of the loss."""
        return self._engine.loss

    @property
    def loss_parameter(self) -> float | tuple[float, ...]:
        """The parameter of the loss; 0 if it has none."""
        return self._engine.loss_parameter

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer with its hyper-parameters."""
        return self._engine.optimizer

    @property
    def seed(self) -> int:
        """The seed of initial weights, shuffles and dropout."""
        return self._engine.seed

    @property
    def steps(self) -> int:
        """Optimizer steps so far."""
        return self._engine.steps

    @property
    def epochs(self) -> int:
        """Completed epochs of training so far."""
        return self._engine.epochs
