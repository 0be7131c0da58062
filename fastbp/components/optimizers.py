"""Optimizers as a caller names them: ``Adam(1e-3, clip_norm=1.0, schedule=Cosine(50))``."""

import numpy as np

from ..kernels.formulas.optimizers import OPTIMIZERS, checked
from ..kernels.support.scalars import a_flag, a_number
from .schedules import Constant, as_schedule


class Optimizer:
    """An optimizer of ``fastbp.OPTIMIZERS`` with its hyper-parameters.

    Parameters
    ----------
    name : str
        Its name in the table, which holds its formula.
    schedule : schedule or str, optional
        Scales the learning rate over the epochs; default: constant.
    clip_norm : float, optional
        Scale the gradient down to this global norm where it is larger.
    l1, l2 : float, default 0
        Penalties added to the gradients of weights: ``l1 sign(w) + l2 w``.
    weight_decay : float
        Decoupled decay of weights: ``w -= rate weight_decay w``; default 0, adamw 0.01.
    **hyper_parameters : float
        Those of the table's record: learning_rate, beta1, beta2, epsilon.

    Raises
    ------
    ValueError, TypeError
        If a name is unknown or a number out of its range.
    """

    def __init__(self, name, *, schedule=None, clip_norm=None, **hyper_parameters):
        self.record = OPTIMIZERS.find(name)
        self.hyper_parameters = checked(self.record, hyper_parameters)
        self.clip_norm = None if clip_norm is None else a_number("clip_norm", clip_norm, above=0)
        self.schedule = as_schedule("schedule", schedule)

    @property
    def name(self):
        """The name in the table."""
        return self.record.name

    def factors(self, t):
        """Return the schedule's factors (n,) at times `t` (n,), in epochs."""
        factors = np.ascontiguousarray(self.schedule.factors(t), np.float64)
        if factors.shape != t.shape or not np.isfinite(factors).all() or factors.min() < 0:
            raise ValueError(
                f"schedule={self.schedule!r}: factors gave {factors}; expected finite "
                f"numbers of at least 0, of shape {t.shape}"
            )
        return factors

    def rates(self, t):
        """Return the learning rates (n,) at times `t` (n,), in epochs."""
        return self.hyper_parameters["learning_rate"] * self.factors(t)

    def __repr__(self):
        defaults = checked(self.record, {})
        shown = {
            key: value
            for key, value in self.hyper_parameters.items()
            if value != defaults[key] or key == "learning_rate"
        }
        if self.clip_norm is not None:
            shown["clip_norm"] = self.clip_norm
        if self.schedule != Constant():
            shown["schedule"] = self.schedule
        arguments = "".join(f", {key}={value!r}" for key, value in shown.items())
        return f"Optimizer({self.name!r}{arguments})"


def as_optimizer(optimizer):
    """Return an `Optimizer` from one, or from a name in the table."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str):
        return Optimizer(optimizer)
    raise TypeError(f"optimizer={optimizer!r}: expected a name or an optimizer such as Adam(1e-3)")


class SGD(Optimizer):
    """Gradient descent, with Polyak's or Nesterov's momentum if `momentum` > 0."""

    def __init__(self, learning_rate=1e-2, momentum=0.0, nesterov=False, **shared):
        momentum = a_number("momentum", momentum, low=0, below=1)
        if momentum == 0 and not a_flag("nesterov", nesterov):
            super().__init__("sgd", learning_rate=learning_rate, **shared)
        else:
            name = "nesterov" if a_flag("nesterov", nesterov) else "momentum"
            super().__init__(name, learning_rate=learning_rate, beta1=momentum, **shared)


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015)."""

    def __init__(self, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, **shared):
        super().__init__(
            "adam", learning_rate=learning_rate, beta1=beta1, beta2=beta2, epsilon=epsilon, **shared
        )


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    def __init__(
        self, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, weight_decay=1e-2, **shared
    ):
        super().__init__(
            "adamw",
            learning_rate=learning_rate,
            beta1=beta1,
            beta2=beta2,
            epsilon=epsilon,
            weight_decay=weight_decay,
            **shared,
        )


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton, 2012); `beta2` is the decay of the mean square."""

    def __init__(self, learning_rate=1e-3, beta2=0.9, epsilon=1e-8, **shared):
        super().__init__(
            "rmsprop", learning_rate=learning_rate, beta2=beta2, epsilon=epsilon, **shared
        )


class Adagrad(Optimizer):
    """AdaGrad (Duchi, Hazan and Singer, 2011)."""

    def __init__(self, learning_rate=1e-2, epsilon=1e-10, **shared):
        super().__init__("adagrad", learning_rate=learning_rate, epsilon=epsilon, **shared)
